"""The shape of traces: whose child a span is, which request it belongs to, and the time it spent itself.

Everything is over all traces at once. What a span did not cause is not charged to it: a consumer that works off a
message later is not part of the producer's time, nor is work that goes on once the answer is out part of the
request's, and clocks of two machines may differ.
"""

from dataclasses import dataclass

import numpy as np

from midwatch_traces.spans import NO_PARENT, Bools, Floats, Ints, Spans

_JUMPS = 24


@dataclass(frozen=True, slots=True, eq=False)
class Forest:
    """For each span: the row of its parent (-1: none here), of its caller and of its entry, and its own time in ns.

    `caller` is the parent, but for consumers, which have none: nobody waits for them. The `entry` is the span with
    which the work of one service for one caller begins. `requests` are entries that were served: server and consumer
    spans, and roots of a service's own work. `own` is a span's duration until its entry ends, without its children's.
    """

    parent: Ints
    caller: Ints
    entry: Ints
    requests: Bools
    own: Floats

    def by_entry(self, amounts: Floats) -> Floats:
        """Return the sums of spans' amounts for each entry, at the entry's row."""
        return np.bincount(self.entry, weights=amounts, minlength=len(self.entry)).astype(np.float64)


def forest_of(spans: Spans) -> Forest:
    """Return the shape of all the traces that `spans` make up."""
    parent = spans.rows_of(spans.parent)
    own_row = np.arange(len(spans))
    parent = np.where((spans.parent == NO_PARENT) | (parent == own_row), -1, parent)
    served = spans.is_kind("Server", "Consumer")
    caller = np.where(spans.is_kind("Consumer"), -1, parent)
    _, service = spans.coded("service")
    begins = served | (parent < 0) | (service != service[parent])
    own_work = (spans.parent == NO_PARENT) & spans.is_kind("Internal", "Unspecified")
    entry = _climb(np.where(begins, own_row, parent))
    start, length = _until_answered(spans, entry)
    return Forest(
        parent=parent,
        caller=caller,
        entry=entry,
        requests=served | own_work,
        own=length - _covered(start, length, caller, service),
    )


def _climb(step: Ints) -> Ints:
    """Follow steps to where they end, doubling their length each time; a circle of parents just stops somewhere."""
    for _ in range(_JUMPS):
        further = step[step]
        if np.array_equal(further, step):
            break
        step = further
    return step


def _until_answered(spans: Spans, entry: Ints) -> tuple[Ints, Ints]:
    """Return starts and durations of spans, cut to their entries."""
    first, last = spans.start[entry], (spans.start + spans.duration)[entry]
    start, end = np.clip(spans.start, first, last), np.clip(spans.start + spans.duration, first, last)
    return start, end - start


def _covered(start: Ints, length: Ints, caller: Ints, service: Ints) -> Floats:
    """Return how much of each span its children cover, in ns; overlapping children count once."""
    child = np.flatnonzero(caller >= 0)
    above = caller[child]
    begin, end = _within_parent(start, length, (child, above), service[child] != service[above])
    order = np.lexsort((begin, above))
    above, begin, end = above[order], begin[order], end[order]
    # Laying the parents' spans one behind the other makes one running maximum serve all of them.
    first = np.concatenate([[False], above[1:] != above[:-1]])
    offset = np.cumsum(np.where(first, np.concatenate([[0], length[above][:-1] + 1]), 0))
    begin, end = begin + offset, end + offset
    reached = np.concatenate([[-1], np.maximum.accumulate(end)[:-1]]) if len(end) else end
    fresh = np.maximum(end - np.maximum(begin, reached), 0)
    return np.bincount(above, weights=fresh, minlength=len(start)).astype(np.float64)


def _within_parent(start: Ints, length: Ints, pairs: tuple[Ints, Ints], other_clock: Bools) -> tuple[Ints, Ints]:
    """Return begin and end of children, relative to their parents and cut to them.

    A child on another machine is moved into its parent before it is cut: its duration is right, its clock may not be.
    """
    child, above = pairs
    limit = length[above]
    begin = start[child] - start[above]
    begin = np.where(other_clock, np.clip(begin, 0, np.maximum(limit - length[child], 0)), begin)
    return np.clip(begin, 0, limit), np.clip(begin + length[child], 0, limit)
