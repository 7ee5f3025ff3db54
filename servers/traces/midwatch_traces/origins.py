"""Where failing traces begin to fail: the deepest failing span, and not those that pass its failure on.

A failed span is an origin when nothing below it failed for its caller, and the request that it belongs to failed
as well: an error that was handled is none. A call that failed although nobody answered it began to fail in the peer
(a database, a host outside, a service that was not there); so did one that its caller gave up before the answer.
"""

from dataclasses import dataclass

import numpy as np

from midwatch_traces.calls import Calls
from midwatch_traces.forest import Forest
from midwatch_traces.spans import Bools, Ints, Spans

_DEEPEST = 1_000


@dataclass(frozen=True, slots=True, eq=False)
class Origins:
    """Origins in columns: the failed span's row, the entity that failed, its instance and its caller.

    Entities are indices into the names of the calls they were found with; -1 stands for none.
    """

    row: Ints
    entity: Ints
    instance: Ints
    caller: Ints


def origins_of(spans: Spans, forest: Forest, calls: Calls) -> Origins:
    """Return where the failures in these traces began."""
    passed_on = _failing_below(spans, forest)
    handled = ~spans.failed[forest.entry]
    row = np.flatnonzero(spans.failed & ~passed_on & ~handled)
    number = {name: code for code, name in enumerate(calls.names)}
    own = np.array([number[f"service:{place.service}"] for place in spans.places], dtype=np.int64)[spans.place]
    hosts = [number.get(f"instance:{place.instance}", -1) for place in spans.places]
    instance = np.array(hosts, dtype=np.int64)[spans.place]
    call = np.full(len(spans), -1, dtype=np.int64)
    call[calls.row] = np.arange(len(calls.row))
    made = np.where(spans.is_kind("Server", "Consumer")[row], -1, call[row])
    outside = _at_peer(spans, calls, made)
    return Origins(
        row=row,
        entity=_replaced(own[row], outside, calls.callee[made[outside]]),
        instance=_replaced(instance[row], outside, calls.instance[made[outside]]),
        caller=np.where(outside, own[row], -1),
    )


def failing_chain(spans: Spans, forest: Forest, row: int) -> list[int]:
    """Return a failed span and the failed spans above it within the same request, deepest first."""
    chain = [row]
    while chain[-1] != forest.entry[row] and forest.parent[chain[-1]] >= 0 and len(chain) < _DEEPEST:
        chain.append(int(forest.parent[chain[-1]]))
    return [link for link in chain if spans.failed[link]]


def _at_peer(spans: Spans, calls: Calls, made: Ints) -> Bools:
    """Return which failed calls nobody answered, or not before the caller gave up; `made` is -1 where none was made.

    A call that tells of no response got none, though its answer may have been nearly there. One that doesn't tell was
    given up when it was shorter than the work on its answer: durations hold where two clocks don't agree.
    """
    is_call = np.flatnonzero(made >= 0)
    answer, row = calls.answer[made[is_call]], calls.row[made[is_call]]
    told, missing = spans.has("response", "arrived", "missing")[row], spans.has("response", "missing")[row]
    gave_up = np.where(told, missing, spans.duration[answer] > spans.duration[row])
    at_peer = np.zeros(len(made), dtype=np.bool_)
    at_peer[is_call] = (answer < 0) | gave_up
    return at_peer


def _replaced(values: Ints, where: Bools, by: Ints) -> Ints:
    changed = values.copy()
    changed[where] = by
    return changed


def _failing_below(spans: Spans, forest: Forest) -> Bools:
    """Return which spans have a failed span below them whose failure was passed up to them."""
    below = np.zeros(len(spans), dtype=np.bool_)
    is_entry = forest.entry == np.arange(len(spans))
    frontier = np.flatnonzero(spans.failed)
    while frontier.size:
        # A request that went well has handled what failed below it.
        rising = frontier[~is_entry[frontier] | spans.failed[frontier]]
        above = np.unique(forest.caller[rising])
        above = above[above >= 0]
        frontier = above[~below[above]]
        below[frontier] = True
    return below
