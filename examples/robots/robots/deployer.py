"""Deploys, rolls back and restarts the application from its git repository, and records each of these in the store.

It's the only part that starts or stops the application's processes, and it does one thing at a time. It decides
nothing: which revision is good is for whoever asks.
"""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime

import anyio
from pydantic import BaseModel, ConfigDict, JsonValue

from robots.events import Note, now
from robots.fleet import SERVICES, Fleet, instances
from robots.processes import NotStarted
from robots.record import Change, Recorder
from robots.repository import Commit, GitFailed, Repository


class UnknownTarget(Exception):
    """Raised for a service, instance or revision that there isn't; its text names those that there are."""


class Done(BaseModel):
    """What came of a request: `changed` is false when there was nothing to do."""

    model_config = ConfigDict(frozen=True)

    change_id: str
    service: str
    version: str
    previous_version: str
    instances: tuple[str, ...]
    outcome: str
    changed: bool
    recorded: bool
    seconds: float
    problem: str = ""


class Deployer:
    """Keeps each service at one version; `history` holds the versions that a service had, the current one last."""

    def __init__(self, fleet: Fleet, repository: Repository, recorder: Recorder, note: Note) -> None:
        self.fleet = fleet
        self.repository = repository
        self.recorder = recorder
        self.note = note
        self.history: dict[str, list[str]] = {service: [] for service in SERVICES}
        self._turn = anyio.Lock()

    async def install(self, commit: Commit) -> None:
        """Start every service at a commit, all at once, and record nothing; raises NotStarted."""
        async with anyio.create_task_group() as group:
            for service in SERVICES:
                await self.repository.export(commit.sha, self.fleet.site.release(service, commit.version))
                self.history[service].append(commit.version)
                for instance in instances(service):
                    group.start_soon(self.fleet.replace, service, instance, commit.version)

    async def deploy(self, service: str, revision: str, by: str = "") -> Done:
        """Roll a service to a revision; raises UnknownTarget."""
        self._check(service)
        commit = await self._find(revision)
        async with self._turn:
            return await self._move(service, commit, commit.author, commit.subject, {"deployed_by": by} if by else {})

    async def roll_back(self, service: str, to_version: str, by: str = "") -> Done:
        """Roll a service back to a version; a service that is there already is left alone. Raises UnknownTarget."""
        self._check(service)
        commit = await self._find(to_version)
        async with self._turn:
            current = self.history[service][-1]
            if commit.version == current:
                return _nothing_to_do(service, current)
            title = f"Roll {service} back from {current} to {commit.version} ({commit.subject})"
            return await self._move(service, commit, by or "deployer", title, {"rolls_back": current})

    async def restart(self, service: str, instance: str, by: str = "", reason: str = "") -> Done:
        """Replace an instance's process by a new one of the same version; raises UnknownTarget."""
        self._check(service)
        if instance not in instances(service):
            raise UnknownTarget(f"{service} has no instance {instance}; it has {', '.join(instances(service))}")
        async with self._turn:
            version = self.history[service][-1]
            change = Change(
                timestamp=now(),
                change_id=_new_id("restart"),
                kind="infrastructure",
                service_name=service,
                instance=instance,
                title=f"Restart {instance}" + (f": {reason}" if reason else ""),
                author=by or "deployer",
                version=version,
                previous_version=version,
            )
            return await self._carry_out(change, version, version, [instance])

    def versions(self) -> dict[str, dict[str, JsonValue]]:
        """Return each service's current and previous version and its instances."""
        return {service: self._versions(service) for service in SERVICES}

    def _versions(self, service: str) -> dict[str, JsonValue]:
        kept = self.history[service]
        return {
            "current": kept[-1] if kept else None,
            "previous_good": kept[-2] if len(kept) > 1 else None,
            "instances": [
                {
                    "instance": name,
                    "url": self.fleet.url(name),
                    "version": self.fleet.running[name].version,
                    "pid": self.fleet.running[name].child.process.pid,
                    "running": self.fleet.running[name].child.alive,
                }
                for name in instances(service)
                if name in self.fleet.running
            ],
        }

    async def _move(self, service: str, commit: Commit, author: str, title: str, attributes: Mapping[str, str]) -> Done:
        current = self.history[service][-1]
        await self.repository.export(commit.sha, self.fleet.site.release(service, commit.version))
        parts = (f"app/{service}", ":(glob)app/*")  # what the service is built from: its own part and the shared one
        change = Change(
            timestamp=now(),
            change_id=_new_id("rollback" if "rolls_back" in attributes else "deploy"),
            kind="deploy",
            service_name=service,
            title=title,
            author=author,
            version=commit.version,
            previous_version=current,
            repository=str(self.repository.path),
            url=f"{self.repository.path.as_uri()}#{commit.sha}",
            files=tuple(await self.repository.files(current, commit.sha, parts)),
            diff=await self.repository.diff(current, commit.sha, parts),
            attributes={**attributes, "revision": commit.sha},
        )
        done = await self._carry_out(change, commit.version, current, instances(service))
        if done.outcome == "succeeded":
            self._remember(service, commit.version)
        return done

    async def _carry_out(self, change: Change, version: str, current: str, targets: Sequence[str]) -> Done:
        await self.recorder.change(change)
        problem = await self._roll(change.service_name, targets, version, current)
        ended = now()
        outcome = "failed" if problem else "succeeded"
        recorded = await self.recorder.change(change.model_copy(update={"end_time": ended, "outcome": outcome}))
        self.note(f"{change.title}: {outcome}" + (f" ({problem})" if problem else ""))
        return Done(
            change_id=change.change_id,
            service=change.service_name,
            version=version,
            previous_version=current,
            instances=tuple(targets),
            outcome=outcome,
            changed=not problem,
            recorded=recorded,
            seconds=_seconds(change.timestamp, ended),
            problem=problem,
        )

    async def _roll(self, service: str, targets: Sequence[str], version: str, current: str) -> str:
        """Replace instance after instance; when one doesn't start, take back those before it and return why."""
        for number, instance in enumerate(targets):
            try:
                await self.fleet.replace(service, instance, version)
            except NotStarted as error:
                for rolled in targets[:number]:
                    await self.fleet.replace(service, rolled, current)
                return str(error)
        return ""

    def _remember(self, service: str, version: str) -> None:
        kept = self.history[service]
        self.history[service] = [*kept[: kept.index(version)], version] if version in kept else [*kept, version]

    def _check(self, service: str) -> None:
        if service not in SERVICES:
            raise UnknownTarget(f"there is no service {service}; there are {', '.join(SERVICES)}")

    async def _find(self, revision: str) -> Commit:
        try:
            return await self.repository.find(revision)
        except GitFailed as error:
            raise UnknownTarget(f"there is no revision {revision} in {self.repository.path}") from error


def _nothing_to_do(service: str, version: str) -> Done:
    return Done(
        change_id="",
        service=service,
        version=version,
        previous_version=version,
        instances=(),
        outcome="succeeded",
        changed=False,
        recorded=False,
        seconds=0.0,
    )


def _new_id(what: str) -> str:
    return f"{what}-{uuid.uuid4().hex[:12]}"


def _seconds(start: datetime, end: datetime) -> float:
    return round((end - start).total_seconds(), 3)
