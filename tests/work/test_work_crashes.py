"""A host that is killed as soon as a record of some kind is on disk: what comes of it is as if it had not been."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.work import crashing

from midwatch.journal import Journal
from midwatch.records import BODIES, Action, Conclusion, Incident, Plan, Severity, Status, Steer, Verdict
from midwatch.state import journal_of
from midwatch.steers import tell

# Each kind twice over both databases, of which one is a server: one worker starts it once.
pytestmark = pytest.mark.xdist_group("postgresql")
KILLED, DONE = "-9", "0"
NOT_OF_A_RUN = {"feedback", "model_call", "runbook"}
"""What a person says afterwards, what a model costs, and what a wiki holds: tested where they come from."""
GOOD, ACTS = "9e8d7c6", "roll forge back from 3f2c1ab to 9e8d7c6"
Runs = Callable[[Path, str, str], str]


@pytest.fixture(scope="module")
def runs() -> Iterator[Runs]:
    """Return what lets a host work until a record is on disk, or to the end, and says how it ended."""
    command = [sys.executable, str(crashing.__file__)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as hosts:

        def run(folder: Path, database: str, record: str) -> str:
            assert hosts.stdin
            assert hosts.stdout
            hosts.stdin.write(json.dumps([str(folder), database, record]) + "\n")
            hosts.stdin.flush()
            return hosts.stdout.readline().strip()

        yield run


@dataclass
class Outage:
    """A case in a folder, its journal, and hosts that work on it one after the other."""

    folder: Path
    database: str
    hosts: Runs

    def __post_init__(self) -> None:
        self.folder.mkdir()
        state = self.folder / "rolled-back"
        state.touch()
        case = {"command": sys.executable, "args": ["-S", str(crashing.CASE), f"state={state}"], "suite": True}
        servers = {"case": case, "metrics": {"command": "no-such-server"}}
        (self.folder / "servers.json").write_text(json.dumps({"mcpServers": servers}), encoding="utf-8")
        at = datetime(2026, 11, 20, 2, 48, tzinfo=UTC)
        incident = Incident(
            id="01INCIDENT",
            title="Error rate of gateway",
            status=Status.TRIAGING,
            severity=Severity.HIGH,
            service="service:gateway",
            started_at=at,
            first_seen=at,
        )
        with self.journal() as journal:
            journal.note(incident.id, "incident", "1", incident)
            tell(journal, incident.id, Steer(text="is it the bot?", by="ann", kind="change", entity="service:bot"))

    @contextmanager
    def journal(self) -> Iterator[Journal]:
        with closing(journal_of(crashing.settings(self.folder, self.database))) as journal:
            yield journal

    def runs(self, record: str = "") -> str:
        return self.hosts(self.folder, self.database, record)

    def told(self) -> dict[str, Any]:
        """Return what came of it, without times."""
        with self.journal() as journal:
            (incident,) = journal.incidents()
            assert journal.check(incident.id) > 0
            (conclusion,) = journal.values(incident.id, Conclusion)
            return {
                "causes": [(c.kind, c.entity, c.confidence, c.supports) for c in conclusion.root_causes],
                "ruled out": sorted(out.statement for out in conclusion.ruled_out),
                "gaps": sorted((gap.what, gap.why) for gap in conclusion.gaps),
                "verdicts": sorted(
                    (v.hypothesis, v.result, v.probability) for v in journal.values("01INCIDENT", Verdict)
                ),
                "plan": [plan.digest for plan in journal.values(incident.id, Plan)],
                "actions": sorted((a.step, a.outcome) for a in journal.values(incident.id, Action)),
                "rolled back": (self.folder / "rolled-back").read_text(encoding="utf-8").split(),
                "status": incident.status,
            }

    def kinds(self) -> set[str]:
        with self.journal() as journal:
            return {entry.type for entry in journal.entries("01INCIDENT")}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, runs: Runs) -> tuple[dict[str, Any], set[str]]:
    """Return what comes of the outage when nothing happens to the host, and the kinds of records on the way."""
    one = Outage(tmp_path_factory.mktemp("undisturbed") / "one", "", runs)
    assert one.runs() == DONE
    return one.told(), one.kinds()


@pytest.fixture(params=["sqlite", "postgresql"])
def outage(request: pytest.FixtureRequest, tmp_path: Path, runs: Runs) -> Outage:
    """Return an outage that nobody has worked on, over each database."""
    database = request.getfixturevalue("postgresql") if request.param == "postgresql" else ""
    return Outage(tmp_path / "one", database, runs)


def test_what_is_done_undisturbed_is_right_and_has_records_of_every_kind(
    undisturbed: tuple[dict[str, Any], set[str]],
) -> None:
    told, kinds = undisturbed
    assert [(kind, entity) for kind, entity, *_ in told["causes"]] == [("change", "service:forge")]
    assert (told["rolled back"], told["status"]) == ([GOOD], "resolved")
    assert kinds == BODIES.keys() - NOT_OF_A_RUN


@pytest.mark.parametrize("kind", sorted(BODIES.keys() - NOT_OF_A_RUN))
def test_a_host_killed_at_any_kind_of_record_ends_as_if_it_had_not_been(
    outage: Outage, undisturbed: tuple[dict[str, Any], set[str]], kind: str
) -> None:
    assert outage.runs(kind) == KILLED
    assert outage.runs() == DONE
    assert outage.told() == undisturbed[0]


def test_a_host_killed_once_it_had_acted_does_not_act_again(
    outage: Outage, undisturbed: tuple[dict[str, Any], set[str]]
) -> None:
    assert outage.runs(f"action {ACTS}") == KILLED
    assert outage.runs() == DONE
    assert outage.told() == undisturbed[0]


def test_a_host_killed_before_it_knows_whether_it_acted_does_not_act_again_and_undoes_what_may_have_been(
    outage: Outage,
) -> None:
    assert outage.runs(f"action begun: {ACTS}") == KILLED
    assert outage.runs() == DONE
    told = outage.told()
    assert (ACTS, "unknown") in told["actions"]
    assert GOOD not in told["rolled back"]
    assert told["status"] == "watching"
