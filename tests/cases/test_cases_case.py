"""Feedback, and cases made of it: what must be found again, and what a case that fails says."""

import json
import re
import shutil
from contextlib import closing
from pathlib import Path

import pytest
from tests.cases.conftest import STORY, Desk

from midwatch.cases.case import Expected, Suspect, faults
from midwatch.reading.findings import Findings
from midwatch.records import Feedback, HypothesisKind, Outcome
from midwatch.storage.journal import Journal

STOCK = Suspect(kind=HypothesisKind.CHANGE, entity="service:stock")
WEB = Suspect(kind=HypothesisKind.CHANGE, entity="service:web", change="web-v7")
EXPECTED = Expected(outcomes=(Outcome.ROOT_CAUSE,), causes=(STOCK,), ruled_out=(WEB,))

# They share one investigation, whose servers would starve a live application that another worker runs.
pytestmark = pytest.mark.xdist_group("live")


@pytest.fixture
def other(desk: Desk, tmp_path: Path) -> dict[str, str | None]:
    """Settings that lead to a copy of the journal, so that what is noted there is of one test."""
    shutil.copytree(desk.folder / "data", tmp_path / "data")
    return {"MIDWATCH_DATA_DIR": str(tmp_path / "data")}


def test_feedback_is_on_record_with_who_said_it(desk: Desk, other: dict[str, str | None]) -> None:
    said = ["--cause", "change", "stock", "--also", "resource", "instance:cart-1", "--note", "two at once"]
    assert desk.midwatch("feedback", "", *said, "--by", "sam", **other).exit_code == 0
    assert desk.midwatch("feedback", "", "--no-incident", "--by", "kim", **other).exit_code == 0
    with closing(Journal(Path(str(other["MIDWATCH_DATA_DIR"])) / "journal.db")) as journal:
        (incident,) = journal.investigations()
        first, second = journal.values(incident, Feedback)
    assert [(cause.kind, cause.entity) for cause in first.causes] == [
        ("change", "service:stock"),
        ("resource", "instance:cart-1"),
    ]
    assert (first.note, first.by) == ("two at once", "sam")
    assert (second.causes, second.by) == ((), "kim")


@pytest.mark.parametrize("said", [[], ["--cause", "change", "stock", "--no-incident"], ["--cause", "bug", "stock"]])
def test_feedback_that_says_nothing_or_no_known_kind_is_refused(desk: Desk, said: list[str]) -> None:
    done = desk.midwatch("feedback", "", *said, "--by", "sam")
    assert done.exit_code == 1
    assert "KIND ENTITY" in done.stderr


def saved(desk: Desk, to: Path, other: dict[str, str | None], *more: str) -> Expected:
    done = desk.midwatch("case", "save", "", "--to", str(to), *more, **other)
    assert done.exit_code == 0, done.output
    return Expected.model_validate_json((to / "expected.json").read_bytes())


def test_a_conclusion_that_somebody_confirms_is_expected_again_with_what_it_ruled_out(
    desk: Desk, tmp_path: Path, other: dict[str, str | None]
) -> None:
    expected = saved(desk, tmp_path / "case", other, "--confirm", "sam")
    assert expected.outcomes == (Outcome.ROOT_CAUSE,)
    assert [(cause.entity, cause.change) for cause in expected.causes] == [("service:stock", "stock-v7")]
    assert WEB in expected.ruled_out
    assert expected.said_by == "sam"


def test_feedback_goes_before_the_conclusion(desk: Desk, tmp_path: Path, other: dict[str, str | None]) -> None:
    said = ["--cause", "resource", "instance:cart-1", "--by", "kim", "--note", "the CPU was it"]
    assert desk.midwatch("feedback", "", *said, **other).exit_code == 0
    expected = saved(desk, tmp_path / "case", other)
    assert [cause.entity for cause in expected.causes] == ["instance:cart-1"]
    assert expected.outcomes == (Outcome.ROOT_CAUSE, Outcome.BEST_EFFORT)
    assert (expected.ruled_out, expected.said_by, expected.note) == ((), "kim", "the CPU was it")


@pytest.mark.parametrize("option", ["--expect", "--must-rule-out"])
def test_what_the_investigation_never_heard_of_is_refused_with_what_it_may_be(
    desk: Desk, tmp_path: Path, other: dict[str, str | None], option: str
) -> None:
    said = ["--confirm", "sam", option, "stok"]
    done = desk.midwatch("case", "save", "", "--to", str(tmp_path / "case"), *said, **other)
    assert done.exit_code == 1
    assert "no entity 'service:stok' in this topology: did you mean service:stock" in done.stderr
    assert not (tmp_path / "case").exists()


