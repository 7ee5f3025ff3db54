"""One call of a model: what comes back, what it costs, and all the ways in which it can go wrong."""

import anyio
import pytest
from tests.claude.investigating import Played
from tests.claude.messages_api import KEY, Breaks, Fails, Says, script, text, use

from midwatch.claude.model import Asked, ModelDown, NoSense
from midwatch.claude.prices import LISTED, Usage, cost, price_of
from midwatch.claude.purse import Purse, Spent
from midwatch.errors import BadSettings
from midwatch.settings.models import Price

SYSTEM = ({"type": "text", "text": "You look for causes. " * 50},)
TOOL = {"name": "look", "description": "Looks.", "input_schema": {"type": "object"}}


def asked(said: str = "What is wrong?", **more: object) -> Asked:
    return Asked(SYSTEM, [{"role": "user", "content": said}], **{"tools": [TOOL], "most_output": 500, **more})  # type: ignore[arg-type]


@pytest.fixture
def purse() -> Purse:
    """A purse that holds enough."""
    return Purse("the incident", 100_000, 1.0)


async def test_words_and_uses_of_tools_come_back_as_they_were_said(played: Played, purse: Purse) -> None:
    said = [text("I look at two things — naïvely."), use("look", 1, at="forge"), use("look", 2, at="bot", deep=True)]
    async with played(script(Says(said))) as (model, _):
        turn = await model.answer(asked(), purse)
    assert (turn.text, turn.stop) == ("I look at two things — naïvely.", "tools")
    assert [each["input"] for each in turn.uses] == [{"at": "forge"}, {"at": "bot", "deep": True}]
    assert [block["type"] for block in turn.blocks] == ["text", "tool_use", "tool_use"]


@pytest.mark.parametrize(
    ("stop", "is_told_as"),
    [
        ("end_turn", "done"),
        ("stop_sequence", "done"),
        ("max_tokens", "cut"),
        ("refusal", "refused"),
        ("model_context_window_exceeded", "full"),
        ("pause_turn", "paused"),
    ],
)
async def test_every_reason_to_stop_is_told_apart(played: Played, purse: Purse, stop: str, is_told_as: str) -> None:
    async with played(script(Says([text("so")], stop))) as (model, _):
        assert (await model.answer(asked(), purse)).stop == is_told_as


async def test_a_use_that_was_cut_short_is_not_made(played: Played, purse: Purse) -> None:
    cut = {**use("look", 2), "raw": '{"at": "for'}
    async with played(script(Says([use("look", 1, at="bot"), cut], "max_tokens"))) as (model, _):
        turn = await model.answer(asked(), purse)
    assert [each["id"] for each in turn.uses] == ["toolu_1"]


async def test_what_was_sent_before_is_read_from_the_cache_and_costs_a_twentieth(played: Played, purse: Purse) -> None:
    async with played(script(*[Says([text("so")])] * 2)) as (model, _):
        first = await model.answer(asked(), purse)
        second = await model.answer(asked(), purse)
    assert first.usage.cache_write > 250
    assert first.usage.cache_read == 0
    assert (second.usage.cache_write, second.usage.cache_read) == (0, first.usage.cache_write)
    assert second.usd < first.usd / 5
    assert purse.spent_usd == pytest.approx(first.usd + second.usd)
    assert purse.spent_tokens == first.usage.total + second.usage.total


@pytest.mark.parametrize(
    ("steps", "calls"),
    [
        ([Fails(529, "overloaded_error"), Says([text("so")])], 2),
        ([Fails(429, "rate_limit_error"), Fails(500), Says([text("so")])], 3),
    ],
    ids=["overloaded", "rate and fault"],
)
async def test_a_service_that_is_busy_is_asked_again(
    played: Played, purse: Purse, steps: list[Fails | Says], calls: int
) -> None:
    async with played(script(*steps)) as (model, api):
        turn = await model.answer(asked(), purse)
    assert (turn.text, len(api.bodies)) == ("so", calls)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fails(529, "overloaded_error", "Overloaded"), "529 (Overloaded): it is overloaded"),
        (Fails(429, "rate_limit_error", "slow down", {"x-should-retry": "false"}), "429 (slow down)"),
        (Fails(404, "not_found_error", "model: claude-nine"), "is MIDWATCH_MODEL right"),
        (Fails(403, "permission_error", f"{KEY} may not"), "set a key that may use it"),
        (Fails(413, "request_too_large"), "413"),
        (Fails(500), "see the service's status"),
    ],
    ids=lambda value: str(value.status) if isinstance(value, Fails) else "",
)
async def test_a_service_that_refuses_costs_nothing_and_says_what_to_do(
    played: Played, purse: Purse, fault: Fails, words: str
) -> None:
    async with played(lambda _: fault) as (model, _api):
        with pytest.raises(ModelDown) as down:
            await model.answer(asked(), purse)
    assert words in str(down.value)
    assert KEY not in str(down.value)
    assert (purse.spent_tokens, purse.spent_usd) == (0, 0)


