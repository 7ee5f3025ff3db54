"""A short pause of the forge's host makes callers ask again, and what they ask again keeps the forge too busy."""

import json
import os
import signal
import uuid
from collections.abc import Mapping
from contextlib import suppress

import anyio
from pydantic import JsonValue

from robots.events import now
from robots.fleet import instances
from robots.herrings import ruled_out
from robots.history import TANAKA
from robots.load import MISSION_SHARE
from robots.plan import Plan
from robots.record import Change
from robots.scene import Cause, Fault, Scene, Struck, Truth

NAME = "retry-storm"
BUSY = 0.48  # the share of the time that a bench is in use when all is well
QUEUE = 36
TRIES, TRY_SECONDS = 4, 1.2
PAUSE_SECONDS = 3.0


def truth(plan: Plan) -> Truth:
    """The forge gets several times the requests that it got before, from as many missions; the pause is over."""
    return Truth(
        "root_cause", (Cause("traffic", "service:forge"),), (*ruled_out(plan), Cause("change", "service:forge"))
    )


def settings(plan: Plan) -> Mapping[str, Mapping[str, JsonValue]]:
    """Let forge prove each rigging on a bench, which the usual requests leave room on, and bot ask again at once."""
    per_instance = plan.rate * MISSION_SHARE / len(instances("forge"))
    return {
        "forge": {"bench_seconds": round(BUSY / per_instance, 4), "bench_queue": QUEUE},
        "bot": {"forge_tries": TRIES, "forge_timeout_seconds": TRY_SECONDS},
    }


async def strike(scene: Scene) -> Struck:
    """Let the platform move the host of the forge, which stands still meanwhile, as a virtual machine does."""
    change = Change(
        timestamp=now(),
        change_id=f"migration-{uuid.uuid4().hex[:12]}",
        kind="infrastructure",
        service_name="forge",
        title="Live migration of the forge's virtual machine to another host",
        author="platform",
        attributes={"migration.pause_seconds": f"{PAUSE_SECONDS:.1f}"},
    )
    await scene.recorder.change(change)
    await pause(scene)
    await scene.recorder.change(change.model_copy(update={"end_time": now(), "outcome": "succeeded"}))
    text = f"the forge stood still for {PAUSE_SECONDS:.1f} s; bot asks each mission's blueprint up to {TRIES} times"
    scene.note(text)
    return Struck(text, {"change_id": change.change_id, "service": "forge", "author": "platform"})


async def pause(scene: Scene) -> None:
    """Stop the forge's processes for some seconds."""
    processes = [scene.deployer.fleet.running[name].child.process.pid for name in instances("forge")]
    try:
        for process in processes:
            os.kill(process, signal.SIGSTOP)
        await anyio.sleep(PAUSE_SECONDS)
    finally:
        for process in processes:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGCONT)


async def mend(scene: Scene) -> None:
    """Let bot ask once only."""
    calm = json.loads(scene.configuration.read("bot", "settings.json")) | {"forge_tries": 1}
    await scene.configuration.change(
        "bot", "settings.json", json.dumps(calm, indent=2) + "\n", by=TANAKA.name, title="Ask the forge only once"
    )


FAULT = Fault(
    name=NAME,
    breaks="The platform moves the forge's machine, which stands still for 3 s. Bot gives up each request after 1.2 s"
    " and asks again at once, up to four times. So many requests wait at the forge's bench in the end that whoever gets"
    " there has been given up already, is worked off for nothing, and has been asked anew.",
    seen="All missions fail with 502 at the gateway, after three seconds, and go on to do so long after the move is"
    " over. The forge gets several times the requests per mission that it got before, and refuses some (503, riggings"
    " wait for the bench already). The gateway gets as many as ever. Questions about robots are fine.",
    fix="Have bot ask only once (`forge_tries` 1 in its settings): the forge works off what waits in a few seconds.",
    ruled_out=(
        "the move of the forge's machine: it took 3 s, and both instances have answered since",
        "a deploy or a change of settings: forge and bot have had none",
        "more requests of customers: there are as many as before",
        "the forge's CPU: it's idle, what is short is the bench",
        "the deploy of another service shortly before: that service is healthy",
        "the CPU spike of an instance that has just started: it ends by itself and nobody waits for it",
        "the new warning in another service's log: the requests that it's about succeed",
    ),
    truth=truth,
    strike=strike,
    mend=mend,
    settings=settings,
    spares=("bot",),
)