def test_who_saves_a_case_says_what_to_expect_before_anybody_else(
    desk: Desk, tmp_path: Path, other: dict[str, str | None]
) -> None:
    assert desk.midwatch("feedback", "", "--no-incident", "--by", "kim", **other).exit_code == 0
    told = ["--expect", "stock", "--expect", "instance:cart-1", "--outcome", "best_effort", "--must-rule-out", "web"]
    expected = saved(desk, tmp_path / "case", other, *told, "--by", "sam")
    assert (expected.outcomes, expected.said_by) == ((Outcome.BEST_EFFORT,), "sam")
    assert [str(cause) for cause in expected.causes] == ["service:stock", "instance:cart-1"]
    assert [str(cause) for cause in expected.ruled_out] == ["service:web"]


def test_what_must_be_ruled_out_comes_to_what_was(desk: Desk, tmp_path: Path, other: dict[str, str | None]) -> None:
    expected = saved(desk, tmp_path / "case", other, "--confirm", "sam", "--must-rule-out", "cart")
    assert [str(cause) for cause in expected.causes] == ["change at service:stock (stock-v7)"]
    assert (WEB in expected.ruled_out, expected.ruled_out[-1]) == (True, Suspect(entity="service:cart"))


@pytest.mark.parametrize(
    "said", [["--expect", "stock", "--outcome", "no_incident"], ["--kind", "change"], ["--must-rule-out", "web"]]
)
def test_expectations_that_nothing_can_meet_or_that_name_no_end_are_refused(
    desk: Desk, tmp_path: Path, said: list[str]
) -> None:
    done = desk.midwatch("case", "save", "", "--to", str(tmp_path / "case"), *said)
    assert (done.exit_code, (tmp_path / "case").exists()) == (1, False)
    assert "--expect" in done.stderr


def test_a_conclusion_that_nobody_vouches_for_is_no_case(desk: Desk, tmp_path: Path) -> None:
    done = desk.midwatch("case", "save", "", "--to", str(tmp_path / "case"))
    assert (done.exit_code, (tmp_path / "case").exists()) == (1, False)
    assert "midwatch feedback says so, --expect or --outcome do here, or --confirm" in done.stderr


def test_cases_are_replayed_and_each_gets_a_line(desk: Desk, tmp_path: Path) -> None:
    older, broken = STORY.write(tmp_path / "older"), tmp_path / "broken"
    shutil.copytree(desk.snapshot, broken)
    (broken / "topology.json").write_text("{}")
    for folder in (older, broken):
        (folder / "expected.json").write_text(EXPECTED.model_dump_json())
    done = desk.midwatch("case", "check", str(older), str(broken))
    assert done.exit_code == 1
    first, second = done.stdout.splitlines()
    assert first.startswith(f"ok   {older}: root_cause, change at service:stock (")
    assert second.startswith(f"FAIL {broken}: the snapshot {broken} was changed: topology.json has another hash")


def test_a_case_is_as_expected_when_outcome_cause_and_what_is_ruled_out_are(found: Findings) -> None:
    assert list(faults(EXPECTED, found)) == []
    anything_at_stock = EXPECTED.model_copy(update={"causes": (Suspect(entity="service:stock"),)})
    assert list(faults(anything_at_stock, found)) == []


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"outcomes": (Outcome.NO_INCIDENT,), "causes": ()}, "the outcome is root_cause, not no_incident"),
        ({"causes": (Suspect(entity="service:web"),)}, "the first cause is change at service:stock, not service:web"),
        ({"causes": (WEB,)}, "the first cause is change at service:stock, not change at service:web (web-v7)"),
        ({"ruled_out": (STOCK,)}, "change at service:stock is not ruled out: supported"),
        (
            {"ruled_out": (Suspect(kind=HypothesisKind.PLATFORM, entity="service:cart"),)},
            "platform at service:cart is not ruled out: it was not tested",
        ),
    ],
)
def test_a_case_that_is_not_as_expected_says_in_what(found: Findings, change: dict[str, object], fault: str) -> None:
    assert list(faults(EXPECTED.model_copy(update=change), found)) == [fault]


def test_expectations_that_cannot_be_read_are_told(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "expected.json").write_text(json.dumps({"outcomes": ["great"]}))
    done = desk.midwatch("case", "check", str(tmp_path), str(tmp_path / "nothing"), "--json")
    assert done.exit_code == 1
    (first,), (second,) = (each["faults"] for each in json.loads(done.stdout))
    assert "expected.json: outcomes.0: Input should be" in first
    assert "is no case: cannot read expected.json" in second


def test_every_command_and_option_on_the_page_of_cases_exists(desk: Desk) -> None:
    page = (Path(__file__).parents[2] / "docs" / "cases.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `midwatch ((?:case|steering) \w+|\w+) ?([^`]*)`", page, flags=re.MULTILINE)
    assert len(rows) == 7
    for command, options in rows:
        offered = desk.midwatch(*command.split(), "--help", COLUMNS="200", NO_COLOR="1").stdout
        assert not [option for option in re.findall(r"--[a-z-]+", options) if option not in offered], command
