"""The journal as server-sent events: what is on record already, then what is noted, in order and without a gap.

Each event has an id, its place in the order that is followed; a client that comes back with it misses nothing.
"""

import functools
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Annotated, Any, Final

import anyio
from fastapi import APIRouter, Header, Path, Query
from fastapi.sse import format_sse_event
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from midwatch.api.access import Caller, Reader
from midwatch.api.hub import Follower
from midwatch.api.problems import Problem, documented
from midwatch.api.state import Api, Shared, read
from midwatch.storage.feed import MOST, Placed

routes = APIRouter(prefix="/v1", tags=["stream"])
_RETRY_MS: Final = 2000
_PATIENCE: Final = 2.0
_LARGEST: Final = 2**53
IncidentId = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{1,64}$", description="an incident's id, as a whole")]
After = Annotated[
    int | None, Query(ge=0, le=_LARGEST, description="the id of the last event; 0 is from the beginning; now without")
]
LastEventId = Annotated[
    str, Header(pattern=r"^[0-9]{0,15}$", description="as `after`, and before it; browsers send it by themselves")
]
Follow = Annotated[bool, Query(description="go on when everything that is on record was told")]
_EVENTS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Events `record` (data: a record of the journal, as JSON), `lagged` (the reader was too slow: "
        "come back with the last id) and `end`. A line `: …` comes when there is nothing to tell for a while.",
        "content": {"text/event-stream": {}},
    },
    **documented("unauthorized", "forbidden", "invalid", "too-many", "not-found"),
}


class Events(StreamingResponse):
    """A stream that has a place as long as it goes on, and whose source is closed as soon as it ends."""

    media_type = "text/event-stream"

    def __init__(self, told: AsyncGenerator[bytes], place: AbstractContextManager[None]) -> None:
        super().__init__(told, headers={"x-accel-buffering": "no"})
        self._told, self._place = told, place

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, if there is a place; raises `Problem`."""
        with self._place:
            await super().__call__(scope, receive, send)

    async def stream_response(self, send: Send) -> None:
        """Send what there is to send."""
        try:
            await super().stream_response(send)
        finally:
            with anyio.CancelScope(shield=True):
                await self._told.aclose()


@dataclass(frozen=True)
class _Order:
    """An order in which records are followed: everybody's, or that of one investigation."""

    number: Callable[[Placed], int]
    wanted: Callable[[Placed], bool]
    page: Callable[[int, int], list[Placed]]
    """Returns what is on record after a number of this order, up to a position among all."""


@routes.get("/stream", summary="Follow all investigations", status_code=200, response_class=Events, responses=_EVENTS)
async def stream(
    who: Reader, api: Shared, after: After = None, last_event_id: LastEventId = "", follow: Follow = True
) -> Events:
    """Every record that is noted, by any process; an event's id is its place among all records."""
    order = _Order(lambda record: record.position, lambda _: True, api.hub.feed.after)
    begin = _begin(after, last_event_id)
    if begin is None:
        begin = await read(lambda: api.hub.feed.settled(_PATIENCE))
    return _events(api, who, order, begin, follow=follow)


@routes.get(
    "/incidents/{id}/stream",
    summary="Follow one investigation",
    status_code=200,
    response_class=Events,
    responses=_EVENTS,
)
async def stream_of_incident(
    id: IncidentId,
    who: Reader,
    api: Shared,
    after: After = 0,
    last_event_id: LastEventId = "",
    follow: Follow = True,
) -> Events:
    """The records of one investigation; an event's id is the record's number in it."""
    if await read(lambda: api.host.journal.incident(id)) is None:
        raise Problem("not-found", f"there is no incident {id}")

    def page(at: int, until: int) -> list[Placed]:
        return [record for record in api.hub.feed.of(id, at, MOST) if record.position <= until]

    order = _Order(lambda record: record.seq, lambda record: record.investigation == id, page)
    return _events(api, who, order, _begin(after, last_event_id) or 0, follow=follow)


def _begin(after: int | None, last: str) -> int | None:
    return int(last) if last else after


def _events(api: Api, who: Caller, order: _Order, begin: int, *, follow: bool) -> Events:
    return Events(_told(api, order, begin, follow=follow), api.hub.place(who.name))


async def _told(api: Api, order: _Order, begin: int, *, follow: bool) -> AsyncGenerator[bytes]:
    yield format_sse_event(comment="midwatch", retry=_RETRY_MS)
    at, until = begin, await read(lambda: api.hub.feed.settled(_PATIENCE))
    while records := await read(functools.partial(order.page, at, until)):
        for record in records:
            yield _event(order, record)
        at = order.number(records[-1])
    if not follow:
        yield format_sse_event(event="end", data_str="{}")
        return
    async with api.hub.following(order.wanted) as mine:
        while records := await read(functools.partial(order.page, at, mine.since)):  # what was noted meanwhile
            for record in records:
                yield _event(order, record)
            at = order.number(records[-1])
        async for new in _live(mine, api.settings.heartbeat_seconds):
            if new is None:
                yield format_sse_event(comment="nothing new")
            elif order.number(new) > at:
                at = order.number(new)
                yield _event(order, new)
        if mine.lagged:
            yield format_sse_event(event="lagged", data_str=f'{{"after":{at}}}', id=str(at))


async def _live(mine: Follower, silence: float) -> AsyncGenerator[Placed | None]:
    """Yield what is noted, and None when nothing was for a while; ends when the follower is let go."""
    while True:
        record: Placed | None = None
        with anyio.move_on_after(silence):
            try:
                record = await mine.gets.receive()
            except anyio.EndOfStream:
                return
        yield record


def _event(order: _Order, record: Placed) -> bytes:
    return format_sse_event(event="record", data_str=record.model_dump_json(), id=str(order.number(record)))
