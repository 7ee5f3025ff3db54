"""Keeps each instance running, as systemd or a kubelet would: runs its health check, bounds its memory, restarts it.

Its log is told as the instance's own, as a collector reads a unit's journal. It asks nobody before a restart, records
no change, and knows nothing of why an instance is unwell.
"""

import os
import sys
from dataclasses import dataclass, replace
from subprocess import STDOUT

import anyio
import psutil

from robots.events import Note, now
from robots.fleet import SERVICES, Fleet, Running, instances
from robots.otlp import Line, Otlp, Point
from robots.processes import NotStarted

LOOK_SECONDS = 0.5
LOOKS_PER_CHECK = 3
CHECK_SECONDS = 3.0
FAILURES = 3
GRACE_SECONDS = 1.0
MEBI = 1024 * 1024
MEMORY_LIMIT = 160 * MEBI
HEALTH_CHECK = "healthcheck.sh"


@dataclass(frozen=True)
class Watched:
    """How an instance's process does: failed checks in a row, and restarts so far."""

    running: Running | None = None
    failures: int = 0
    restarts: int = 0


class Supervisor:
    """Watches over all instances of a fleet."""

    def __init__(
        self,
        fleet: Fleet,
        otlp: Otlp,
        note: Note,
        memory_limit: int = MEMORY_LIMIT,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        self.fleet = fleet
        self.otlp = otlp
        self.note = note
        self.memory_limit = memory_limit
        self.look_seconds = look_seconds

    async def run(self) -> None:
        """Watch until cancelled."""
        async with anyio.create_task_group() as group:
            for service in SERVICES:
                for instance in instances(service):
                    group.start_soon(self.keep, instance)

    async def keep(self, instance: str) -> None:
        """Watch one instance; a process that has just taken over is let alone for the first looks."""
        watched, looks = Watched(), 0
        while True:
            await anyio.sleep(self.look_seconds)
            running = self.fleet.running.get(instance)
            if running is None or self.fleet.is_replacing(instance):
                continue
            if running is not watched.running:
                watched, looks = Watched(running, 0, watched.restarts), 0
            looks += 1
            watched = await self._look(watched, running, looks % LOOKS_PER_CHECK == 0)

    async def _look(self, watched: Watched, running: Running, check: bool) -> Watched:
        if not running.child.alive:
            code = running.child.process.returncode
            return await self._restart(watched, running, f"Main process of {running.instance} exited, code {code}")
        used = memory(running)
        if used > self.memory_limit:
            limit = f"{used // MEBI} MiB in use, above its limit of {self.memory_limit // MEBI} MiB"
            return await self._restart(watched, running, f"{running.instance} was OOMKilled: {limit}", grace=0)
        if not check:
            return watched
        await self._measure(watched, running)
        problem = await self._check(running)
        if not problem:
            return replace(watched, failures=0)
        failures = watched.failures + 1
        await self._tell(running, "WARN", f"Health check of {running.instance} failed: {problem}")
        if failures < FAILURES:
            return replace(watched, failures=failures)
        return await self._restart(watched, running, f"{running.instance} failed {failures} health checks in a row")

    async def _check(self, running: Running) -> str:
        """Run the service's health check and return what is wrong, '' for nothing."""
        script = self.fleet.site.configuration(running.service) / HEALTH_CHECK
        port = self.fleet.url(running.instance).rpartition(":")[2]
        environment = {"PATH": os.defpath, "PORT": port, "PID": str(running.child.process.pid)}
        with anyio.move_on_after(CHECK_SECONDS):
            done = await anyio.run_process(
                ["/bin/bash", HEALTH_CHECK], cwd=script.parent, env=environment, stderr=STDOUT, check=False
            )
            said = " ".join(done.stdout.decode(errors="replace").split())
            return f"exit code {done.returncode}: {said}"[:400] if done.returncode else ""
        return f"no answer after {CHECK_SECONDS:.0f} s"

    async def _restart(self, watched: Watched, running: Running, why: str, grace: float = GRACE_SECONDS) -> Watched:
        await self._tell(running, "ERROR", f"{why}; it will be restarted")
        try:
            started = await self.fleet.revive(running, grace)
        except NotStarted as error:
            await self._tell(running, "ERROR", f"Can't start {running.instance}: {error}")
            return watched
        if started is None:
            return watched
        self.note(f"{why}: restarted by the supervisor")
        await self._tell(started, "INFO", f"Started {running.instance} anew")
        return Watched(started, 0, watched.restarts + 1)

    async def _tell(self, running: Running, severity: str, text: str) -> None:
        await self.otlp.logs(running.resource, [Line(now(), severity, text)])

    async def _measure(self, watched: Watched, running: Running) -> None:
        points = [
            Point("container.memory.limit", "By", self.memory_limit),
            Point("container.restarts", "{restart}", watched.restarts),
        ]
        await self.otlp.gauges(running.resource, points)


def memory(running: Running) -> int:
    """Return the bytes of memory that an instance's process holds; 0 when it's gone."""
    try:
        process = psutil.Process(running.child.process.pid)
        # Elsewhere the instance is its tether's child; on Linux to look for children would cost more than all the rest.
        family = [process] if sys.platform == "linux" else [process, *process.children()]
        return sum(one.memory_info().rss for one in family)
    except psutil.NoSuchProcess:
        return 0
