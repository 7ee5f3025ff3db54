"""One look at a watched incident: the symptom's own figures since the look before, by the survey that found them bad.

Nothing is changed, and nothing is judged but the symptom. Little traffic is no health, and no answer no recovery.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from midwatch.builtin.weights import SHIFTED
from midwatch.inquiry import Inquiry
from midwatch.mcp_client.toolbox import Answer
from midwatch.mitigation.health import ASKED_BY, failing_share, health_in, of_symptom, surveys
from midwatch.records import Health, Scope
from midwatch.records.watch import Symptom
from midwatch.scoping import survey_arguments
from midwatch.storage.privacy import hidden
from midwatch_kit.records import Observation, Signal, Window

_QUIET_SHARE: Final = 0.1
"""Of the requests that were usual: with fewer, who is left may not be who had the trouble."""
_LATE_SECONDS: Final = 15.0
_MISSED: Final = 0.01
"""How likely it may be at most that a symptom which is still there has not shown by chance."""
_MOST_REQUESTS: Final = 5_000


@dataclass(frozen=True)
class Sight:
    """What one look saw of the symptom."""

    symptom: Symptom
    statement: str
    health: Health | None = None
    evidence: tuple[str, ...] = ()
    calls: int = 0


async def look(inquiry: Inquiry, scope: Scope, window: Window) -> Sight:
    """Return how the symptom fares in a window, beside the incident's baseline."""
    tools = surveys(inquiry.eyes, scope)
    asked = [(tool, survey_arguments(tool, window, scope.baseline, [scope.symptom])) for tool in tools]
    answers = [answer for answer in await inquiry.try_all(asked, ASKED_BY) if answer is not None]
    if not answers:
        why = "; ".join(inquiry.why_not(*each) for each in asked) or "no server with traces or metrics is connected"
        said = f"nobody can say how {scope.symptom} fares: {hidden(why)}"
        return Sight("unknown", said[:400], calls=inquiry.calls)
    evidence = tuple(answer.evidence for answer in answers)
    if (late := max(map(_late, answers))) >= max(_LATE_SECONDS, window.length.total_seconds() / 2):
        said = f"nobody can say yet: the newest data is {late:.0f} s older than the window's end"
        return Sight("unknown", said, None, evidence, inquiry.calls)
    seen = of_symptom(inquiry, scope, answers)
    found = health_in(seen, window, "after", evidence)
    if found is None and any(tool.signal == Signal.METRICS for tool in tools):  # no point is not the same as no request
        said = f"nobody can say: metrics count no requests of {scope.symptom} in this time"
        return Sight("unknown", said, None, evidence, inquiry.calls)
    symptom, statement = _judged(seen, found, scope)
    return Sight(symptom, statement, found, evidence, inquiry.calls)


def needed(scope: Scope, fewest: int) -> int:
    """Return how many requests have to go well to say that the symptom is gone: were it there, one would have shown."""
    for seen in scope.symptoms:
        if share := min(failing_share(seen) or 0.0, 0.99):
            return max(fewest, min(math.ceil(math.log(_MISSED) / math.log(1 - share)), _MOST_REQUESTS))
    return fewest


def _judged(seen: Sequence[Observation], found: Health | None, scope: Scope) -> tuple[Symptom, str]:
    if new := next((o for o in seen if o.subject == "baseline"), None):
        return "unknown", f"nobody can say: {new.statement}"
    rate = next((o for o in seen if o.subject == "request_rate"), None)
    if found is None or not found.requests:
        return "quiet", rate.statement if rate else f"no request to {scope.symptom} was seen"
    if not found.healthy:
        return "there", found.statement
    if rate and set(scope.watched) == {"request_rate"} and rate.score >= SHIFTED:
        return "there", rate.statement
    if rate and rate.baseline and rate.magnitude is not None and rate.magnitude < _QUIET_SHARE * rate.baseline:
        return "quiet", f"too few ask to tell: {rate.statement}"
    return "gone", found.statement


def _late(answer: Answer) -> float:
    lag = answer.reply.get("lag_seconds")
    return float(lag) if isinstance(lag, int | float) else 0.0
