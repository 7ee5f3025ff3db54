"""The customers: a seeded, open-loop stream of requests to the gateway, and how each of them went.

Open loop means that a slow answer doesn't slow the next request down. Nothing is tried again.
"""

import random
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import TypeVar

import anyio
import httpx

MODELS = ("porter", "picker", "welder", "painter", "sorter", "packer")
TASKS = ("fetch", "carry", "sort", "patrol")
STRONG_ROBOTS = tuple(f"{model}-{number}" for model in MODELS for number in range(1, 12))
TENANTS = ("acme", "borealis", "cobalt", "dunlin", "ember", "fjord")
WEAK_ROBOTS = tuple(f"{model}-12" for model in MODELS)
MISSION_SHARE = 0.62
HABIT_SHARE = 0.25
SKEW = 1.2
TIMEOUT_SECONDS = 5.0
MOST_IN_FLIGHT = 200
KEPT = 10_000
LONGEST_PROBLEM = 200
NO_ANSWER, NOT_YET = 0, -1
T = TypeVar("T")

OLD_CLIENT, WEAK_FLEET = "old-client", "weak-fleet"


@dataclass(frozen=True)
class Outcome:
    """How one request went: when it was sent (Unix seconds), how long it took, and its status.

    A status of 0 is no answer, and one of -1 none yet. `problem` says why it failed, in the gateway's words or HTTP's.
    """

    at: float
    seconds: float
    status: int
    problem: str = ""


@dataclass(frozen=True)
class Ask:
    """A request that a customer makes."""

    method: str
    path: str
    document: Mapping[str, str | int] | None = None
    headers: Mapping[str, str] | None = None


class Load:
    """Sends `rate` requests a second on average, and keeps the latest outcomes."""

    def __init__(self, gateway: str, rate: float, seed: int) -> None:
        self.gateway = gateway
        self.rate = rate
        self.dice = random.Random(f"load {seed}")
        self.habits: frozenset[str] = frozenset()
        self.outcomes: deque[Outcome] = deque(maxlen=KEPT)
        self.robots = self.dice.sample(STRONG_ROBOTS, len(STRONG_ROBOTS))
        self.loads = self.dice.sample(range(1, 26), 25)
        self.waiting: set[Outcome] = set()

    def adopt(self, habit: str) -> None:
        """Make some customers do something that they didn't do before."""
        self.habits |= {habit}

    def over_since(self, start: float) -> list[Outcome]:
        """Return the outcomes of the requests that were over at or after a time in Unix seconds, however slow."""
        return [outcome for outcome in self.outcomes if outcome.at + outcome.seconds >= start]

    def waiting_at(self, now: float) -> list[Outcome]:
        """Return the requests that have no answer yet, with how long each has waited by a time in Unix seconds."""
        return [replace(outcome, seconds=now - outcome.at) for outcome in self.waiting]

    async def run(self) -> None:
        """Send requests until cancelled, each over a connection of its own."""
        await self.pour(self.rate, self.next, self.dice)

    async def pour(self, rate: float, ask: Callable[[], Ask], dice: random.Random, connections: int = 0) -> None:
        """Send what `ask` gives, `rate` times a second on average, until cancelled; `connections` are kept open."""
        limits = httpx.Limits(max_keepalive_connections=connections, max_connections=MOST_IN_FLIGHT)
        async with (
            httpx.AsyncClient(base_url=self.gateway, timeout=TIMEOUT_SECONDS, limits=limits, trust_env=False) as http,
            anyio.create_task_group() as customers,
        ):
            due = time.monotonic()
            while True:
                due += dice.expovariate(rate)
                await anyio.sleep(max(0.0, due - time.monotonic()))
                if len(self.waiting) < MOST_IN_FLIGHT:
                    customers.start_soon(self.send, http, ask())
                else:
                    self.outcomes.append(Outcome(time.time(), 0.0, NO_ANSWER, "not sent: too many wait"))

    async def burst(self, asks: Sequence[Ask], pause_seconds: float) -> None:
        """Send some requests a moment apart, and wait for their answers."""
        async with (
            httpx.AsyncClient(base_url=self.gateway, timeout=TIMEOUT_SECONDS, trust_env=False) as http,
            anyio.create_task_group() as customers,
        ):
            for ask in asks:
                customers.start_soon(self.send, http, ask)
                await anyio.sleep(pause_seconds)

    async def send(self, http: httpx.AsyncClient, ask: Ask) -> None:
        """Send one request and keep how it went."""
        at, started = time.time(), time.perf_counter()
        sent = Outcome(at, 0.0, NOT_YET)
        self.waiting.add(sent)
        try:
            response = await http.request(ask.method, ask.path, json=ask.document, headers=ask.headers)
            status, problem = response.status_code, response.text if response.is_server_error else ""
        except httpx.HTTPError as error:
            status, problem = NO_ANSWER, f"{type(error).__name__} {error}".rstrip()
        finally:
            self.waiting.discard(sent)
        self.outcomes.append(Outcome(at, time.perf_counter() - started, status, problem[:LONGEST_PROBLEM]))

    def next(self) -> Ask:
        """Return the next request: the same for the same seed and habits."""
        odd, mission = self.dice.random() < HABIT_SHARE, self.dice.random() < MISSION_SHARE
        robot, load_kg = self._popular(self.robots), self._popular(self.loads)
        weak, task = self.dice.choice(WEAK_ROBOTS), self.dice.choice(TASKS)
        if odd and WEAK_FLEET in self.habits:
            robot = weak
        headers = {"x-tenant": tenant_of(robot)}
        if odd and OLD_CLIENT in self.habits:
            headers |= {"user-agent": "fleet-sync/1.4", "x-api-version": "1"}
        if mission:
            return Ask("POST", "/v1/missions", {"robot": robot, "task": task, "load_kg": load_kg}, headers)
        return Ask("GET", f"/v1/robots/{robot}", headers=headers)

    def _popular(self, ranked: Sequence[T]) -> T:
        """Pick by Zipf's law: the first is the most popular."""
        weights = list(accumulate(1 / rank**SKEW for rank in range(1, len(ranked) + 1)))
        return self.dice.choices(ranked, cum_weights=weights)[0]


def tenant_of(robot: str) -> str:
    """Return whose robot it is: they are dealt out by their numbers."""
    return TENANTS[int(robot.rpartition("-")[2]) % len(TENANTS)]
