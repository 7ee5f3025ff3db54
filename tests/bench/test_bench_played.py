"""Played investigations: what a player is shown, how it answers, and what a run is said to have cost."""

import json
from pathlib import Path
from typing import Any

import duckdb
import pytest
from typer.testing import CliRunner

from midwatch_bench.messages import Bill
from midwatch_bench.played.__main__ import app
from midwatch_bench.played.bill import billed
from midwatch_bench.played.cases import NEUTRAL, neutral, texts_of
from midwatch_bench.played.desk import ENDED, Arm, Desk
from midwatch_bench.played.seat import BadAnswer, answer, wait_for
from midwatch_bench.played.table import lines_of

LOOK = {"name": "look", "description": "Looks.", "input_schema": {"type": "object", "properties": {"at": {}}}}
FINISH = {"name": "finish", "description": "Ends.", "input_schema": {"type": "object"}}


def request(seat: Path, number: int, task: str, *later: Any, tools: Any = (LOOK,)) -> None:
    """Put a request into a seat: a task, and what was said since, in turn by the model and by the host."""
    messages = [{"role": "user", "content": task}]
    messages += [{"role": ("assistant", "user")[n % 2], "content": said} for n, said in enumerate(later)]
    body = {"model": "m", "max_tokens": 9, "system": "be good", "tools": [*tools], "messages": messages}
    (seat / f"{number:03}.request.json").write_text(json.dumps(body))


@pytest.fixture
def seat(tmp_path: Path) -> Path:
    folder = tmp_path / "r01"
    folder.mkdir()
    return folder


def test_rules_and_tools_are_shown_once_and_of_a_conversation_what_is_new(seat: Path) -> None:
    request(seat, 1, "first task")
    ((first,), over) = wait_for([seat], 0)
    assert not over
    assert all(text in first for text in ("r01/001: a new conversation, m", "be good", "Looks.", "first task"))

    answer(seat.parent, "r01/001", {"look": {"at": "forge"}})
    use = {"type": "tool_use", "id": "t1", "name": "look", "input": {"at": "forge"}}
    request(seat, 2, "first task", [use], [{"type": "tool_result", "tool_use_id": "t1", "content": "all is well"}])
    request(seat, 3, "second task", tools=(LOOK, FINISH))
    ((second, third), _) = wait_for([seat], 0)
    assert second == "=== r01/002: m, at most 9 tokens\n-- result of look\nall is well"
    assert "rules as in 001\n-- tools as in 001: look\n-- tools\nfinish" in third
    assert "second task" in third
    assert "be good" not in third


def test_what_waits_is_told_again_in_a_line_and_whole_when_asked_for(seat: Path) -> None:
    request(seat, 1, "first task")
    wait_for([seat], 0)
    assert wait_for([seat], 0) == (["r01/001 waits still"], False)
    ((whole,), _) = wait_for([seat], 0, again=True)
    assert "be good" in whole


def test_a_seat_that_has_ended_asks_nothing_more(seat: Path) -> None:
    request(seat, 1, "first task")
    (seat / ENDED).touch()
    assert wait_for([seat], 60) == ([], True)


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ([{"lok": {}}], "there is no tool 'lok': look"),
        ([{"look": "forge"}], "must be an object"),
        ([{"a": 1, "b": 2}], "neither a text nor the use of a tool"),
        ([], "at least one block"),
    ],
)
def test_an_answer_that_no_model_could_give_is_refused(seat: Path, told: Any, why: str) -> None:
    request(seat, 1, "first task")
    with pytest.raises(BadAnswer, match=why):
        answer(seat.parent, "r01/001", told)
    assert not (seat / "001.answer.json").exists()


def test_several_requests_are_answered_at_once_from_the_command_line(seat: Path) -> None:
    request(seat, 1, "first task")
    request(seat, 2, "second task")
    told = json.dumps({"r01/001": ["I look.", {"look": {}}], "r01/002": "nothing"})
    assert CliRunner().invoke(app, ["answer", str(seat.parent)], input=told).exit_code == 0
    assert json.loads((seat / "001.answer.json").read_text())[1] == {"type": "tool_use", "name": "look", "input": {}}
    again = CliRunner().invoke(app, ["answer", str(seat / "002")], input='"more"')
    assert (again.exit_code, "has its answer already" in again.output) == (1, True)


