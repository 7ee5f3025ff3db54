"""Following over HTTP: everything that is noted, in order and once, by whatever process; the slow are let go."""

import json
from collections.abc import AsyncGenerator, AsyncIterator, MutableMapping
from contextlib import aclosing, asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import anyio
import pytest
from tests.api.conftest import Served, Serving

from midwatch.api.hub import Hub
from midwatch.api.over import api_over
from midwatch.api.tokens import Scope
from midwatch.errors import DatabaseDown
from midwatch.records import Message
from midwatch.storage.database import Database
from midwatch.storage.feed import Feed
from midwatch.storage.journal import Journal


@dataclass(frozen=True)
class Event:
    """One server-sent event; a comment has the name ''."""

    name: str
    id: str
    data: str

    @property
    def body(self) -> Any:
        return json.loads(self.data)


@asynccontextmanager
async def following(served: Served, path: str, headers: dict[str, str] | None = None) -> AsyncIterator[Any]:
    """Follow a stream; yields what waits for its next event that is no comment."""
    with anyio.fail_after(20):
        async with served.client.stream("GET", path, headers=headers or {}) as answer:
            assert answer.status_code == 200
            assert answer.headers["content-type"].startswith("text/event-stream")
            async with aclosing(_events(answer)) as events:
                yield events


async def _events(answer: Any) -> AsyncGenerator[Event]:
    fields: dict[str, str] = {}
    async for line in answer.aiter_lines():
        if not line:
            if "event" in fields:
                yield Event(fields["event"], fields.get("id", ""), fields.get("data", ""))
            fields = {}
            continue
        name, _, value = line.partition(":")
        fields[name] = value.removeprefix(" ")


async def take(events: AsyncGenerator[Event], count: int) -> list[Event]:
    return [await anext(events) for _ in range(count)]


async def test_what_is_on_record_is_told_and_then_what_is_noted_without_a_gap(serving: Serving) -> None:
    async with serving() as served:
        first = served.incident(0)
        served.note(first, "a")
        async with following(served, "/v1/stream?after=0") as events:
            known = await take(events, 2)
            second = served.incident(1)
            for number in range(20):
                served.note((first, second)[number % 2], f"word {number}")
            new = await take(events, 21)
    assert [event.body["key"] for event in known] == ["1", "a"]
    assert [event.body["key"] for event in new] == ["1", *(f"word {number}" for number in range(20))]
    assert {event.body["investigation"] for event in new} == {first.id, second.id}
    positions = [int(event.id) for event in known + new]
    assert positions == sorted({*positions})
    assert [event.body["position"] for event in known + new] == positions


async def test_whoever_comes_back_with_the_last_id_misses_nothing_and_hears_nothing_twice(serving: Serving) -> None:
    async with serving() as served:
        incident = served.incident()
        for number in range(6):
            served.note(incident, f"word {number}")
        async with following(served, "/v1/stream?after=0&follow=false") as events:
            heard = await take(events, 3)
        last = {"last-event-id": heard[-1].id}
        async with following(served, "/v1/stream?after=0&follow=false", last) as events:
            heard += [event async for event in events]
    assert [event.body["seq"] for event in heard[:-1]] == [1, 2, 3, 4, 5, 6, 7]
    assert heard[-1].name == "end"


async def test_one_investigation_is_followed_by_its_own_numbers(serving: Serving) -> None:
    async with serving() as served:
        mine, other = served.incident(0), served.incident(1)
        for number in range(4):
            served.note((mine, other)[number % 2], f"word {number}")
        async with following(served, f"/v1/incidents/{mine.id}/stream?after=1") as events:
            known = await take(events, 2)
            served.note(other, "not mine")
            served.note(mine, "mine")
            new = await take(events, 1)
        assert (await served.client.get("/v1/incidents/01NONE/stream")).status_code == 404
    assert [(event.id, event.body["key"]) for event in known + new] == [
        ("2", "word 0"),
        ("3", "word 2"),
        ("4", "mine"),
    ]


async def test_without_a_place_to_begin_only_what_is_new_is_told(serving: Serving) -> None:
    async with serving() as served:
        incident = served.incident()
        async with following(served, "/v1/stream") as events:
            await _followed(served)
            served.note(incident, "new")
            assert (await anext(events)).body["key"] == "new"


