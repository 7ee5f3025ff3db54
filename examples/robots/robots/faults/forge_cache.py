"""A person on the machine of one forge instance deletes its cache file while it runs."""

import os
import uuid
from pathlib import Path
from subprocess import STDOUT

import anyio

from robots.events import now
from robots.herrings import ruled_out
from robots.history import SILVA
from robots.plan import Plan
from robots.record import Change
from robots.scene import Cause, Fault, Scene, Struck, Truth

CACHE = "blueprints.sqlite"
COMMANDS = ("pwd", "df -h . | tail -1", "du -sh .", "ls -l", f"rm -v {CACHE}", "ls -l", "exit")
COMMAND_SECONDS = 5.0


def truth(plan: Plan) -> Truth:
    """A hand on one instance."""
    return Truth("root_cause", (Cause("operator", f"instance:{plan.forge}"),), ruled_out(plan))


async def strike(scene: Scene) -> Struck:
    """Run the session's commands in the instance's folder, and record the session as a bastion host would."""
    instance, began = scene.plan.forge, now()
    transcript = await session(scene.site.data(instance), instance)
    change = Change(
        timestamp=began,
        change_id=f"session-{uuid.uuid4().hex[:12]}",
        kind="session",
        service_name="forge",
        instance=instance,
        title=f"Shell session of {SILVA.name} on {instance}",
        author=SILVA.name,
        diff=transcript,
        end_time=now(),
        outcome="succeeded",
        attributes={"session.user": "lsilva", "session.ticket": "free some disk space"},
    )
    await scene.recorder.change(change)
    scene.note(f"{SILVA.name} logs in to {instance} and deletes {CACHE}")
    return Struck(
        f"{CACHE} of {instance} was deleted by hand while the instance ran",
        {"change_id": change.change_id, "service": "forge", "instance": instance, "author": SILVA.name},
    )


async def mend(scene: Scene) -> None:
    """Restart the instance: it makes its cache anew."""
    await scene.deployer.restart("forge", scene.plan.forge, by=SILVA.name, reason="its cache file is gone")


async def session(folder: Path, instance: str) -> str:
    """Run the commands one by one and return what a recorder of terminals would have kept."""
    lines = []
    for command in COMMANDS:
        with anyio.fail_after(COMMAND_SECONDS):
            done = await anyio.run_process(
                ["/bin/sh", "-c", command], cwd=folder, stderr=STDOUT, check=False, env={"PATH": os.defpath}
            )
        lines.append(f"lsilva@{instance}:~$ {command}\n{done.stdout.decode(errors='replace')}")
    return "".join(lines)


FAULT = Fault(
    name="forge-cache",
    breaks="Someone logs in to one instance of forge and deletes its cache file; the process that runs there can't open"
    " it any more.",
    seen="About every second mission fails with 502 at the gateway: one instance of forge answers 500 (unable to open"
    " database file) to everything, the other one is fine.",
    fix="Restart the instance: it makes the file anew when it starts.",
    ruled_out=(
        "a deploy: forge has had none, and the other instance runs the same version",
        "the deploy of another service shortly before: that service is healthy",
        "the CPU spike of an instance that has just started: it ends by itself and nobody waits for it",
        "the new warning in another service's log: the requests that it's about succeed",
        "PostgreSQL, whose errors would be everybody's: it's the SQLite file of one instance",
    ),
    truth=truth,
    strike=strike,
    mend=mend,
)
