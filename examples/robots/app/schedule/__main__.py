"""Gives a mission the first slot in which its robot can be there, and queues the job."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app import jobs
from app.database import connected
from app.errors import Overloaded
from app.schedule.tickets import DOCK_TASKS, draw
from app.schedule.travel import TravelTimes
from app.serving import State, body, serve
from app.settings import Settings, flags, settings

LONG_WAY_MINUTES = 20.0
MOST_WAITING = 60
TASK_DEPOTS = {"fetch": 3, "carry": 61, "sort": 102, "patrol": 140}

logger = logging.getLogger("app.schedule")


@asynccontextmanager
async def lifespan() -> AsyncGenerator[State]:
    """Hold the queue, and the travel times, which are worked out beside the first requests."""
    times, backlog = TravelTimes(), jobs.Backlog()
    async with connected() as pool:
        warming = asyncio.create_task(asyncio.to_thread(times.warm))
        watching = asyncio.create_task(backlog.watch(pool))
        yield {"pool": pool, "times": times, "backlog": backlog, "settings": settings(), "flags": flags()}
        watching.cancel()
        times.stop()
        await warming


async def post_slot(request: Request) -> Response:
    """Give a robot's task its slot and its job."""
    wanted, state = await body(request), request.state
    check_backlog(state.backlog.waiting, state.settings)
    depot, task = int(wanted["depot"]), str(wanted["task"])
    minutes = state.times.minutes(depot, TASK_DEPOTS[task])
    if minutes > LONG_WAY_MINUTES:
        logger.info("depot %d is %.0f minutes from %s", depot, minutes, task)
    starts_at = datetime.now(UTC) + timedelta(minutes=minutes)
    ticket = await draw(state.pool) if state.flags.on("dock_tickets") and task in DOCK_TASKS else None
    job = await jobs.send(state.pool, str(wanted["robot"]), task, starts_at)
    return JSONResponse({"job": job, "starts_at": starts_at.isoformat(), "ticket": ticket})


def check_backlog(waiting: int, settings: Settings) -> None:
    """Raise Overloaded while more jobs wait than `most_waiting`: a slot that can't be kept helps nobody."""
    most = settings.number("most_waiting", MOST_WAITING)
    if waiting > most:
        raise Overloaded(f"backlog of {waiting} jobs, above {most:.0f}")


if __name__ == "__main__":
    serve(lifespan, [Route("/slots", post_slot, methods=["POST"])])
