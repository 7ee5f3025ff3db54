"""A sentence of a person that names a service: `checkout is slow since 02:40`."""

import re
from collections.abc import Iterable
from datetime import datetime

from midwatch.errors import BadAlert
from midwatch.intake.parts import Draft, Told, finished, usable
from midwatch.records import Alert
from midwatch_kit.errors import BadInput
from midwatch_kit.window import parse_time

_SINCE = re.compile(r"\bsince\s+(\S+)", re.IGNORECASE)


def from_sentence(text: str, services: Iterable[str], now: datetime) -> Alert:
    """Return the alert that a sentence describes: it must name a known service, and may say `since TIME`.

    Of several services the first one named counts. Raises `BadAlert` when it names none, with the known names.
    """
    if not _is_text(text):
        raise BadAlert("the sentence is no text that can be written in UTF-8")
    known = sorted(services)
    places = {name: place for name in known if (place := _place_of(name, text)) is not None}
    if not places:
        there = f"known are: {', '.join(known)}" if known else "no server knows any service yet, see midwatch doctor"
        raise BadAlert(f"the sentence names no service that is known here; {there}")
    since = _SINCE.search(text)
    try:
        started = usable(parse_time(since[1].rstrip(".,;!?"), now)) if since else now
    except (BadInput, ValueError) as error:
        raise BadAlert(str(error)) from None
    service = min(places, key=lambda name: places[name])
    draft = Draft(source="sentence", external=text, title=text, started_at=started, raw=text, named=service)
    return finished(draft, Told(now))


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _place_of(name: str, text: str) -> int | None:
    found = re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text, re.IGNORECASE)
    return found.start() if found else None
