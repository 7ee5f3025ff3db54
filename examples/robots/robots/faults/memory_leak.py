"""A deploy of bot keeps something of every request and never lets it go, until the supervisor kills the process."""

import anyio
import psutil

from robots.herrings import ruled_out
from robots.history import TANAKA, Patch, commit_patch, commit_time
from robots.plan import Plan
from robots.scene import Cause, Fault, Scene, Struck, Truth

COMMIT_NUMBER = 7
DEATH_SECONDS, LOOK_SECONDS = 60.0, 0.1
PATCH = Patch(
    TANAKA,
    "bot: keep the robots' latest tracks for the operators' map\n\nThe map asks for them as soon as somebody opens it.",
    "robots.faults",
    "memory_leak.patch",
)


def truth(plan: Plan) -> Truth:
    """The deploy of bot."""
    lures = (Cause("traffic", "service:gateway"), Cause("dependency", "database:robots"))
    return Truth("root_cause", (Cause("change", "service:bot"),), (*ruled_out(plan), *lures))


async def strike(scene: Scene) -> Struck:
    """Deploy the leak, and wait until it has cost the first process its life."""
    commit = await commit_patch(scene.repository, PATCH, commit_time(scene.plan.seed, COMMIT_NUMBER))
    done = await scene.deployer.deploy("bot", commit.sha, by="merge queue")
    first = scene.deployer.fleet.running["bot-1"].child.process.pid
    with anyio.fail_after(DEATH_SECONDS):
        while psutil.pid_exists(first):  # noqa: ASYNC110 - what ends is another process
            await anyio.sleep(LOOK_SECONDS)
    return Struck(
        f"bot {commit.version} keeps a track of every request, and is killed when it reaches its limit of memory",
        {
            "change_id": done.change_id,
            "service": "bot",
            "commit": commit.sha,
            "version": commit.version,
            "previous_version": done.previous_version,
            "author": commit.author,
        },
    )


async def mend(scene: Scene) -> None:
    """Roll bot back to what ran before."""
    await scene.deployer.roll_back("bot", scene.deployer.history["bot"][-2])


FAULT = Fault(
    name="memory-leak",
    breaks="A new version of bot keeps a track of each robot that is asked for and never lets one go; at its limit of"
    " memory the process is killed and started anew.",
    seen="Every ten seconds or so everything fails for a second or two: the gateway is refused by bot, which is just"
    " being restarted (OOMKilled). Bot's memory climbs like a saw since its deploy.",
    fix="Roll bot back to the version before.",
    ruled_out=(
        "the deploy of another service shortly before: that service is healthy",
        "traffic: as many requests as before",
        "the restart by the supervisor, which is the consequence",
        "the host: nothing else on it is short of memory",
    ),
    truth=truth,
    strike=strike,
    mend=mend,
    spares=("bot",),
)
