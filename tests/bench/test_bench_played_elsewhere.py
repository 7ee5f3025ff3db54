"""Cases whose cause is told by somebody else: what is taken out of the telemetry, and who tells of it then."""

import json
from pathlib import Path

import duckdb
import pytest
from mcp import Client

from midwatch.mcp_client.toolbox import text_of
from midwatch_bench.played.desk import Desk
from midwatch_bench.played.elsewhere import SERVERS, Teller, move
from midwatch_bench.played.history_server import server

DIFF = """--- a/config/schedule/flags.json
+++ b/config/schedule/flags.json
@@ -1 +1 @@
-  "tickets": false
+  "tickets": true
"""
CASE = "slow-flag-44"


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    made = Desk(tmp_path / "behind", tmp_path / "seats")
    changes = made.store(CASE) / "changes"
    changes.mkdir(parents=True)
    rows = [("flag", "schedule", "152ed7c84", DIFF), ("deploy", "gateway", "db03d7a79", "")]
    with duckdb.connect() as engine:
        for kind, service, version, diff in rows:
            engine.execute(
                "COPY (SELECT TIMESTAMP '2026-11-22 08:53:02' AS Timestamp, $1 AS Kind, $2 AS ServiceName,"
                " 'tickets' AS Title, 'Jonas Weber' AS Author, $3 AS Version, $4 AS Diff)"
                f" TO '{changes / kind}.parquet' (FORMAT parquet)",
                [kind, service, version, diff],
            )
    return made


def kinds(desk: Desk, case: str) -> list[str]:
    with duckdb.connect() as engine:
        table = engine.read_parquet(str(desk.store(case) / "changes" / "*.parquet"))
        return [kind for (kind,) in table.project("Kind").fetchall()]


async def test_changed_settings_are_told_by_a_server_that_knows_nothing_of_midwatch(desk: Desk) -> None:
    name = move(desk, CASE, Teller.SERVER)
    assert (kinds(desk, name), sorted(kinds(desk, CASE))) == (["deploy"], ["deploy", "flag"])
    told = json.loads((desk.case(name) / SERVERS).read_text(encoding="utf-8"))
    async with Client(server(Path(told["mcpServers"]["confbook"]["args"][-1]))) as client:
        listed = text_of(await client.call_tool("list_revisions", {"document": "schedule"}))
        shown = text_of(await client.call_tool("show_revision", {"revision": "152ed7c84"}))
    assert listed == "152ed7c84  2026-11-22 08:53:02 UTC  schedule/flags.json  Jonas Weber: tickets"
    assert json.loads(shown)["added"] == ['"tickets": true']


def test_a_page_of_the_teams_takes_their_place(desk: Desk, tmp_path: Path) -> None:
    page = tmp_path / "tickets.md"
    page.write_text(
        "---\nname: tickets\ndescription: Slow tickets.\n---\nSomebody switched them on.\n", encoding="utf-8"
    )
    name = move(desk, CASE, Teller.PAGE, page)
    assert kinds(desk, name) == ["deploy"]
    assert not (desk.case(name) / SERVERS).exists()
    assert (desk.store(name) / "steering" / "tickets.md").read_bytes() == page.read_bytes()
