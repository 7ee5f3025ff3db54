"""Atlas, a third party that knows the ways between places: its own process, which nobody here has telemetry of.

It listens where the application's way out of the house (its egress proxy) leads, and answers for its two regions by
the host that was asked. Each region has one worker, which takes one request after the other; what the worker does
costs time and hardly any CPU, since the machine that it would run on is somebody else's.
"""

import os
import socket
import time
from collections.abc import Awaitable, Callable, Mapping
from math import hypot

import anyio
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from robots.tokens import Claims, TokenRefused, check

REGIONS = ("api.atlas.example", "eu.atlas.example")
WAY_SECONDS = 0.004
PAIR_SECONDS = 0.004
MOST_PAIRS = 400
ROWS = 10
METRES_APART = 120.0
DETOUR = 1.25


class Atlas:
    """The workers of all regions, and who may ask them."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.workers: Mapping[str, anyio.Lock] = {region: anyio.Lock() for region in REGIONS}

    async def way(self, request: Request, _: Claims) -> Response:
        """`GET /v1/ways?from=12&to=61`: how many metres it is."""
        start, end = int(request.query_params["from"]), int(request.query_params["to"])
        async with self.workers[_region(request)]:
            await anyio.sleep(WAY_SECONDS)
        return JSONResponse({"metres": metres(start, end)})

    async def matrix(self, request: Request, _: Claims) -> Response:
        """`POST /v1/matrix {"from": [...], "to": [...]}`: all the ways from some places to others, worked out anew."""
        asked = await request.json()
        pairs = [(start, end) for start in asked["from"] for end in asked["to"]][:MOST_PAIRS]
        async with self.workers[_region(request)]:
            await anyio.sleep(PAIR_SECONDS * len(pairs))
        return JSONResponse({"metres": [metres(start, end) for start, end in pairs]})

    def guarded(self, answer: Callable[[Request, Claims], Awaitable[Response]]) -> Callable[..., Awaitable[Response]]:
        """Let nobody in without a token that is good now."""

        async def guard(request: Request) -> Response:
            token = request.headers.get("authorization", "").removeprefix("Bearer ")
            try:
                claims = check(self.key, token, time.time())
            except TokenRefused as error:
                return JSONResponse({"error": str(error)}, 401)
            return await answer(request, claims)

        return guard


def metres(start: int, end: int) -> int:
    """Return the length of the way between two depots, which stand in rows of ten."""
    return round(METRES_APART * DETOUR * hypot(start // ROWS - end // ROWS, start % ROWS - end % ROWS))


def application(key: str) -> Starlette:
    """Return atlas as an ASGI application."""
    atlas = Atlas(key)
    return Starlette(
        routes=[
            Route("/v1/ways", atlas.guarded(atlas.way)),
            Route("/v1/matrix", atlas.guarded(atlas.matrix), methods=["POST"]),
        ]
    )


def main() -> None:
    """Serve on the socket in `LISTEN_FD`, with the key in `ATLAS_KEY`, until SIGTERM."""
    config = uvicorn.Config(application(os.environ["ATLAS_KEY"]), log_config=None, access_log=False, lifespan="off")
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=int(os.environ["LISTEN_FD"]))])


def _region(request: Request) -> str:
    host = request.url.hostname or ""
    return host if host in REGIONS else REGIONS[0]


if __name__ == "__main__":
    main()
