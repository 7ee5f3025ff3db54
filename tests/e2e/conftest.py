"""What the end-to-end tests share: midwatch as real processes in a folder of its own, and what they leave behind."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import psutil
import pytest
from tests.e2e.story import Story

from midwatch.records import Conclusion, Incident, RecordType, ToolCall
from midwatch.storage.journal import Journal
from midwatch_kit.records import Record

MIDWATCH = (sys.executable, "-m", "midwatch")
SERVERS = ("traces", "metrics", "logs", "deploys")
FoundT = TypeVar("FoundT")
RecordT = TypeVar("RecordT", bound=Record)


def eventually(look: Callable[[], FoundT | None], seconds: float, what: str) -> FoundT:
    """Return what `look` finds as soon as it finds something; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(0.02)
    return found


@dataclass
class Running:
    """A midwatch command in a process of its own; what it prints goes to a file."""

    process: subprocess.Popen[bytes]
    output: Path

    def text(self) -> str:
        """Return what it has printed so far."""
        return self.output.read_text(encoding="utf-8", errors="replace")

    def waits_for(self, pattern: str, seconds: float = 40) -> re.Match[str]:
        """Return the first place in which it prints what matches."""

        def look() -> re.Match[str] | None:
            found = re.search(pattern, self.text())
            assert found or self.process.poll() is None, self.text()
            return found

        return eventually(look, seconds, f"{pattern} in\n{self.text()}")

    def server(self, name: str) -> psutil.Process | None:
        """Return the process of one of its MCP servers, if it runs."""
        with suppress(psutil.NoSuchProcess):
            family = psutil.Process(self.process.pid).children(recursive=True)
            return next((each for each in family if f"midwatch_{name}" in " ".join(_command(each))), None)
        return None

    def ends(self, seconds: float = 60) -> int:
        """Return the exit code with which it ends within `seconds`."""
        return self.process.wait(seconds)

    def kill(self) -> None:
        """End it as a power cut would: at once, and nobody is told."""
        self.process.kill()
        self.process.wait()

    def kill_all(self) -> None:
        """End it and everything that it has started."""
        with suppress(psutil.NoSuchProcess):
            for each in psutil.Process(self.process.pid).children(recursive=True):
                each.kill()
        self.kill()


