"""Asking on behalf of an investigation: once, within budget, and with a gap wherever there is no answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import anyio
import pytest
from pydantic import JsonValue

from midwatch.inquiry import Inquiry, Limits
from midwatch.mcp_client.toolbox import Answer, Tool
from midwatch.records import Gap, ToolCall
from midwatch.settings import ServerSpec
from midwatch.storage.journal import Journal
from midwatch_kit.server import Role

if TYPE_CHECKING:
    from tests.host.conftest import Reach, Reached

Odd = Callable[..., ServerSpec]
PLENTY = Limits(seconds=60, calls=50, call_seconds=5)


def asking(host: Reached, journal: Journal, limits: Limits = PLENTY) -> Inquiry:
    return Inquiry("one", journal, host.eyes, host.eyes.kept, limits)


async def ask(inquiry: Inquiry, by: str = "somebody", **arguments: JsonValue) -> Answer | None:
    tool: Tool = inquiry.eyes.tools(Role.SURVEY)[0]
    return await inquiry.ask(tool, arguments, by)


def asked_so_far(answer: Answer | None) -> JsonValue:
    """Return how many calls the server had had when it gave this answer, by its own count."""
    assert answer
    return answer.rows[2]


async def test_a_question_asked_by_many_at_once_reaches_the_server_once(
    reach: Reach, odd: Odd, journal: Journal
) -> None:
    async with reach(odd=odd()) as host:
        inquiry = asking(host, journal)
        tool = host.eyes.tools(Role.SURVEY)[0]
        answers = await inquiry.ask_all([(tool, {"n": 1})] * 6, "everybody")
        assert [asked_so_far(answer) for _, answer in answers] == [1] * 6
        assert asked_so_far(await ask(inquiry, n=2)) == 2
        assert inquiry.calls == 2


async def test_answers_come_in_the_order_of_the_questions_without_those_that_failed(
    reach: Reach, odd: Odd, journal: Journal
) -> None:
    async with reach(odd=odd()) as host:
        tool = host.eyes.tools(Role.SURVEY)[0]
        questions: list[tuple[Tool, dict[str, JsonValue]]] = [
            (tool, {"n": 3}),
            (tool, {"do": "bare"}),
            (tool, {"n": 4}),
        ]
        answers = await asking(host, journal).ask_all(questions, "somebody")
        assert [answer.rows[0] for _, answer in answers] == [3, 4]


async def test_an_investigation_taken_up_again_does_not_ask_what_it_knows(
    reach: Reach, odd: Odd, journal: Journal
) -> None:
    async with reach(odd=odd()) as host:
        before = await ask(asking(host, journal), n=1)
        again = asking(host, journal)
        known = await ask(again, n=1)
        assert known
        assert before
        assert (known.rows, known.evidence) == (before.rows, before.evidence)
        assert again.calls == 0
        assert asked_so_far(await ask(again, n=2)) == 2


async def test_what_is_known_but_no_longer_kept_is_asked_again(reach: Reach, odd: Odd, journal: Journal) -> None:
    async with reach(odd=odd()) as host:
        await ask(asking(host, journal), n=1)
        for document in host.eyes.kept.folder.rglob("*.json"):
            document.unlink()
        assert asked_so_far(await ask(asking(host, journal), n=1)) == 2


async def test_a_question_that_hangs_costs_one_deadline_however_many_ask_it(
    reach: Reach, odd: Odd, journal: Journal
) -> None:
    async with reach(odd=odd()) as host:
        inquiry = asking(host, journal, Limits(seconds=60, calls=50, call_seconds=1))
        tool = host.eyes.tools(Role.SURVEY)[0]
        with anyio.fail_after(7):
            assert await inquiry.ask_all([(tool, {"do": "hang"})] * 8, "everybody") == []
        assert len(journal.values("one", Gap)) == 1


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (Limits(60, 3, 5), "the budget of 3 tool calls is spent"),
        (Limits(1e-9, 50, 5), "the budget of 1e-09 s is spent"),
    ],
)
async def test_a_spent_budget_is_a_gap_and_no_further_call(
    reach: Reach, odd: Odd, journal: Journal, limits: Limits, said: str
) -> None:
    async with reach(odd=odd()) as host:
        inquiry = asking(host, journal, limits)
        answers = [await ask(inquiry, n=n) for n in range(5)]
        assert inquiry.calls <= 3
        assert answers[-1] is None
        assert {gap.why for gap in journal.values("one", Gap)} == {said}
        assert {gap.may_hide for gap in journal.values("one", Gap)} == {"where errors begin and which calls are slow"}
        assert inquiry.spent().tool_calls == inquiry.calls


async def test_what_is_known_is_told_even_when_the_budget_is_spent(reach: Reach, odd: Odd, journal: Journal) -> None:
    async with reach(odd=odd()) as host:
        inquiry = asking(host, journal, Limits(seconds=60, calls=1, call_seconds=5))
        assert await ask(inquiry, n=1)
        assert await ask(inquiry, n=2) is None
        assert await ask(inquiry, n=1)


@pytest.mark.parametrize("do", ["crash", "bare", "lie", "refuse", "mangled"])
async def test_a_question_without_an_answer_is_a_gap_and_a_failed_call_on_record(
    reach: Reach, odd: Odd, journal: Journal, do: str
) -> None:
    async with reach(odd=odd()) as host:
        assert await ask(asking(host, journal), "a subagent", do=do) is None
    gap, call = journal.values("one", Gap)[0], journal.values("one", ToolCall)[0]
    assert gap.what == "odd: look"
    assert call.error
    assert f"{gap.what}: {gap.why}".endswith(call.error)
    assert "look: look:" not in f"{gap.what}: {gap.why}"
    assert call.evidence is None
    assert call.arguments == {"do": do}


async def test_every_call_is_on_record_with_who_asked_what_and_under_which_hash_the_answer_is_kept(
    reach: Reach, odd: Odd, journal: Journal
) -> None:
    async with reach(odd=odd()) as host:
        answer = await ask(asking(host, journal), "a subagent", n=5)
    entry = next(entry for entry in journal.entries("one") if entry.type == "tool_call")
    call = journal.values("one", ToolCall)[0]
    assert answer
    assert call.evidence
    assert (entry.actor, call.server, call.tool, call.arguments) == ("a subagent", "odd", "look", {"n": 5})
    assert (call.evidence.id, call.evidence.rows_matched, call.lines) == (answer.evidence, 1, ("a line",))
    assert call.evidence.window
    assert call.evidence.window.length.total_seconds() == 3600


async def test_an_answer_whose_reply_is_odd_but_whose_evidence_stands_is_taken(
    reach: Reach, odd: Odd, journal: Journal
) -> None:
    async with reach(odd=odd()) as host:
        answer = await ask(asking(host, journal), do="odd window")
    assert answer
    assert answer.rows == [1]
    assert journal.values("one", Gap) == []


@pytest.mark.parametrize("do", ["false citation", "unknown citation"])
async def test_an_observation_whose_citation_does_not_stand_is_dropped_and_named(
    reach: Reach, odd: Odd, journal: Journal, do: str
) -> None:
    async with reach(odd=odd()) as host:
        inquiry = asking(host, journal)
        answer = await ask(inquiry, do=do)
        assert answer
        assert len(answer.observations) == 2
        assert len(inquiry.checked(answer.observations)) == 1
    assert [gap.what for gap in journal.values("one", Gap)] == ["observation of service:forge"]


async def test_two_investigations_do_not_share_answers(reach: Reach, odd: Odd, journal: Journal) -> None:
    async with reach(odd=odd()) as host:
        await ask(asking(host, journal), n=1)
        other = Inquiry("two", journal, host.eyes, host.eyes.kept, PLENTY)
        assert asked_so_far(await ask(other, n=1)) == 2
