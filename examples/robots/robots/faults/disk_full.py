"""A core dump fills the small disk that one forge instance keeps its files on."""

import random
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import anyio.to_thread
from pydantic import JsonValue

from robots.disk import fill, small_disk
from robots.herrings import ruled_out
from robots.plan import Plan
from robots.scene import Cause, Fault, Scene, Struck, Truth

NAME = "disk-full"
ENTRIES = 16  # of blueprints, all that a site with small disks keeps
ARCHIVE = "exports.tar"
ROUNDS, PAUSE_SECONDS = 5, 0.1


def truth(plan: Plan) -> Truth:
    """The disk of one instance."""
    return Truth("root_cause", (Cause("resource", f"instance:{plan.forge}"),), ruled_out(plan))


def settings(_: Plan) -> Mapping[str, Mapping[str, JsonValue]]:
    """Let forge keep few blueprints, for the sake of the small disk."""
    return {"forge": {"cache_entries": ENTRIES}}


@asynccontextmanager
async def equip(plan: Plan, data: Path) -> AsyncGenerator[None]:
    """Give one instance a disk of its own, of a few MiB, and partly used since long ago."""
    dice = random.Random(f"{NAME} {plan.seed}")
    kibibytes = dice.randrange(2048, 6144, 256)
    async with small_disk(data / plan.forge, kibibytes, data.parent / "logs" / "mount.log"):
        (data / plan.forge / ARCHIVE).write_bytes(bytes(int(kibibytes * 1024 * dice.uniform(0.3, 0.5))))
        yield


async def strike(scene: Scene) -> Struck:
    """Write a core dump until the disk takes no more, and once again what a statement under way has freed."""
    file = dump(scene)
    written = 0
    for _ in range(ROUNDS):
        written += await anyio.to_thread.run_sync(fill, file)
        await anyio.sleep(PAUSE_SECONDS)
    text = f"a core dump of {written / 1024:.0f} KiB has filled the disk of {scene.plan.forge}"
    scene.note(text)
    return Struck(text, {"file": str(file), "instance": scene.plan.forge, "bytes": written})


async def mend(scene: Scene) -> None:
    """Delete the core dump."""
    dump(scene).unlink()


def dump(scene: Scene) -> Path:
    """Return the file that fills the disk."""
    return scene.site.data(scene.plan.forge) / f"core.{scene.plan.seed + 4000}"


FAULT = Fault(
    name=NAME,
    breaks="One instance of forge keeps its files on a small disk of its own, and a core dump fills it. (Needs the"
    " right to mount a disk, as root has it on Linux.)",
    seen="Some missions fail with 502 at the gateway: one instance of forge answers 500 (database or disk is full)"
    " whenever it has worked out a blueprint and wants to keep it. What is in its cache it still gives, and the"
    " other instance is fine. system.filesystem.utilization of the instance is 1.",
    fix="Delete the core dump from the disk of the instance.",
    ruled_out=(
        "a deploy: forge has had none, and the other instance runs the same version",
        "the cache file itself: what is in it can be read",
        "PostgreSQL: it's the SQLite file of one instance that can't grow",
        "the deploy of another service shortly before: that service is healthy",
        "the CPU spike of an instance that has just started: it ends by itself and nobody waits for it",
        "the new warning in another service's log: the requests that it's about succeed",
    ),
    truth=truth,
    strike=strike,
    mend=mend,
    settings=settings,
    equip=equip,
)
