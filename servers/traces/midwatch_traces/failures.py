"""Origins of failing traces, counted by entity and by instance, with what the failed spans say and a few exemplars.

A trace counts once for each entity in which it begins to fail, at the time when the trace began.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import JsonValue

from midwatch_kit.records import EntityId, Finding, ObservationKind
from midwatch_kit.statistics import Shift, compare_shares, mask, share_shifts
from midwatch_kit.window import clock
from midwatch_store import from_ns
from midwatch_traces.backend import Failure
from midwatch_traces.calls import Calls
from midwatch_traces.findings import ANOMALY, Row, Table, rounded, say
from midwatch_traces.forest import Forest
from midwatch_traces.groups import bare
from midwatch_traces.origins import Origins, failing_chain
from midwatch_traces.series import Timeline
from midwatch_traces.spans import Bools, Floats, Ints, Spans

Ask = Callable[[Sequence[int]], Mapping[int, Failure]]
_READ = 200
_SHOWN = 3
_EXAMPLE_CHARS = 300


@dataclass(frozen=True, slots=True, eq=False)
class Traces:
    """Traces that hold a request: each span's trace, when traces began (ns), their period, and which failed."""

    of: Ints
    start: Ints
    after: Bools
    before: Bools
    failing: Bools

    @property
    def counts(self) -> tuple[int, int]:
        """How many traces there are in the baseline and in the window."""
        return int(self.before.sum()), int(self.after.sum())


@dataclass(frozen=True, slots=True)
class Count:
    """The traces that begin to fail in one entity: how many before and in the window, the score, onset and end (ns)."""

    entity: EntityId
    before: int
    now: int
    score: float
    shift: Shift | None
    ended: int | None
    origins: Ints


def traces_of(spans: Spans, forest: Forest, line: Timeline) -> Traces:
    """Return the traces in which a request was served, each once."""
    names, of = np.unique(spans.trace, return_inverse=True)
    of = of.reshape(-1).astype(np.int64)
    start = np.full(len(names), np.iinfo(np.int64).max)
    np.minimum.at(start, of, spans.start)
    served = np.zeros(len(names), dtype=np.bool_)
    served[of[forest.requests]] = True
    failing = np.zeros(len(names), dtype=np.bool_)
    failing[of[forest.requests & spans.failed]] = True
    after = line.in_window(start)
    return Traces(of, start, served & after, served & ~after, failing)


def count_origins(spans: Spans, traces: Traces, origins: Origins, calls: Calls, line: Timeline) -> Iterator[Count]:
    """Return the entities, and then the instances, in which more traces begin to fail than before."""
    every = _per_bucket(traces.start[traces.before | traces.after], line)
    for codes in (origins.entity, origins.instance):
        for code in np.unique(codes[codes >= 0]).tolist():
            mine = np.flatnonzero(codes == code)
            count = _count(calls.names[code], mine, traces.of[origins.row[mine]], traces, every, line)
            if count.score >= ANOMALY:
                yield count


def tell_origins(
    count: Count, table: Table, spans: Spans, forest: Forest, traces: Traces, origins: Origins, calls: Calls, ask: Ask
) -> None:
    """Add an entity's row and its finding."""
    recent = count.origins[traces.after[traces.of[origins.row[count.origins]]]]
    said = _read(recent, spans, forest, origins, ask)
    related = _related(count.entity, recent, origins, calls)
    hosts = Counter(calls.names[i] for i in origins.instance[recent].tolist() if i >= 0)
    before, now = traces.counts
    failing = int((traces.failing & traces.after).sum())
    row: Row = {
        "entity": count.entity,
        "related": related,
        "of": "error_origin",
        "baseline": {"traces": count.before, "of": before},
        "window": {"traces": count.now, "of": now, "failing": failing},
        "expected": rounded(count.before * now / before) if before else 0.0,
        "share_percent": rounded(100 * count.now / failing) if failing else 100.0,
        "by_instance": {name.partition(":")[2]: number for name, number in sorted(hosts.items())},
        **said,
    }
    where = table.add(row)
    table.cite(_finding(count, row, related), where, "window/traces", "window/failing", "expected", "exception")


def _count(entity: EntityId, mine: Ints, trace: Ints, traces: Traces, every: Floats, line: Timeline) -> Count:
    once = np.unique(trace)
    before, now = int(traces.before[once].sum()), int(traces.after[once].sum())
    all_before, all_now = traces.counts
    # Without a past there is only the presumption that it was sound.
    shares = compare_shares([before], [all_before or all_now], [now], [all_now])
    inside = once[traces.before[once] | traces.after[once]]
    score = float(shares.score[0])
    if score < ANOMALY:
        return Count(entity, before, now, score, None, None, mine)
    shift = line.recent(share_shifts(_per_bucket(traces.start[inside], line), every, line.starts, line.width)[0])
    return Count(entity, before, now, score, shift, line.moments(shift)[1], mine)