async def test_what_another_process_notes_is_told_as_well(serving: Serving, tmp_path: Path) -> None:
    async with serving() as served:
        incident = served.incident()
        async with following(served, f"/v1/incidents/{incident.id}/stream?after=1") as events:
            with closing(Journal(tmp_path / "journal.db")) as other:
                other.note(incident.id, "message", "from elsewhere", Message(text="hello"))
            assert (await anext(events)).body["key"] == "from elsewhere"


async def test_a_reader_who_takes_nothing_is_let_go_and_told_so_and_the_others_go_on(serving: Serving) -> None:
    async with serving(api={"buffer": 5}) as served:
        incident, slow = served.incident(), SlowReader()
        app, hub = api_over(served.host, local=True)
        with anyio.fail_after(20):
            async with anyio.create_task_group() as group:
                group.start_soon(hub.keep_looking)
                group.start_soon(app, slow.scope, slow.receive, slow.send)
                while not len(hub):  # noqa: ASYNC110 - until what is on record was told
                    await anyio.sleep(0.01)
                async with hub.following() as fast:
                    for number in range(8):
                        served.note(incident, f"word {number}")
                        heard = await fast.gets.receive()
                        assert heard.key == f"word {number}"
                slow.free.set()
                await slow.over.wait()
                group.cancel_scope.cancel()
    told = slow.said.decode().split("\n\n")
    records = [json.loads(part.partition("data: ")[2].partition("\n")[0]) for part in told if "event: record" in part]
    assert [record["key"] for record in records] == ["1", *(f"word {number}" for number in range(len(records) - 1))]
    assert len(records) < 9
    last = records[-1]["position"]
    assert told[-2].split("\n") == ["event: lagged", f'data: {{"after":{last}}}', f"id: {last}"]


async def test_whoever_comes_while_others_follow_hears_nothing_twice(serving: Serving) -> None:
    async with serving() as served:
        incident = served.incident()
        async with following(served, "/v1/stream"):
            await _followed(served)
            for number in range(3):  # what the others are about to hear is on record already for who comes now
                served.note(incident, f"word {number}")
            async with following(served, "/v1/stream?after=0") as events:
                known = await take(events, 4)
                served.note(incident, "new")
                assert (await anext(events)).body["key"] == "new"
    assert [event.body["key"] for event in known] == ["1", "word 0", "word 1", "word 2"]


async def test_what_was_noted_while_nobody_followed_is_not_told_to_who_comes_next(serving: Serving) -> None:
    async with serving(api={"buffer": 5}) as served:
        incident = served.incident()
        async with following(served, "/v1/stream"):
            await _followed(served)
        await _followed(served, 0)
        for number in range(20):
            served.note(incident, f"word {number}")
        async with following(served, "/v1/stream") as events:
            await _followed(served)
            served.note(incident, "new")
            assert (await anext(events)).body["key"] == "new"


async def test_who_follows_goes_on_when_the_database_was_away(tmp_path: Path) -> None:
    class Away(Feed):
        """Cannot be asked every other time."""

        asked = 0

        def settled(self, patience: float = 0.0) -> int:
            self.asked += 1
            if self.asked % 2 == 0:
                raise DatabaseDown("it restarts")
            return super().settled(patience)

    with closing(Journal(tmp_path / "journal.db")) as journal:
        hub = Hub(Away(journal.database), most=1, buffer=5, each=1)
        with anyio.fail_after(10):
            async with anyio.create_task_group() as group:
                group.start_soon(hub.keep_looking)
                async with hub.following() as mine:
                    journal.note("one", "message", "a", Message(text="a"))
                    assert (await mine.gets.receive()).key == "a"
                group.cancel_scope.cancel()


