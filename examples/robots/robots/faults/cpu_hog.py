"""Someone's script has one forge instance work out figures for itself, far more finely than ever before."""

import random
from contextlib import suppress

import anyio
import httpx

from robots.herrings import ruled_out
from robots.plan import Plan
from robots.record import http_client
from robots.scene import Cause, Fault, Scene, Struck, Truth

NAME = "cpu-hog"
USUAL_KG = 5.0
FINEST_KG = 0.01
ROUNDS = 8
AGENT = {"user-agent": "curl/8.5.0"}


def truth(plan: Plan) -> Truth:
    """The CPU of one instance."""
    return Truth("root_cause", (Cause("resource", f"instance:{plan.forge}"),), ruled_out(plan))


async def usual(scene: Scene) -> None:
    """In the healthy time, rate the models as coarsely as ever: it takes a moment, and nobody feels it."""
    await _rate(scene, USUAL_KG)


async def strike(scene: Scene) -> Struck:
    """Rate the models in finer and finer steps, without waiting for an end: each round takes minutes of CPU."""
    step = FINEST_KG * random.Random(f"{NAME} {scene.plan.seed}").uniform(0.5, 1)
    async with anyio.create_task_group() as script:
        for number in range(ROUNDS):
            script.start_soon(_rate_unasked, scene, round(step / 2**number, 5))
    text = f"a script has had {scene.plan.forge} rate all models {ROUNDS} times at once, in steps of some grams"
    scene.note(text)
    return Struck(text, {"instance": scene.plan.forge, "path": "/ratings"})


async def mend(scene: Scene) -> None:
    """Restart the instance, which forgets what it was asked to rate."""
    await scene.deployer.restart("forge", scene.plan.forge, by="deployer", reason="its CPU is taken")


async def _rate_unasked(scene: Scene, step_kg: float) -> None:
    """Ask for a rating and don't mind the answer: the instance is soon too busy to give one."""
    with suppress(httpx.TimeoutException):
        await _rate(scene, step_kg)


async def _rate(scene: Scene, step_kg: float) -> None:
    async with http_client() as http:
        url = f"{scene.deployer.fleet.url(scene.plan.forge)}/ratings"
        (await http.post(url, json={"step_kg": step_kg}, headers=AGENT)).raise_for_status()


FAULT = Fault(
    name=NAME,
    breaks="A script asks one instance of forge to work out the models' ratings in steps of a few grams, several times"
    " over. The instance computes for minutes on 48 threads, beside the requests. Nobody has a record of it.",
    seen="About every second mission takes seconds, and many of these fail with 502 at the gateway, as bot gives up"
    " waiting. One instance of forge is slow and takes all the CPU that a process can get; the other one is as quick"
    " as ever. Just before, that instance got a few POST /ratings.",
    fix="Restart the instance: it gives up what it computes.",
    ruled_out=(
        "a deploy: forge has had none, and the other instance runs the same version",
        "more requests of customers: there are as many as before, and both instances get the same share",
        "the instance's cache: its statements wait for the CPU as all else there does",
        "the deploy of another service shortly before: that service is healthy",
        "the CPU spike of an instance that has just started: it ends by itself and nobody waits for it",
        "the new warning in another service's log: the requests that it's about succeed",
    ),
    truth=truth,
    strike=strike,
    mend=mend,
    acts=((0.3, usual),),
)
