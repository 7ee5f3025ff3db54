"""The budget: replies stay small, counts stay exact, and walking the cursor gives every row once."""

import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import anyio
from hypothesis import given, settings
from hypothesis import strategies as st
from mcp import Client

from midwatch_kit import (
    Answer,
    CitedFinding,
    EvidenceServer,
    Finding,
    ObservationKind,
    Role,
    ServerSettings,
    Signal,
    open_page,
    resolve_window,
)
from midwatch_kit.evidence import PAGE_CHARS
from midwatch_kit.reply import MAX_EVIDENCE_BYTES, MAX_LINE, MAX_QUERY

MakeServer = Callable[..., EvidenceServer]


def offer_rows(server: EvidenceServer, rows: Sequence[str]) -> None:
    """Give `server` a tool `read_fish` that walks through `rows`, `limit` of them a page."""

    @server.tool(Role.DRILL_DOWN, "Read fish")
    async def read_fish(limit: int, cursor: str | None = None) -> Answer:
        """Read fish."""
        page = open_page(cursor, {"limit": limit}, lambda: resolve_window("-15m", "now"))
        begin = int(str(page.after[0])) + 1 if page.after else 0
        numbers = range(begin, min(begin + limit, len(rows)))
        return Answer(
            query="all fish",
            rows=[rows[number] for number in numbers],
            lines=[f"{number} {rows[number]}" for number in numbers],
            matched=len(rows),
            window=page.window,
            page=page,
            positions=[(number,) for number in numbers],
            more=begin + limit < len(rows),
        )


async def walk(server: EvidenceServer, limit: int) -> list[dict[str, Any]]:
    """Return the structured content of every page, first to last."""
    pages: list[dict[str, Any]] = []
    async with Client(server.build()) as client:
        while not pages or "next_cursor" in pages[-1]:
            arguments = {"limit": limit, "cursor": pages[-1]["next_cursor"] if pages else None}
            pages.append((await client.call_tool("read_fish", arguments)).structured_content or {})
    return pages


@settings(max_examples=25, deadline=None)
@given(rows=st.lists(st.text(st.characters(codec="utf-8"), max_size=700), max_size=40), limit=st.integers(1, 50))
def test_walking_the_cursor_gives_every_row_once_whatever_their_size(rows: list[str], limit: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        chosen = ServerSettings(evidence_dir=Path(folder), reply_chars=1_000)
        server = EvidenceServer("midwatch-fish", Signal.LOGS, chosen, version="1", title="Fish", instructions="Fish.")
        offer_rows(server, rows)
        pages = anyio.run(walk, server, limit)
    shown = [line for page in pages for line in page["lines"]]
    assert [int(line.split(" ", 1)[0]) for line in shown] == list(range(len(rows)))
    assert {page["matched"] for page in pages} == {len(rows)}
    assert len({page["window"] for page in pages}) == 1
    assert [page["truncated"] for page in pages] == [True] * (len(pages) - 1) + [False]
    assert all(sum(map(len, page["lines"])) <= 1_000 for page in pages)


async def test_a_giant_line_is_cut_with_what_it_lost_and_is_whole_in_the_evidence(make_server: MakeServer) -> None:
    server = make_server()
    offer_rows(server, ["x" * 1_000_000])
    async with Client(server.build()) as client:
        result = await client.call_tool("read_fish", {"limit": 5})
        [line] = (result.structured_content or {})["lines"]
        evidence = (result.meta or {})["midwatch/evidence"]
        pages = [
            (await client.read_resource(f"midwatch://evidence/{evidence['id']}/page/{number}")).contents[0]
            for number in range(evidence["pages"])
        ]
    assert line == f"0 {'x' * (MAX_LINE - 2)}…[+{1_000_002 - MAX_LINE} characters]"
    assert evidence["pages"] == -(-1_000_000 // PAGE_CHARS)
    assert json.loads("".join(getattr(page, "text", "") for page in pages))["rows"] == ["x" * 1_000_000]


async def test_rows_beyond_the_evidence_bound_come_with_the_next_page(make_server: MakeServer) -> None:
    server = make_server(reply_chars=500_000)
    offer_rows(server, [f"{number}{'x' * (MAX_EVIDENCE_BYTES // 4)}" for number in range(6)])
    pages = await walk(server, 6)
    assert [[line[0] for line in page["lines"]] for page in pages] == [["0", "1", "2"], ["3", "4", "5"]]


async def test_a_cut_reply_says_where_the_rest_is(make_server: MakeServer) -> None:
    server = make_server(reply_chars=500)
    offer_rows(server, ["trout"] * 1_000)
    async with Client(server.build()) as client:
        told = (await client.call_tool("read_fish", {"limit": 1_000})).structured_content or {}
    assert (told["matched"], told["truncated"], told["returned"]) == (1_000, True, len(told["lines"]))
    assert f"midwatch://evidence/{told['evidence']}/page/0" in told["hint"]


async def test_a_giant_query_is_cut_in_the_reply_and_whole_in_the_evidence(make_server: MakeServer) -> None:
    server = make_server()

    @server.tool(Role.DRILL_DOWN, "Read fish")
    async def read_fish() -> Answer:
        """Read fish."""
        return Answer("fish " * 10_000, ["trout"], ["trout"], 1)

    async with Client(server.build()) as client:
        told = (await client.call_tool("read_fish", {})).structured_content or {}
        [page] = (await client.read_resource(f"midwatch://evidence/{told['evidence']}/page/0")).contents
    assert told["query"].endswith(f"…[+{50_000 - MAX_QUERY} characters]")
    assert json.loads(getattr(page, "text", ""))["query"] == "fish " * 10_000


async def test_a_survey_with_more_evidence_than_a_page_can_hold_still_cites_its_last_row(
    make_server: MakeServer,
) -> None:
    server = make_server()
    rows = ["x" * (MAX_EVIDENCE_BYTES // 4) for _ in range(6)]

    @server.tool(Role.SURVEY, "Survey fish")
    async def survey_fish() -> Answer:
        """Survey fish."""
        normal = Finding(entity="service:pond", kind=ObservationKind.NORMAL, subject="fish", statement="all well")
        return Answer("", rows, ["all well"], len(rows), findings=[CitedFinding(normal, ["/rows/5"])])

    async with Client(server.build()) as client:
        assert not (await client.call_tool("survey_fish", {})).is_error
