"""Which incident a person means who says a part of its id."""

from midwatch.errors import UnknownIncident
from midwatch.records import Incident
from midwatch.storage.journal import Journal


def find_incident(journal: Journal, name: str) -> Incident:
    """Return the incident whose id begins or ends so, or the latest for none or `latest`; raises `UnknownIncident`."""
    part = "" if name.casefold() == "latest" else name.upper()
    known = journal.incidents()
    matching = [found for found in known if found.id.startswith(part) or found.id.endswith(part)]
    if not matching or (part and len(matching) > 1):
        listed = ", ".join(found.id for found in known[-5:]) or "none"
        raise UnknownIncident(f"{name or 'the latest incident'} is not on record, or not alone; the last are: {listed}")
    return matching[-1]
