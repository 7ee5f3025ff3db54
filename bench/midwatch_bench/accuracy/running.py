"""Cases, one after the other or a few at once: each becomes a snapshot, which is replayed and measured."""

import multiprocessing
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import closing
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cache
from itertools import islice
from pathlib import Path

from midwatch.cases.replay import replay
from midwatch.settings import Settings
from midwatch.storage.journal import Journal
from midwatch_bench.accuracy.baselines import places, series_of
from midwatch_bench.accuracy.data_sets import SETS
from midwatch_bench.accuracy.in_process import TOPOLOGY, reach_without
from midwatch_bench.accuracy.measured import Measured, measured
from midwatch_bench.importers.case import Case, write_snapshot


@dataclass(frozen=True)
class Run:
    """What is to be run: the set and where it is, and which of its cases.

    `split` is fit, score or all, `cases` a pattern for names; of those only each `every`-th is taken. `without` are the
    servers that seem to be down, and `TOPOLOGY` where nobody is to know who depends on whom. Everything that a case
    leaves behind goes into a new folder of its name under `keep`, if that is given. `baselines` says that simpler
    methods are to rank the same snapshots.
    """

    data_set: str
    data: Path
    split: str = "all"
    cases: str = "*"
    every: int = 1
    limit: int | None = None
    without: frozenset[str] = frozenset()
    keep: Path | None = None
    baselines: bool = False

    def chosen(self) -> list[Case]:
        """Return the cases, in the order of the set."""
        wanted = islice(filter(self._wanted, _listed(self.data_set, self.data)), 0, None, self.every)
        return list(islice(wanted, self.limit))

    def _wanted(self, case: Case) -> bool:
        return self.split in ("all", case.split) and fnmatchcase(case.name, self.cases)


def run_cases(run: Run, parallel: int) -> Iterator[Measured]:
    """Yield the cases as they end, so many at once; with more than one, each in one of as many processes."""
    chosen = run.chosen()
    if parallel == 1:
        yield from (run_case(run, case) for case in chosen)
        return
    started = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(parallel, mp_context=started) as pool:
        for done in as_completed([pool.submit(_run_named, run, case.name) for case in chosen]):
            yield done.result()


def run_case(run: Run, case: Case) -> Measured:
    """Return what came of a case; one that breaks is counted as failed, and says why."""
    with tempfile.TemporaryDirectory(prefix="midwatch-accuracy-") as folder:
        try:
            return _measured(run, case, run.keep / case.name if run.keep else Path(folder))
        except Exception as error:  # one case that breaks must not stop the others
            why = f"{type(error).__name__}: {error}"
            return Measured(case.name, case.split, case.group, tuple(sorted(case.answers)), said=why)


def _measured(run: Run, case: Case, folder: Path) -> Measured:
    folder.mkdir(parents=True, exist_ok=True)
    data_set, keep = SETS[run.data_set], folder / "host"
    snapshot = write_snapshot(replace(case, calls=()) if TOPOLOGY in run.without else case, folder / "snapshot")
    conditions = Settings(lookback_seconds=data_set.lookback_seconds, gather_seconds=0)
    began = time.process_time()
    replay(snapshot, keep, conditions, reach_without(run.without))
    spent = time.process_time() - began
    with closing(Journal(keep / "journal.db")) as journal:
        (investigation,) = journal.investigations()
        done = measured(case, data_set, journal, investigation, spent)
    return replace(done, baselines=places(case, series_of(snapshot))) if run.baselines else done


def _run_named(run: Run, name: str) -> Measured:
    (case,) = (case for case in _listed(run.data_set, run.data) if case.name == name)
    return run_case(run, case)


@cache
def _listed(data_set: str, data: Path) -> Sequence[Case]:
    """List a set once in each process: that takes a while, and a case cannot be sent to another one."""
    found: Iterable[Case] = SETS[data_set].cases(data.resolve())
    return tuple(found)