@dataclass
class Desk:
    """A folder from which midwatch is used: its settings, its journal, and every process that was started in it."""

    folder: Path
    settings: Mapping[str, str]
    started: list[Running] = field(default_factory=list)

    def start(self, *arguments: str, **settings: str) -> Running:
        """Start a midwatch command; `settings` add to the environment."""
        output = self.folder / f"output-{len(self.started)}.txt"
        environment = {**self.settings, **settings}
        with output.open("wb") as out:
            process = subprocess.Popen(
                [*MIDWATCH, *arguments],
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        self.started.append(Running(process, output))
        return self.started[-1]

    def run(self, *arguments: str, seconds: float = 60, **settings: str) -> subprocess.CompletedProcess[str]:
        """Run a midwatch command to its end, within `seconds`."""
        environment = {**self.settings, **settings}
        return subprocess.run(
            [*MIDWATCH, *arguments],
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    def servers_file(self, **specs: Mapping[str, object]) -> str:
        """Write a servers file with the suite's own servers but for what `specs` say, and return its path."""
        store = {"MIDWATCH_STORE": str(self.folder / "snapshot"), "XDG_CACHE_HOME": self.settings["XDG_CACHE_HOME"]}
        own = {
            name: {"command": sys.executable, "args": ["-m", f"midwatch_{name}"], "env": store, "suite": True}
            for name in SERVERS
        }
        path = self.folder / "servers.json"
        path.write_text(json.dumps({"mcpServers": {**own, **specs}}))
        return str(path)

    def noted(self, shape: type[RecordT], data: str = "data") -> list[RecordT]:
        """Return every record of one shape in the journal so far, of all incidents."""
        path = self.folder / data / "journal.db"
        if not path.exists():
            return []
        with closing(Journal(path)) as journal:
            return [value for name in journal.investigations() for value in journal.values(name, shape)]

    def kinds(self, data: str = "data") -> list[RecordType]:
        """Return the kinds of all records of the journal's only incident, in order."""
        with closing(Journal(self.folder / data / "journal.db")) as journal:
            (incident,) = journal.investigations()
            return [entry.type for entry in journal.entries(incident)]

    def asked(self, running: Running, calls: int = 1) -> int:
        """Return how many tool calls are on record, as soon as there are `calls`; fails when the command ends first."""

        def look() -> int | None:
            count = len(self.noted(ToolCall))
            assert count or running.process.poll() is None, running.text()
            return count if count >= calls else None

        return eventually(look, 40, f"{calls} tool calls, by\n{running.text()}")

    def concludes(self, seconds: float = 60, data: str = "data") -> Conclusion:
        """Return the conclusion, as soon as there is one."""
        return eventually(lambda: next(iter(self.noted(Conclusion, data)), None), seconds, "a conclusion")

    def incident(self) -> Incident:
        """Return the journal's only incident, as it was first noted."""
        return self.noted(Incident)[0]

    def left_behind(self, seconds: float = 10) -> list[str]:
        """Return the processes that still work in or with this folder after `seconds`; none is as it should be."""
        deadline = time.monotonic() + seconds
        while (left := _belonging_to(self.folder)) and time.monotonic() < deadline:
            time.sleep(0.05)
        return left


@contextmanager
def a_desk(folder: Path) -> Iterator[Desk]:
    """Make a desk with settings that fit data of seconds; every process started at it ends with the block."""
    settings = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "COLUMNS": "200",
        "PYTHONUNBUFFERED": "1",
        "XDG_CACHE_HOME": str(folder / "cache"),
        "TMPDIR": str(folder),
        "MIDWATCH_DATA_DIR": str(folder / "data"),
        "MIDWATCH_LOOKBACK_SECONDS": "40",
        "MIDWATCH_GATHER_SECONDS": "2.5",
        "MIDWATCH_APPROVAL_SECONDS": "1",
    }
    desk = Desk(folder, settings)
    try:
        yield desk
    finally:
        for running in desk.started:
            running.kill_all()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A desk for one test."""
    with a_desk(tmp_path) as made:
        yield made


@pytest.fixture
def snapshot(desk: Desk) -> Path:
    """The synthetic incident, as a snapshot."""
    return Story().write(desk.folder / "snapshot")


def told(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """Return the JSON that a command printed."""
    assert done.returncode == 0, done.stderr
    value = json.loads(done.stdout)
    assert isinstance(value, dict)
    return value


def interrupt(running: Running) -> tuple[int, float]:
    """Do what Ctrl-C does, to the whole group of processes, and return the exit code and the seconds it took."""
    began = time.monotonic()
    os.killpg(running.process.pid, signal.SIGINT)
    return running.ends(20), time.monotonic() - began


def findings(conclusion: Conclusion) -> dict[str, Any]:
    """Return a conclusion without the ids of its observations, which are of the run."""
    ids = {"supports", "contradicts", "trigger"}
    ruled_out = [(out.hypothesis, out.statement, out.reason) for out in conclusion.ruled_out]
    causes = [cause.model_dump(exclude=ids) for cause in conclusion.root_causes]
    impact = conclusion.impact.statement if conclusion.impact else None
    return {**conclusion.model_dump(), "root_causes": causes, "ruled_out": ruled_out, "impact": impact}


def _belonging_to(folder: Path) -> list[str]:
    return [f"{each.pid} {' '.join(_command(each))}" for each in psutil.process_iter() if _mentions(each, str(folder))]


def _mentions(process: psutil.Process, folder: str) -> bool:
    """Whether a process works in a folder, or was told of it by its command or its environment."""
    with suppress(psutil.Error):
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        where = [process.cwd(), *process.cmdline(), *process.environ().values()]
        return any(folder in each for each in where)
    return False


def _command(process: psutil.Process) -> list[str]:
    with suppress(psutil.Error):
        return process.cmdline()
    return []
