from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import anyio
import httpx
import psutil
import pytest

from robots.configuration import Configuration
from robots.deployer import Deployer, UnknownTarget
from robots.deployer_http import application
from robots.fleet import SERVICES, Fleet, Site, instances
from robots.history import KUMAR, commit_time
from robots.record import Recorder, http_client
from robots.repository import Commit, Repository

# A service that is ready at once, and ends when it's told to.
SERVICE = """
import os, signal
os.write(int(os.environ["READY_FD"]), b"ready")
signal.sigwait([signal.SIGTERM])
"""
BROKEN = "raise SystemExit('no joints today')\n"


class Catching(Protocol):
    """What the tests need of the store: its URL, and what it was sent."""

    @property
    def url(self) -> str: ...

    @property
    def caught(self) -> dict[str, list[Any]]: ...


@dataclass
class Stand:
    """A deployer over a real repository and real processes, of an application that does nothing."""

    deployer: Deployer
    configuration: Configuration
    store: Catching
    first: Commit
    notes: list[str]
    commits: int = 0

    async def commit(self, service: str, text: str) -> Commit:
        """Commit another version of a service."""
        self.commits += 1
        await write(self.deployer.repository, service, text + f"# {self.commits}\n")
        return await self.deployer.repository.commit(f"{service}: change {self.commits}", KUMAR, commit_time(1, 1))

    def processes(self, service: str) -> dict[str, tuple[str, int]]:
        """Return the version and process of each instance of a service."""
        running = self.deployer.fleet.running
        return {name: (running[name].version, running[name].child.process.pid) for name in instances(service)}

    def changes(self) -> list[dict[str, Any]]:
        """Return what the store was told, each change in its last form."""
        rows = [row for batch in self.store.caught.get("/v1/changes", []) for row in batch]
        return list({row["change_id"]: row for row in rows}.values())


async def write(repository: Repository, service: str, text: str) -> None:
    package = anyio.Path(repository.path / "app" / service)
    await package.mkdir(parents=True, exist_ok=True)
    await (package / "__init__.py").touch()
    await (package.parent / "__init__.py").touch()
    await (package / "__main__.py").write_text(text)


@asynccontextmanager
async def standing(folder: Path, store: Catching) -> AsyncGenerator[Stand]:
    notes: list[str] = []
    repository = Repository(folder / "repository")
    await repository.create()
    for service in SERVICES:
        await write(repository, service, SERVICE)
    first = await repository.commit("Begin", KUMAR, commit_time(1, 0))
    async with http_client() as http, anyio.create_task_group() as tasks:
        fleet = Fleet(Site(folder, "postgresql://nowhere", store.url), tasks, notes.append)
        deployer = Deployer(fleet, repository, Recorder(store.url, http, notes.append), notes.append)
        configuration = Configuration(fleet.site, deployer.recorder, notes.append)
        configuration.prepare()
        try:
            await deployer.install(first)
            yield Stand(deployer, configuration, store, first, notes)
        finally:
            await fleet.stop()
            tasks.cancel_scope.cancel()


async def test_a_deploy_moves_every_instance_and_records_the_commit_with_its_real_diff(
    tmp_path: Path, catcher: Catching
) -> None:
    async with standing(tmp_path, catcher) as stand:
        before = stand.processes("forge")
        await stand.commit("bot", SERVICE)
        commit = await stand.commit("forge", SERVICE)
        done = await stand.deployer.deploy("forge", "main")
        after = stand.processes("forge")
    assert (done.outcome, done.changed, done.recorded) == ("succeeded", True, True)
    assert [version for version, _ in after.values()] == [commit.version] * 2
    assert not {pid for _, pid in before.values()} & {pid for _, pid in after.values()}
    (change,) = stand.changes()
    assert (change["kind"], change["outcome"], change["author"]) == ("deploy", "succeeded", "Ravi Kumar")
    assert (change["version"], change["previous_version"]) == (commit.version, stand.first.version)
    assert change["title"] == commit.subject
    assert change["files"] == ["app/forge/__main__.py"]
    assert change["diff"].endswith("+# 2\n")
    assert change["url"].endswith(f"#{commit.sha}")
    assert change["timestamp"] < change["end_time"]


