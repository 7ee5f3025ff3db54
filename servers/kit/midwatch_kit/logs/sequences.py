"""What a service logs after what within one trace: its behaviour, given that it was asked.

Code that returns early, or throws, shows less in how many lines there are, which follows from what is asked, than in
which line comes after which. Steps from a line to the next are counted once for each trace (one trace's are not
independent: where one takes several ways they share its weight), the first line after nothing, the last before nothing.
A turn is a step that most traces took and hardly any takes now, or the other way round. Where it turned is found by a
scan over all moments (a change that lasts to the end), with the score of two binomials. Mixtures shift with what is
asked, so a change of less than `LEAST_CHANGE` is none, and neither is what takes the place of errors that are over.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from midwatch_kit.logs.backend import Buckets, StepRow
from midwatch_kit.logs.lines import stamp, time_of
from midwatch_kit.records import Finding, ObservationKind
from midwatch_kit.reply import CitedFinding
from midwatch_kit.statistics import compare_shares
from midwatch_kit.statistics.clusters import cluster
from midwatch_kit.text import printable

LEAST_SCORE: Final = 3.0
"""As rare by chance as one in 370 for one step: what (nearly) always happened seldom ends by chance."""
LEAST_CHANGE: Final = 0.5
"""The share of traces that must take another way."""
LEAST_TRACES: Final = 2.0
_VARIETY: Final = 6
_SHOWN: Final = 60

Counts: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Turn:
    """A step that a service takes far more or far less often than before; traces of (baseline, window).

    `after` and `then` are templates or places in the code, '' for the beginning and the end of what it logs. `taken`
    of `traces` that came by `after` went on with `then`; `onset` is when it turned (ns), with the interval between
    the last trace before and the first one after.
    """

    service: str
    after: str
    then: str
    bad: bool
    taken: tuple[float, float]
    traces: tuple[float, float]
    score: float
    onset: int
    earliest: int


def turns(rows: Iterable[StepRow], buckets: Buckets) -> list[Turn]:
    """Return the clearest turn of each service that has one, the clearest first."""
    found: dict[str, Turn] = {}
    for (service, after), steps in groupby(_templated(rows), key=lambda row: (row.service, row.after)):
        for turn in _turns_after(service, after, list(steps), buckets):
            if service not in found or abs(turn.score) > abs(found[service].score):
                found[service] = turn
    return sorted(found.values(), key=lambda turn: (-abs(turn.score), turn.service))


def row_of_turn(turn: Turn) -> dict[str, JsonValue]:
    """Return a turn as evidence."""
    before, now = (_side(traces, taken) for traces, taken in zip(turn.traces, turn.taken, strict=True))
    return {
        "entity": f"service:{turn.service}",
        "after": printable(turn.after),
        "then": printable(turn.then),
        "since": stamp(turn.onset),
        "baseline": before,
        "window": now,
    }


def _side(traces: float, taken: float) -> dict[str, JsonValue]:
    return {"traces": round(traces, 2), "taken": round(taken, 2)}


def cited_turn(turn: Turn, row: int) -> CitedFinding:
    """Return a turn as a finding about the service; its evidence is row `row`."""
    before, now = (100 * taken / traces for taken, traces in zip(turn.taken, turn.traces, strict=True))
    finding = Finding(
        entity=f"service:{turn.service}",
        kind=ObservationKind.SPIKE if turn.score > 0 else ObservationKind.DROP,
        subject="log_sequence",
        statement=_statement(turn, before, now),
        onset=time_of(turn.onset),
        onset_earliest=time_of(turn.earliest),
        onset_latest=time_of(turn.onset),
        magnitude=round(now, 2),
        baseline=round(before, 2),
        unit="%",
        direction="up" if turn.score > 0 else "down",
        score=round(abs(turn.score), 2),
        attributes={
            "after": printable(turn.after[:300]),
            "then": printable(turn.then[:300]),
            **({"error": "yes"} if turn.bad else {}),
        },
    )
    cited = ("after", "then", "since", "baseline/traces", "baseline/taken", "window/traces", "window/taken")
    return CitedFinding(finding, [f"/rows/{row}/{name}" for name in cited])


def _statement(turn: Turn, before: float, now: float) -> str:
    then = f"logs {_short(turn.then)!r}" if turn.then else "logs nothing more"
    after = f" after {_short(turn.after)!r}" if turn.after else " first"
    counts = f"in {now:.0f}% of {turn.traces[1]:.0f} traces, before in {before:.0f}% of {turn.traces[0]:.0f}"
    return f"{turn.service[:40]} {then}{after} {counts}"[:200]


def _short(text: str) -> str:
    shown = printable(text)
    return shown if len(shown) <= _SHOWN else f"{shown[: _SHOWN - 1]}…"


def _templated(rows: Iterable[StepRow]) -> list[StepRow]:
    """Return the steps between templates instead of between masked lines, sorted."""
    every = list(rows)
    frequency: dict[str, int] = {}
    for row in every:
        frequency[row.then] = frequency.get(row.then, 0) + row.millionths
        frequency.setdefault(row.after, 0)
    templates: Mapping[str, str] = {"": "", **cluster({text: n for text, n in frequency.items() if text}, _VARIETY)}
    named = (
        StepRow(row.service, templates[row.after], templates[row.then], row.bad, row.bucket, row.millionths)
        for row in every
    )
    return sorted(named, key=lambda row: (row.service, row.after, row.then, row.bad, row.bucket))


def _turns_after(service: str, after: str, steps: Sequence[StepRow], buckets: Buckets) -> Iterator[Turn]:
    """Yield the clear turns among the ways on from one line."""
    ways: dict[tuple[str, bool], list[float]] = {}
    for step in steps:
        counts = ways.setdefault((step.then, step.bad), [0.0] * (buckets.before + buckets.after))
        counts[step.bucket] += step.millionths / 1e6
    table, bad = np.array([*ways.values()]), np.array([bad for _, bad in ways])
    every, sound = np.broadcast_to(table.sum(axis=0), table.shape), table[~bad].sum(axis=0)
    among = np.where(bad[:, None], every, sound)
    risen, fallen = _clearest(table, among, rises=True), _clearest(table, every, rises=False)
    for i, way in enumerate(ways):
        for split, of in ((risen[i], among[i]), (None if bad[i] else fallen[i], every[i])):
            if split is not None:
                yield _turn((service, after, *way), table[i], of, split, buckets)


def _clearest(taken: Counts, among: Counts, *, rises: bool) -> list[int | None]:
    """Return, for each way on, the bucket from which on it is clearly taken more (or less) often, if there is one.

    Both tables have a row for each way. Few moments divide shares that are far apart, and only those are scored.
    """
    before, total = np.cumsum(taken, axis=1)[:, :-1], np.cumsum(among, axis=1)[:, :-1]
    since, rest = taken.sum(axis=1, keepdims=True) - before, among.sum(axis=1, keepdims=True) - total
    enough = (total >= LEAST_TRACES) & (rest >= LEAST_TRACES) & (among[:, 1:] > 0)
    pairs = [(before[enough], total[enough]), (since[enough], rest[enough])]
    (k0, n0), (k1, n1) = ((np.clip(k, 0.0, n), n) for k, n in pairs)
    far = (k1 / n1 - k0 / n0) * (1 if rises else -1) >= LEAST_CHANGE
    if not far.any():
        return [None] * len(taken)
    enough[enough] = far
    scores = np.zeros(enough.shape)
    scores[enough] = np.abs(compare_shares(k0[far], n0[far], k1[far], n1[far]).score)
    return [int(k) + 1 if row[k] >= LEAST_SCORE else None for row, k in zip(scores, scores.argmax(axis=1), strict=True)]


def _turn(way: tuple[str, str, str, bool], taken: Counts, among: Counts, split: int, buckets: Buckets) -> Turn:
    (k0, k1), (n0, n1) = ((float(counts[:split].sum()), float(counts[split:].sum())) for counts in (taken, among))
    score = float(compare_shares([min(k0, n0)], [n0], [min(k1, n1)], [n1]).score[0])
    last = int(np.flatnonzero(among[:split] > 0)[-1])
    onset, earliest = buckets.starts[split], buckets.starts[last]
    return Turn(*way, (k0, k1), (n0, n1), score, onset, earliest)
