"""Runs, many at once: each with a bridge of its own, and a result when it has ended."""

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from midwatch_bench.bridge import Bridge, serving
from midwatch_bench.played import holmes_arm, midwatch_arm
from midwatch_bench.played.bill import billed
from midwatch_bench.played.desk import ENDED, Desk, Run

_ANSWER_SECONDS: Final = 7200.0


@dataclass(frozen=True)
class Running:
    """How runs are run: at which desk, and with which HolmesGPT (the path of its command)."""

    desk: Desk
    holmes: Path | None = None

    def all_of(self, runs: Sequence[Run], at_once: int) -> Iterator[dict[str, Any]]:
        """Yield results as runs end, so many at once."""
        with ThreadPoolExecutor(at_once) as pool:
            for done in as_completed([pool.submit(self.one, run) for run in runs]):
                yield done.result()

    def one(self, run: Run) -> dict[str, Any]:
        """Run one, from the start, and keep its result; one that breaks says why."""
        seat = self.desk.seat(run)
        self._clear(run)
        (self.desk.work(run) / "begun").touch()
        with serving(Bridge(seat, _ANSWER_SECONDS, strict=not run.arm.is_holmes).app()) as url:
            try:
                came: dict[str, Any] = self._how(run)(run, self.desk, url)
            except Exception as error:  # one run that breaks must not stop the others
                came = {"failed": f"{type(error).__name__}: {error}"}
        told = run.model_dump(mode="json")
        result = {"run": told.pop("name"), **told, "fault": run.fault, **came, **billed(seat).model_dump(mode="json")}
        path = self.desk.result(run)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        (seat / ENDED).touch()
        return result

    def begun(self, run: Run) -> bool:
        """Return whether a run was begun, whether or not it has ended."""
        return (self.desk.work(run) / "begun").exists()

    def _how(self, run: Run) -> Callable[[Run, Desk, str], dict[str, Any]]:
        if not run.arm.is_holmes:
            return midwatch_arm.investigate
        if self.holmes is None:
            raise ValueError("it is not said where HolmesGPT's command is: --holmes PATH")
        return partial(holmes_arm.investigate, holmes=self.holmes)

    def _clear(self, run: Run) -> None:
        """Leave nothing of an earlier try."""
        for folder in (self.desk.seat(run), self.desk.work(run)):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
        Path(self.desk.result(run)).unlink(missing_ok=True)
