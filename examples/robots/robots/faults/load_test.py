"""Nothing is wrong: an announced load test brings more requests, all of them are served well, and an alarm fires."""

import uuid
from collections.abc import Sequence
from dataclasses import replace

from robots.alarm import RULES, Rule
from robots.events import now
from robots.herrings import ruled_out
from robots.history import OKAFOR
from robots.load import Ask, Load, Outcome
from robots.plan import Plan
from robots.record import Change
from robots.scene import Cause, Fault, Scene, Struck, Truth

NAME = "load-test"
TOTAL = 30.0  # requests per second, customers and test together: what two cores can serve
CONNECTIONS = 20
WINDOW_SECONDS = 10.0  # long enough to tell the two apart by the alarm's threshold
HEADERS = {"user-agent": "k6/0.54.0 (https://k6.io/)", "x-tenant": "load-test"}


def request_rate(outcomes: Sequence[Outcome]) -> float:
    """Return the requests per second in the alarm's window."""
    return len(outcomes) / WINDOW_SECONDS


BUSY = Rule("GatewayRequestRate", request_rate, 26.0, "warning", "requests a second", WINDOW_SECONDS)


def truth(plan: Plan) -> Truth:
    """There is no incident: there is more traffic, which harms nobody."""
    return Truth("no_incident", ruled_out=(*ruled_out(plan), Cause("traffic", "service:gateway")))


async def strike(scene: Scene) -> Struck:
    """Record the test as it begins, and send as many requests as are missing to its total."""
    rate = TOTAL - scene.plan.rate
    change = announcement(rate)
    await scene.recorder.change(change)
    test = Load(scene.load.gateway, rate, scene.plan.seed + 1_000_000)

    def ask() -> Ask:
        return replace(test.next(), headers=HEADERS)

    scene.ongoing.begin(NAME, lambda: scene.load.pour(rate, ask, test.dice, CONNECTIONS))
    scene.note(f"{change.title} begins")
    return Struck(change.title, {"change_id": change.change_id, "service": "gateway", "author": change.author})


def announcement(rate: float) -> Change:
    """Return the record that such a test leaves."""
    return Change(
        timestamp=now(),
        change_id=f"load-test-{uuid.uuid4().hex[:12]}",
        kind="infrastructure",
        service_name="gateway",
        title=f"Planned load test: {rate:.0f} requests a second more at the gateway",
        author=OKAFOR.name,
        attributes={"change.planned": "true", "tenant.id": HEADERS["x-tenant"]},
    )


async def mend(scene: Scene) -> None:
    """End the test."""
    scene.ongoing.end(NAME)


FAULT = Fault(
    name=NAME,
    breaks="Nothing. A load test, planned and on record, sends about half as many requests as customers do.",
    seen="The alarm for the rate of requests fires. All requests are answered soundly and about as quickly as before.",
    fix="None: the test ends as planned. Whoever wants quiet silences the alarm for as long as it lasts.",
    ruled_out=(
        "too many requests: the gateway has room for them, none is turned away and none fails",
        "the deploy of another service shortly before: that service is healthy",
        "the CPU spike of an instance that has just started: it ends by itself and nobody waits for it",
        "the new warning in another service's log: the requests that it's about succeed",
        "forge, PostgreSQL and the queue: busier than before, and well",
    ),
    truth=truth,
    strike=strike,
    mend=mend,
    rules=(BUSY, *RULES),
)
