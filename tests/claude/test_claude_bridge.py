"""The bridge: a model that is played by files, behind the same API."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anthropic
import anyio
import pytest
from tests.backends.serving import listening

from midwatch.claude.model import Asked, Model, ModelDown
from midwatch.claude.prices import LISTED
from midwatch.claude.purse import Purse
from midwatch_bench.bridge import Bridge

ASKED = Asked([{"type": "text", "text": "rules"}], [{"role": "user", "content": "What is wrong?"}], most_output=100)


@asynccontextmanager
async def model(url: str) -> AsyncIterator[Model]:
    async with anthropic.AsyncAnthropic(base_url=url, api_key="any", max_retries=0) as client:
        yield Model(client, "claude-haiku-5-5", LISTED["claude-haiku-5-5"], 20)


async def test_who_answers_by_file_is_the_model(tmp_path: Path) -> None:
    async def play() -> None:
        request = tmp_path / "001.request.json"
        while not request.exists():  # noqa: ASYNC110 - files tell nobody
            await anyio.sleep(0.01)
        assert json.loads(request.read_text())["messages"][0]["content"][0]["text"] == "What is wrong?"
        answer = tmp_path / "001.answer.json"
        answer.write_text('["I look', encoding="utf-8")
        written = tmp_path / "whole"
        written.write_text(json.dumps(["I look.", {"type": "tool_use", "name": "look", "input": {"at": "forge"}}]))
        written.rename(answer)

    with listening(Bridge(tmp_path, 20).app()) as url:
        async with model(url) as played, anyio.create_task_group() as group:
            group.start_soon(play)
            turn = await played.answer(ASKED, Purse("it", 10**6, 1.0))
    assert (turn.text, turn.stop, turn.uses[0]["input"]) == ("I look.", "tools", {"at": "forge"})
    assert json.loads((tmp_path / "bill.json").read_text())[0]["output_tokens"] == turn.usage.output > 0


async def test_a_model_that_nobody_plays_is_overloaded(tmp_path: Path) -> None:
    with listening(Bridge(tmp_path, 0.2).app()) as url:
        async with model(url) as played:
            with pytest.raises(ModelDown, match=r"529 \(nobody answered within 0\.2 s\)"):
                await played.answer(ASKED, Purse("it", 10**6, 1.0))
