"""Who calls whom: an edge for each span that leaves its process, with the callee's name found out.

The callee is the service whose span is the call's child; failing that, the queue, database or host that the call
names; and a host that is known to be a service, because other calls to it were answered by one, is that service.
"""

from dataclasses import dataclass

import numpy as np

from midwatch_kit.records import EntityId
from midwatch_traces.forest import Forest
from midwatch_traces.spans import Ints, Place, Spans

_NEARLY_ALWAYS = 0.99


@dataclass(frozen=True, slots=True, eq=False)
class Calls:
    """Calls in columns: the calling span's row, its entity and the callee's (indices into `names`).

    `answer` is the row of the span that served the call, -1 where nobody sent one (a database, a host outside, a
    service that never got the call). `instance` is the callee's instance, -1 where it isn't known. `action` is an
    index into `actions`.
    """

    row: Ints
    caller: Ints
    callee: Ints
    answer: Ints
    instance: Ints
    action: Ints
    names: tuple[EntityId, ...]
    actions: tuple[str, ...]


def peer_of(place: Place) -> EntityId | None:
    """Return the entity that spans of a place name as their peer, if they name one."""
    if place.queue:
        return f"queue:{place.queue}"
    if place.database:
        return f"database:{place.database}"
    return f"external:{place.address}" if place.address and place.action else None


def calls_of(spans: Spans, forest: Forest) -> Calls:
    """Return every call between services, and from services to databases, queues and hosts outside."""
    _, service = spans.coded("service")
    served = spans.is_kind("Server") & spans.is_kind("Client")[forest.parent]  # a service may call itself
    crosses = (forest.parent >= 0) & (served | (service != service[forest.parent]))
    answer = np.full(len(spans), -1, dtype=np.int64)
    answered = np.flatnonzero(crosses & ~spans.is_kind("Consumer"))
    answer[forest.parent[answered]] = answered
    peer, names = _peers(spans)
    leaves = spans.is_kind("Client", "Producer", "Consumer") & ((answer >= 0) | (peer >= 0))
    # A call without a client span is known from the span that answered it alone.
    silent = answered[~leaves[forest.parent[answered]]]
    row = np.concatenate([np.flatnonzero(leaves), silent])
    caller_row = np.concatenate([np.flatnonzero(leaves), forest.parent[silent]])
    serving = np.concatenate([answer[leaves], silent])
    number = {name: code for code, name in enumerate(names)}
    of_service, of_instance = _own_entities(spans, number)
    by_address, instance_by_address = _known_addresses(spans, answer, (of_service, of_instance), number)
    callee = np.where(serving >= 0, of_service[serving], _first_known(by_address[row], peer[row]))
    actions, action = spans.coded("action")
    return Calls(
        row=row,
        caller=of_service[caller_row],
        callee=callee,
        answer=serving,
        instance=np.where(serving >= 0, of_instance[serving], instance_by_address[row]),
        action=action[row],
        names=names,
        actions=actions,
    )


def _peers(spans: Spans) -> tuple[Ints, tuple[EntityId, ...]]:
    """Return each span's peer as an index into all entities' names, and these names."""
    peers = [peer_of(place) for place in spans.places]
    own = {f"service:{place.service}" for place in spans.places}
    own |= {f"instance:{place.instance}" for place in spans.places if place.instance}
    names = tuple(sorted(own | {peer for peer in peers if peer}))
    number = {name: code for code, name in enumerate(names)}
    codes = [number[peer] if peer else -1 for peer in peers]
    return np.array(codes, dtype=np.int64)[spans.place], names


def _own_entities(spans: Spans, number: dict[EntityId, int]) -> tuple[Ints, Ints]:
    service = [number[f"service:{place.service}"] for place in spans.places]
    instance = [number.get(f"instance:{place.instance}", -1) for place in spans.places]
    return np.array(service, dtype=np.int64)[spans.place], np.array(instance, dtype=np.int64)[spans.place]


def _known_addresses(
    spans: Spans, answer: Ints, owners: tuple[Ints, Ints], number: dict[EntityId, int]
) -> tuple[Ints, Ints]:
    """Return, for each client span with an address, the service and the instance that answer there, -1 if unknown.

    An address that is a service's very name, as in a cluster's own DNS, is that service's.
    """
    addresses, address = spans.coded("address")
    asks = spans.is_kind("Client") & np.array([bool(name) for name in addresses], dtype=np.bool_)[address]
    calls = np.flatnonzero((answer >= 0) & asks)
    service, instance = (_usual(address[calls], owner[answer[calls]], len(addresses)) for owner in owners)
    by_name = [number.get(f"service:{name.partition(':')[0]}", -1) for name in addresses]
    service = _first_known(service, np.array(by_name, dtype=np.int64))
    return np.where(asks, service[address], -1), np.where(asks, instance[address], -1)


def _usual(key: Ints, value: Ints, keys: int) -> Ints:
    """Return the value that nearly always comes with each key, -1 where there is no such value."""
    if not len(key):
        return np.full(keys, -1, dtype=np.int64)
    pairs, counts = np.unique(np.stack([key, value]), axis=1, return_counts=True)
    total = np.bincount(key, minlength=keys)
    usual = counts >= _NEARLY_ALWAYS * total[pairs[0]]
    found = np.full(keys, -1, dtype=np.int64)
    found[pairs[0][usual]] = pairs[1][usual]
    return found


def _first_known(one: Ints, other: Ints) -> Ints:
    return np.where(one >= 0, one, other)
