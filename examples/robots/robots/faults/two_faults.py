"""Two faults at once that have nothing to do with each other: a deleted cache file, and far too short a deadline."""

import random

import anyio

from robots.faults import config_operation, forge_cache
from robots.plan import Plan
from robots.scene import Fault, Scene, Struck, Truth

NAME = "two-faults"


def order(plan: Plan) -> tuple[list[Fault], float]:
    """Return the faults, the one that strikes first before the other, and the seconds between them."""
    dice = random.Random(f"{NAME} {plan.seed}")
    return dice.sample([forge_cache.FAULT, config_operation.FAULT], 2), dice.uniform(0.3, 2.0)


def truth(plan: Plan) -> Truth:
    """Both causes; the hand on the cache fails twice as many missions as the settings do."""
    graver, lesser = forge_cache.truth(plan), config_operation.truth(plan)
    ruled_out = dict.fromkeys((*graver.ruled_out, *lesser.ruled_out))
    return Truth("root_cause", (*graver.causes, *lesser.causes), tuple(ruled_out))


async def strike(scene: Scene) -> Struck:
    """Let both happen, a moment apart."""
    (first, second), seconds = order(scene.plan)
    one = await first.strike(scene)
    await anyio.sleep(seconds)
    other = await second.strike(scene)
    return Struck(f"{one.text}; {other.text}", {"first": one.trigger, "second": other.trigger})


async def mend(scene: Scene) -> None:
    """Mend both: neither fix alone is enough."""
    await config_operation.mend(scene)
    await forge_cache.mend(scene)


FAULT = Fault(
    name=NAME,
    breaks="Someone deletes the cache file of one instance of forge, as in forge-cache; and at the same time a change"
    " of bot's settings leaves the schedule too little time for one task, as in config-operation.",
    seen="About every second mission fails with 502 at the gateway, and more of one task than of the others: one"
    " instance of forge answers 500 (unable to open database file) to everything, and bot gives up waiting for the"
    " schedule (ReadTimeout) for that task. Neither explains the other's failures.",
    fix="Put bot's settings before back, and restart the instance of forge: either alone leaves the other's failures.",
    ruled_out=(
        "one cause for all: missions of that task fail by way of the good instance too, and those of other tasks by way"
        " of the bad one",
        "a deploy: forge and bot have had none",
        "the schedule: it's as quick as before, and serves the other tasks",
        "the deploy of another service shortly before: that service is healthy",
        "the CPU spike of an instance that has just started: it ends by itself and nobody waits for it",
        "PostgreSQL and the queue: as quick as before",
    ),
    truth=truth,
    strike=strike,
    mend=mend,
    spares=("bot",),
)
