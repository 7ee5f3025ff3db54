"""Customers' requests in, the bot service's answers out; says who called and how it went."""

import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app import upstream
from app.environment import text
from app.errors import Refused
from app.gateway.missions import read_mission
from app.gateway.tenants import Admission, admitted
from app.serving import State, body, serve
from app.settings import settings

API_VERSION = 2

logger = logging.getLogger("app.gateway")
Endpoint = Callable[[Request], Awaitable[Response]]


@asynccontextmanager
async def lifespan() -> AsyncGenerator[State]:
    """Hold the client, the bot service's address, and who is let in."""
    async with upstream.client() as http:
        yield {"http": http, "bot": text("BOT_URL"), "admission": Admission(settings())}


def accessed(endpoint: Endpoint) -> Endpoint:
    """Log each request that was answered, with its duration in milliseconds."""

    async def logged(request: Request) -> Response:
        started = time.perf_counter()
        check_version(request)
        response = await endpoint(request)
        taken = (time.perf_counter() - started) * 1000
        logger.info("%s %s %d in %.0f ms", request.method, request.url.path, response.status_code, taken)
        return response

    return logged


def check_version(request: Request) -> None:
    """Accept the current API version and the one before; raises Refused for any other."""
    version = request.headers.get("x-api-version", str(API_VERSION))
    if version == str(API_VERSION - 1):
        agent = request.headers.get("user-agent", "a client")
        logger.warning("%s still speaks API version %s, which goes away", agent, version)
    elif version != str(API_VERSION):
        raise Refused(400, f"API version {version} isn't spoken here; use {API_VERSION}")


@accessed
@admitted
async def post_mission(request: Request) -> Response:
    """Send a robot on a mission."""
    mission = read_mission(await body(request))
    state = request.state
    answer = await upstream.call(state.http, "bot", "POST", f"{state.bot}/missions", json=mission)
    return JSONResponse(answer, 202)


@accessed
@admitted
async def get_robot(request: Request) -> Response:
    """Tell where a robot is and how it does."""
    state = request.state
    url = f"{state.bot}/robots/{request.path_params['robot']}"
    return JSONResponse(await upstream.call(state.http, "bot", "GET", url))


if __name__ == "__main__":
    serve(
        lifespan,
        [
            Route("/v1/missions", post_mission, methods=["POST"]),
            Route("/v1/robots/{robot}", get_robot),
        ],
    )
