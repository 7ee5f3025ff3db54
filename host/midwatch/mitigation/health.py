"""Health: the symptom's own figures over one window, by the same survey that found them bad.

This is how midwatch tells better from worse; it changes nothing and judges no cause. Traces are counted request by
request; metrics tell shares and rates, and have a point now and then, so that they are asked about minutes.
"""

import math
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple

from midwatch.builtin.observed import PARTS
from midwatch.builtin.weights import SHIFTED
from midwatch.inquiry import Inquiry
from midwatch.mcp_client.toolbox import Answer, Eyes, Tool
from midwatch.records import Health, Scope
from midwatch.scoping import survey_arguments
from midwatch_kit.records import Observation, Signal, Window
from midwatch_kit.server import Role

ASKED_BY: Final = "health"
"""Who asks: what is asked so is about how an incident goes on, not about its cause."""
_WORSE = 1.25
_ANSWERED = 0.05
"""A share of requests that fails no more, and is worth waiting for the rest."""
_BAD: Final = ("error_rate", "latency_p95", "latency_mean")
_FEW_POINTS: Final = timedelta(minutes=2)
"""The least time that metrics are asked about: most are collected every 15 to 60 seconds."""


class _Counted(NamedTuple):
    """How many requests there were and how many failed, and the observation that says so."""

    requests: int
    errors: int
    by: Observation


async def health(
    inquiry: Inquiry, scope: Scope, window: Window, when: Literal["before", "after", "at_the_end"]
) -> Health | None:
    """Return the symptom's health over `window` against the incident's baseline; None when nobody can say."""
    tools = surveys(inquiry.eyes, scope)
    if any(tool.signal == Signal.METRICS for tool in tools):
        window = Window(start=min(window.start, window.end - _FEW_POINTS), end=window.end)
    asked = [(tool, survey_arguments(tool, window, scope.baseline, [scope.symptom])) for tool in tools]
    answers = await inquiry.ask_all(asked, ASKED_BY)
    seen = of_symptom(inquiry, scope, (answer for _, answer in answers))
    return health_in(seen, window, when, tuple(answer.evidence for _, answer in answers))


def surveys(eyes: Eyes, scope: Scope) -> Sequence[Tool]:
    """Return the surveys of the signal that the symptom was found in, or else those of traces, or of metrics.

    One that takes no window cannot tell after from before.
    """
    found = [seen.signal for seen in scope.symptoms[:1]]
    for signal in (*found, Signal.TRACES, Signal.METRICS):
        if tools := [tool for tool in eyes.tools(Role.SURVEY, signal) if {"start", "end"} <= set(tool.arguments)]:
            return tools
    return ()


def of_symptom(inquiry: Inquiry, scope: Scope, answers: Iterable[Answer]) -> list[Observation]:
    """Return what stands of all that surveys say of the symptom as a whole, beside what was before."""
    seen = [o for answer in answers for o in inquiry.checked(answer.observations) if o.entity == scope.symptom]
    return [o for o in seen if not PARTS & o.attributes.keys() and "beside" not in o.attributes]


def health_in(
    seen: Sequence[Observation],
    window: Window,
    when: Literal["before", "after", "at_the_end"],
    evidence: tuple[str, ...],
) -> Health | None:
    """Return the health that a survey tells of; None when it counted no requests."""
    counted = _counted(seen, window)
    if counted is None:
        return None
    bad = [o for o in seen if o.subject in _BAD and o.direction == "up" and o.score >= SHIFTED]
    return Health(
        when=when,
        window=window,
        healthy=not bad,
        requests=counted.requests,
        errors=counted.errors,
        latency_p95_ms=_latency(seen),
        statement=(bad[0] if bad else counted.by).statement,
        evidence=evidence,
    )


def worse(after: Health, before: Health) -> bool:
    """Return whether the share of failing requests, or the latency, grew by more than a quarter.

    Requests that are answered again where they failed may take longer: that alone is not worse.
    """
    share_before, share_after = _share(before), _share(after)
    slower = (after.latency_p95_ms or 0.0) > _WORSE * (before.latency_p95_ms or float("inf"))
    answered = share_before - share_after > _ANSWERED
    grew = share_after > max(_WORSE * share_before, share_before + 0.01)
    return grew or (slower and not after.healthy and not answered)


def window_ending(now: datetime, seconds: float) -> Window:
    """Return the last `seconds` before `now`."""
    return Window(start=now - timedelta(seconds=seconds), end=now)


def failing_share(seen: Observation) -> float | None:
    """Return the share of requests that an error rate is, as traces count it or metrics tell it; None for others."""
    if seen.subject != "error_rate":
        return None
    if requests := _number(seen, "requests"):
        return min(_number(seen, "errors") / requests, 1.0)
    return min(seen.magnitude / 100, 1.0) if seen.magnitude is not None and seen.unit == "%" else None


def _counted(seen: Sequence[Observation], window: Window) -> _Counted | None:
    """Count requests: as traces did, or else by the rate and the share that metrics tell."""
    if by := next((o for o in seen if "requests" in o.attributes), None):
        return _Counted(int(_number(by, "requests")), int(_number(by, "errors")), by)
    shares = [(o, share) for o in seen if (share := failing_share(o)) is not None]
    paced = [o for o in seen if "requests_per_s" in o.attributes]
    if not paced:
        return None
    requests = round(_number(paced[0], "requests_per_s") * window.length.total_seconds())
    by, share = shares[0] if shares else (paced[0], 0.0)
    return _Counted(requests, round(requests * share), by)


def _number(seen: Observation, name: str) -> float:
    """Return a figure that a server put among an observation's attributes; 0 for what is no such figure."""
    try:
        figure = float(seen.attributes.get(name, 0))
    except ValueError:
        return 0.0
    return figure if math.isfinite(figure) and figure > 0 else 0.0


def _share(health: Health) -> float:
    return health.errors / health.requests if health.requests else 0.0


def _latency(seen: Sequence[Observation]) -> float | None:
    slow = next((o for o in seen if o.subject == "latency_p95"), None)
    if slow and slow.magnitude is not None:
        return slow.magnitude
    told = next((o for o in seen if "latency_p95" in o.attributes), None)
    return (_number(told, "latency_p95") or None) if told else None
