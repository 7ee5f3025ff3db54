"""Health: the symptom's own figures over one window, by the same survey that found them bad.

This is how midwatch tells better from worse; it changes nothing and judges no cause.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final, Literal

from pydantic import JsonValue

from midwatch.builtin.observed import PARTS
from midwatch.builtin.weights import SHIFTED
from midwatch.inquiry import Inquiry
from midwatch.mcp_client.toolbox import Answer
from midwatch.records import Health, Scope
from midwatch_kit.records import Observation, Signal, Window
from midwatch_kit.server import Role
from midwatch_kit.window import rfc3339

ASKED_BY: Final = "health"
"""Who asks: what is asked so is about how an incident goes on, not about its cause."""
_WORSE = 1.25
_ANSWERED = 0.05
"""A share of requests that fails no more, and is worth waiting for the rest."""


async def health(
    inquiry: Inquiry, scope: Scope, window: Window, when: Literal["before", "after", "at_the_end"]
) -> Health | None:
    """Return the symptom's health over `window` against the incident's baseline; None when nobody can say."""
    tools = inquiry.eyes.tools(Role.SURVEY, Signal.TRACES)
    answers = await inquiry.ask_all(((tool, question(scope, window)) for tool in tools), ASKED_BY)
    seen = of_symptom(inquiry, scope, (answer for _, answer in answers))
    return health_in(seen, window, when, tuple(answer.evidence for _, answer in answers))


def question(scope: Scope, window: Window) -> dict[str, JsonValue]:
    """Return what a survey of traces is asked about the symptom: a window beside the incident's baseline."""
    return {
        "start": rfc3339(window.start),
        "end": rfc3339(window.end),
        "baseline_start": rfc3339(scope.baseline.start),
        "baseline_end": rfc3339(scope.baseline.end),
        "entities": [scope.symptom],
    }


def of_symptom(inquiry: Inquiry, scope: Scope, answers: Iterable[Answer]) -> list[Observation]:
    """Return what stands of all that surveys say of the symptom as a whole."""
    seen = [o for answer in answers for o in inquiry.checked(answer.observations) if o.entity == scope.symptom]
    return [o for o in seen if not PARTS & o.attributes.keys()]


def health_in(
    seen: Sequence[Observation],
    window: Window,
    when: Literal["before", "after", "at_the_end"],
    evidence: tuple[str, ...],
) -> Health | None:
    """Return the health that a survey tells of; None when it counted no requests."""
    counted = next((o for o in seen if "requests" in o.attributes), None)
    if counted is None:
        return None
    bad = [o for o in seen if o.subject in ("error_rate", "latency_p95") and o.direction == "up" and o.score >= SHIFTED]
    return Health(
        when=when,
        window=window,
        healthy=not bad,
        requests=int(float(counted.attributes["requests"])),
        errors=int(float(counted.attributes.get("errors", "0"))),
        latency_p95_ms=_latency(seen),
        statement=(bad[0] if bad else counted).statement,
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


def _share(health: Health) -> float:
    return health.errors / health.requests if health.requests else 0.0


def _latency(seen: Sequence[Observation]) -> float | None:
    slow = next((o for o in seen if o.subject == "latency_p95"), None)
    if slow and slow.magnitude is not None:
        return slow.magnitude
    told = next((o.attributes["latency_p95"] for o in seen if "latency_p95" in o.attributes), None)
    return float(told) if told else None
