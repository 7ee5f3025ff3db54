"""Trials of steering files: kept incidents investigated with all files, without each of them, and with none.

What a case's true cause is (`expected.json`) is read when all has been run, and by nothing that runs. A file that has
no say in a case is not left out there: nothing would differ. The servers of a case are started once, for all its runs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import anyio

from midwatch.cases.case import NAME, expected_in, faults
from midwatch.cases.replay import Snapshot, investigated, reopened, whole
from midwatch.claude.models import Models
from midwatch.claude.prices import Usage
from midwatch.claude.purse import Purse, Spent
from midwatch.errors import BadSnapshot, BadSteering, HostError, first_of
from midwatch.host import Host
from midwatch.mcp_client.links import Reach, connect
from midwatch.reading.differences import differences
from midwatch.reading.findings import Findings
from midwatch.records import Gap, ModelCall, Scope, ToolCall
from midwatch.records.conclusion import Difference
from midwatch.settings import Settings
from midwatch.steering.files import Steering
from midwatch.storage.journal import Journal
from midwatch_kit.records import EntityId

ALL: Final = "all"
NONE: Final = "none"
NO_LIMIT: Final = 2**62


@dataclass(frozen=True)
class Run:
    """One investigation: what it found, and what it took; `cut_short` says why a model could not do its part.

    `entities` were in scope, and `runbook` is what the alert named: by these files have a say.
    """

    findings: Findings
    entities: tuple[EntityId, ...] = ()
    runbook: str = ""
    calls: int = 0
    tokens: int = 0
    usd: float = 0.0
    cut_short: str = ""


@dataclass
class Tried:
    """One case: its runs by what was left out (`all` for nothing, a file's name, `none` for all of them), and labels.

    `applied` are the files that have a say in it; `right` says of each run whether it found the true cause, where that
    is known; `why_not` says why the case, or a run of it, was not tried.
    """

    case: Path
    applied: tuple[str, ...] = ()
    runs: dict[str, Run] = field(default_factory=dict)
    right: dict[str, bool] = field(default_factory=dict)
    why_not: tuple[str, ...] = ()

    def without(self, name: str) -> Run | None:
        """Return the run without a file; where it has no say, that is the run with all."""
        return self.runs.get(name if name in self.applied or name == NONE else ALL)

    def changes(self, name: str) -> list[Difference]:
        """Return what differs when a file is left out, or all are."""
        every, less = self.runs.get(ALL), self.without(name)
        return differences(every.findings, less.findings) if every and less and every is not less else []


@dataclass(frozen=True)
class Paid:
    """Who thinks in a trial, if anybody does, and the purse that each run's share is taken out of before it begins."""

    models: Models
    purse: Purse


@dataclass
class Trial:
    """The trial of some files over some cases; `told` hears of each case as it is done."""

    files: Sequence[Steering]
    settings: Settings
    at_once: int = 2
    paid: Paid | None = None
    reach: Reach = connect
    told: Callable[[Tried], None] = lambda _: None

    def __post_init__(self) -> None:
        names = [file.name for file in self.files]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise BadSteering(f"two files are called {twice[0]}: nobody could tell which of them it was")
        if taken := sorted({ALL, NONE} & {*names}):
            raise BadSteering(f"a file is called {taken[0]!r}, which here means something else: give it another name")

    def most_runs(self, cases: int) -> int:
        """Return how many investigations there are at most."""
        return cases * (1 + len(self.files) + (len(self.files) > 1))

    async def over(self, cases: Sequence[Path]) -> list[Tried]:
        """Try the files on cases, a few at once; the labels are read when all of it is done."""
        tried = [Tried(case) for case in cases]
        places = anyio.CapacityLimiter(self.at_once)

        async def one(case: Tried) -> None:
            async with places:
                await self._try(case)
            self.told(case)

        async with anyio.create_task_group() as group:
            for case in tried:
                group.start_soon(one, case)
        for case in tried:
            label(case)
        return tried

    async def _try(self, case: Tried) -> None:
        try:
            with (
                whole(case.case, self.settings) as snapshot,
                TemporaryDirectory(prefix="midwatch-try-") as keep,
            ):
                thinking = self.settings if self.paid else None
                async with reopened(snapshot, Path(keep), self.reach, thinking) as host:
                    await self._runs(case, snapshot, host)
        except* HostError as group:
            case.why_not = (*case.why_not, str(first_of(group)))

    async def _runs(self, case: Tried, snapshot: Snapshot, host: Host) -> None:
        async def run(name: str, files: Sequence[Steering]) -> Run | None:
            try:
                case.runs[name] = await self._run(snapshot, host, files)
            except Spent as error:
                case.why_not = (*case.why_not, f"the run {_title(name)}: {error}")
            return case.runs.get(name)

        if (every := await run(ALL, self.files)) is None:
            return
        case.applied = tuple(file.name for file in self.files if _has_a_say(file, every))
        less = every
        for name in case.applied:
            less = await run(name, [file for file in self.files if file.name != name]) or less
        if len(case.applied) > 1:
            await run(NONE, ())
        elif case.applied == () or case.applied[0] in case.runs:
            case.runs[NONE] = less

    async def _run(self, snapshot: Snapshot, host: Host, files: Sequence[Steering]) -> Run:
        """Investigate once; raises `Spent` when what that may cost is not there."""
        journal = Journal(None)
        try:
            if self.paid is None:
                return await _done(replace(host, journal=journal), snapshot, files)
            most = self.settings.model_incident_usd
            with self.paid.purse.holding(0, most) as held:
                models = replace(self.paid.models, within=Purse("the run", NO_LIMIT, most))
                done = await _done(replace(host, journal=journal, models=models), snapshot, files)
                held.cost(Usage(), done.usd)
            return done
        finally:
            journal.close()


async def _done(host: Host, snapshot: Snapshot, files: Sequence[Steering]) -> Run:
    found = (await investigated(host, snapshot, files)).findings
    journal, name = host.journal, found.incident
    entities = [entity.id for scope in journal.values(name, Scope) for entity in scope.topology.entities]
    paid = journal.values(name, ModelCall)
    cut = [f"{gap.what}: {gap.why}" for gap in journal.values(name, Gap) if gap.what.startswith("the model")]
    return Run(
        findings=found,
        entities=tuple(entities),
        runbook=next((incident.runbook for incident in host.incidents()), ""),
        calls=len(journal.values(name, ToolCall)),
        tokens=sum(call.tokens for call in paid),
        usd=sum(call.usd for call in paid),
        cut_short=cut[0] if cut else "",
    )


def label(case: Tried) -> None:
    """Say of each run whether it found the true cause, if the case says which that is."""
    if not (case.case / NAME).is_file():
        return
    try:
        expected = expected_in(case.case).model_copy(update={"ruled_out": ()})
    except BadSnapshot as error:
        case.why_not = (*case.why_not, f"not scored: {error}")
        return
    case.right = {name: not [*faults(expected, run.findings)] for name, run in case.runs.items()}


def _has_a_say(file: Steering, run: Run) -> bool:
    return bool(file.applies(run.entities) or file.forbid or (run.runbook and file.is_runbook(run.runbook)))


def _title(name: str) -> str:
    return {ALL: "with all files", NONE: "with no file"}.get(name, f"without {name}")
