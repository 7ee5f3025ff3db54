"""The application's processes: which there are, where they listen, and how one is replaced without a gap.

The sockets belong to this process and are handed down (as systemd's socket activation does it): a new process and the
old one accept from the same queue, so no connection is refused while one takes over. It doesn't know about commits.
"""

import os
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import anyio
from anyio.abc import TaskGroup

from robots.events import Note
from robots.processes import Child, start, stop, tail, until_ready
from robots.roles import ROLES, url_of

SERVICES: Mapping[str, int] = {"forge": 2, "schedule": 1, "action": 1, "bot": 1, "gateway": 1}
READY_SECONDS = 30.0
GRACE_SECONDS = 3.5
LAST_GRACE_SECONDS = 1.5
TELEMETRY = {
    "OTEL_BSP_SCHEDULE_DELAY": "400",
    "OTEL_BLRP_SCHEDULE_DELAY": "400",
    "OTEL_METRIC_EXPORT_INTERVAL": "1000",
    "OTEL_EXPORTER_OTLP_TIMEOUT": "2",
    "OTEL_METRICS_EXEMPLAR_FILTER": "always_off",
    "OTEL_SEMCONV_STABILITY_OPT_IN": "http,database",
}


@dataclass(frozen=True)
class Site:
    """What a run has outside of its processes."""

    folder: Path
    database_url: str
    otlp_url: str
    egress_url: str = ""

    def release(self, service: str, version: str) -> Path:
        """The folder that a service's release is deployed to."""
        return self.folder / "releases" / service / version

    def data(self, instance: str) -> Path:
        """The folder that an instance keeps its files in, through all releases."""
        return self.folder / "data" / instance

    def configuration(self, service: str) -> Path:
        """The folder of the files that a service's instances read while they run."""
        return self.folder / "config" / service


@dataclass(frozen=True)
class Running:
    """A process of an instance."""

    service: str
    instance: str
    version: str
    child: Child

    @property
    def resource(self) -> dict[str, str]:
        """What telemetry about the process says that it is about, by OpenTelemetry's names."""
        return {"service.name": self.service, **_resource(self.instance, self.version)}


class Fleet:
    """All processes of the application. `tasks` must outlive it: each process is watched by one of them."""

    def __init__(self, site: Site, tasks: TaskGroup, note: Note) -> None:
        self.site = site
        self.tasks = tasks
        self.note = note
        self.sockets = {
            instance: socket.create_server(("127.0.0.1", 0), backlog=512, reuse_port=True)
            for service in SERVICES
            for instance in instances(service)
        }
        self.running: dict[str, Running] = {}
        self._turns = {instance: anyio.Lock() for instance in self.sockets}

    def url(self, instance: str) -> str:
        """Return the base URL that an instance is reached at."""
        return f"http://127.0.0.1:{self.sockets[instance].getsockname()[1]}"

    def is_replacing(self, instance: str) -> bool:
        """Whether a process of the instance is being replaced or started anew right now."""
        return self._turns[instance].locked()

    async def replace(self, service: str, instance: str, version: str) -> None:
        """Start a process of a release, and when it's ready stop the one that it replaces; raises NotStarted."""
        async with self._turns[instance]:
            old = self.running.get(instance)
            await self._begin(service, instance, version)
            if old is not None:
                await stop(old.child, grace_seconds=GRACE_SECONDS)

    async def revive(self, running: Running, grace_seconds: float) -> Running | None:
        """End a process (by SIGKILL without grace), start its instance anew, and return that; raises NotStarted.

        Meanwhile the instance's address refuses connections. None, when something else has replaced the process.
        """
        async with self._turns[running.instance]:
            if self.running.get(running.instance) is not running:
                return None
            listening = self.sockets[running.instance]
            self.sockets[running.instance] = _bound_to(listening.getsockname()[1])
            listening.close()
            by = signal.SIGTERM if grace_seconds else signal.SIGKILL
            await stop(running.child, grace_seconds=grace_seconds, by=by)
            return await self._begin(running.service, running.instance, running.version)

    async def stop(self) -> None:
        """Stop everything at once."""
        stopping, self.running = list(self.running.values()), {}
        with anyio.CancelScope(shield=True):
            async with anyio.create_task_group() as group:
                for running in stopping:
                    group.start_soon(lambda child: stop(child, grace_seconds=LAST_GRACE_SECONDS), running.child)
        for listening in self.sockets.values():
            listening.close()

    async def _begin(self, service: str, instance: str, version: str) -> Running:
        new = self.running[instance] = await self._launch(service, instance, version)
        self.tasks.start_soon(self._watch, new)
        return new

    async def _launch(self, service: str, instance: str, version: str) -> Running:
        listening = self.sockets[instance].fileno()
        ready, told = os.pipe()
        try:
            child = await start(
                instance,
                [sys.executable, "-m", f"app.{service}"],
                log=self.site.folder / "logs" / f"{instance}.log",
                cwd=self.site.release(service, version),
                environment=self._environment(service, instance, version)
                | {"LISTEN_FD": str(listening), "READY_FD": str(told)},
                pass_fds=[listening, told],
            )
            os.close(told)
            told = -1
            await _until_ready_or_gone(child, ready)
        finally:
            os.close(ready)
            if told >= 0:
                os.close(told)
        return Running(service, instance, version, child)

    async def _watch(self, running: Running) -> None:
        code = await running.child.process.wait()
        if self.running.get(running.instance) is running and not self.is_replacing(running.instance):
            self.note(f"{running.instance} ended by itself with exit code {code}: {tail(running.child.log, 3)}")

    def _environment(self, service: str, instance: str, version: str) -> dict[str, str]:
        resource = _resource(instance, version)
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "PYTHONUNBUFFERED": "1",
            "RELEASE": version,
            "DATABASE_URL": url_of(self.site.database_url, service) if service in ROLES else "",
            "DATA_DIR": str(self.site.data(instance)),
            "CONFIG_DIR": str(self.site.configuration(service)),
            "FORGE_URLS": ",".join(self.url(forge) for forge in instances("forge")),
            "BOT_URL": self.url("bot-1"),
            "SCHEDULE_URL": self.url("schedule-1"),
            "EGRESS_PROXY": self.site.egress_url,
            "OTEL_SERVICE_NAME": service,
            "OTEL_RESOURCE_ATTRIBUTES": ",".join(f"{name}={value}" for name, value in resource.items()),
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.site.otlp_url,
            **TELEMETRY,
        }


def _resource(instance: str, version: str) -> dict[str, str]:
    return {
        "service.instance.id": instance,
        "service.version": version,
        "deployment.environment.name": "production",
        "host.name": socket.gethostname(),
    }


def _bound_to(port: int) -> socket.socket:
    """Return a socket that holds a port and doesn't listen yet: whoever connects is refused until a process does."""
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    bound.bind(("127.0.0.1", port))
    return bound


def instances(service: str) -> Sequence[str]:
    """Return the names of a service's instances."""
    return [f"{service}-{number + 1}" for number in range(SERVICES[service])]


async def _until_ready_or_gone(child: Child, ready: int) -> None:
    try:
        await until_ready(child, ready, READY_SECONDS)
    except anyio.get_cancelled_exc_class():
        await stop(child, grace_seconds=0, by=signal.SIGKILL)
        raise
