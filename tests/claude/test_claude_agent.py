"""A conversation with tools: what is done, what is told, and how it ends, whatever the model or its service does."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import anyio
import pytest
from pydantic import JsonValue
from tests.claude.investigating import Played
from tests.claude.messages_api import Breaks, Fails, MessagesApi, Player, Says, script, text, use

from midwatch.claude.agent import Ability, Agent, Bounds, CutOff, Ended
from midwatch.claude.conversation import Told
from midwatch.claude.judgement import as_record
from midwatch.claude.masking import Mask
from midwatch.claude.model import Turn
from midwatch.claude.purse import Purse
from midwatch_bench.messages import Json

ANYTHING = {"type": "object"}
FINISH = use("finish", 99)


class Desk:
    """What a model's tools do here: `look` tells what it is asked, `finish` ends; `done` is what was done, in order."""

    def __init__(self, answer: Callable[[Mapping[str, JsonValue]], Told] | None = None) -> None:
        self.done: list[str] = []
        self.calls: list[Turn | Exception] = []
        self._answer = answer or (lambda asked: Told(f"saw {asked.get('at')}", f"left out {asked.get('at')}"))

    async def look(self, asked: Mapping[str, JsonValue]) -> Told:
        self.done.append(f"look {asked.get('at')}")
        return self._answer(asked)

    async def finish(self, _: Mapping[str, JsonValue]) -> Told:
        self.done.append("finish")
        return Told("", over=True)

    def abilities(self) -> Sequence[Ability]:
        return [
            Ability("look", "Looks.", ANYTHING, self.look, looks=True),
            Ability("finish", "Ends it.", ANYTHING, self.finish),
        ]


@pytest.fixture
def talk(played: Played) -> Callable[..., Any]:
    """Return a function that lets a player do a task at a desk; gives how it ended, and what the service was asked."""

    async def have(
        player: Player, desk: Desk, *, tokens: int = 10**6, usd: float = 10.0, task: str = "Find out.", **bounds: Any
    ) -> tuple[Ended, MessagesApi]:
        within = Bounds(**{"turns": 20, "seconds": 30.0, "prompt": 50_000, "output": 200, **bounds})
        async with played(player, seconds=5) as (model, api):
            system = [{"type": "text", "text": "You look for causes."}]
            agent = Agent(model, Purse("it", tokens, usd), within, system, desk.abilities(), Mask(), desk.calls.append)
            return await agent.run(task), api

    return have


def last_words(body: Json) -> str:
    """Return the texts of the last message of a request."""
    return " ".join(block["text"] for block in body["messages"][-1]["content"] if block["type"] == "text")


def results(body: Json) -> list[tuple[str, Any, bool]]:
    """Return the results in the last message of a request: whose they are, what they say, whether they failed."""
    blocks = [block for block in body["messages"][-1]["content"] if block["type"] == "tool_result"]
    return [(block["tool_use_id"], block["content"], block.get("is_error", False)) for block in blocks]


def looking(times: int) -> Player:
    """Return who looks somewhere new again and again, and never finishes."""
    counted = iter(range(1, times + 1))

    def play(_: Json) -> Says:
        number = next(counted)
        return Says([use("look", number, at=f"place {number}")])

    return play


async def test_tools_are_used_all_at_once_and_answered_in_the_order_asked(talk: Callable[..., Any]) -> None:
    met = anyio.Event()

    class Meeting(Desk):
        async def look(self, asked: Mapping[str, JsonValue]) -> Told:
            if asked["at"] == "first":
                await met.wait()
            met.set()
            return await super().look(asked)

    desk = Meeting()
    ended, api = await talk(
        script(Says([use("look", 1, at="first"), use("look", 2, at="second")]), Says([FINISH])), desk
    )
    assert (ended.how, desk.done) == ("done", ["look second", "look first", "finish"])
    assert results(api.bodies[1]) == [("toolu_1", "saw first", False), ("toolu_2", "saw second", False)]


async def test_the_prefix_is_paid_once(talk: Callable[..., Any]) -> None:
    _, api = await talk(script(Says([use("look", 1, at="a")]), Says([use("look", 2, at="b")]), Says([FINISH])), Desk())
    assert [each["cache_read_input_tokens"] > 0 for each in api.billed] == [False, True, True]
    assert all(each["input_tokens"] == 0 for each in api.billed)


