"""Trials of steering files with a model: what it may cost is said before, and kept; files are read where they apply."""

from pathlib import Path

import pytest
from tests.claude.investigating import Played
from tests.claude.messages_api import Says, serving, use
from tests.claude.played import is_lead, suggested, turn
from tests.e2e.story import Story
from typer.testing import CliRunner

from midwatch.cases.tally import lines_of
from midwatch.cases.trial import ALL, NO_LIMIT, Paid, Trial
from midwatch.claude.models import Models
from midwatch.claude.purse import Purse
from midwatch.cli import app
from midwatch.settings import Settings
from midwatch.steering.files import Steering
from midwatch_bench.accuracy.in_process import reach_without
from midwatch_bench.messages import Json

SETTINGS = Settings(lookback_seconds=40, gather_seconds=2.5, model_incident_usd=0.5)
REACH = reach_without(frozenset({"logs", "metrics"}))
WORDS = Steering(name="words", description="Of stock.", text="Stock holds what is reserved.")


def player(body: Json) -> Says:
    """Choose the likeliest hypothesis, after reading what the team wrote, if it wrote anything; find nothing."""
    reads = any(tool["name"] == "read_steering" for tool in body["tools"])
    if is_lead(body) and reads and turn(body) == 0:
        return Says([use("read_steering", 1, name="words")])
    if is_lead(body):
        return Says([use("choose", 2, hypotheses=suggested(body)[:1])])
    return Says([use("finish", 3, why="nothing to add")])


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = Story(seed=2).write(tmp_path_factory.mktemp("cases") / "stock-field")
    return folder


async def test_what_a_model_took_is_told_and_a_run_that_the_limit_might_not_hold_is_not_begun(
    played: Played, case: Path
) -> None:
    async with played(player) as (model, api):
        purse = Purse("the trial", NO_LIMIT, SETTINGS.model_incident_usd)
        trial = Trial([WORDS], SETTINGS, 1, Paid(Models(model, model), purse), REACH)
        [tried] = await trial.over([case])
    assert {*tried.runs} == {ALL}
    assert tried.why_not[0].startswith("the run without words: the trial has $0.4")
    run = tried.runs[ALL]
    assert run.tokens == sum(sum(bill.values()) for bill in api.billed) > 0
    assert run.usd == pytest.approx(purse.spent_usd)
    assert run.cut_short == ""
    assert "Stock holds what is reserved." in str(api.bodies[1]["messages"])
    assert [line.applied for line in lines_of(["words"], [tried])] == [0, 0]


def test_nothing_is_asked_before_somebody_said_what_it_may_cost(tmp_path: Path) -> None:
    (tmp_path / "words.md").write_text("---\nname: words\ndescription: d\n---\nText.\n")
    with serving(player) as (url, api):
        env = {
            "MIDWATCH_REASONER": "claude",
            "MIDWATCH_MODEL_BASE_URL": url,
            "MIDWATCH_MODEL_API_KEY": "any",
            "MIDWATCH_DATA_DIR": str(tmp_path / "data"),
        }
        asked = ["steering", "try", str(tmp_path), str(tmp_path), "--files", str(tmp_path)]
        done = CliRunner().invoke(app, asked, env=env)
    assert (done.exit_code, api.bodies) == (1, [])
    assert "at most 4 investigations with claude-sonnet-5-5 and claude-haiku-5-5, each for at most $0.5" in done.stderr
    assert "no more than $2.00 in all; the day has $20.00 left: say --yes, or --limit" in done.stderr
