"""The alarms on the gateway: error share and 95th percentile of latency over the last seconds.

They look at what the gateway answered to its customers, as a load balancer in front of it would see it. A change of
state goes to the store; one into or out of `alarm` also goes to a webhook, as Alertmanager's version 4 payload.
"""

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import anyio
from pydantic import JsonValue

from robots.events import Emit, Note, rfc3339
from robots.load import NO_ANSWER, Load, Outcome
from robots.record import AlarmState, Recorder, post_with_retries

SERVICE = "gateway"
EVERY_SECONDS = 0.5
IN_A_ROW = 2
FEWEST_REQUESTS = 20
NEVER_ENDED = "0001-01-01T00:00:00Z"


@dataclass(frozen=True)
class Rule:
    """When an alarm fires: a measure over a sliding window is above a threshold, twice in a row."""

    name: str
    measure: Callable[[Sequence[Outcome]], float]
    threshold: float
    severity: str
    says: str
    window_seconds: float = 5.0


@dataclass(frozen=True)
class Standing:
    """Where an alarm stands: firing or not, since when, and how many looks in a row would change that."""

    firing: bool = False
    since: float = 0.0
    against: int = 0


def is_error(outcome: Outcome) -> bool:
    """Whether the gateway failed a request: 5xx, or no answer at all."""
    return outcome.status == NO_ANSWER or outcome.status >= 500


def error_share(outcomes: Sequence[Outcome]) -> float:
    """Return the share of requests that the gateway failed, 0 to 1."""
    return sum(map(is_error, outcomes)) / len(outcomes) if outcomes else 0.0


def refused_share(outcomes: Sequence[Outcome]) -> float:
    """Return the share of requests with any status from 400 on, the customers' own mistakes included."""
    return sum(is_error(outcome) or outcome.status >= 400 for outcome in outcomes) / len(outcomes) if outcomes else 0.0


def p95(outcomes: Sequence[Outcome]) -> float:
    """Return the 95th percentile of the latencies in seconds, by the nearest rank."""
    ordered = sorted(outcome.seconds for outcome in outcomes)
    return ordered[max(0, -(-len(ordered) * 95 // 100) - 1)] if ordered else 0.0


RULES = (
    Rule("GatewayErrorRate", error_share, 0.05, "critical", "share of requests answered 5xx or not at all"),
    Rule("GatewayLatencyP95", p95, 3.0, "warning", "95th percentile of latency in seconds"),
)


def step(standing: Standing, above: bool, at: float) -> Standing:
    """Return where an alarm stands after one more look."""
    if above == standing.firing:
        return replace(standing, against=0)
    if standing.against + 1 < IN_A_ROW:
        return replace(standing, against=standing.against + 1)
    return Standing(firing=above, since=at)


@dataclass(frozen=True)
class Changed:
    """An alarm that began or ceased to fire, and the figure behind it."""

    rule: Rule
    standing: Standing
    value: float
    requests: int
    began: float

    @property
    def reason(self) -> str:
        """The figure in words."""
        word = "above" if self.standing.firing else "no longer above"
        return (
            f"{self.rule.says} is {self.value:.3g} over {self.rule.window_seconds:.0f} s"
            f" ({self.requests} requests), {word} {self.rule.threshold:.3g}"
        )


class Alarms:
    """Looks at a load twice a second, and tells of what changed."""

    def __init__(
        self, load: Load, rules: Sequence[Rule], recorder: Recorder, webhook: str, emit: Emit, note: Note
    ) -> None:
        self.load = load
        self.recorder = recorder
        self.webhook = webhook
        self.emit = emit
        self.note = note
        self.standings = {rule: Standing() for rule in rules}
        self._fired = anyio.Event()

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            for changed in self.look(time.time()):
                await self.tell(changed)
            await anyio.sleep(EVERY_SECONDS)

    async def fire(self) -> None:
        """Wait until an alarm fires."""
        await self._fired.wait()

    def look(self, at: float) -> list[Changed]:
        """Evaluate every rule at a time in Unix seconds, and return those that changed."""
        changes = []
        for rule, before in self.standings.items():
            recent = self.load.over_since(at - rule.window_seconds)
            value = rule.measure(recent)
            above = len(recent) >= FEWEST_REQUESTS and value > rule.threshold
            after = self.standings[rule] = step(before, above, at)
            if after.firing != before.firing:
                changes.append(Changed(rule, after, value, len(recent), after.since if after.firing else before.since))
        return changes

    async def tell(self, changed: Changed) -> None:
        """Tell the store, then the runner's reader and the webhook."""
        state = AlarmState(
            timestamp=datetime.fromtimestamp(changed.standing.since, UTC),
            alarm_name=changed.rule.name,
            state="alarm" if changed.standing.firing else "ok",
            service_name=SERVICE,
            reason=changed.reason,
            value=changed.value,
            threshold=changed.rule.threshold,
            attributes={"severity": changed.rule.severity, "window_seconds": f"{changed.rule.window_seconds:.0f}"},
        )
        await self.recorder.alarm(state)
        if changed.standing.firing:
            self._fired.set()
        self.emit("alarm", **state.model_dump(mode="json", exclude={"timestamp", "attributes"}))
        if self.webhook:
            await self._notify(changed)

    async def _notify(self, changed: Changed) -> None:
        payload = webhook_payload(changed, self.load.gateway)
        problem = await post_with_retries(self.recorder.http, self.webhook, payload)
        if problem:
            self.note(f"the webhook didn't take the alarm {changed.rule.name}: {problem}")


def webhook_payload(changed: Changed, gateway: str) -> dict[str, JsonValue]:
    """Return what Alertmanager 0.27 would post for an alarm (its docs, "Webhook receiver", version 4)."""
    labels: dict[str, JsonValue] = {
        "alertname": changed.rule.name,
        "service": SERVICE,
        "severity": changed.rule.severity,
    }
    annotations: dict[str, JsonValue] = {
        "summary": f"{SERVICE}: {changed.rule.says} above {changed.rule.threshold:.3g}",
        "description": changed.reason,
    }
    status = "firing" if changed.standing.firing else "resolved"
    ended = changed.standing.since
    alert: dict[str, JsonValue] = {
        "status": status,
        "labels": labels,
        "annotations": annotations,
        "startsAt": _time(changed.began),
        "endsAt": NEVER_ENDED if changed.standing.firing else _time(ended),
        "generatorURL": gateway,
        "fingerprint": hashlib.sha256(repr(sorted(labels.items())).encode()).hexdigest()[:16],
    }
    return {
        "version": "4",
        "groupKey": f'{{}}:{{alertname="{changed.rule.name}", service="{SERVICE}"}}',
        "truncatedAlerts": 0,
        "status": status,
        "receiver": "midwatch",
        "groupLabels": {"alertname": changed.rule.name, "service": SERVICE},
        "commonLabels": labels,
        "commonAnnotations": annotations,
        "externalURL": gateway,
        "alerts": [alert],
    }


def _time(at: float) -> str:
    return rfc3339(datetime.fromtimestamp(at, UTC))
