"""The groups that a survey compares: services, instances, versions, operations, calls, own time, waits in queues.

Each group has names for people and for records; which figures of it matter is said by its family.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from midwatch_kit.records import EntityId
from midwatch_traces.calls import Calls
from midwatch_traces.forest import Forest
from midwatch_traces.series import Measured, Sample, Timeline, distinct, measure, milliseconds
from midwatch_traces.spans import Bools, Floats, Ints, Spans

_FEWEST_SIBLINGS = 10
"""Requests of other versions while a version served, under which it has nobody to be compared with."""
_MOST_VERSIONS = 50
ON_THE_WAY = "network_time"
"""The subject of the time that calls spend between caller and callee."""


@dataclass(frozen=True, slots=True)
class Group:
    """What is compared: the entity, what it is related to, its name in a sentence, and what sets it apart."""

    entity: EntityId
    related: EntityId | None
    label: str
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Family:
    """Groups of one sort with their figures; an empty subject means that the figure says nothing here.

    `latency` names the duration in a sentence. A `breakdown` holds parts of one service against each other, and
    counts only where the service as a whole is troubled. What is `of_all` shows in the median of all calls as well.
    """

    name: str
    groups: tuple[Group, ...]
    measured: Measured
    error_subject: str = "error_rate"
    latency_subject: str = "latency_p95"
    rate_subject: str = ""
    latency: str = "p95 latency of"
    breakdown: bool = False
    of_all: bool = False


def families(spans: Spans, forest: Forest, calls: Calls, line: Timeline) -> tuple[Family, ...]:
    """Return every family that a survey looks at: services and instances first, what they depend on last."""
    served = np.flatnonzero(forest.requests)
    everything = _requests(spans, line, served)
    total = (
        np.array([float((~everything.after).sum())]),
        np.array([float((everything.failed & ~everything.after).sum())]),
    )
    services = _services(spans, line, served, total)
    return (
        services,
        _instances(spans, line, served, services),
        *_split(spans, line, served, "operation", total),
        *_versions(spans, line, served),
        _calls(spans, calls, line, total),
        _on_the_way(spans, calls, line),
        _own_time(spans, forest, calls, line, "service"),
        _own_time(spans, forest, calls, line, "instance"),
        _waits(spans, forest, calls, line),
        _peers(spans, calls, line),
    )


def _peers(spans: Spans, calls: Calls, line: Timeline) -> Family:
    """Return what services call that sends no spans itself: databases, queues, hosts outside. Its time is its own."""
    outside = np.array([not name.startswith(("service:", "instance:")) for name in calls.names], dtype=np.bool_)
    chosen = np.flatnonzero((calls.callee >= 0) & outside[calls.callee] & ~_takes(calls))
    codes, group = distinct([calls.callee[chosen]])
    groups = tuple(Group(calls.names[code], None, bare(calls.names[code])) for (code,) in codes)
    sample = _grouped(_requests(spans, line, calls.row[chosen]), group, len(groups))
    return Family("peers", groups, measure(sample, line), "", "self_time", latency="time (p95) spent in")


def _takes(calls: Calls) -> Bools:
    """Return which calls take from a queue: who takes is not its caller."""
    return np.array([action == "receives_from" for action in calls.actions], dtype=np.bool_)[calls.action]


def _requests(spans: Spans, line: Timeline, rows: Ints) -> Sample:
    start = spans.start[rows]
    return Sample(
        group=np.zeros(len(rows), dtype=np.int64),
        start=start,
        ms=milliseconds(spans.duration[rows]),
        failed=spans.failed[rows],
        after=line.in_window(start),
        groups=1,
    )


def _grouped(sample: Sample, group: Ints, groups: int) -> Sample:
    return Sample(group, sample.start, sample.ms, sample.failed, sample.after, groups)


def _services(spans: Spans, line: Timeline, served: Ints, total: tuple[Floats, Floats]) -> Family:
    names, code = spans.coded("service")
    sample = _grouped(_requests(spans, line, served), code[served], len(names))
    groups = tuple(Group(f"service:{name}", None, name) for name in names)
    return Family("requests", groups, measure(sample, line, total), rate_subject="request_rate")


def _instances(spans: Spans, line: Timeline, served: Ints, services: Family) -> Family:
    """Instances against their own past, or against their service's where they are new."""
    service_names, service = spans.coded("service")
    names, instance = spans.coded("instance")
    served = served[np.array([bool(name) for name in names], dtype=np.bool_)[instance[served]]]
    pairs, group = distinct([instance[served], service[served]])
    groups = tuple(
        Group(f"instance:{names[i]}", f"service:{service_names[s]}", f"{names[i]} ({service_names[s]})")
        for i, s in pairs
    )
    owner = np.array([s for _, s in pairs], dtype=np.int64)
    past = services.measured.requests[0][owner], services.measured.errors[0][owner]
    sample = _grouped(_requests(spans, line, served), group, len(groups))
    return Family("requests", groups, measure(sample, line, past))


