"""Prepares missions: looks the robot up, how far it has to go, has it rigged by the forge, and asks for a slot."""

import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app import upstream
from app.bot import ways
from app.bot.fleet import Robot, find_robot
from app.bot.forecast import get_forecast
from app.bot.rigging import Forges
from app.bot.slots import Slots
from app.database import connected
from app.environment import addresses, text
from app.serving import State, body, serve
from app.settings import settings

RESERVE_PERCENT = 15

logger = logging.getLogger("app.bot")


@asynccontextmanager
async def lifespan() -> AsyncGenerator[State]:
    """Hold the table of robots, and what asks the forge, the schedule and atlas."""
    outside = upstream.client(ways.TIMEOUT_SECONDS, proxy=text("EGRESS_PROXY"))
    async with connected() as pool, upstream.client() as http, outside:
        told = settings()
        forges = Forges(http, addresses("FORGE_URLS"), told)
        atlas = ways.Ways(outside, told, Path(text("DATA_DIR")) / "atlas-token.json")
        slots = Slots(http, text("SCHEDULE_URL"), told)
        yield {"pool": pool, "forges": forges, "ways": atlas, "slots": slots}


async def post_mission(request: Request) -> Response:
    """Prepare a mission and give its job's number and start."""
    mission, state = await body(request), request.state
    robot = await find_robot(state.pool, str(mission["robot"]))
    watch_battery(robot)
    metres = await state.ways.metres(robot.depot, str(mission["task"]))
    blueprint = await state.forges.blueprint(robot.model, int(mission["load_kg"]))
    answer = await state.slots.take(robot, str(mission["task"]))
    logger.info("%s rigged with %d joints for job %s", robot.id, len(blueprint["joints"]), answer["job"])
    return JSONResponse({**answer, "robot": robot.id, "mass_kg": blueprint["mass_kg"], "metres": metres})


async def get_robot(request: Request) -> Response:
    """Give one robot's entry in the table."""
    robot = await find_robot(request.state.pool, request.path_params["robot"])
    return JSONResponse({"robot": robot.id, "model": robot.model, "depot": robot.depot, "battery": robot.battery})


def watch_battery(robot: Robot) -> None:
    """Warn when a robot goes out on its reserve."""
    if robot.battery < RESERVE_PERCENT:
        logger.warning("%s goes out with %d%% battery, below its reserve", robot.id, robot.battery)


if __name__ == "__main__":
    serve(
        lifespan,
        [
            Route("/missions", post_mission, methods=["POST"]),
            Route("/forecast", get_forecast),
            Route("/robots/{robot}", get_robot),
        ],
    )
