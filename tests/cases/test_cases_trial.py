"""Trials of steering files: what a kept incident's conclusion is with all of them, without each, and with none."""

import json
from pathlib import Path

import anyio
import pytest
from tests.e2e.story import Story
from typer.testing import CliRunner

from midwatch.cases.tally import as_data, as_text, lines_of
from midwatch.cases.trial import ALL, NONE, Trial, Tried, label
from midwatch.cli import app
from midwatch.errors import BadSteering
from midwatch.settings import Settings
from midwatch.steering.files import Steering, load_steering
from midwatch_bench.accuracy.in_process import reach_without

SETTINGS = Settings(lookback_seconds=40, gather_seconds=2.5, roll_back_url="http://127.0.0.1:9")
FILES = {
    "cart": "applies_to: {services: [cart]}\nchecks: [{kind: state, entity: 'service:cart', because: it caches}]",
    "other": "applies_to: {services: [forge]}\nleave_out: ['service:stock']",
    "quiet": "leave_out: ['service:stock']",
}
LABEL = {"outcomes": ["root_cause"], "causes": [{"entity": "service:stock", "kind": "change"}]}


def files(folder: Path, **front: str) -> tuple[Steering, ...]:
    folder.mkdir()
    for name, said in front.items():
        (folder / f"{name}.md").write_text(f"---\nname: {name}\ndescription: d\n{said}\n---\nWords.\n")
    return load_steering(folder)


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = Story(seed=2).write(tmp_path_factory.mktemp("cases") / "stock-field")
    return folder


def tried(trial: Trial, *cases: Path) -> list[Tried]:
    trial.reach = reach_without(frozenset({"logs", "metrics"}))  # traces and changes are enough, and sooner read
    return anyio.run(trial.over, cases)


def test_each_file_is_told_what_it_changes_and_whether_it_harms(case: Path, tmp_path: Path) -> None:
    trial = Trial(files(tmp_path / "steering", **FILES), SETTINGS)

    def known(_: Tried) -> None:  # the label comes when all was run: so nothing that ran can have read it
        (case / "expected.json").write_text(json.dumps(LABEL))

    trial.told = known
    [done] = tried(trial, case)
    assert done.applied == ("cart", "quiet")
    assert done.right == {ALL: False, NONE: True, "cart": False, "quiet": True}
    lines = lines_of([file.name for file in trial.files], [done])
    assert {each.file: each.verdict for each in lines} == {
        "cart": "changes details, no conclusion",
        "other": "never applied in 1 case",
        "quiet": "harms in stock-field",
        NONE: "harms in stock-field",
    }
    [_, _, quiet, _] = lines
    assert (quiet.conclusions, quiet.plans, quiet.labelled, quiet.right, quiet.right_without) == (1, 1, 1, 0, 1)
    assert quiet.took_without.calls > quiet.took.calls > 0
    assert "quiet" in as_text(lines, thinks=False).splitlines()[3]
    (case / "expected.json").write_text(json.dumps({**LABEL, "causes": [{"entity": "service:moon"}]}))
    label(done)
    (case / "expected.json").unlink()
    assert lines_of(["quiet"], [done])[0].verdict == "changes conclusions, right as often"
    changes = as_data(done)["changes"]
    assert isinstance(changes, dict)
    assert [one["what"] for one in changes["quiet"]][:1] == ["outcome"]


def test_a_trial_ends_the_same_each_time_and_goes_on_past_a_case_that_cannot_be_tried(
    case: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    (case / "expected.json").write_text("{}")
    trial = Trial(files(tmp_path / "steering", other=FILES["other"]), SETTINGS)
    gone, first, again = tried(trial, tmp_path / "empty", case, case)
    (case / "expected.json").unlink()
    assert "is no snapshot" in gone.why_not[0]
    assert first.runs == again.runs
    assert (first.right, set(first.runs)) == ({}, {ALL, NONE})
    assert "not scored: cannot use" in first.why_not[0]
    assert [each.labelled for each in lines_of(["other"], [gone, first])] == [0, 0]


@pytest.mark.parametrize("name", ["twice", "all", "none"])
def test_files_that_could_not_be_told_apart_are_refused(tmp_path: Path, name: str) -> None:
    one = Steering(name=name, description="d")
    with pytest.raises(BadSteering, match=name):
        Trial([one, one] if name == "twice" else [one], SETTINGS)


def test_without_files_there_is_nothing_to_try(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["steering", "try", str(tmp_path), "--files", str(tmp_path)])
    assert (done.exit_code, "holds no steering file" in done.stderr) == (1, True)


def test_a_path_that_holds_no_case_does_not_pass_for_a_trial(tmp_path: Path) -> None:
    folder = tmp_path / "steering"
    files(folder, other=FILES["other"])
    done = CliRunner().invoke(app, ["steering", "try", str(tmp_path / "nowhere"), "--files", str(folder)])
    assert (done.exit_code, "is no snapshot" in done.stderr) == (1, True)