def test_a_bill_counts_all_that_is_sent_with_and_without_the_cache(seat: Path) -> None:
    calls = [
        {"model": "claude-sonnet-5-5", **usage(0, 1_000_000, 0, 0)},
        {"model": "claude-sonnet-5-5", **usage(100_000, 0, 1_000_000, 100_000)},
    ]
    (seat / "bill.json").write_text(json.dumps(calls))
    it = billed(seat)
    assert (it.calls, it.input_tokens, it.largest) == (2, 2_100_000, 1_100_000)
    assert it.usd_uncached == pytest.approx(2.1 * 2 + 0.1 * 10)
    assert it.usd_cached == pytest.approx(0.1 * 2 + 1 * 2.5 + 1 * 0.1 + 0.1 * 10)


def usage(new: int, written: int, read: int, out: int) -> dict[str, int]:
    return {
        "input_tokens": new,
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": read,
        "output_tokens": out,
    }


def test_a_cache_is_of_one_model_and_of_what_was_there_when_the_request_came() -> None:
    bill = Bill()
    body = {"model": "a", "messages": [{"role": "user", "content": "x" * 400}], "cache_control": {}}
    bill.usage(body, [])
    assert bill.kept(body) > 100
    assert bill.kept({**body, "model": "b"}) == 0
    assert bill.usage(body, [], read=0)["cache_creation_input_tokens"] > 100


def test_runs_have_names_that_tell_nothing_and_a_seat_each(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "behind", tmp_path / "seats")
    desk.add(["disk-full-7", "clean-7"], [Arm.SURVEYS, Arm.HOLMES], 1)
    desk.add(["clean-7"], [Arm.NO_SURVEYS], 1)
    runs = Desk.at(tmp_path / "behind").prepared()
    assert [run.name for run in runs] == ["r01", "r02", "r03", "r04", "r05"]
    assert {(run.fault, run.arm) for run in runs[:4]} == {
        (fault, arm) for fault in ("disk-full", "clean") for arm in (Arm.SURVEYS, Arm.HOLMES)
    }
    assert sorted(path.name for path in (tmp_path / "seats").rglob("*")) == [run.name for run in runs]


def test_telemetry_does_not_name_the_folder_of_its_case(tmp_path: Path) -> None:
    store, case = tmp_path / "store", "/cases/disk-full-7"
    (store / "logs").mkdir(parents=True)
    row = f"SELECT '{case}/a.py' AS b, [MAP {{'k': '{case}'}}] AS m, MAP {{'k': 'at {case}'}} AS a, 7 AS n, NULL AS z"
    duckdb.sql(f"COPY ({row}) TO '{store}/logs/1.parquet'")
    (store / "incident.json").write_text(json.dumps({"raw": f"{case}/b"}))
    neutral(store, case)
    (text,) = texts_of(store)
    assert text == str((f"{NEUTRAL}/a.py", [{"k": NEUTRAL}], {"k": f"at {NEUTRAL}"}, 7, None))
    assert json.loads((store / "incident.json").read_text()) == {"raw": f"{NEUTRAL}/b"}


def test_the_table_has_each_run_and_the_median_of_each_arm_with_what_is_above_a_limit() -> None:
    def result(run: str, tokens: int, usd: float, *, right: bool | None) -> dict[str, Any]:
        money = {"usd_uncached": usd, "usd_cached": usd / 2}
        counts = {f"{name}_tokens": 0 for name in ("new", "cache_write", "cache_read", "output")}
        said = {"run": run, "fault": "clean", "arm": "HolmesGPT", "right": right}
        return {**said, "calls": 3, "input_tokens": tokens, **counts, **money}

    broken = {"run": "r03", "fault": "clean", "arm": "HolmesGPT", "failed": "it broke"}
    lines = [*lines_of([result("r01", 50_000, 0.16, right=None), result("r02", 90_000, 0.24, right=True), broken])]
    assert "| clean | HolmesGPT | - | 3 | 50,000 | 0 | 0 | 0 | 0 | **0.160** | 0.080 |" in lines
    assert "| all 2 | HolmesGPT | 1/1 | 3 | **70,000** | 0 | 0 | 0 | 0 | **0.200** | 0.100 |" in lines
    assert lines[-1] == "- r03 (clean, HolmesGPT) broke: it broke"
