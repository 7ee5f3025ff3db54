"""Takes jobs off the queue and moves the robots; it answers nobody."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import psycopg
from psycopg_pool import AsyncConnectionPool

from app import jobs
from app.action.reach import Reach
from app.database import connected
from app.serving import State, serve

WORKERS = 2
IDLE_SECONDS = 0.1
MOVE_SECONDS = 0.01
RETRY_SECONDS = 1.0

logger = logging.getLogger("app.action")


@asynccontextmanager
async def lifespan() -> AsyncGenerator[State]:
    """Run the workers and the queue's gauge for as long as the service runs."""
    reach = Reach()
    async with connected() as pool, asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(work(pool, reach)) for _ in range(WORKERS)]
        running.append(tasks.create_task(jobs.Backlog().watch(pool)))
        tasks.create_task(asyncio.to_thread(reach.warm))
        yield {}
        reach.stop()
        for task in running:
            task.cancel()


async def work(pool: AsyncConnectionPool, reach: Reach) -> None:
    """Carry out one job after the other; a database that is away is waited for."""
    while True:
        try:
            if not await carry_out(pool, reach):
                await asyncio.sleep(IDLE_SECONDS)
        except psycopg.Error:
            logger.exception("can't take a job, trying again in %.0f s", RETRY_SECONDS)
            await asyncio.sleep(RETRY_SECONDS)


async def carry_out(pool: AsyncConnectionPool, reach: Reach) -> bool:
    """Carry out the oldest job and return whether there was one."""
    async with jobs.received(pool) as job:
        if job is not None:
            await asyncio.sleep(MOVE_SECONDS)
            logger.info("job %d done: %s can %s at %.2f m", job.id, job.robot, job.task, reach.metres(job.depot))
        return job is not None


if __name__ == "__main__":
    serve(lifespan, [])
