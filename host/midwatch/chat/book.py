"""The records of one investigation, read once, by shape and with their numbers, so that an answer can cite them."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Generic, TypeVar

from pydantic import ValidationError

from midwatch.chat.names import known_entities
from midwatch.errors import JournalDamaged
from midwatch.records import BODIES, Hypothesis, Incident, Scope, Verdict
from midwatch.records.message import Statement
from midwatch.storage.journal import Entry, Journal
from midwatch_kit.records import Citation, EntityId, Moment, Observation, Record
from midwatch_topology import Topology

ShapeT = TypeVar("ShapeT", bound=Record)
_MOST_CITED = 3


@dataclass(frozen=True)
class Noted(Generic[ShapeT]):
    """A value as it stands on record: its number, when it was noted (UTC), by whom."""

    record: int
    at: Moment
    actor: str
    value: ShapeT


@dataclass(frozen=True)
class Book:
    """One incident and its records, in order."""

    journal: Journal
    incident: Incident
    entries: tuple[Entry, ...]

    @classmethod
    def of(cls, journal: Journal, incident: Incident) -> "Book":
        """Read an incident's records."""
        return cls(journal, incident, tuple(journal.entries(incident.id)))

    def every(self, shape: type[ShapeT]) -> list[Noted[ShapeT]]:
        """Return every value of a shape, in order; raises `JournalDamaged`."""
        kinds = {kind for kind, body in BODIES.items() if body is shape}
        try:
            return [
                Noted(entry.seq, entry.at, entry.actor, shape.model_validate(entry.body))
                for entry in self.entries
                if entry.type in kinds
            ]
        except ValidationError:
            raise JournalDamaged(f"a {shape.__name__} of {self.incident.id} is not what was written") from None

    def last(self, shape: type[ShapeT]) -> Noted[ShapeT] | None:
        """Return the latest value of a shape; None when there is none."""
        return next(reversed(self.every(shape)), None)

    @property
    def opened(self) -> tuple[int, ...]:
        """The number of the record with which the incident was opened."""
        return tuple(noted.record for noted in self.every(Incident)[:1])

    @cached_property
    def observations(self) -> dict[str, Noted[Observation]]:
        """What was observed, by its id."""
        return {noted.value.id: noted for noted in self.every(Observation)}

    @cached_property
    def hypotheses(self) -> list[Noted[Hypothesis]]:
        """What was tested, in order."""
        return self.every(Hypothesis)

    @cached_property
    def verdicts(self) -> dict[str, Noted[Verdict]]:
        """The latest verdict on each hypothesis, by its id."""
        return {noted.value.hypothesis: noted for noted in self.every(Verdict)}

    @cached_property
    def scope(self) -> Noted[Scope] | None:
        """What was looked at."""
        return self.last(Scope)

    @cached_property
    def topology(self) -> Topology:
        """The graph that was looked at; empty when there is none yet."""
        return Topology.merge({"journal": self.scope.value.topology}) if self.scope else Topology()

    @cached_property
    def known(self) -> list[EntityId]:
        """Every entity that the investigation knows, sorted."""
        return known_entities(self.journal, self.incident)

    def citing(self, observations: Iterable[str]) -> tuple[Citation, ...]:
        """Return the first citation of each of the first few observations that are named."""
        named = (self.observations[name].value for name in observations if name in self.observations)
        return tuple([seen.citations[0] for seen in named if seen.citations][:_MOST_CITED])

    def of_record(self, text: str, noted: Noted[ShapeT], observations: Iterable[str] = ()) -> Statement:
        """Return a line that rests on observations, and on a record where they have no evidence."""
        cited = self.citing(observations)
        return Statement(text=text, citations=cited, records=() if cited else (noted.record,))


def seen_line(seen: Observation, text: str = "") -> Statement:
    """Return an observation as a line, with the places that it cites."""
    return Statement(text=text or seen.statement, citations=seen.citations[:_MOST_CITED])
