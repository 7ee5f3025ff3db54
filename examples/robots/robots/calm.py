"""When customers may come, and when the clock of a run may start: once all is warm, and once all is calm.

Without it, the start of everything else on a small machine would look like an outage of the application.
"""

import time
from collections.abc import Sequence

import anyio
import httpx

from robots.alarm import FEWEST_REQUESTS, error_share, p95
from robots.load import Load, Outcome
from robots.processes import NotStarted

CALM_SECONDS = 5.0
"""No less than alarms look back, or they would fire on what the start left behind."""
P95_SECONDS = 1.0
WARM_CUSTOMERS, WARM_REQUESTS, QUICK_SECONDS, WARM_UP_SECONDS = 4, 40, 0.25, 10.0
WAIT_SECONDS = 60.0


async def warm_up(gateway: str, most: float = WARM_UP_SECONDS) -> None:
    """Be some customers until all answers are sound and quick, or time is up: a balancer's slow start.

    Each asks for the next thing once it has the last. One alone would leave cold what only many at once use.
    """
    first = Load(gateway, 1.0, 0)

    async def customer() -> None:
        while not _is_warm(list(first.outcomes)[-WARM_REQUESTS:]):
            await first.send(http, first.next())

    async with httpx.AsyncClient(base_url=gateway, timeout=most, trust_env=False) as http:
        with anyio.move_on_after(most):
            async with anyio.create_task_group() as customers:
                for _ in range(WARM_CUSTOMERS):
                    customers.start_soon(customer)


async def wait_for_calm(load: Load, most: float = WAIT_SECONDS) -> None:
    """Return after some seconds without a failed or a slow request; raises NotStarted when `most` seconds have none.

    Requests that were sent long ago and are over now count, and so does how long others have been waiting until now.
    """
    began = time.time()
    while (waited := time.time() - began) < most:
        recent = _recent(load)
        enough = waited >= CALM_SECONDS and len(recent) >= FEWEST_REQUESTS
        if enough and error_share(recent) == 0 and p95(recent) < P95_SECONDS:
            return
        await anyio.sleep(0.25)
    recent = _recent(load)
    raise NotStarted(
        "the application",
        f"is not calm after {most:.0f} s ({error_share(recent):.0%} of requests fail, 95th percentile"
        f" {p95(recent):.1f} s): is this machine busy with something else?",
    )


def _is_warm(latest: Sequence[Outcome]) -> bool:
    return len(latest) == WARM_REQUESTS and error_share(latest) == 0 and p95(latest) <= QUICK_SECONDS


def _recent(load: Load) -> list[Outcome]:
    now = time.time()
    return load.over_since(now - CALM_SECONDS) + load.waiting_at(now)
