"""What every fault says of itself, and what the faults of the forge's side say is true."""

import re
import sys
from pathlib import Path
from typing import get_args

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robots import listing
from robots.configuration import DEFAULTS
from robots.faults import FAULTS, config_operation, health_check, memory_leak, renamed_field, wrong_deploy
from robots.herrings.deploy import PATCHES
from robots.history import commit_patch, commit_time, make_history
from robots.load import TASKS
from robots.repository import Repository
from robots.scene import Cause, Fault, Kind

README = Path(listing.__file__).parents[1] / "README.md"
ENTITY = re.compile(r"(service|instance|database|external|queue):[a-z0-9.-]+")
PLAN_ALL = """
from app.forge.planner import MODELS, plan
for model in MODELS:
    try:
        plan(model, 5)
    except IndexError as error:
        print(model, error)
"""
KEEP_TEN = """
from app.bot.tracks import Tracks
tracks = Tracks()
for _ in range(10):
    tracks.keep("porter-1")
print(sum(len(track) * track.itemsize for _, track in tracks.kept))
"""
KEEP_TRAIL = """
from app.gateway import audit
audit.keep("fleet-sync/1.4", "GET /v1/robots/porter-1", 200)
"""
seeds = st.integers(0, 10_000)
each_fault = pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)


@each_fault
def test_a_fault_says_in_words_what_it_breaks_what_is_seen_what_mends_it_and_what_it_is_not(fault: Fault) -> None:
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", fault.name)
    for text in (fault.breaks, fault.seen, fault.fix):
        assert text[0].isupper()
        assert text.endswith((".", ")"))
        assert "|" not in text
    assert len(fault.ruled_out) >= 3
    assert len(set(fault.ruled_out)) == len(fault.ruled_out)
    assert fault.rules


@each_fault
@settings(max_examples=20)
@given(seed=seeds)
def test_a_truth_is_in_the_words_of_an_investigation(fault: Fault, seed: int) -> None:
    truth = fault.truth(fault.plan(seed))
    assert bool(truth.causes) == (truth.outcome == "root_cause")
    assert truth.ruled_out
    for cause in (*truth.causes, *truth.ruled_out):
        assert cause.kind in get_args(Kind)
        assert ENTITY.fullmatch(cause.entity)
    assert len(set(truth.ruled_out)) == len(truth.ruled_out)


@given(seeds)
def test_faults_of_one_forge_instance_name_it(seed: int) -> None:
    for name in ("cpu-hog", "disk-full"):
        plan = FAULTS[name].plan(seed)
        assert FAULTS[name].truth(plan).causes == (Cause("resource", f"instance:{plan.forge}"),)


@given(seeds)
def test_two_faults_have_two_causes_and_no_change_that_could_be_taken_for_either(seed: int) -> None:
    plan = FAULTS["two-faults"].plan(seed)
    causes = FAULTS["two-faults"].truth(plan).causes
    assert causes == (Cause("operator", f"instance:{plan.forge}"), Cause("change", "service:bot"))
    assert plan.deployed != "bot"


@given(seeds)
def test_a_storms_bench_has_room_for_the_usual_requests_and_none_for_what_is_asked_again(seed: int) -> None:
    plan = FAULTS["retry-storm"].plan(seed)
    told = FAULTS["retry-storm"].settings(plan)
    seconds, tries = told["forge"]["bench_seconds"], told["bot"]["forge_tries"]
    assert isinstance(seconds, float)
    assert isinstance(tries, int)
    per_instance = plan.rate * 0.62 / 2
    assert seconds * per_instance < 0.5
    assert seconds * per_instance * tries > 1.5


async def test_of_two_bad_deploys_one_fails_arms_with_three_joints_and_the_other_only_complains(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "repository")
    await make_history(repository, 1)
    patches = [PATCHES["bot"], PATCHES["schedule"], *wrong_deploy.PATCHES.values()]
    commits = [await commit_patch(repository, patch, commit_time(1, 6 + n)) for n, patch in enumerate(patches)]
    await repository.export(commits[-1].sha, tmp_path / "release")
    release, environment = tmp_path / "release", {"DATA_DIR": str(tmp_path)}
    done = await anyio.run_process([sys.executable, "-c", PLAN_ALL], cwd=release)
    complained = await anyio.run_process([sys.executable, "-c", KEEP_TRAIL], cwd=release, env=environment)
    assert b"can't write the audit trail" in complained.stderr
    failed = done.stdout.decode().splitlines()
    assert failed == [f"{model} tuple index out of range" for model in ("picker", "welder", "painter", "packer")]


async def test_of_two_harmless_looking_deploys_one_renames_what_the_other_service_reads(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "repository")
    await make_history(repository, 1)
    for number, patch in enumerate(renamed_field.PATCHES.values()):
        await commit_patch(repository, patch, commit_time(1, 6 + number))
    app = repository.path / "app"
    assert '"rigged_mass_kg": blueprint.mass_kg' in (app / "forge" / "blueprint.py").read_text(encoding="utf-8")
    assert 'blueprint["mass_kg"]' in (app / "bot" / "__main__.py").read_text(encoding="utf-8")


def test_the_readme_has_the_table_that_the_command_prints() -> None:
    assert listing.as_table() in README.read_text(encoding="utf-8")


@given(seeds)
def test_a_configured_deadline_hits_one_task_and_is_shorter_than_any_answer(seed: int) -> None:
    task, seconds = config_operation.dice(FAULTS["config-operation"].plan(seed))
    assert task in TASKS
    assert 0 < seconds < 0.005


async def test_the_new_health_check_of_forge_is_no_shell_script_any_more(tmp_path: Path) -> None:
    before = (DEFAULTS / "forge" / health_check.FILE).read_text(encoding="utf-8")
    assert health_check.OLD in before
    codes = []
    for text in (before, before.replace(health_check.OLD, health_check.NEW)):
        (tmp_path / "check.sh").write_text(text, encoding="utf-8")
        done = await anyio.run_process(["/bin/bash", "-n", str(tmp_path / "check.sh")], check=False)
        codes.append((done.returncode, "syntax error" in done.stderr.decode()))
    assert codes == [(0, False), (2, True)]


async def test_the_leaking_bot_fits_on_any_herring_and_keeps_half_a_megabyte_per_request(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "repository")
    await make_history(repository, 1)
    patches = [PATCHES["gateway"], PATCHES["schedule"], memory_leak.PATCH]
    commits = [await commit_patch(repository, patch, commit_time(1, 6 + n)) for n, patch in enumerate(patches)]
    await repository.export(commits[-1].sha, tmp_path / "release")
    done = await anyio.run_process([sys.executable, "-c", KEEP_TEN], cwd=tmp_path / "release")
    assert 4_000_000 < int(done.stdout) < 6_000_000
