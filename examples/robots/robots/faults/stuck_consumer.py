"""The process that takes jobs off the queue hangs, as one in uninterruptible sleep would; its health check passes."""

import os
import signal

from robots.herrings import ruled_out
from robots.history import SILVA
from robots.plan import Plan
from robots.scene import Cause, Fault, Scene, Struck, Truth

INSTANCE = "action-1"


def truth(plan: Plan) -> Truth:
    """The process of the consumer."""
    lures = (Cause("traffic", "service:gateway"), Cause("resource", "database:robots"))
    return Truth("root_cause", (Cause("platform", f"instance:{INSTANCE}"),), (*ruled_out(plan), *lures))


async def strike(scene: Scene) -> Struck:
    """Stop the process where it is."""
    os.kill(scene.deployer.fleet.running[INSTANCE].child.process.pid, signal.SIGSTOP)
    return Struck(f"the process of {INSTANCE} stands still, and takes no job off the queue", {"service": "action"})


async def mend(scene: Scene) -> None:
    """Restart the consumer, by force since it doesn't hear."""
    await scene.deployer.restart("action", INSTANCE, by=SILVA.name, reason="takes no jobs")


FAULT = Fault(
    name="stuck-consumer",
    breaks="The process of action hangs: it's there, so that its health check passes, and does nothing.",
    seen="The queue of jobs grows without end, and some seconds later all missions fail: the schedule turns them away"
    " with 503 (backlog of … jobs). Action has fallen silent: no spans, no logs, no figures.",
    fix="Restart the instance of action.",
    ruled_out=(
        "the deploy of another service shortly before: that service is healthy",
        "traffic: as many missions as before, only nobody takes their jobs",
        "the database: quick as before, nothing waits for a lock",
        "the schedule, which refuses what it couldn't keep",
    ),
    truth=truth,
    strike=strike,
    mend=mend,
    spares=("action",),
)
