"""One customer's program asks many times as often as ever before, and takes the room of all others."""

import json
import random

from robots.herrings import ruled_out
from robots.history import OKAFOR
from robots.load import STRONG_ROBOTS, TENANTS, Ask, tenant_of
from robots.plan import Plan
from robots.scene import Cause, Fault, Scene, Struck, Truth

NAME = "tenant-surge"
CONNECTIONS = 20
ENOUGH = 4  # requests per second, somewhat more than a tenant usually asks


def truth(plan: Plan) -> Truth:
    """It's the traffic; the gateway itself does what it can."""
    lures = (*ruled_out(plan), Cause("resource", "service:gateway"))
    return Truth("root_cause", (Cause("traffic", "service:gateway"),), lures)


def surge(plan: Plan) -> tuple[str, float]:
    """Return the tenant and how many requests a second it sends beside the usual ones."""
    dice = random.Random(f"{NAME} {plan.seed}")
    return dice.choice(TENANTS), dice.uniform(42, 52)


async def strike(scene: Scene) -> Struck:
    """Let the tenant's program ask where its robots are, all the time, until the run ends."""
    tenant, rate = surge(scene.plan)
    dice = random.Random(f"{NAME} {scene.plan.seed} asks")
    robots = [robot for robot in STRONG_ROBOTS if tenant_of(robot) == tenant]
    headers = {"user-agent": "fleet-sync/2.1", "x-tenant": tenant}

    def ask() -> Ask:
        return Ask("GET", f"/v1/robots/{dice.choice(robots)}", headers=headers)

    scene.ongoing.begin(NAME, lambda: scene.load.pour(rate, ask, dice, CONNECTIONS))
    text = f"{tenant} asks {rate:.0f} times a second where its robots are, beside what it usually asks"
    scene.note(text)
    return Struck(text, {"tenant": tenant})


async def mend(scene: Scene) -> None:
    """Give the tenant a limit of its own."""
    tenant, _ = surge(scene.plan)
    settings = json.loads(scene.configuration.read("gateway", "settings.json"))
    text = json.dumps({**settings, "tenants": {**settings.get("tenants", {}), tenant: ENOUGH}}, indent=2) + "\n"
    title = f"Let {tenant} ask {ENOUGH} times a second"
    await scene.configuration.change("gateway", "settings.json", text, by=OKAFOR.name, title=title)


FAULT = Fault(
    name=NAME,
    breaks="One tenant's program begins to ask for its robots' places some fifty times a second, where the tenant used"
    " to ask three or four times. The gateway lets in a certain number of requests a second, whosever they are.",
    seen="Requests of all tenants are turned away by the gateway with 503, over capacity. What it lets in is answered"
    " soundly, as quickly as before or nearly so.",
    fix="Give the tenant a limit of its own in the gateway's settings: it's answered 429 above it, and all others find"
    " room again.",
    ruled_out=(
        "a service further down: none fails, and none is asked more than it can do",
        "a gateway that is out of CPU or memory: it turns requests away because of a limit, in a millisecond",
        "the deploy of another service shortly before: that service is healthy",
        "the CPU spike of an instance that has just started: it ends by itself and nobody waits for it",
        "the new warning in another service's log: the requests that it's about succeed",
    ),
    truth=truth,
    strike=strike,
    mend=mend,
    spares=("gateway",),
)