def _split(spans: Spans, line: Timeline, served: Ints, by: str, total: tuple[Floats, Floats]) -> Iterator[Family]:
    """Operations of services that have more than one."""
    service_names, service = spans.coded("service")
    names, code = spans.coded(by)
    pairs, group = distinct([service[served], code[served]])
    several = _several([s for s, _ in pairs])
    wanted = np.array([s in several and bool(names[o]) for s, o in pairs], dtype=np.bool_)
    if not wanted.any():
        return
    number = np.cumsum(wanted) - 1
    kept = wanted[group]
    groups = tuple(
        Group(f"service:{service_names[s]}", None, f"{names[o]} of {service_names[s]}", {by: names[o]})
        for (s, o), keep in zip(pairs, wanted, strict=True)
        if keep
    )
    sample = _grouped(_requests(spans, line, served[kept]), number[group[kept]].astype(np.int64), len(groups))
    yield Family("requests", groups, measure(sample, line, total))


def _versions(spans: Spans, line: Timeline, served: Ints) -> Iterator[Family]:
    """Each version against the others that served at the same time, in the window; what came before is no witness."""
    service_names, service = spans.coded("service")
    names, version = spans.coded("version")
    named = np.array([bool(name) for name in names], dtype=np.bool_)[version[served]]
    served = served[named & line.in_window(spans.start[served])]
    pairs, group = distinct([service[served], version[served]])
    counts = np.bincount(group, minlength=len(pairs))
    total = {s: sum(int(counts[n]) for n, pair in enumerate(pairs) if pair[0] == s) for s, _ in pairs}
    compared = [n for n, (s, _) in enumerate(pairs) if total[s] - counts[n] >= _FEWEST_SIBLINGS]
    chosen = sorted(compared, key=lambda n: -int(counts[n]))[:_MOST_VERSIONS]
    found = {number: _against_siblings(spans, line, served, group, number, pairs) for number in chosen}
    beside = {number: sample for number, sample in found.items() if (~sample.after).sum() >= _FEWEST_SIBLINGS}
    if not beside:
        return
    samples = [*beside.values()]
    labels = [(service_names[s], names[v]) for s, v in (pairs[number] for number in beside)]
    groups = tuple(Group(f"service:{s}", None, f"{s} at version {v}", {"version": v}) for s, v in labels)
    yield Family("versions", groups, measure(_joined(samples, len(groups)), line), breakdown=True)


def _against_siblings(
    spans: Spans, line: Timeline, served: Ints, group: Ints, number: int, pairs: tuple[tuple[int, ...], ...]
) -> Sample:
    """Return a version's requests, and those that its siblings took from its first to its last, `after` and not."""
    start, mine = spans.start[served], group == number
    siblings = np.array([pair[0] == pairs[number][0] for pair in pairs], dtype=np.bool_)[group]
    siblings &= (start >= start[mine].min()) & (start <= start[mine].max())
    sample = _requests(spans, line, served[siblings])
    return Sample(sample.group, sample.start, sample.ms, sample.failed, mine[siblings], 1)


def _joined(samples: list[Sample], groups: int) -> Sample:
    return Sample(
        group=np.concatenate([np.full(len(sample.start), number) for number, sample in enumerate(samples)]),
        start=np.concatenate([sample.start for sample in samples]),
        ms=np.concatenate([sample.ms for sample in samples]),
        failed=np.concatenate([sample.failed for sample in samples]),
        after=np.concatenate([sample.after for sample in samples]),
        groups=groups,
    )


def _calls(spans: Spans, calls: Calls, line: Timeline, total: tuple[Floats, Floats]) -> Family:
    """Edges from caller to callee."""
    chosen = np.flatnonzero(~_takes(calls) & (calls.callee >= 0) & (calls.callee != calls.caller))
    pairs, group = distinct([calls.callee[chosen], calls.caller[chosen]])
    groups = tuple(
        Group(calls.names[to], calls.names[by], f"calls from {bare(calls.names[by])} to {bare(calls.names[to])}")
        for to, by in pairs
    )
    sample = _grouped(_requests(spans, line, calls.row[chosen]), group, len(groups))
    subjects = ("edge_error_rate", "edge_latency_p95", "edge_request_rate")
    return Family("calls", groups, measure(sample, line, total), *subjects)


