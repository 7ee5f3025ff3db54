"""Two faults at once that have nothing to do with each other: a deleted cache file, and far too short a deadline."""

import random

import anyio

from robots.faults import config_operation, forge_cache
from robots.load import TASKS
from robots.plan import Plan
from robots.scene import Fault, Scene, Struck, Truth

NAME = "two-faults"


def lead(plan: Plan) -> float:
    """Return the seconds from the start of the session, which soon deletes the file, to the change of settings."""
    return random.Random(f"{NAME} {plan.seed}").uniform(0.0, 0.6)


def tasks(plan: Plan) -> list[str]:
    """Return the three tasks of four that bot gives the schedule too little time for."""
    return random.Random(f"{NAME} {plan.seed} tasks").sample(TASKS, 3)


def truth(plan: Plan) -> Truth:
    """Both causes; the hand on the cache fails more missions than the settings do, since forge is asked first."""
    graver, lesser = forge_cache.truth(plan), config_operation.truth(plan)
    ruled_out = dict.fromkeys((*graver.ruled_out, *lesser.ruled_out))
    return Truth("root_cause", (*graver.causes, *lesser.causes), tuple(ruled_out))


async def strike(scene: Scene) -> Struck:
    """Let both happen within a second, so that neither is seen before the other is there."""
    struck: dict[str, Struck] = {}

    async def delete() -> None:
        struck["cache"] = await forge_cache.strike(scene)

    async def hasten() -> None:
        await anyio.sleep(lead(scene.plan))
        _, seconds = config_operation.dice(scene.plan)
        struck["settings"] = await config_operation.hasten(scene, tasks(scene.plan), seconds)

    async with anyio.create_task_group() as group:
        group.start_soon(delete)
        group.start_soon(hasten)
    one, other = struck["cache"], struck["settings"]
    return Struck(f"{one.text}; {other.text}", {"first": one.trigger, "second": other.trigger})


async def mend(scene: Scene) -> None:
    """Mend both: neither fix alone is enough."""
    await config_operation.mend(scene)
    await forge_cache.mend(scene)


FAULT = Fault(
    name=NAME,
    breaks="Someone deletes the cache file of one instance of forge, as in forge-cache; and at the same time a change"
    " of bot's settings leaves the schedule too little time for three of four tasks, as in config-operation.",
    seen="Most missions fail with 502 at the gateway, and fewer of one task than of the others: one"
    " instance of forge answers 500 (unable to open database file) to everything, and bot gives up waiting for the"
    " schedule (ReadTimeout) for those tasks. Neither explains the other's failures.",
    fix="Put bot's settings before back, and restart the instance of forge: either alone leaves the other's failures.",
    ruled_out=(
        "one cause for all: missions of those tasks fail by way of the good instance too, and those of other tasks by"
        " way of the bad one",
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
