"""What the API's routes share: the running host, tokens, the stream's feed, figures; and reading in threads."""

import functools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Annotated, ParamSpec, TypeVar

import anyio
import anyio.to_thread
from anyio.lowlevel import RunVar
from fastapi import Depends, Request

from midwatch.api.figures import Figures
from midwatch.api.hub import Hub
from midwatch.api.problems import Problem, too_many
from midwatch.api.readiness import Readiness
from midwatch.api.refusals import Refusals
from midwatch.api.tokens import Tokens
from midwatch.host import Host
from midwatch.intake.routes import Intake
from midwatch.settings.api import ApiSettings

_AT_ONCE = 8
READ_SECONDS = 30.0
AT_WORK = 4
ArgumentsP = ParamSpec("ArgumentsP")
ResultT = TypeVar("ResultT")
_places: RunVar[anyio.CapacityLimiter] = RunVar("midwatch_api_places")


@dataclass
class Api:
    """What the routes stand on; `local` is whether it listens on this machine alone."""

    host: Host
    tokens: Tokens
    hub: Hub
    figures: Figures
    intake: Intake
    settings: ApiSettings
    local: bool
    refusals: Refusals = field(default_factory=Refusals)
    readiness: Readiness = field(default_factory=Readiness)
    work: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(AT_WORK))
    """Places for what asks servers or a model."""


def api_of(request: Request) -> Api:
    """Return what the application was made over."""
    found: Api | None = request.app.state.api
    if found is None:
        raise Problem("unavailable", "no host runs behind this document")
    return found


Shared = Annotated[Api, Depends(api_of)]


def in_thread(body: Callable[ArgumentsP, ResultT]) -> Callable[ArgumentsP, Awaitable[ResultT]]:
    """Return a route that reads the journal, run in one of a few threads: the loop goes on, and so do alerts."""

    @functools.wraps(body)
    async def called(*given: ArgumentsP.args, **named: ArgumentsP.kwargs) -> ResultT:
        return await read(functools.partial(body, *given, **named))

    return called


async def read(work: Callable[[], ResultT]) -> ResultT:
    """Return what work in a thread gives; raises `TimeoutError`."""
    try:
        places = _places.get()
    except LookupError:
        places = anyio.CapacityLimiter(_AT_ONCE)
        _places.set(places)
    with anyio.fail_after(READ_SECONDS):
        return await anyio.to_thread.run_sync(work, limiter=places, abandon_on_cancel=True)


async def at_work(api: Api, seconds: float, work: Callable[[], Awaitable[ResultT]]) -> ResultT:
    """Return what work gives that asks servers or a model; raises `Problem` when too much of it is under way."""
    try:
        api.work.acquire_on_behalf_of_nowait(token := object())
    except anyio.WouldBlock:
        raise too_many(f"{AT_WORK} questions to servers are under way: ask again when one has ended") from None
    try:
        with anyio.fail_after(seconds):
            return await work()
    finally:
        api.work.release_on_behalf_of(token)