async def test_a_change_is_recorded_as_running_before_it_has_an_end(tmp_path: Path, catcher: Catching) -> None:
    async with standing(tmp_path, catcher) as stand:
        await stand.deployer.restart("forge", "forge-2")
    (first,), (last,) = catcher.caught["/v1/changes"]
    assert (first["outcome"], first["end_time"]) == ("running", None)
    assert (last["outcome"], last["change_id"]) == ("succeeded", first["change_id"])


async def test_rolling_back_twice_moves_and_records_once(tmp_path: Path, catcher: Catching) -> None:
    async with standing(tmp_path, catcher) as stand:
        commit = await stand.commit("forge", SERVICE)
        await stand.deployer.deploy("forge", commit.sha)
        done = await stand.deployer.roll_back("forge", stand.first.version, by="Mei Tanaka")
        processes = stand.processes("forge")
        again = await stand.deployer.roll_back("forge", stand.first.version)
        assert stand.processes("forge") == processes
    assert (done.changed, again.changed) == (True, False)
    assert {version for version, _ in processes.values()} == {stand.first.version}
    deployed, rolled_back = stand.changes()
    assert rolled_back["attributes"]["rolls_back"] == deployed["version"] == commit.version
    assert rolled_back["author"] == "Mei Tanaka"
    assert rolled_back["diff"].endswith("-# 1\n")


async def test_the_previous_good_version_is_the_one_before_the_current(tmp_path: Path, catcher: Catching) -> None:
    async with standing(tmp_path, catcher) as stand:
        seen = [stand.deployer.versions()["forge"]]
        commit = await stand.commit("forge", SERVICE)
        await stand.deployer.deploy("forge", commit.sha)
        seen.append(stand.deployer.versions()["forge"])
        await stand.deployer.roll_back("forge", stand.first.version)
        seen.append(stand.deployer.versions()["forge"])
    assert [(one["current"], one["previous_good"]) for one in seen] == [
        (stand.first.version, None),
        (commit.version, stand.first.version),
        (stand.first.version, None),
    ]


async def test_a_release_that_cant_start_leaves_the_old_processes_running(tmp_path: Path, catcher: Catching) -> None:
    async with standing(tmp_path, catcher) as stand:
        before = stand.processes("forge")
        commit = await stand.commit("forge", BROKEN)
        done = await stand.deployer.deploy("forge", commit.sha)
        assert stand.processes("forge") == before
        assert stand.deployer.versions()["forge"]["current"] == stand.first.version
    assert (done.outcome, done.changed) == ("failed", False)
    assert "no joints today" in done.problem
    assert [change["outcome"] for change in stand.changes()] == ["failed"]


async def test_a_restart_replaces_one_process_at_the_same_version(tmp_path: Path, catcher: Catching) -> None:
    async with standing(tmp_path, catcher) as stand:
        before = stand.processes("forge")
        await stand.deployer.restart("forge", "forge-2", reason="stuck")
        after = stand.processes("forge")
    assert before["forge-1"] == after["forge-1"]
    assert before["forge-2"][0] == after["forge-2"][0]
    assert before["forge-2"][1] != after["forge-2"][1]
    (change,) = stand.changes()
    assert (change["kind"], change["instance"]) == ("infrastructure", "forge-2")
    assert change["title"] == "Restart forge-2: stuck"


async def test_what_there_isnt_is_told_with_what_there_is(tmp_path: Path, catcher: Catching) -> None:
    async with standing(tmp_path, catcher) as stand:
        with pytest.raises(UnknownTarget, match="no service forgery; there are forge, schedule, action, bot, gateway"):
            await stand.deployer.deploy("forgery", "main")
        with pytest.raises(UnknownTarget, match="no revision abc123"):
            await stand.deployer.roll_back("forge", "abc123")
        with pytest.raises(UnknownTarget, match="forge has no instance forge-3; it has forge-1, forge-2"):
            await stand.deployer.restart("forge", "forge-3")
    assert stand.changes() == []