def _on_the_way(spans: Spans, calls: Calls, line: Timeline) -> Family:
    """The time that calls spent between the two ends: what the caller waited beyond what the callee worked."""
    pair = (calls.answer >= 0) & (calls.answer != calls.row) & (calls.callee >= 0) & (calls.callee != calls.caller)
    chosen = np.flatnonzero(pair & ~_takes(calls))
    pairs, group = distinct([calls.callee[chosen], calls.caller[chosen]])
    groups = tuple(
        Group(calls.names[to], calls.names[by], f"calls from {bare(calls.names[by])} to {bare(calls.names[to])}")
        for to, by in pairs
    )
    waited = spans.duration[calls.row[chosen]] - spans.duration[calls.answer[chosen]]
    sample = _grouped(_requests(spans, line, calls.row[chosen]), group, len(groups))
    between = milliseconds(np.maximum(waited, 0))
    ways = Sample(sample.group, sample.start, between, sample.failed, sample.after, len(groups))
    named = "time (p95) on the way of"
    return Family("on_the_way", groups, measure(ways, line), "", ON_THE_WAY, latency=named, of_all=True)


def _own_time(spans: Spans, forest: Forest, calls: Calls, line: Timeline, of: str) -> Family:
    """The time that a request spent in the service itself, without what its calls took."""
    leaves = np.zeros(len(spans), dtype=np.bool_)
    leaves[calls.row] = True
    leaves &= ~forest.requests
    spent = forest.by_entry(np.where(leaves, 0.0, forest.own))
    names, code = spans.coded(of)
    named = np.array([bool(name) for name in names], dtype=np.bool_)[code]
    rows = np.flatnonzero(forest.requests & named)
    service_names, service = spans.coded("service")
    pairs, group = distinct([code[rows], service[rows]])
    groups = tuple(
        Group(f"{of}:{names[c]}", f"service:{service_names[s]}" if of == "instance" else None, names[c])
        for c, s in pairs
    )
    sample = _grouped(_requests(spans, line, rows), group, len(groups))
    own = Sample(sample.group, sample.start, milliseconds(spent[rows]), sample.failed, sample.after, len(groups))
    return Family("own_time", groups, measure(own, line), "", "self_time", latency="time (p95) spent in")


def _waits(spans: Spans, forest: Forest, calls: Calls, line: Timeline) -> Family:
    """How long messages waited: from the end of the sending span to the start of the one that links or continues it."""
    sender = np.where(spans.is_kind("Producer")[forest.parent], forest.parent, -1)
    linking, linked = spans.rows_of(spans.link_from), spans.rows_of(spans.link_to)
    both = (linking >= 0) & (linked >= 0)
    sender[linking[both]] = linked[both]
    queue_of = np.full(len(spans), -1, dtype=np.int64)
    queue_of[calls.row] = calls.callee
    taken = np.flatnonzero(spans.is_kind("Consumer") & (sender >= 0))
    queue = np.where(queue_of[taken] >= 0, queue_of[taken], queue_of[sender[taken]])
    taken, queue = taken[queue >= 0], queue[queue >= 0]
    names, service = spans.coded("service")
    pairs, group = distinct([queue, service[taken]])
    groups = tuple(
        Group(calls.names[q], f"service:{names[s]}", f"{bare(calls.names[q])} before {names[s]}") for q, s in pairs
    )
    sent = spans.start[sender[taken]] + spans.duration[sender[taken]]
    sample = _requests(spans, line, taken)
    waited = milliseconds(np.maximum(spans.start[taken] - sent, 0))
    waits = Sample(group, sample.start, waited, sample.failed, sample.after, len(groups))
    return Family("waits", groups, measure(waits, line), "", "queue_time", latency="wait (p95) in")


def _several(codes: Iterable[int]) -> frozenset[int]:
    seen = list(codes)
    return frozenset(code for code in seen if seen.count(code) > 1)


def bare(entity: EntityId) -> str:
    """Return an entity's name without its kind, but with it where a database or queue could be taken for a service."""
    kind, _, name = entity.partition(":")
    return name if kind in ("service", "instance") else f"{kind} {name}"
