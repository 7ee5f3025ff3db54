"""From what a person says to a steer that is checked: by fields, or by words that code understands.

A steer can choose what is looked at. Whatever is said, it can neither grant nor approve anything.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from midwatch.chat.names import entity_of
from midwatch.errors import NotUnderstood
from midwatch.records import HypothesisKind, Incident, Steer
from midwatch.steering.words import CAN_BE_SAID, Around, understood, window_of
from midwatch.storage.journal import Journal
from midwatch.wording import in_words

_SHORTEST = 3


@dataclass(frozen=True)
class Fields:
    """What was said beside the words, as it was typed; '' for nothing."""

    kind: str = ""
    entity: str = ""
    leave_out: str = ""
    ignore: str = ""
    window: str = ""


def steer_of(
    journal: Journal, incident: Incident, words: str, by: str, given: Fields, now: datetime | None = None
) -> Steer:
    """Return the steer that a person means; where no field is given, the words are read.

    Raises `NotUnderstood`, `BadInput` for a time, `UnknownEntity` for a name that the investigation does not know.
    """
    around = about(journal, incident, now)
    fields: Mapping[str, Any] = _given(given, around) or understood(words, around)
    if not fields:
        raise NotUnderstood(f"{words[:120]!r} is not understood. What can be said: {' | '.join(CAN_BE_SAID)}")
    return made(words, by, fields, around)


def about(journal: Journal, incident: Incident, now: datetime | None = None) -> Around:
    """Return what words of a person are about, in an incident."""
    moment = (now or datetime.now(UTC)).replace(microsecond=0)
    return Around(incident.started_at, moment, lambda name: entity_of(journal, incident, name))


def made(words: str, by: str, fields: Mapping[str, Any], around: Around) -> Steer:
    """Return a steer of fields; raises `NotUnderstood` for what cannot be one."""
    try:
        return Steer.model_validate({"text": words, "by": by, "at": around.now, **fields})
    except ValidationError as error:
        raise NotUnderstood(in_words(error.errors(include_url=False), fields)) from None


def _given(given: Fields, around: Around) -> dict[str, Any]:
    """Return the fields that were given; raises `NotUnderstood` for one that is not whole."""
    if bool(given.kind) != bool(given.entity):
        raise NotUnderstood("a cause to test needs both kind and entity")
    if given.kind and given.kind not in set(HypothesisKind):
        raise NotUnderstood(f"{given.kind!r} is no kind of cause: one of {', '.join(HypothesisKind)}")
    if given.ignore and len(given.ignore) < _SHORTEST:
        raise NotUnderstood(f"ignore {given.ignore!r} would leave out too much: give {_SHORTEST} characters or more")
    fields: dict[str, Any] = {}
    if given.kind:
        fields = {"kind": given.kind, "entity": around.entity(given.entity)}
    if given.leave_out:
        fields["leave_out"] = around.entity(given.leave_out)
    if given.ignore:
        fields["ignore"] = given.ignore
    return {**fields, **(window_of(given.window, around) if given.window else {})}