async def test_a_process_that_ends_by_itself_is_noted(tmp_path: Path, catcher: Catching) -> None:
    async with standing(tmp_path, catcher) as stand:
        _, pid = stand.processes("bot")["bot-1"]
        psutil.Process(pid).kill()
        with anyio.fail_after(30):
            while not stand.notes:  # noqa: ASYNC110 - notes are told by a function
                await anyio.sleep(0.02)
    assert stand.notes[0].startswith("bot-1 ended by itself with exit code -9")


async def test_the_http_face_answers_with_what_was_done(tmp_path: Path, catcher: Catching) -> None:
    async with (
        standing(tmp_path, catcher) as stand,
        httpx.AsyncClient(
            transport=httpx.ASGITransport(application(stand.deployer, stand.configuration)),
            base_url="http://deployer",
        ) as http,
    ):
        commit = await stand.commit("forge", SERVICE)
        deployed = await http.post("/deploy", json={"service": "forge", "revision": commit.sha})
        rolled = await http.post("/roll-back", json={"service": "forge", "to_version": stand.first.version})
        versions = (await http.get("/versions")).json()["services"]
    assert (deployed.status_code, deployed.json()["version"]) == (200, commit.version)
    assert (rolled.status_code, rolled.json()["version"]) == (200, stand.first.version)
    assert versions["forge"]["current"] == stand.first.version
    assert [one["running"] for one in versions["forge"]["instances"]] == [True, True]


@pytest.mark.parametrize(
    ("path", "content", "status", "says"),
    [
        ("/deploy", {"json": {"service": "forge", "revision": "nope"}}, 404, "no revision nope"),
        ("/roll-back", {"json": {"service": "nope", "to_version": "main"}}, 404, "no service nope"),
        ("/restart", {"json": {"service": "forge"}}, 400, "instance"),
        ("/deploy", {"json": {"service": "forge", "revision": "main", "force": True}}, 400, "force"),
        (
            "/configure",
            {"json": {"service": "forge", "file": "f", "text": "", "title": "t"}},
            404,
            "forge has no file f",
        ),
        ("/deploy", {"content": "{", "headers": {"content-type": "application/json"}}, 400, "Invalid JSON"),
        ("/deploy", {"content": '{"service": "forge", "revision": "main"}'}, 415, "content-type: application/json"),
    ],
)
async def test_the_http_face_refuses_in_words(
    tmp_path: Path, catcher: Catching, path: str, content: dict[str, Any], status: int, says: str
) -> None:
    repository = Repository(tmp_path / "repository")
    await repository.create()
    async with http_client() as client, anyio.create_task_group() as tasks:
        fleet = Fleet(Site(tmp_path, "", catcher.url), tasks, print)
        recorder = Recorder(catcher.url, client, print)
        deployer = Deployer(fleet, repository, recorder, print)
        transport = httpx.ASGITransport(application(deployer, Configuration(fleet.site, recorder, print)))
        async with httpx.AsyncClient(transport=transport, base_url="http://deployer") as http:
            response = await http.post(path, **content)
        await fleet.stop()
    assert response.status_code == status
    assert says in response.text


async def test_a_store_that_is_away_doesnt_stop_a_deploy(tmp_path: Path, catcher: Catching) -> None:
    async with standing(tmp_path, catcher) as stand:
        stand.deployer.recorder.url = "http://127.0.0.1:9"
        done = await stand.deployer.restart("bot", "bot-1")
    assert (done.outcome, done.recorded) == ("succeeded", False)
    assert "the store didn't take a row of changes: http://127.0.0.1:9/v1/changes: ConnectError" in stand.notes[0]
