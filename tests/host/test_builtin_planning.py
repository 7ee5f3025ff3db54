"""Roll-backs that would be unsafe: where data would suffer, or a team forbids it, a plan leaves them to a person."""

import pytest
from tests.host.scenes import a_scene, change, origin, reason, seen

from midwatch.builtin.planning import plan_for
from midwatch.builtin.vocabulary import alters_data, is_migration
from midwatch.toolbox import Tool
from midwatch_kit.records import Observation, ObservationKind
from midwatch_kit.server import Role

ROLL_BACK = Tool("deploys", "roll_back", Role.ACT, "changes", None, frozenset({"service", "to_version"}), False)


def altering(deploy: Observation, by: str) -> Observation:
    """Return what was read of a deploy that alters how data are kept."""
    facts = {"change_id": deploy.attributes["change_id"], "alters_data": by, "names": ""}
    return seen(deploy.entity, "content", ObservationKind.CHANGE, onset=deploy.onset, attributes=facts)


def test_a_deploy_that_altered_how_data_are_kept_is_not_rolled_back_but_left_to_a_person() -> None:
    deploy = change("service:forge", -20)
    scene = a_scene(deploy, altering(deploy, "migrations/7.sql"), origin("service:forge"))
    plan = plan_for(reason(scene).conclusion, scene, [ROLL_BACK])
    assert all(step.call is None for step in plan.steps)
    assert plan.action.startswith("don't roll service:forge back, it altered how data are kept (migrations/7.sql)")
    assert plan.risk.startswith("high: ")


def test_a_deploy_is_not_rolled_back_past_a_later_one_that_altered_how_data_are_kept() -> None:
    bad, later, earlier = (change("service:forge", at) for at in (-20, 30, -600))
    contents = [altering(later, "migrations/8.sql")], [altering(earlier, "migrations/6.sql")]
    past, before = (a_scene(bad, later, earlier, *some, origin("service:forge")) for some in contents)
    assert not any(step.call for step in plan_for(reason(past).conclusion, past, [ROLL_BACK]).steps)
    assert any(step.call for step in plan_for(reason(before).conclusion, before, [ROLL_BACK]).steps)


def test_what_a_team_says_never_to_roll_back_is_left_to_a_person() -> None:
    scene = a_scene(change("service:forge", -20), origin("service:forge"))
    plan = plan_for(reason(scene).conclusion, scene, [ROLL_BACK], frozenset({"service:forge"}))
    assert all(step.call is None for step in plan.steps)
    assert "a steering file says never to roll service:forge back" in plan.risk


@pytest.mark.parametrize(
    ("file", "altering"),
    [
        ("forge/migrations/0042_hold.sql", True),
        ("db/migrate/20261120_hold.rb", True),
        ("alembic/versions/3f2c1ab_hold.py", True),
        ("db/changelog.xml", True),
        ("schema.sql", True),
        ("forge/blueprint.py", False),
        ("docs/immigration.md", False),
        ("CHANGELOG.md", False),
    ],
)
def test_migrations_are_known_by_where_they_lie(file: str, *, altering: bool) -> None:
    assert is_migration(file) is altering


@pytest.mark.parametrize(
    ("line", "altering"),
    [
        ("+ALTER TABLE holds ADD COLUMN until timestamptz;", True),
        ('+    op.drop_column("holds", "until")', True),
        ("+    db.execute('drop table holds')", True),
        ("-ALTER TABLE holds ADD COLUMN until timestamptz;", False),
        ("+# the table of drops is altered elsewhere", False),
        ("+SELECT until FROM holds", False),
    ],
)
def test_a_diff_alters_data_where_it_adds_statements_that_do(line: str, *, altering: bool) -> None:
    assert alters_data(f"--- a/x\n+++ b/x\n{line}\n") is altering
