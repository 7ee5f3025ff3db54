"""Calls from service to service, where metrics name both ends: which of them fail more than before.

A series is of calls when it says with whom (`service.peer.name`, before 2025 `peer.service`, of OpenTelemetry's
semantic conventions): a `client` one is told by who calls, any other by who is called. Series of a whole service are
preferred to those of its instances, and the caller's to the callee's, who does not see what never reached it.

A service that nobody measures as a callee, such as an entrance, has no figures of its own users. At any time they may
fail as often as the one of its calls that fails most: that stands in for its own share of failing requests.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from pydantic import JsonValue

from midwatch_kit import CitedFinding, clock
from midwatch_metrics.backend import Floats, Series
from midwatch_metrics.feelings import MOVED, Felt, felt, finding_of, row_of
from midwatch_metrics.figures import Figures
from midwatch_metrics.golden import Golden, Signal, is_of_users, is_share_of_requests, signals_of
from midwatch_metrics.timeline import Timeline
from midwatch_metrics.words import amount

_PEERS: Final = ("service.peer.name", "peer.service")
_CLIENT: Final = "client"

Edge = tuple[str, str]


def peer_of(series: Series) -> str:
    """Return the service at the other end of a series' calls; empty where it doesn't say."""
    told = dict(series.attributes)
    return next((told[name] for name in _PEERS if told.get(name)), "")


def of_entrances(figures: Figures, measured: Iterable[Golden]) -> list[Golden]:
    """Return the share of failing calls of each service that makes some and of which no other signal is `measured`."""
    known = {golden.service for golden in measured}
    made: dict[str, list[Golden]] = {}
    for (caller, _), rows in sorted(_told_by_callers(figures).items()):
        if caller not in known:
            made.setdefault(caller, []).extend(_failing(caller, rows, figures))
    return [_worst(calls) for calls in made.values() if calls]


def failing_calls(figures: Figures, timeline: Timeline, first_row: int) -> tuple[list[JsonValue], list[CitedFinding]]:
    """Return evidence rows, to stand from `first_row` on, and a finding for each call that fails more than before."""
    told = {**_told_by_callees(figures), **_told_by_callers(figures)}
    signals = [(edge, golden) for edge, rows in sorted(told.items()) for golden in _failing(edge[1], rows, figures)]
    worse = [(edge, one) for edge, golden in signals for one in felt([golden], timeline) if one.score >= MOVED]
    rows: list[JsonValue] = [{"caller": caller, "figures": row_of(one, timeline)} for (caller, _), one in worse]
    return rows, [_finding(edge, one, timeline, row) for row, (edge, one) in enumerate(worse, first_row)]


def _told_by_callers(figures: Figures) -> dict[Edge, list[int]]:
    told = [(i, m.series) for i, m in enumerate(figures.measured) if is_share_of_requests(m) and not is_of_users(m)]
    return _by_edge(((series.service, peer_of(series)), i, series) for i, series in told if _CLIENT in series.metric)


def _told_by_callees(figures: Figures) -> dict[Edge, list[int]]:
    told = [(i, m.series) for i, m in enumerate(figures.measured) if is_share_of_requests(m) and is_of_users(m)]
    return _by_edge(((peer_of(series), series.service), i, series) for i, series in told)


def _by_edge(told: Iterable[tuple[Edge, int, Series]]) -> dict[Edge, list[int]]:
    """Rows by edge: those of whole services where there are any, else those of instances."""
    whole: dict[Edge, list[int]] = {}
    parts: dict[Edge, list[int]] = {}
    for edge, i, series in told:
        if all(edge):
            (parts if series.instance else whole).setdefault(edge, []).append(i)
    return {**parts, **whole}


def _failing(service: str, rows: Sequence[int], figures: Figures) -> list[Golden]:
    return [golden for golden in signals_of(service, rows, figures) if golden.signal is Signal.ERRORS]


def _worst(calls: Sequence[Golden]) -> Golden:
    """Return, bucket by bucket, the share of the call that fails most; a call that no longer ends is not well again."""
    shares = np.array([_held(golden.values) for golden in calls])
    return replace(calls[0], values=np.fmax.reduce(shares, axis=0), of_calls=True)


def _held(values: Floats) -> Floats:
    """Each unknown value as the one known last before it, if there is one."""
    known = np.where(np.isfinite(values), np.arange(len(values)), -1)
    last = np.maximum.accumulate(known)
    return np.where(last >= 0, values[last], np.nan)


def _finding(edge: Edge, one: Felt, timeline: Timeline, row: int) -> CitedFinding:
    caller, callee = edge
    plain = finding_of(one, timeline, row).finding
    levels = f"from {amount(one.usual, one.golden.unit)} to {amount(one.level, one.golden.unit)}"
    when = f" at {clock(plain.onset)}Z" if plain.onset else ""
    said = f"share of failing calls from {caller[:50]} to {callee[:50]} rose {levels}{when}"
    finding = plain.model_copy(
        update={"subject": "edge_error_rate", "related": f"service:{caller}", "statement": said[:200]}
    )
    return CitedFinding(finding, [f"/rows/{row}/figures/{name}" for name in ("usual", "before", "level")])
