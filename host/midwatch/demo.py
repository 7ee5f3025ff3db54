"""The demo: a real small application, really broken, investigated live, mitigated after approval, proven healthy.

It runs what a team would run: the store, the servers, the host with its webhook. The application (`robots`) is a
process of its own; all that passes between the two is telemetry, an alert and, once approved, a roll-back.
"""

import contextlib
import sys
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from socket import socket

import anyio
import httpx2
from anyio.abc import Process
from pydantic import JsonValue
from rich.console import Console
from rich.markup import escape

from midwatch import webhook
from midwatch.children import child, events, failed
from midwatch.errors import HostError
from midwatch.host import Host, open_host
from midwatch.mitigation.gate import Approver
from midwatch.reading.live import LiveView
from midwatch.reading.packet import drawn
from midwatch.records import Conclusion, Incident, Report
from midwatch.serving import listen
from midwatch.settings import Settings
from midwatch.storage.journal import Entry
from midwatch.work.waiting import unfinished
from midwatch_kit.window import resolve_window
from midwatch_topology import to_svg

_READY_SECONDS = 90.0
_ALARM_SECONDS = 120.0
_MENDED_SECONDS = 30.0
_SOUND = {"error_share": 0.01, "p95_ms": 1000.0}
_SOUND_LOOKS = 2
"""What the application's health must be below, so many times in a row, to count as mended."""


@dataclass(frozen=True)
class Show:
    """What a demo was asked for, and where it keeps its files.

    With `mend_after` the application applies the fault's own fix that many seconds after its alarm, as proof that the
    fault is what it says; the demo then waits for the outcome.
    """

    fault: str
    seed: int
    folder: Path
    console: Console
    approver: Approver | None
    mend_after: float | None = None


@dataclass(frozen=True)
class Shown:
    """What a demo showed: the investigation, how long it took, what had really been done, and if its fix helped."""

    incident: Incident
    conclusion: Conclusion
    report: Report
    seconds_to_conclusion: float
    truth: JsonValue
    picture: Path
    mended: bool | None = None


async def demo(show: Show) -> Shown:
    """Run the whole show and leave no process behind; raises `HostError` when a part cannot start."""
    with listen("127.0.0.1", 0) as listening:
        return await _run(show, listening)


async def _run(show: Show, listening: socket) -> Shown:
    told = _Told(show.console)
    alerts_url = f"http://127.0.0.1:{listening.getsockname()[1]}/alerts"
    async with store_process(show.folder / "store", show.folder / "logs") as store_url:
        show.console.print(f"[dim]store at {store_url}; starting the application…[/dim]")
        async with _robots(show, store_url, alerts_url) as robots, anyio.create_task_group() as group:
            group.start_soon(told.follow, robots)
            await _wait_for(told, robots, show.folder / "logs" / "robots.log")
            async with open_host(_settings(show, told)) as host, webhook.serve(host, listening):
                await host.topology(resolve_window("-1h", "now"))  # servers load what they need
                show.console.print(f"[dim]webhook at {alerts_url}; waiting for the alarm…[/dim]")
                incident = await _first_incident(host, told)
                if incident is None:
                    raise await failed(robots, "the application", show.folder / "logs" / "robots.log")
                shown = await _investigate(host, show, told, incident)
            if show.mend_after is not None:
                with anyio.move_on_after(_MENDED_SECONDS):
                    await told.sound.wait()
                shown = replace(shown, mended=told.sound.is_set())
            group.cancel_scope.cancel()
    return shown


@asynccontextmanager
async def store_process(folder: Path, logs: Path, port: int = 0) -> AsyncGenerator[str]:
    """Run the embedded store's receiver while the block runs; yields its URL once it answers.

    Port 0 means any free one. Raises `BadSettings` when the port is taken, and `HostError` with the receiver's own
    words when it does not start.
    """
    # A port that is taken is told before anything is started.
    with listen("127.0.0.1", port, "--store-port or MIDWATCH_STORE_PORT") as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "midwatch_store", "serve", "--dir", str(folder), "--port", str(port)]
    log = logs / "store.log"
    async with child([*command, "--while-stdin-open", "true"], log) as process:
        url = f"http://127.0.0.1:{port}"
        with anyio.move_on_after(_READY_SECONDS) as patience:
            while process.returncode is None:
                if await _answers(f"{url}/healthz"):
                    break
                await anyio.sleep(0.1)
        if patience.cancelled_caught:
            raise HostError(f"the store was not ready within {_READY_SECONDS:g} s; see {log}")
        if process.returncode is not None:
            raise await failed(process, "the store", log)
        yield url


