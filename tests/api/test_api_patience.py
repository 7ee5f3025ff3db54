"""What takes too long, or is too much at once: it is said so, and what comes next has its turn."""

import threading
from functools import partial

import anyio
import pytest
from tests.api.conftest import Serving

from midwatch.api import state
from midwatch.api.over import api_over
from midwatch.api.problems import Problem


async def test_a_database_that_does_not_answer_is_not_waited_for_for_good(
    serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "READ_SECONDS", 0.1)
    answers = threading.Event()
    async with serving() as served:
        monkeypatch.setattr(served.host.journal, "incident", lambda _: answers.wait(20))
        try:
            answer = await served.client.get("/v1/incidents/01NONE")
        finally:
            answers.set()
    assert (answer.status_code, answer.json()["type"]) == (504, "/v1/problems/timed-out")


async def test_no_more_questions_to_servers_are_under_way_than_may_and_a_place_is_free_when_one_ends(
    serving: Serving,
) -> None:
    async def question(begun: anyio.Event, until: anyio.Event) -> str:
        begun.set()
        await until.wait()
        return "an answer"

    all_begun, answered = [anyio.Event() for _ in range(state.AT_WORK)], anyio.Event()
    async with serving() as served:
        api: state.Api = api_over(served.host, local=True)[0].state.api
        ask = partial(state.at_work, api, 10.0)
        async with anyio.create_task_group() as group:
            for begun in all_begun:
                group.start_soon(ask, partial(question, begun, answered))
            for begun in all_begun:
                await begun.wait()
            with pytest.raises(Problem, match="are under way: ask again when one has ended"):
                await ask(partial(question, anyio.Event(), answered))
            answered.set()
        assert await ask(partial(question, anyio.Event(), answered)) == "an answer"
