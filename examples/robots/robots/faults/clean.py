"""Nothing is wrong: an alarm that is set too tight fires for a customer's few mistaken requests, and resolves."""

from robots.alarm import RULES, Rule, refused_share
from robots.herrings import ruled_out
from robots.load import Ask, tenant_of
from robots.plan import Plan
from robots.scene import Fault, Scene, Struck, Truth

PAUSE_SECONDS = 0.15
MISTAKE = Ask(
    "POST",
    "/v1/missions",
    {"robot": "porter-99", "task": "carry", "load_kg": 5},
    {"user-agent": "fleet-sync/2.0", "x-tenant": tenant_of("porter-99")},
)
TIGHT = Rule(
    "GatewayErrorRate",
    refused_share,
    0.01,
    "warning",
    "share of requests answered 4xx, 5xx or not at all",
)


def truth(plan: Plan) -> Truth:
    """There is no incident."""
    return Truth("no_incident", ruled_out=ruled_out(plan))


async def strike(scene: Scene) -> Struck:
    """Let a customer ask for a robot that doesn't exist, a few times."""
    await scene.load.burst([MISTAKE] * scene.plan.blips, PAUSE_SECONDS)
    text = f"a customer asked {scene.plan.blips} times for a robot that doesn't exist, and was refused each time"
    scene.note(text)
    return Struck(text, {})


async def mend(_: Scene) -> None:
    """Nothing needs mending."""


FAULT = Fault(
    name="clean",
    breaks="Nothing. The alarm's threshold is one per cent, and counts refusals that are the customer's own mistake.",
    seen="The alarm fires for a few requests out of a hundred, answered 404, and resolves some seconds later. No"
    " service fails a request, none gets slower.",
    fix="None: the threshold is too tight, and counts what the customer did wrong.",
    ruled_out=(
        "the deploy of another service shortly before: that service is healthy",
        "the CPU spike of an instance that has just started: it ends by itself and nobody waits for it",
        "the new warning in another service's log: the requests that it's about succeed",
        "forge, PostgreSQL and the queue: as healthy as before",
    ),
    truth=truth,
    strike=strike,
    mend=mend,
    rules=(TIGHT, *RULES[1:]),
)
