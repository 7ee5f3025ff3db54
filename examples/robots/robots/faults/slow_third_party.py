"""Other customers of a third party keep its only worker busy: its answers come too late for us."""

import json
import random
from collections.abc import Awaitable, Callable

import anyio
import httpx

from robots.atlas import REGIONS
from robots.herrings import ruled_out
from robots.history import TANAKA
from robots.plan import Plan
from robots.scene import Cause, Fault, Scene, Struck, Truth

NAME = "slow-third-party"
FIRST, SECOND = REGIONS
PLACES = 8
PATIENCE_SECONDS = 60.0


def truth(plan: Plan) -> Truth:
    """Atlas is to blame, at the region that is asked."""
    return Truth("root_cause", (Cause("dependency", f"external:{FIRST}"),), ruled_out(plan))


def askers(plan: Plan) -> int:
    """Return how many of the other customers' requests are under way at any time; each takes a quarter of a second."""
    return random.Random(f"{NAME} {plan.seed}").randint(12, 16)


async def strike(scene: Scene) -> Struck:
    """Let other customers ask for big tables of ways, one after the other, until the run ends."""
    for number in range(askers(scene.plan)):
        scene.ongoing.begin(NAME, _asker(scene, number))
    text = f"other customers keep {FIRST} busy: {askers(scene.plan)} big requests of theirs are always before ours"
    scene.note(text)
    return Struck(text, {"host": FIRST})


def _asker(scene: Scene, number: int) -> Callable[[], Awaitable[None]]:
    dice = random.Random(f"{NAME} {scene.plan.seed} {number}")

    async def ask() -> None:
        token = {"authorization": f"Bearer {scene.atlas.token(f'courier-{number}', PATIENCE_SECONDS * 60)}"}
        async with httpx.AsyncClient(
            proxy=scene.atlas.egress_url, headers=token, timeout=PATIENCE_SECONDS, trust_env=False
        ) as http:
            while True:
                places = {way: dice.sample(range(150), PLACES) for way in ("from", "to")}
                try:
                    await http.post(f"http://{FIRST}/v1/matrix", json=places)
                except httpx.HTTPError as error:
                    scene.note(f"{NAME}: {type(error).__name__} {error}")
                    await anyio.sleep(1)

    return ask


async def mend(scene: Scene) -> None:
    """Have bot ask atlas's other region, which nobody floods."""
    settings = json.loads(scene.configuration.read("bot", "settings.json"))
    text = json.dumps({**settings, "atlas": {"url": f"http://{SECOND}"}}, indent=2) + "\n"
    title = f"Ask {SECOND} for ways while {FIRST} is slow"
    await scene.configuration.change("bot", "settings.json", text, by=TANAKA.name, title=title)


FAULT = Fault(
    name=NAME,
    breaks="Atlas, the third party that knows how far it is from one place to another, is flooded by customers of its"
    " own who have nothing to do with us. It has one worker per region: our short questions wait behind their long"
    " ones.",
    seen="Missions fail with 502 at the gateway: bot gives atlas two seconds, and atlas takes three or four. Patrols,"
    " questions about robots, and ways that bot has asked for in the last seconds are fine.",
    fix=f"Point bot at atlas's other region, {SECOND}, by its settings.",
    ruled_out=(
        "bot itself: what needs no answer of atlas is as quick as before, on the same instance",
        "the deploy of another service shortly before: that service is healthy",
        "the CPU spike of an instance that has just started: it ends by itself and nobody waits for it",
        "the new warning in another service's log: the requests that it's about succeed",
        "forge, schedule, PostgreSQL and the queue: as quick as before",
    ),
    truth=truth,
    strike=strike,
    mend=mend,
)
