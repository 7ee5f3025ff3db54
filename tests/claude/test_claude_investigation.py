"""Whole investigations with a model in them, real processes on both sides; only the model is played."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.claude.messages_api import KEY, Fails, MessagesApi, Player, Says, serving, use
from tests.e2e.conftest import Desk, a_desk, told
from tests.e2e.story import Story

from midwatch_bench.messages import Json

pytestmark = pytest.mark.xdist_group("live")

Found = dict[str, Any]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A desk with a snapshot of an outage: a deploy of stock broke it."""
    with a_desk(tmp_path_factory.mktemp("claude")) as made:
        Story(seed=2).write(made.folder / "snapshot")
        yield made


@pytest.fixture
def investigate(desk: Desk, tmp_path: Path) -> Callable[..., tuple[Found, MessagesApi]]:
    """Return a function that investigates the snapshot anew, with a player as the model."""

    def run(player: Player, **settings: str) -> tuple[Found, MessagesApi]:
        with serving(player) as (url, api):
            model = {"MIDWATCH_REASONER": "claude", "MIDWATCH_MODEL_BASE_URL": url, "ANTHROPIC_API_KEY": KEY}
            wanted: dict[str, Any] = {**model, "MIDWATCH_DATA_DIR": str(tmp_path / "data"), **settings}
            done = desk.run("investigate", str(desk.folder / "snapshot"), "--json", **wanted)
        assert KEY not in done.stdout + done.stderr
        return told(done), api

    return run


def task(body: Json) -> str:
    """Return what a conversation is about."""
    return str(body["messages"][0]["content"][0]["text"])


def tool(body: Json, ending: str) -> str:
    """Return the name of the tool that ends so, of those that are offered."""
    return next(str(each["name"]) for each in body["tools"] if each["name"].endswith(ending))


def last_results(body: Json) -> str:
    """Return what the tools said last."""
    blocks = body["messages"][-1]["content"]
    return "\n".join(str(block["content"]) for block in blocks if block["type"] == "tool_result")


def honest(body: Json) -> Says:
    """Play a model that tests what is suggested, reads the diff, and quotes what is there."""
    said, turn = task(body), len(body["messages"]) // 2
    if "which causes are worth testing" in said:
        ids = re.findall(r"^([0-9a-f]{12})  ", said, re.MULTILINE)
        return Says([use("choose", 1, hypotheses=ids[:2])])
    if turn == 0:
        return Says([use(tool(body, "get_change"), 1, change_id="stock-v7")])
    if turn == 1:
        [name] = re.findall(r"^\[(E\d+)\]", last_results(body), re.MULTILINE)
        finding = {"evidence": name, "quote": "reserve_until", "bearing": "supports"}
        return Says([use("report_finding", 2, statement="the deploy reads a field that is not there", **finding)])
    return Says([use("finish", 3, why="the diff names what the errors name")])


def test_an_honest_model_confirms_the_cause_by_what_it_read(investigate: Callable[..., Any]) -> None:
    found, api = investigate(honest)
    (cause,) = found["conclusion"]["root_causes"]
    assert (cause["entity"], cause["kind"]) == ("service:stock", "change")
    assert found["conclusion"]["gaps"] == []
    assert "the deploy reads a field that is not there" in json.dumps(found)
    assert len(api.bodies) > 5


def test_without_a_service_statistics_conclude_alone_and_say_so(investigate: Callable[..., Any]) -> None:
    found, _ = investigate(lambda _: Fails(500))
    (cause,) = found["conclusion"]["root_causes"]
    assert (cause["entity"], cause["kind"]) == ("service:stock", "change")
    assert any("the model" in gap["what"] for gap in found["conclusion"]["gaps"])