def say(console: Console, event: Mapping[str, JsonValue]) -> None:
    """Print one event of the application, if it is for people to read."""
    text = {"note": event.get("text"), "fault": "a fault was made (the host is not told)"}.get(str(event["event"]))
    if text:
        console.print(f"[dim]{str(event['at'])[11:19]} robots      {escape(str(text))}[/dim]", highlight=False)


@asynccontextmanager
async def _robots(show: Show, store_url: str, alerts_url: str) -> AsyncGenerator[Process]:
    command = [sys.executable, "-m", "robots", "run", "--store-url", store_url, "--webhook", alerts_url]
    options = ["--dir", str(show.folder / "robots"), "--fault", show.fault, "--seed", str(show.seed)]
    options += [] if show.mend_after is None else ["--mend-after", str(show.mend_after)]
    async with child([*command, *options], show.folder / "logs" / "robots.log") as process:
        yield process


@dataclass
class _Told:
    """What the application has told so far: that it is ready, what was done to it, how customers fare after the fix."""

    console: Console
    deployer: str = ""
    truth: JsonValue = None
    ended: bool = False
    ready: anyio.Event = field(default_factory=anyio.Event)
    sound: anyio.Event = field(default_factory=anyio.Event)
    _looks: int | None = None

    async def follow(self, robots: Process) -> None:
        """Take in one event after the other until the application ends."""
        async for event in events(robots):
            self._take(event)
            say(self.console, event)
        self.ended = True
        self.ready.set()

    def _take(self, event: Mapping[str, JsonValue]) -> None:
        match event["event"]:
            case "started":
                self.deployer = str(event["deployer"])
                self.ready.set()
            case "fault":
                self.truth = event.get("truth")
            case "mended":
                self._looks = 0
            case "health" if self._looks is not None:
                self._looks = self._looks + 1 if _is_sound(event) else 0
                if self._looks >= _SOUND_LOOKS:
                    self.sound.set()


async def _wait_for(told: _Told, robots: Process, log: Path) -> None:
    with anyio.move_on_after(_READY_SECONDS):
        await told.ready.wait()
        if told.deployer:
            return
        raise await failed(robots, "the application", log)
    raise HostError(f"the application was not ready within {_READY_SECONDS:g} s; see {log}")


def _settings(show: Show, told: _Told) -> Settings:
    """Seconds instead of minutes: the application compresses time, so the host's patience shrinks with it."""
    return Settings(
        data_dir=show.folder / "host",
        database_url=None,
        store=show.folder / "store",
        roll_back_url=f"{told.deployer}/roll-back",
        lookback_seconds=40,
        gather_seconds=2.5,
        settle_seconds=5,
        recovery_seconds=30,
    )


async def _investigate(host: Host, show: Show, told: _Told, incident: Incident) -> Shown:
    clocked = _Stopwatch()
    host.journal.listeners += [LiveView(show.console).show, clocked.see]
    report = await host.investigation(incident, show.approver).run()
    conclusion = host.journal.values(incident.id, Conclusion)[-1]
    picture = show.folder / "path.svg"
    await anyio.Path(picture).write_text(to_svg(*drawn(incident.id, host.journal)), encoding="utf-8")
    return Shown(incident, conclusion, report, clocked.seconds, told.truth, picture)


async def _first_incident(host: Host, told: _Told) -> Incident | None:
    """Return the first incident, or None when the application ended before there was one."""
    with anyio.move_on_after(_ALARM_SECONDS):
        while not told.ended:
            if left := unfinished(host.journal):
                return left[0]
            await anyio.sleep(0.05)
        return None
    raise HostError(f"no alert came within {_ALARM_SECONDS:g} s, though the application runs")


def _is_sound(health: Mapping[str, JsonValue]) -> bool:
    return all(isinstance(value := health.get(name), int | float) and value < most for name, most in _SOUND.items())


@dataclass
class _Stopwatch:
    """How long it took from the first record (the alert) to the conclusion, in seconds."""

    began: float = 0.0
    seconds: float = 0.0

    def see(self, entry: Entry) -> None:
        """Note the time of the records that matter."""
        if entry.type == "incident" and not self.began:
            self.began = time.monotonic()
        if entry.type == "conclusion":
            self.seconds = round(time.monotonic() - self.began, 2)


async def _answers(url: str) -> bool:
    with contextlib.suppress(httpx2.HTTPError):
        async with httpx2.AsyncClient(timeout=2) as client:
            return (await client.get(url)).status_code == 200
    return False
