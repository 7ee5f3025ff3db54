"""Clocks that disagree: how far each service's clock is off, from calls and the spans that served them. Pure.

A served call begins and ends within the call, so half of what the call took longer is a fair guess of its way there
(Cristian 1989 bounds the error by that half). What is off by less than `NOTICEABLE_NS` is left as it is.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

NOTICEABLE_NS: Final = 1_000_000_000
_FEWEST: Final = 3
"""Calls between two services from which their clocks are compared; one alone may be a clock that was just set."""


@dataclass(frozen=True, slots=True)
class Apart:
    """Two services' clocks, compared: what the callee's shows more than the caller's, in ns, over so many calls."""

    caller: str
    callee: str
    ahead: int
    calls: int


def skews(compared: Sequence[Apart]) -> Mapping[str, int]:
    """Return by how many ns the clocks of services run ahead of what most clocks show; only those that are off."""
    ways: dict[str, list[tuple[str, int]]] = {}
    for pair in compared:
        if pair.calls >= _FEWEST:
            ways.setdefault(pair.caller, []).append((pair.callee, pair.ahead))
            ways.setdefault(pair.callee, []).append((pair.caller, -pair.ahead))
    callees = {pair.callee for pair in compared}
    off: dict[str, int] = {}
    known: set[str] = set()
    for first in sorted(ways, key=lambda name: (name in callees, name)):  # where requests come in, before the others
        if first not in known:
            shown = _shown(first, ways)
            known |= shown.keys()
            usual = _usual(shown.values())
            off |= {name: at - usual for name, at in shown.items() if abs(at - usual) > NOTICEABLE_NS}
    return dict(sorted(off.items()))


def told(off: Mapping[str, int]) -> str:
    """Return what a reader has to know of clocks that are off."""
    clocks = [f"{name}'s is {abs(by) / 1e9:.0f} s {'ahead' if by > 0 else 'behind'}" for name, by in off.items()]
    corrected = "Times of these spans are corrected; those of logs and metrics from there are not."
    return f"Clocks disagree: {', '.join(clocks)}. {corrected}"


def _shown(first: str, ways: Mapping[str, Sequence[tuple[str, int]]]) -> dict[str, int]:
    """Return what each service's clock shows when the first one's shows 0, for all that are tied to it."""
    shown, waiting = {first: 0}, [first]
    while waiting:
        name = waiting.pop(0)
        for other, ahead in ways[name]:
            if other not in shown:
                shown[other] = shown[name] + ahead
                waiting.append(other)
    return shown


def _usual(shown: Iterable[int]) -> int:
    """Return what most clocks show, to within what is noticeable; the first one's where no two agree."""
    every = list(shown)
    agreeing = Counter({at: sum(abs(at - other) <= NOTICEABLE_NS for other in every) for at in every})
    return agreeing.most_common(1)[0][0]