async def test_what_a_tool_tells_is_masked_and_so_is_the_task(talk: Callable[..., Any]) -> None:
    desk = Desk(lambda _: Told("ada@example.com has password=hunter2", "short"))
    player = script(Says([use("look", 1, at="a")]), Says([FINISH]))
    _, api = await talk(player, desk, task="bob@example.com called")
    sent = str(api.bodies)
    assert "example.com" not in sent
    assert "hunter2" not in sent


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (use("destroy", 1), "there is no tool 'destroy'"),
        ({**use("look", 1), "input": [], "raw": "[1]"}, "must be an object"),
    ],
    ids=["unknown tool", "input that is no object"],
)
async def test_a_use_that_makes_no_sense_is_told_so(talk: Callable[..., Any], wrong: Json, words: str) -> None:
    desk = Desk()
    ended, api = await talk(script(Says([wrong]), Says([FINISH])), desk)
    [(_, said, failed)] = results(api.bodies[1])
    assert (words in said, failed) == (True, True)
    assert (ended.how, desk.done) == ("done", ["finish"])


async def test_an_answer_that_was_cut_does_what_is_whole_of_it_and_hears_why(talk: Callable[..., Any]) -> None:
    cut = {**use("look", 2), "raw": '{"at": "hal'}
    desk = Desk()
    ended, api = await talk(script(Says([use("look", 1, at="a"), cut], "max_tokens"), Says([FINISH])), desk)
    assert (ended.how, desk.done) == ("done", ["look a", "finish"])
    assert "was cut" in last_words(api.bodies[1])


async def test_an_answer_that_was_cut_before_it_said_anything_is_asked_for_again(talk: Callable[..., Any]) -> None:
    ended, api = await talk(script(Says([], "max_tokens"), Says([FINISH])), Desk())
    assert (ended.how, len(api.bodies)) == ("done", 2)


async def test_a_tool_that_breaks_says_so_and_the_conversation_goes_on(talk: Callable[..., Any]) -> None:
    def broken(_: Mapping[str, JsonValue]) -> Told:
        raise RecursionError

    ended, api = await talk(script(Says([use("look", 1, at="a")]), Says([FINISH])), Desk(broken))
    assert (ended.how, results(api.bodies[1])) == ("done", [("toolu_1", "it broke: RecursionError", True)])


async def test_a_model_that_pauses_goes_on_where_it_was(talk: Callable[..., Any]) -> None:
    ended, api = await talk(script(Says([text("Let me think.")], "pause_turn"), Says([text("So."), FINISH])), Desk())
    assert ended.how == "done"
    last = api.bodies[1]["messages"][-1]
    assert (last["role"], [block["text"] for block in last["content"]]) == ("assistant", ["Let me think."])


async def test_a_model_that_declines_is_not_pressed(talk: Callable[..., Any]) -> None:
    ended, api = await talk(script(Says([text("I can't help with that.")], "refusal")), Desk())
    assert ended == Ended("refused", "I can't help with that.")
    assert len(api.bodies) == 1


async def test_words_without_deeds_are_told_so_and_end_it(talk: Callable[..., Any]) -> None:
    ended, api = await talk(lambda _: Says([text("Let me look at the logs next.")]), Desk())
    assert ended.how == "circles"
    assert "Use a tool" in last_words(api.bodies[1])
    assert len(api.bodies) <= 6


async def test_the_same_call_again_and_again_is_told_and_then_looking_is_over(talk: Callable[..., Any]) -> None:
    numbers = iter(range(100))
    desk = Desk()
    ended, api = await talk(lambda _: Says([use("look", next(numbers), at="forge")]), desk)
    assert ended.how == "circles"
    assert "was asked 3 times" in last_words(api.bodies[3])
    assert len(desk.done) <= 5
    assert results(api.bodies[-1])[0][2]


async def test_from_half_of_the_budget_on_it_is_told_and_near_the_end_it_can_only_tell(
    talk: Callable[..., Any],
) -> None:
    desk = Desk()
    ended, api = await talk(looking(20), desk, turns=10)
    told = [last_words(body) for body in api.bodies]
    assert [number for number, said in enumerate(told) if "Half of your budget" in said] == [5]
    assert next(number for number, said in enumerate(told) if "Nothing more can be looked at" in said) == 8
    assert [body.get("tool_choice") for body in api.bodies[8:]] == [{"type": "any"}] * (len(api.bodies) - 8)
    assert (ended.how, len(desk.done), len(api.bodies)) == ("spent", 8, 10)


