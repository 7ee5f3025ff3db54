import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.forge.blueprint import Blueprint, Joint, UnreadableBlueprint, dumps, loads
from app.forge.cache import BlueprintCache
from app.forge.planner import MODELS, plan

finite = st.floats(allow_nan=False, allow_infinity=False)
joints = st.builds(Joint, st.text(), finite, finite)
blueprints = st.builds(Blueprint, st.text(), st.integers(), finite, st.lists(joints).map(tuple))


@given(blueprints)
def test_a_blueprint_is_read_as_it_was_written(blueprint: Blueprint) -> None:
    assert loads(dumps(blueprint)) == blueprint


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ('{"model": "porter", "load_kg": 1, "mass_kg": 2.0, "joints": [], "colour": "red"}', "unknown field colour"),
        ('{"model": "porter", "load_kg": 1, "joints": []}', "missing field mass_kg"),
    ],
)
def test_a_blueprint_with_other_fields_is_refused_by_name(document: str, problem: str) -> None:
    with pytest.raises(UnreadableBlueprint, match=problem):
        loads(document)


@pytest.mark.parametrize("model", MODELS)
def test_a_heavier_load_needs_more_torque_in_every_joint(model: str) -> None:
    light, heavy = plan(model, 2), plan(model, 20)
    assert all(one.torque_nm < other.torque_nm for one, other in zip(light.joints, heavy.joints, strict=True))


def test_what_is_put_into_a_cache_is_found_again_by_a_later_process(tmp_path: Path) -> None:
    first = BlueprintCache(tmp_path / "forge-1" / "blueprints.sqlite", "a1")
    first.create()
    first.put("porter", 5, "{}")
    again = BlueprintCache(first.path, "a1")
    again.create()
    assert (again.get("porter", 5), again.get("porter", 6)) == ("{}", None)


def test_a_release_finds_its_own_entries_and_nobody_elses(tmp_path: Path) -> None:
    old = BlueprintCache(tmp_path / "blueprints.sqlite", "a1")
    new = BlueprintCache(tmp_path / "blueprints.sqlite", "b2")
    old.create()
    old.put("porter", 5, "old")
    assert new.get("porter", 5) is None
    new.put("porter", 5, "new")
    assert old.get("porter", 5) == "old"


def test_a_deleted_cache_fails_until_the_instance_starts_again(tmp_path: Path) -> None:
    cache = BlueprintCache(tmp_path / "blueprints.sqlite", "a1")
    cache.create()
    cache.path.unlink()
    for _ in range(2):
        with pytest.raises(sqlite3.OperationalError, match="unable to open database file"):
            cache.get("porter", 5)
        with pytest.raises(sqlite3.OperationalError, match="unable to open database file"):
            cache.put("porter", 5, "{}")
    assert not cache.path.exists()
    cache.create()
    assert cache.get("porter", 5) is None
