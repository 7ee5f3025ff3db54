"""Readers on a slow line hold all the database connections of one service, again and again."""

import random
import socket
import time
from contextlib import suppress

import anyio
import httpx

from robots.herrings import ruled_out
from robots.history import TANAKA
from robots.plan import Plan
from robots.scene import Cause, Fault, Scene, Struck, Truth

NAME = "pool-exhausted"
PANELS = 4
HOURS = 30
DATABASE = "database:robots"
AGENT = {"user-agent": "planning-board/3.2"}
QUICK_HOURS = 1
TIMEOUT_SECONDS = 20.0
RECEIVE_BUFFER_BYTES = 16_384


def truth(plan: Plan) -> Truth:
    """Bot has run out of connections; PostgreSQL, which hands them out, has plenty and is quick."""
    return Truth("root_cause", (Cause("resource", "service:bot"),), (*ruled_out(plan), Cause("dependency", DATABASE)))


def line(plan: Plan) -> tuple[float, float]:
    """Return how many bytes a second each reader reads, and how many seconds it pauses between two reports."""
    dice = random.Random(f"{NAME} {plan.seed}")
    return dice.uniform(230_000, 260_000), dice.uniform(2.6, 3.2)


async def look(scene: Scene) -> None:
    """In the healthy time, let the board fetch a short forecast over a good line: it does no harm."""
    url = f"{scene.deployer.fleet.url('bot-1')}/forecast"
    async with httpx.AsyncClient(headers=AGENT, timeout=TIMEOUT_SECONDS, trust_env=False) as http:
        with suppress(httpx.HTTPError):
            await http.get(url, params={"hours": QUICK_HOURS})


async def strike(scene: Scene) -> Struck:
    """Open the board on a slow line: each of its panels reads a long forecast, pauses, and reads it anew."""
    for _ in range(PANELS):
        scene.ongoing.begin(NAME, lambda: _panel(scene))
    text = f"a planning board on a slow line reads forecasts for {HOURS} hours, {PANELS} at a time"
    scene.note(text)
    return Struck(text, {"path": "/forecast", "instance": "bot-1"})


async def _panel(scene: Scene) -> None:
    rate, pause = line(scene.plan)
    narrow = httpx.AsyncHTTPTransport(socket_options=[(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)])
    async with httpx.AsyncClient(transport=narrow, headers=AGENT, timeout=TIMEOUT_SECONDS) as http:
        while True:
            try:
                await _read_slowly(http, f"{scene.deployer.fleet.url('bot-1')}/forecast?hours={HOURS}", rate)
            except httpx.HTTPError as error:
                scene.note(f"a panel of the planning board: {type(error).__name__} {error}")
            await anyio.sleep(pause)


async def _read_slowly(http: httpx.AsyncClient, url: str, rate: float) -> None:
    async with http.stream("GET", url) as response:
        began, read = time.monotonic(), 0
        async for piece in response.aiter_raw():
            read += len(piece)
            await anyio.sleep(max(0.0, began + read / rate - time.monotonic()))


async def mend(scene: Scene) -> None:
    """Restart bot, which drops the readers, and close the board."""
    await scene.deployer.restart("bot", "bot-1", by=TANAKA.name, reason="its database connections are all taken")
    scene.ongoing.end(NAME)


FAULT = Fault(
    name=NAME,
    breaks="A planning board on a slow line reads long reports of bot. Each report is sent as the database works it"
    " out, and holds one of bot's four database connections until the last byte is read. The board reads four at"
    " a time.",
    seen="For seconds at a time nothing at bot gets a connection: requests fail with 502 at the gateway, 500 at bot"
    " (PoolTimeout after two seconds). Between two rounds of the board all is fine.",
    fix="Restart bot, which drops the readers; and keep the board closed until its line is better.",
    ruled_out=(
        "PostgreSQL: its statements are as quick as before, it has connections to spare, and schedule and action"
        " use it undisturbed",
        "a deploy or a change of settings: bot has had none",
        "more requests of customers: there are as many as before",
        "the deploy of another service shortly before: that service is healthy",
        "the CPU spike of an instance that has just started: it ends by itself and nobody waits for it",
        "the new warning in another service's log: the requests that it's about succeed",
    ),
    truth=truth,
    strike=strike,
    mend=mend,
    acts=((0.12, look), (0.42, look)),
    spares=("bot",),
)