class SlowReader:
    """A client that follows, and takes nothing more from the first word on until it is let."""

    scope: ClassVar[dict[str, Any]] = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/v1/stream",
        "raw_path": b"/v1/stream",
        "query_string": b"after=0",
        "headers": [(b"host", b"localhost")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8750),
    }

    def __init__(self) -> None:
        self.free, self.over = anyio.Event(), anyio.Event()
        self.said = b""
        self._asked = False

    async def receive(self) -> dict[str, Any]:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await anyio.sleep_forever()
        raise AssertionError

    async def send(self, message: MutableMapping[str, Any]) -> None:
        self.said += message.get("body", b"")
        if b"word 0" in self.said:
            await self.free.wait()
        if message["type"] == "http.response.body" and not message.get("more_body"):
            self.over.set()


async def test_silence_is_filled_so_that_nobody_takes_it_for_the_end(serving: Serving) -> None:
    async with serving(api={"heartbeat_seconds": 0.05}) as served:
        served.incident()
        with anyio.fail_after(10):
            async with served.client.stream("GET", "/v1/stream") as answer:
                lines = answer.aiter_lines()
                while await anext(lines) != ": nothing new":
                    pass


async def test_no_more_follow_than_may_and_a_place_is_free_when_one_goes(serving: Serving) -> None:
    async with serving(api={"streams": 1}) as served:
        incident = served.incident()
        async with following(served, "/v1/stream"):
            await _followed(served)
            refused = await served.client.get("/v1/stream")
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "5")
        await _followed(served, 0)
        async with following(served, "/v1/stream") as events:
            await _followed(served)
            served.note(incident, "again")
            assert (await anext(events)).body["key"] == "again"


async def test_no_token_takes_the_places_of_all(serving: Serving) -> None:
    async with serving(api={"streams_per_token": 1}) as served:
        robin, ada = served.token(Scope.READ, name="robin"), served.token(Scope.READ, name="ada")
        async with served.client.stream("GET", "/v1/stream", headers=robin):
            refused = await served.client.get("/v1/stream", headers=robin)
            async with served.client.stream("GET", "/v1/stream", headers=ada) as other:
                assert other.status_code == 200
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "5")
        assert refused.json()["detail"] == "robin follows 1 streams already: end one of them"


async def test_who_is_still_told_what_is_on_record_has_a_place_too(serving: Serving) -> None:
    async with serving(api={"streams": 1}) as served:
        served.note(served.incident(), "word 0")
        app, hub = api_over(served.host, local=True)
        slow, late = SlowReader(), SlowReader()
        with anyio.fail_after(20):
            async with anyio.create_task_group() as group:
                group.start_soon(app, slow.scope, slow.receive, slow.send)
                while b"word 0" not in slow.said:  # noqa: ASYNC110 - until it takes no more
                    await anyio.sleep(0.01)
                assert (hub.taken, len(hub)) == (1, 0)
                await app(late.scope, late.receive, late.send)
                group.cancel_scope.cancel()
    assert b"1 streams are followed already" in late.said
    assert hub.taken == 0


@pytest.mark.parametrize("last", ["x", "-1", "9" * 30])
async def test_what_is_no_id_of_the_stream_is_refused(serving: Serving, last: str) -> None:
    async with serving() as served:
        assert (await served.client.get("/v1/stream", headers={"last-event-id": last})).status_code == 422


async def _followed(served: Served, count: int = 1) -> None:
    """Wait until so many follow."""
    with anyio.fail_after(10):
        while True:
            text = (await served.client.get("/metrics")).text
            if f"midwatch_streams {float(count)}" in text:
                return
            await anyio.sleep(0.02)


@pytest.mark.xdist_group("postgresql")
def test_a_lower_number_that_comes_to_be_seen_later_is_not_missed(postgresql: str) -> None:
    with closing(Database(postgresql)) as database, closing(Database(postgresql)) as other:
        journal, feed = Journal(database), Feed(other)
        journal.note("one", "message", "a", Message(text="a"))
        start = feed.settled(patience=5)
        with journal.transaction() as early:
            early.note("two", "message", "b", Message(text="it has its number, and is not yet seen"))
            Journal(other).note("one", "message", "c", Message(text="c"))
            seen_early = feed.settled(patience=0.3)
        seen = feed.settled(patience=5)
        assert [record.key for record in feed.after(start, seen_early)] == []
        assert [record.key for record in feed.after(start, seen)] == ["b", "c"]
