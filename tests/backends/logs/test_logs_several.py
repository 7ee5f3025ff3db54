"""Backends that are on by settings: none, one, or several, which answer as one."""

from typing import Any

import pytest
from pydantic import ValidationError
from tests.backends.fakes.loki import FakeLoki
from tests.backends.logs.conftest import Connect, Settings, loki_entry, store_row
from tests.backends.logs.story import HOUR, QUARTER, TRACE, tell
from tests.backends.logs.test_logs_contract import answer
from tests.backends.serving import served

from midwatch_logs.settings import LogSettings
from midwatch_store.writer import Writer


def test_without_any_backend_the_settings_that_turn_one_on_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MIDWATCH_STORE", raising=False)
    with pytest.raises(ValidationError, match="set one or more of MIDWATCH_STORE, MIDWATCH_CLOUDWATCH_LOG_GROUPS"):
        LogSettings()


def test_an_address_without_a_scheme_is_refused_at_the_start() -> None:
    with pytest.raises(ValidationError, match="must begin with http:// or https://"):
        LogSettings(loki_url="loki:3100")


async def test_two_backends_answer_as_one_that_has_the_lines_of_both(
    connect: Connect, told_store: Settings, tmp_path_factory: pytest.TempPathFactory
) -> None:
    story = tell()
    half = tmp_path_factory.mktemp("half") / "store"
    with Writer(half) as writer:
        writer.append({"otel_logs": [store_row(line) for line in story[::2]]})
    with served(FakeLoki([loki_entry(line) for line in story[1::2]]).app) as (url, _):
        async with (
            connect(**told_store, reply_chars=500_000) as whole,
            connect(store=half, loki_url=url, reply_chars=500_000) as both,
        ):
            for tool, asking in (
                ("survey_logs", QUARTER),
                ("list_log_sources", HOUR),
                ("get_trace_logs", {**HOUR, "trace_id": TRACE, "margin_seconds": 5}),
            ):
                expected, told = await answer(whole, tool, **asking), await answer(both, tool, **asking)
                assert told["matched"] == expected["matched"]
                assert sorted(told["lines"]) == sorted(expected["lines"])
                assert "store: " in told["query"]
                assert "loki: " in told["query"]
            for order in ("newest", "oldest"):
                asked: dict[str, Any] = {**QUARTER, "order": order, "limit": 190}
                told = await answer(both, "search_logs", **asked)
                lines = list(told["lines"])
                while told.get("next_cursor"):
                    told = await answer(both, "search_logs", **asked, cursor=told["next_cursor"])
                    lines += told["lines"]
                expected = await answer(whole, "search_logs", **QUARTER, order=order, limit=5_000)
                assert sorted(lines) == sorted(expected["lines"])
                assert [line[:24] for line in lines] == [line[:24] for line in expected["lines"]]


async def test_one_that_does_not_answer_is_named(connect: Connect, told_store: Settings) -> None:
    async with connect(**told_store, loki_url="http://127.0.0.1:9") as client:
        reply = await client.call_tool("search_logs", HOUR)
        checked = await answer(client, "check_logs")
    assert reply.is_error
    assert "loki: Loki cannot be reached" in str(reply.content)
    assert any(line.startswith("ok   store") for line in checked["lines"])
    assert any(line.startswith("FAIL loki") for line in checked["lines"])
