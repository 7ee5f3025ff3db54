"""Steering files: what a team knows, in front matter that is checked; a file that cannot be used is named."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from midwatch.cli import app
from midwatch.errors import BadSteering
from midwatch.host import Host
from midwatch.mcp_client.toolbox import Eyes, Hands
from midwatch.records import HypothesisKind, Incident, Message
from midwatch.settings import Settings
from midwatch.steering.files import Check, Phase, Steering, forbidden_by, load_steering
from midwatch.storage.journal import Journal
from midwatch_kit.evidence import EvidenceStore
from midwatch_kit.records import Observation, ObservationKind, Signal

FORGE = """---
name: forge
description: What to know about forge.
applies_to:
  services: [forge, bot]
checks:
  - {kind: state, entity: "service:forge", because: its cache outlives deploys}
lag_seconds: {logs: 120}
ignore: ["Cache is Warming", slow query]
---
A text --- with dashes.

---
And more.
"""


def load(folder: Path, **files: str | bytes) -> tuple[Steering, ...]:
    for name, text in files.items():
        (folder / f"{name}.md").write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_steering(folder)


def observed(statement: str, **attributes: str) -> Observation:
    return Observation(
        id="o",
        entity="service:forge",
        kind=ObservationKind.NEW_PATTERN,
        subject="template",
        statement=statement,
        signal=Signal.LOGS,
        attributes=attributes,
        citations=(),
    )


def test_a_file_says_when_it_applies_what_to_check_what_lags_and_what_is_noise(tmp_path: Path) -> None:
    (forge,) = load(tmp_path, forge=FORGE)
    assert (forge.name, forge.checks[0].kind, forge.lag_seconds) == ("forge", "state", {Signal.LOGS: 120})
    assert forge.checks == (Check.model_validate(dict(forge.checks[0])),)
    assert forge.text.startswith("A text --- with dashes.")
    assert forge.text.endswith("And more.")


@pytest.mark.parametrize(
    "named", ["forge", "Forge", "https://git.example.com/runbooks/forge.md#errors", "runbooks/forge/"]
)
def test_an_alert_names_its_runbook_by_name_or_address(tmp_path: Path, named: str) -> None:
    (forge,) = load(tmp_path, forge=FORGE)
    assert forge.is_runbook(named)
    assert not forge.is_runbook("https://git.example.com/forge/other.md")


def test_files_are_read_in_the_order_of_their_names_and_nothing_else_is(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not steering")
    other = FORGE.replace("name: forge", "name: other")
    assert [steering.name for steering in load(tmp_path, b=FORGE, a=other)] == ["other", "forge"]


def test_a_file_with_a_byte_order_mark_or_windows_line_ends_is_read(tmp_path: Path) -> None:
    assert len(load(tmp_path, a="\ufeff" + FORGE, b=FORGE.replace("\n", "\r\n"))) == 2


@pytest.mark.parametrize("folder", ["nothing/here", "a file"])
def test_a_folder_that_is_not_there_holds_no_steering(tmp_path: Path, folder: str) -> None:
    (tmp_path / "a file").touch()
    assert load_steering(tmp_path / folder) == ()


@pytest.mark.parametrize(
    ("services", "applies"),
    [(["service:forge"], True), (["service:gateway", "service:bot"], True), (["service:gateway"], False), ([], False)],
)
def test_a_file_applies_when_one_of_its_services_is_in_scope(
    tmp_path: Path, services: list[str], applies: bool
) -> None:
    assert load(tmp_path, forge=FORGE)[0].applies(services) is applies


def test_a_file_that_names_no_service_applies_always(tmp_path: Path) -> None:
    (rule,) = load(tmp_path, rule="---\nname: rule\ndescription: For all.\n---\n")
    assert rule.applies(["service:anything"])
    assert rule.applies([])


@pytest.mark.parametrize(
    ("statement", "attributes", "silent"),
    [
        ("new message in forge: cache is warming", {}, True),
        ("new message in forge", {"exemplar": "WARN Slow Query took 3 s"}, True),
        ("new message in forge", {"exemplar": "disk full"}, False),
    ],
)
def test_what_a_file_calls_noise_is_silenced_in_any_case_of_letters(
    tmp_path: Path, statement: str, attributes: dict[str, str], silent: bool
) -> None:
    assert load(tmp_path, forge=FORGE)[0].silences(observed(statement, **attributes)) is silent


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("just text", "must begin with a line ---"),
        ("---\nname: a\n", "a second one must follow"),
        ("words first\n" + FORGE, "must begin with a line ---"),
        ("---\n---\n", "name: it is missing"),
        ("---\nname: a\ndescription: b\ncheck: []\n---\n", "check: there is no such field"),
        ("---\nname: a\ndescription: b\nchecks: [{kind: magic, entity: e, because: c}]\n---\n", "checks.0.kind: "),
        ("---\nname: a\ndescription: b\nlag_seconds: {logs: -1}\n---\n", "lag_seconds.logs: "),
        ("---\nname: a\ndescription: b\nlag_seconds: {smells: 1}\n---\n", "lag_seconds.smells"),
        ("---\nname: a\ndescription: b\nignore: ['']\n---\n", "ignore.0: "),
        ('---\nname: a\ndescription: "b" c\n---\n', "line 3"),
        ("---\n[1, 2]\n---\n", "front matter"),
        ("---\n!!python/object/apply:os.getcwd []\n---\n", "front matter"),
        (b"---\nname: \xff\n---\n", "front matter"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_its_path_and_the_fault(
    tmp_path: Path, text: str | bytes, said: str
) -> None:
    with pytest.raises(BadSteering) as caught:
        load(tmp_path, good=FORGE, wrong=text)
    assert str(caught.value).startswith(f"{tmp_path}/wrong.md: ")
    assert said in str(caught.value)


def test_a_skill_is_steering_and_what_it_allows_is_read_over(tmp_path: Path) -> None:
    (tmp_path / "forge").mkdir()
    skill = "---\nname: forge\ndescription: d\nlicense: MIT\nallowed-tools: Bash\nmetadata: {a: b}\n---\nRestart it."
    (tmp_path / "forge" / "SKILL.md").write_text(skill)
    (forge,) = load_steering(tmp_path)
    assert (forge.name, forge.text) == ("forge", "Restart it.")
    with pytest.raises(BadSteering, match="allowed-tools"):
        load(tmp_path, forge=skill)


@pytest.mark.parametrize(
    ("applies_to", "phase", "kind", "read"),
    [
        ("{}", "lead", None, True),
        ("{phases: [test]}", "lead", None, False),
        ("{phases: [test], kinds: [change]}", "test", HypothesisKind.CHANGE, True),
        ("{kinds: [change]}", "challenge", HypothesisKind.STATE, False),
        ("{kinds: [change]}", "lead", None, True),
    ],
)
def test_a_file_says_in_which_phase_and_for_which_kinds_a_model_reads_it(
    tmp_path: Path, applies_to: str, phase: Phase, kind: HypothesisKind | None, read: bool
) -> None:
    (file,) = load(tmp_path, a=f"---\nname: a\ndescription: d\napplies_to: {applies_to}\n---\nText.")
    assert file.is_read(phase, kind) is read


@pytest.mark.parametrize(
    ("pattern", "forbidden"),
    [("billing.*", True), ("*.query_logs", True), ("billing.query_logs", True), ("billing", False), ("logs.*", False)],
)
def test_a_house_rule_forbids_tools(tmp_path: Path, pattern: str, forbidden: bool) -> None:
    files = load(tmp_path, rules=f"---\nname: rules\ndescription: d\nforbid: ['{pattern}']\n---\n")
    assert forbidden_by(files)("billing", "query_logs") == ("rules forbids it" if forbidden else "")


def test_lint_says_of_each_file_whether_it_can_be_used_and_what_is_hardly_meant(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text(FORGE)
    (tmp_path / "b.md").write_text(FORGE)
    (tmp_path / "c.md").write_text("---\nname: c\ndescription: d\nforbid: [logs]\n---\n")
    (tmp_path / "d.md").write_text("---\nname: d\ndescription: d\n---\n")
    (tmp_path / "e.md").write_text("---\nname: e\ncheks: []\n---\n")
    done = CliRunner().invoke(app, ["steering", "lint", str(tmp_path)])
    ok, same, vague, empty, broken = done.stdout.splitlines()
    assert (ok.startswith("ok"), done.exit_code) == (True, 1)
    assert "a.md has the same name" in same
    assert "forbid 'logs' names no server" in vague
    assert "has no text, and changes nothing" in empty
    assert broken.startswith("FAIL")
    assert "cheks" in broken
    missing = CliRunner().invoke(app, ["steering", "lint", str(tmp_path / "typo")])
    assert (missing.exit_code, "there is no folder" in missing.output) == (1, True)
    (tmp_path / "e.md").unlink()
    assert CliRunner().invoke(app, ["steering", "lint", str(tmp_path)]).exit_code == 0


async def test_files_are_read_anew_for_each_investigation_and_a_broken_one_leaves_what_was(
    tmp_path: Path, journal: Journal, incident: Incident
) -> None:
    folder = tmp_path / "steering"
    folder.mkdir()
    kept = EvidenceStore(tmp_path / "evidence", 2**30)
    host = Host(Settings(steering_dir=folder), journal, Eyes({}, kept), Hands({}, kept), ())
    assert host.investigation(incident, None).steering == ()
    load(folder, forge=FORGE)
    assert [file.name for file in host.investigation(incident, None).steering] == ["forge"]
    (folder / "forge.md").write_text("---\nname: [\n---\n")
    assert [file.name for file in host.investigation(incident, None).steering] == ["forge"]
    [said] = [m.text for m in journal.values(incident.id, Message) if "steering" in m.text]
    assert "forge.md" in said