def _per_bucket(moments: Ints, line: Timeline) -> Floats:
    bucket = line.bucket(moments)
    return np.bincount(bucket[bucket >= 0], minlength=len(line.starts)).astype(np.float64)


def _read(recent: Ints, spans: Spans, forest: Forest, origins: Origins, ask: Ask) -> Row:
    """Read up to 200 of the failed spans and return what most of them say, in which operation, with exemplars."""
    step = max(1, len(recent) // _READ)
    rows = [int(row) for row in origins.row[recent[::-1][::step][:_READ]]]
    chains = {row: [int(spans.span[link]) for link in failing_chain(spans, forest, row)] for row in rows}
    failures = ask([key for chain in chains.values() for key in chain])
    words = {row: _words([failures[key] for key in chain if key in failures]) for row, chain in chains.items()}
    usual = Counter(mask(text) for text, _ in words.values()).most_common(1)
    template = usual[0][0] if usual else "nothing recorded"
    agreeing = [row for row in rows if mask(words[row][0]) == template]
    named = [failures[chain[0]].trace_id for row in agreeing if (chain := chains[row])[0] in failures]
    exemplars: list[JsonValue] = [*dict.fromkeys(named)]
    places = Counter(spans.places[spans.place[forest.entry[row]]].operation for row in agreeing)
    return {
        "exception": template[:_EXAMPLE_CHARS],
        "example": words[agreeing[0]][0][:_EXAMPLE_CHARS] if agreeing else "",
        "operation": places.most_common(1)[0][0] if places else "",
        "exemplars": exemplars[:_SHOWN],
    }


def _words(failures: Sequence[Failure]) -> tuple[str, str]:
    """Return what the deepest span that says anything says: its exception, else its status, else its error type."""
    for failure in failures:
        if failure.exception:
            return f"{failure.exception}: {failure.message}".removesuffix(": "), failure.trace_id
    for failure in failures:
        if failure.status or failure.error_type:
            return failure.status or f"error type {failure.error_type}", failure.trace_id
    return "nothing recorded", failures[0].trace_id if failures else ""


def _related(entity: EntityId, recent: Ints, origins: Origins, calls: Calls) -> EntityId | None:
    """Return an instance's service, or who made most of the calls that failed; None where most failed by itself."""
    owners = origins.entity[recent] if entity.startswith("instance:") else origins.caller[recent]
    usual = Counter(owners[owners >= 0].tolist()).most_common(1)
    return calls.names[usual[0][0]] if usual and usual[0][1] > len(recent) / 2 else None


def _finding(count: Count, row: Row, related: EntityId | None) -> Finding:
    shift, share, expected = count.shift, row["share_percent"], row["expected"]
    window = row["window"]
    failing = window["failing"] if isinstance(window, dict) else 0
    onset = f" since {clock(from_ns(shift.onset))}Z" if shift else ""
    text = f"{count.now:,} of {failing:,} failing traces begin to fail in {bare(count.entity)}{onset}"
    exemplars, hosts = row["exemplars"], row["by_instance"]
    return Finding(
        entity=count.entity,
        related=related,
        kind=ObservationKind.ERROR_TRACE,
        subject="error_origin",
        statement=say(f"{text} ({_whole(expected)} expected): {row['exception']}"),
        onset=from_ns(shift.onset) if shift else None,
        onset_earliest=from_ns(shift.earliest) if shift else None,
        onset_latest=from_ns(shift.latest) if shift else None,
        ended=from_ns(count.ended) if count.ended else None,
        magnitude=float(count.now),
        baseline=float(expected) if isinstance(expected, int | float) else None,
        unit="traces",
        direction="up",
        score=round(count.score, 2),
        attributes={
            "share": f"{share}",
            "exemplars": ",".join(map(str, exemplars if isinstance(exemplars, list) else [])),
            "exception": str(row["exception"]),
            "exemplar": str(row["example"]),
            "operation": str(row["operation"]),
            "instances": ",".join(f"{name}:{n}" for name, n in (hosts.items() if isinstance(hosts, dict) else ())),
        },
    )


def _whole(value: JsonValue) -> str:
    return f"{value:.0f}" if isinstance(value, int | float) else "0"
