"""One case of a public data set, and how it becomes a snapshot: a store, the alert and a declared topology.

What the case is the answer to stays outside of the snapshot: only the scorer holds it.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from midwatch.records import HypothesisKind
from midwatch_kit.records import Relation, TopologyFragment
from midwatch_kit.window import rfc3339
from midwatch_store.writer import Writer

Row = Mapping[str, object]
Tables = Mapping[str, Sequence[Row]]
SECOND = 1_000_000_000
UNREADABLE = "unreadable"
"""The group of cases that are there and cannot be read."""


@dataclass(frozen=True)
class Alert:
    """What an on-call engineer is told: of which service, in which words, since when; and when time ends."""

    service: str
    title: str
    started_at: datetime
    seen_at: datetime

    def body(self) -> dict[str, str]:
        """Return the alert in the generic form, as a webhook would get it."""
        times = {"started_at": rfc3339(self.started_at), "seen_at": rfc3339(self.seen_at)}
        return {"title": self.title, "service": self.service, "severity": "high", **times}


@dataclass(frozen=True)
class Case:
    """One incident: `number` decides on the half it is in, `group` is a line of the table, `telemetry` reads it.

    `answers` are the labels any of which is right: entities, unless the set's scorer has labels of its own. `kinds` are
    the kinds of cause any of which is right; none where the label says nothing of it.
    """

    name: str
    number: int
    group: str
    alert: Alert
    calls: tuple[tuple[str, str], ...]
    telemetry: Callable[[], Tables]
    answers: frozenset[str]
    kinds: frozenset[HypothesisKind] = frozenset()

    @property
    def split(self) -> str:
        """The half that a case is in: it is fitted on when its number is even, and scored only when it is odd."""
        return "fit" if self.number % 2 == 0 else "score"


def readable(name: str, number: int, read: Callable[[], Case]) -> Case:
    """Return the case that `read` returns; where it fails, one of the same name whose telemetry says why.

    So a case that is there is counted, whether it can be read or not.
    """
    try:
        return read()
    except Exception as error:  # what is published may be wrong in any way, and one case must not hide the others
        return unreadable(name, number, error)


def unreadable(name: str, number: int, error: Exception) -> Case:
    """Return a case of which nothing can be read: whoever asks for its telemetry is told why."""

    def telemetry() -> Tables:
        raise error

    nobody = Alert(service="", title="", started_at=at(0), seen_at=at(0))
    return Case(name, number, UNREADABLE, nobody, (), telemetry, frozenset())


def write_snapshot(case: Case, folder: Path) -> Path:
    """Write a case into a new folder, without its answers, and return the folder."""
    with Writer(folder) as writer:
        writer.append(case.telemetry())
    (folder / "incident.json").write_text(json.dumps(case.alert.body(), indent=1), encoding="utf-8")
    relations = tuple(Relation(source=f"service:{a}", kind="calls", target=f"service:{b}") for a, b in case.calls)
    (folder / "topology.json").write_text(TopologyFragment(relations=relations).model_dump_json(), encoding="utf-8")
    return folder


def gauge(service: str, metric: str, unit: str, at: int, value: float, **more: object) -> Row:
    """Return a point of a gauge, `at` a time in ns since the epoch; `more` are further columns."""
    named = {"ServiceName": service, "MetricName": metric, "MetricUnit": unit}
    return {**named, "TimeUnix": at, "Value": value, **more}


def count(service: str, metric: str, unit: str, since: int, until: int, value: float) -> Row:
    """Return what a counter counted between two times in ns since the epoch."""
    delta = {"AggregationTemporality": 1, "IsMonotonic": True, "StartTimeUnix": since}
    return gauge(service, metric, unit, until, value, **delta)


def at(seconds: float) -> datetime:
    """Return a moment from Unix seconds."""
    return datetime.fromtimestamp(seconds, UTC)
