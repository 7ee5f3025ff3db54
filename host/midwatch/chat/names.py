"""Names that people use for entities, and the ids that they stand for in one investigation."""

from midwatch.correlation import service_id
from midwatch.records import Hypothesis, Incident, Scope
from midwatch.storage.journal import Journal
from midwatch_kit.records import EntityId, Observation
from midwatch_topology import UnknownEntity


def known_entities(journal: Journal, incident: Incident) -> list[EntityId]:
    """Return every entity that an investigation knows: in its scope, observed, or suspected; sorted."""
    scopes = journal.values(incident.id, Scope)
    mapped = {entity.id for scope in scopes for entity in scope.topology.entities}
    seen = {o.entity for o in journal.values(incident.id, Observation)}
    suspected = {h.entity for h in journal.values(incident.id, Hypothesis)}
    return sorted({incident.service} | mapped | seen | suspected)


def entity_of(journal: Journal, incident: Incident, name: str) -> EntityId:
    """Return the id that a name stands for; before anything is known, a bare name is taken for a service's.

    Raises `UnknownEntity` once an investigation knows its scope, and nothing in it has that name.
    """
    known = known_entities(journal, incident)
    meant = [each for each in (name, service_id(name)) if each in known]
    meant += [each for each in known if each.partition(":")[2] == name]
    of_kind = [each for each in known if each.partition(":")[0] == name]
    meant += of_kind if len(of_kind) == 1 else []  # "the database", where there is one
    if not meant and journal.values(incident.id, Scope):
        raise UnknownEntity(name, known)
    return meant[0] if meant else service_id(name)