@pytest.mark.parametrize(("tokens", "usd"), [(3000, 10.0), (10**6, 0.005)])
async def test_no_call_is_made_that_the_purse_may_not_hold(talk: Callable[..., Any], tokens: int, usd: float) -> None:
    ended, api = await talk(looking(200), Desk(), tokens=tokens, usd=usd, turns=200)
    assert ended.how == "spent"
    assert sum(sum(each.values()) for each in api.billed) <= tokens
    assert len(api.bodies) > 2


async def test_a_long_conversation_leaves_old_results_out_and_forgets_no_circle(talk: Callable[..., Any]) -> None:
    places = iter(["a", "b", "c", "a", "d", "e", "a", "f"])
    numbers = iter(range(100))
    desk = Desk(lambda asked: Told("x" * 4000, f"left out {asked['at']}"))

    def play(body: Json) -> Says:
        place = next(places, None)
        return Says([FINISH] if place is None else [use("look", next(numbers), at=place)])

    ended, api = await talk(play, desk, prompt=2500)
    sizes = [len(str(body["messages"])) for body in api.bodies]
    assert max(sizes) < 5 * 4000
    assert "left out a" in str(api.bodies[-1]["messages"])
    assert any("was asked 3 times" in last_words(body) for body in api.bodies)
    assert ended.how in ("done", "circles")


@pytest.mark.parametrize("fault", [Fails(500), Fails(529, "overloaded_error")], ids=["fault", "overload"])
async def test_a_service_that_goes_down_ends_it_with_what_was_reported_until_then(
    talk: Callable[..., Any], fault: Fails
) -> None:
    steps = iter([Says([use("look", 1, at="a")])])
    desk = Desk()
    ended, _ = await talk(lambda _: next(steps, fault), desk)
    assert (ended.how, desk.done) == ("down", ["look a"])
    assert isinstance(desk.calls[-1], Exception)


async def test_an_answer_that_breaks_off_is_asked_for_again_but_not_for_ever(talk: Callable[..., Any]) -> None:
    broken = Breaks([text("I look"), use("look", 1, at="a")], 3)
    ended, api = await talk(script(broken, broken, Says([FINISH])), Desk())
    assert (ended.how, len(api.bodies)) == ("done", 3)
    ended, api = await talk(lambda _: broken, Desk())
    assert (ended.how, len(api.bodies)) == ("down", 3)


async def test_a_conversation_longer_than_the_model_reads_is_shortened_once_and_then_ends(
    talk: Callable[..., Any],
) -> None:
    steps: list[Says] = [Says([use("look", n, at=f"p{n}")]) for n in range(4)]
    full = Says([text("")], "model_context_window_exceeded")
    ended, api = await talk(script(*steps, full, Says([FINISH])), Desk())
    assert (ended.how, len(api.bodies)) == ("done", 6)
    ended, _ = await talk(lambda _: full, Desk())
    assert ended.how == "full"


async def test_a_tool_that_hangs_ends_it_at_its_deadline_and_leaves_no_task_behind(talk: Callable[..., Any]) -> None:
    class Hanging(Desk):
        async def look(self, asked: Mapping[str, JsonValue]) -> Told:
            try:
                await anyio.sleep_forever()
            finally:
                self.done.append("left")
            return Told("")

    desk = Hanging()
    with anyio.fail_after(10):
        ended, _ = await talk(script(Says([use("look", 1, at="a")])), desk, seconds=2)
    assert (ended.how, desk.done) == ("late", ["left"])


async def test_a_call_that_is_given_up_counts_with_what_it_may_have_cost(talk: Callable[..., Any]) -> None:
    desk = Desk()
    with anyio.fail_after(10):
        ended, _ = await talk(lambda _: Breaks([FINISH], 1, "stall"), desk, seconds=2)
    (given_up,) = desk.calls
    assert ended.how == "late"
    assert isinstance(given_up, CutOff)
    assert given_up.tokens > 200
    assert as_record("m", given_up).usd == given_up.usd > 0
