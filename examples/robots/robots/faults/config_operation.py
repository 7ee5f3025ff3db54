"""A new deadline for one task in bot's settings is far too short: that one operation fails, the others don't."""

import json
import random
from collections.abc import Sequence

from robots.herrings import ruled_out
from robots.history import TANAKA
from robots.load import TASKS
from robots.plan import Plan
from robots.scene import Cause, Fault, Scene, Struck, Truth

NAME, FILE = "config-operation", "settings.json"


def dice(plan: Plan) -> tuple[str, float]:
    """Return the task and its new deadline in seconds: the schedule needs some ten milliseconds."""
    drawn = random.Random(f"{NAME} {plan.seed}")
    return drawn.choice(TASKS), drawn.choice([0.001, 0.0015, 0.002])


def truth(plan: Plan) -> Truth:
    """The settings of bot; the schedule is only given up too early."""
    lures = (Cause("dependency", "service:schedule"), Cause("resource", "service:schedule"))
    return Truth("root_cause", (Cause("change", "service:bot"),), (*ruled_out(plan), *lures))


async def strike(scene: Scene) -> Struck:
    """Change the one figure."""
    task, seconds = dice(scene.plan)
    return await hasten(scene, [task], seconds)


async def hasten(scene: Scene, tasks: Sequence[str], seconds: float) -> Struck:
    """Give the schedule so many seconds for missions of these tasks."""
    settings = json.loads(scene.configuration.read("bot", FILE))
    settings["deadline_seconds"].update(dict.fromkeys(tasks, seconds))
    named = " and ".join(tasks)
    title = f"bot: give up on the schedule earlier for {named} missions"
    text = json.dumps(settings, indent=2) + "\n"
    change = await scene.configuration.change("bot", FILE, text, by=TANAKA.name, title=title)
    return Struck(
        f"bot gives the schedule {seconds * 1000:g} ms for {named} missions, which is never enough",
        {"change_id": change.change_id, "service": "bot", "author": change.author, "files": list(change.files)},
    )


async def mend(scene: Scene) -> None:
    """Put the settings before back."""
    await scene.configuration.put_back("bot", FILE, by=TANAKA.name)


FAULT = Fault(
    name=NAME,
    breaks="A change of bot's settings gives the schedule milliseconds instead of seconds, for one of four tasks.",
    seen="About a quarter of the missions fail with 502 at the gateway, all of one task: bot gives up waiting for the"
    " schedule (ReadTimeout), which answers as quickly as ever. The other tasks are served.",
    fix="Put bot's settings before back.",
    ruled_out=(
        "the deploy of another service shortly before: that service is healthy",
        "the schedule: it's as quick as before, and serves the other tasks",
        "the CPU spike of an instance that has just started: it ends by itself and nobody waits for it",
        "the database and the queue: as quick as before",
    ),
    truth=truth,
    strike=strike,
    mend=mend,
    spares=("bot",),
)