async def test_a_key_that_is_not_good_is_not_shown(played: Played, purse: Purse) -> None:
    async with played(script(), key="sk-ant-another-one-that-is-secret") as (model, api):
        with pytest.raises(ModelDown, match="401") as down:
            await model.answer(asked(), purse)
    assert "another-one" not in str(down.value)
    assert not api.bodies


async def test_nobody_there_is_told_with_the_address(purse: Purse, played: Played) -> None:
    async with played(script(), url="http://127.0.0.1:9") as (model, _):
        with pytest.raises(ModelDown, match=r"cannot be reached at http://127\.0\.0\.1:9"):
            await model.answer(asked(), purse)
    assert purse.spent_tokens == 0


@pytest.mark.parametrize("after", [1, 2, 3, 5, 7])
@pytest.mark.parametrize("how", ["end", "rubbish", "error"])
async def test_an_answer_that_breaks_off_is_no_answer_and_is_taken_to_have_cost_all_that_was_held(
    played: Played, purse: Purse, after: int, how: str
) -> None:
    step = Breaks([text("I look at the forge now."), use("look", 1, at="forge")], after, how)
    async with played(script(step, *[step] * 2)) as (model, _):
        with pytest.raises((NoSense, ModelDown)):
            await model.answer(asked(), purse)
    assert purse.spent_tokens == asked().most_prompt + 500


async def test_input_of_a_tool_that_is_no_json_is_told_as_an_answer_that_cannot_be_read(
    played: Played, purse: Purse
) -> None:
    async with played(script(Says([{**use("look"), "raw": '{"at": forge}'}]))) as (model, _):
        with pytest.raises(NoSense, match="cannot be read"):
            await model.answer(asked(), purse)


async def test_a_model_that_stalls_is_left_at_its_deadline(played: Played, purse: Purse) -> None:
    async with played(script(Breaks([text("so")], 1, "stall")), seconds=0.5) as (model, _):
        with anyio.fail_after(10), pytest.raises(ModelDown, match=r"within 0\.5 s"):
            await model.answer(asked(), purse)


async def test_what_a_purse_does_not_hold_is_never_asked_for(played: Played) -> None:
    day = Purse("the day", 10**6, 0.001)
    async with played(script()) as (model, api):
        with pytest.raises(Spent, match=r"the day has \$0\.0010 of \$0\.001 left"):
            await model.answer(asked(), Purse("the incident", 10**6, 1.0, day))
        with pytest.raises(Spent, match="a subagent has 1000 of 1000 tokens left"):
            await model.answer(asked(), Purse("a subagent", 1000, 1.0))
    assert not api.bodies


async def test_calls_at_the_same_time_never_overdraw_a_purse(played: Played) -> None:
    most = asked().most_prompt + 500
    incident = Purse("the incident", 3 * most, 1.0)
    refused: list[str] = []

    async with played(lambda _: Says([text("so")])) as (model, api):

        async def ask(number: int) -> None:
            try:
                await model.answer(asked(), Purse(f"subagent {number}", most, 1.0, incident))
            except Spent as error:
                refused.append(str(error))

        async with anyio.create_task_group() as group:
            for number in range(8):
                group.start_soon(ask, number)
    assert len(api.bodies) + len(refused) == 8
    assert len(api.bodies) >= 3
    assert incident.spent_tokens == sum(sum(each.values()) for each in api.billed)
    assert incident.spent_tokens <= incident.tokens


def test_a_model_without_a_price_is_refused_since_its_cost_cannot_be_limited() -> None:
    with pytest.raises(BadSettings, match="no price is known for the model 'claude-nine'"):
        price_of("claude-nine", {})
    own = Price(input=1, output=2, cache_write=1, cache_read=0)
    assert price_of("claude-nine", {"claude-nine": own}) is own


def test_a_long_prompt_of_a_model_that_charges_for_length_costs_more() -> None:
    haiku = LISTED["claude-haiku-5-5"]
    assert cost(Usage(input=99_999), haiku) == pytest.approx(0.0099999)
    assert cost(Usage(input=60_000, cache_read=40_000), haiku) == pytest.approx(5 * (0.006 + 0.0004))
