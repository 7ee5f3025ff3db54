"""The proving ground: an application that is really broken, one fault and one seed at a time, investigated live."""

import json
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import anyio
from rich.console import Console

from midwatch.accuracy.score import Score, Truth, score
from midwatch.demo import Show, Shown, demo
from midwatch.errors import HostError, first_of
from midwatch.storage.journal import Journal

MEND_AFTER_SECONDS = 6.0
"""Enough for an investigation to have all its telemetry before the fix changes the picture."""


@dataclass(frozen=True)
class Case:
    """One fault with one seed."""

    fault: str
    seed: int


@dataclass(frozen=True)
class Result:
    """What came of a case: the score, the seconds from alert to conclusion and whether the fault's own fix helped.

    `failed` says why there is no score: the application did not start, or no alarm fired.
    """

    case: Case
    score: Score | None
    seconds: float
    mended: bool
    failed: str = ""

    @property
    def right(self) -> bool:
        """Whether the investigation found what had really been done."""
        return self.score is not None and self.score.right


async def known_faults(asked: Sequence[str]) -> list[str]:
    """Return `asked`, or all that the application knows if that is empty.

    Raises `HostError` when the application is not installed, or does not know one of them.
    """
    told = await anyio.run_process([sys.executable, "-m", "robots", "faults", "--json"], check=False)
    if told.returncode:
        raise HostError(
            f"the application `robots` cannot be run: {told.stderr.decode(errors='replace').strip()[-300:]}"
        )
    known = [fault["name"] for fault in json.loads(told.stdout)]
    if unknown := set(asked) - set(known):
        raise HostError(f"no fault is called {', '.join(sorted(unknown))}: there are {', '.join(known)}")
    return list(asked) or known


async def run_cases(cases: Sequence[Case], folder: Path) -> AsyncIterator[Result]:
    """Run cases one after the other, since two on a small machine would disturb each other; yields as they end."""
    for case in cases:
        yield await run_case(case, folder / f"{case.fault}-{case.seed}")


async def run_case(case: Case, folder: Path) -> Result:
    """Break the application, investigate, then let it be mended; all files stay in `folder`."""
    await anyio.Path(folder).mkdir(parents=True)
    live = Console(quiet=True)
    show = Show(case.fault, case.seed, folder, live, None, MEND_AFTER_SECONDS)
    try:
        shown = await demo(show)
        scored = _score(shown, folder)
        return Result(case, scored, shown.seconds_to_conclusion, mended=bool(shown.mended))
    except* HostError as group:
        failed = str(first_of(group))
    return Result(case, None, 0.0, mended=False, failed=failed)


def _score(shown: Shown, folder: Path) -> Score:
    if shown.truth is None:
        raise HostError("an alarm fired before the application was broken")
    truth = Truth.model_validate(shown.truth)
    (folder / "truth.json").write_text(truth.model_dump_json(), encoding="utf-8")
    with closing(Journal(folder / "host" / "journal.db")) as journal:
        return score(shown.incident.id, journal, truth)
