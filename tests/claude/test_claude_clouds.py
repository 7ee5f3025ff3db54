"""Models at Amazon Bedrock and Google's Vertex AI: whole conversations over each cloud's own protocol, and faults."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import pytest
from tests.claude.clouds import KEY_ID, PROJECT, SECRET, SESSION, TOKEN, Cloud, bedrock, vertex
from tests.claude.messages_api import Breaks, Fails, Player, Says, script, text, use
from tests.claude.test_claude_agent import FINISH, Desk, results

from midwatch.claude.agent import Agent, Bounds, Ended
from midwatch.claude.masking import Mask
from midwatch.claude.model import Asked, Model, ModelDown, NoSense, Turn
from midwatch.claude.models import open_models
from midwatch.claude.prices import price_of
from midwatch.claude.purse import Purse
from midwatch.errors import BadSettings
from midwatch.settings import Settings

Via = Literal["bedrock", "vertex"]
At = Callable[..., AbstractAsyncContextManager[tuple[Model, Cloud]]]
VIAS: list[Via] = ["bedrock", "vertex"]
SYSTEM = [{"type": "text", "text": "You look for causes. " * 50, "cache_control": {"type": "ephemeral"}}]
ASKED = Asked(SYSTEM, [{"role": "user", "content": [{"type": "text", "text": "What is wrong?"}]}], most_output=500)
THROTTLED = Fails(429, message="Too many requests", headers={"retry-after-ms": "1"})
REFUSED = Fails(429, message="Too many requests", headers={"x-should-retry": "false"})


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> At:
    """Return a function that gives the model that leads, at a cloud that a player plays."""

    @asynccontextmanager
    async def reached(via: Via, player: Player, **settings: Any) -> AsyncIterator[tuple[Model, Cloud]]:
        monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-not-meant-for-a-cloud")
        cloud = Cloud(player)
        served = bedrock(cloud, monkeypatch) if via == "bedrock" else vertex(cloud, monkeypatch, tmp_path)
        with served as url:
            wanted = Settings(reasoner="claude", model_via=via, model_base_url=url, model_call_seconds=30, **settings)
            async with open_models(wanted) as models:
                assert models
                assert models.lead
                yield models.lead, cloud

    return reached


async def talked(model: Model, desk: Desk) -> Ended:
    purse, bounds = Purse("it", 10**6, 10.0), Bounds(20, 30.0, 50_000, 200)
    return await Agent(model, purse, bounds, SYSTEM, desk.abilities(), Mask(), desk.calls.append).run("Find out.")


@pytest.mark.parametrize("via", VIAS)
async def test_a_whole_conversation_with_tools_is_had_cached_and_billed(at: At, via: Via) -> None:
    desk = Desk()
    looks = Says([text("I look — naïvely."), use("look", 1, at="forge"), use("look", 2, at="bot")])
    async with at(via, script(looks, Says([use("look", 3, at="web")]), Says([FINISH]))) as (model, cloud):
        ended = await talked(model, desk)
    assert (ended.why, desk.done) == ("", ["look forge", "look bot", "look web", "finish"])
    assert results(cloud.bodies[1]) == [("toolu_1", "saw forge", False), ("toolu_2", "saw bot", False)]
    turns = [turn for turn in desk.calls if isinstance(turn, Turn)]
    told = [(turn.usage.input, turn.usage.cache_write, turn.usage.cache_read, turn.usage.output) for turn in turns]
    assert told == [tuple(bill.values()) for bill in cloud.billed]
    assert turns[2].usage.cache_read >= turns[0].usage.prompt
    assert {path.count("sonnet") for path in cloud.paths} == {1}
    assert "sk-ant" not in json.dumps(cloud.bodies)


async def test_names_and_addresses_are_those_of_the_cloud(at: At) -> None:
    async with at("bedrock", script(Says([text("so")]))) as (model, cloud):
        await model.answer(ASKED, Purse("it", 10**6, 1.0))
    assert cloud.paths == ("/model/global.anthropic.claude-sonnet-5-5/invoke-with-response-stream",)
    versioned = "us.anthropic.claude-sonnet-5-5-20261001-v1:0"
    async with at("bedrock", script(Says([text("so")])), model=versioned) as (model, cloud):
        await model.answer(ASKED, Purse("it", 10**6, 1.0))
    assert cloud.paths == (f"/model/{versioned}/invoke-with-response-stream",)
    async with at("vertex", script(Says([text("so")]))) as (model, cloud):
        await model.answer(ASKED, Purse("it", 10**6, 1.0))
    of_project = f"/v1/projects/{PROJECT}/locations/europe-west1/publishers/anthropic/models"
    assert cloud.paths == (f"{of_project}/claude-sonnet-5-5:streamRawPredict",)


@pytest.mark.parametrize("via", VIAS)
async def test_a_cloud_that_is_busy_is_asked_again(at: At, via: Via) -> None:
    async with at(via, script(THROTTLED, Says([text("so")]))) as (model, cloud):
        turn = await model.answer(ASKED, Purse("it", 10**6, 1.0))
    assert (turn.text, len(cloud.bodies)) == ("so", 2)


@pytest.mark.parametrize("via", VIAS)
@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (REFUSED, "429 (Too many requests): it is overloaded"),
        (Fails(403, message=f"{KEY_ID} and {TOKEN} may not"), "credentials that may"),
        (Fails(400, message="The provided model identifier is invalid."), "is MIDWATCH_MODEL a name that it has?"),
        (Fails(404, message="no such model"), "404 (no such model): is MIDWATCH_MODEL right"),
    ],
    ids=["429", "403", "400", "404"],
)
async def test_a_refusal_is_told_in_the_clouds_words_and_costs_nothing(
    at: At, via: Via, fault: Fails, words: str
) -> None:
    purse = Purse("it", 10**6, 1.0)
    async with at(via, lambda _: fault) as (model, _):
        with pytest.raises(ModelDown) as down:
            await model.answer(ASKED, purse)
    assert words in str(down.value)
    assert not any(secret in str(down.value) for secret in (KEY_ID, SECRET, SESSION, TOKEN))
    assert purse.spent_tokens == 0


@pytest.mark.parametrize("via", VIAS)
@pytest.mark.parametrize("after", [0, 3])
@pytest.mark.parametrize("how", ["end", "rubbish", "error"])
async def test_an_answer_that_breaks_off_is_no_answer_and_may_have_cost_all_that_was_held(
    at: At, via: Via, after: int, how: str
) -> None:
    purse = Purse("it", 10**6, 1.0)
    async with at(via, lambda _: Breaks([text("I look at the forge now.")], after, how)) as (model, _):
        with pytest.raises(NoSense):
            await model.answer(ASKED, purse)
    assert purse.spent_tokens == ASKED.most_prompt + 500


@pytest.mark.parametrize("via", VIAS)
async def test_a_conversation_whose_answers_break_off_ends_in_words(at: At, via: Via) -> None:
    desk = Desk()
    async with at(via, lambda _: Breaks([use("look", 1, at="forge")], 2, "rubbish")) as (model, _):
        assert (await talked(model, desk)).how == "down"
    assert desk.done == []


@pytest.mark.parametrize(
    ("via", "variable"), [("bedrock", "AWS_ACCESS_KEY_ID"), ("vertex", "GOOGLE_APPLICATION_CREDENTIALS")]
)
async def test_without_credentials_nothing_is_sent_and_it_is_said_what_to_set(
    at: At, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, via: Via, variable: str
) -> None:
    for name in ("HOME", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "CLOUDSDK_CONFIG"):
        monkeypatch.setenv(name, str(tmp_path / "nothing"))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    async with at(via, script()) as (model, cloud):
        monkeypatch.delenv(variable)
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY", raising=False)
        with pytest.raises(ModelDown, match=r"cannot be asked: .*: set .* credentials"):
            await model.answer(ASKED, Purse("it", 10**6, 1.0))
    assert cloud.bodies == []


async def test_credentials_that_are_wrong_are_refused_and_not_shown(at: At, monkeypatch: pytest.MonkeyPatch) -> None:
    async with at("bedrock", script()) as (model, cloud):
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another-secret-that-is-wrong")
        with pytest.raises(ModelDown, match=r"403 \(The request signature we calculated does not match\.\)") as down:
            await model.answer(ASKED, Purse("it", 10**6, 1.0))
    assert "another-secret" not in str(down.value)
    assert cloud.bodies == []


@pytest.mark.parametrize(
    ("via", "variable", "words"),
    [
        ("bedrock", "AWS_REGION", "No AWS region was provided"),
        ("vertex", "CLOUD_ML_REGION", "No region was given"),
        ("vertex", "ANTHROPIC_VERTEX_PROJECT_ID", "no project is named"),
    ],
)
async def test_a_region_or_project_that_nobody_named_is_told_at_the_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, via: Via, variable: str, words: str
) -> None:
    monkeypatch.setenv("ANTHROPIC_VERTEX_PROJECT_ID", PROJECT)
    monkeypatch.setenv("CLOUD_ML_REGION", "global")
    for name in (variable, "AWS_DEFAULT_REGION", "AWS_PROFILE", "GOOGLE_CLOUD_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "nothing"))
    with pytest.raises(BadSettings, match=f"MIDWATCH_MODEL_VIA={via} cannot be used: {words}"):
        async with open_models(Settings(reasoner="claude", model_via=via)):
            raise AssertionError("it was opened")


@pytest.mark.parametrize(
    ("name", "regional", "usd"),
    [
        ("claude-sonnet-5-5", False, 2.0),
        ("global.anthropic.claude-sonnet-5-5", False, 2.0),
        ("us.anthropic.claude-sonnet-5-5", False, 2.2),
        ("eu.anthropic.claude-sonnet-5-5-20261001-v1:0", False, 2.2),
        ("anthropic.claude-sonnet-5-5-v1:0", True, 2.2),
        ("claude-sonnet-5-5@20261001", False, 2.0),
        ("claude-sonnet-5-5@default", True, 2.2),
    ],
)
def test_a_clouds_name_has_the_price_of_the_model_and_a_region_costs_a_tenth_more(
    name: str, regional: bool, usd: float
) -> None:
    assert price_of(name, {}, regional=regional).input == pytest.approx(usd)


@pytest.mark.parametrize(
    "name", ["arn:aws:bedrock:eu-central-1:1:application-inference-profile/x", "claude-sonnet-5-5-turbo"]
)
def test_a_name_that_says_no_model_needs_a_price_of_its_own(name: str) -> None:
    with pytest.raises(BadSettings, match="no price is known"):
        price_of(name, {})
