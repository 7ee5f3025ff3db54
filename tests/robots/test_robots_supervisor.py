import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import anyio
import psutil
import pytest

from robots.database import Session, log_lines, points
from robots.fleet import Fleet, Site
from robots.otlp import Otlp
from robots.record import http_client
from robots.supervisor import Supervisor

SERVICE = """
import os, signal
os.write(int(os.environ["READY_FD"]), b"ready")
signal.sigwait([signal.SIGTERM])
"""
INSTANCE = "action-1"


class Catching(Protocol):
    """What the tests need of the store: its URL, and what it was sent."""

    @property
    def url(self) -> str: ...

    @property
    def caught(self) -> dict[str, list[Any]]: ...


@asynccontextmanager
async def supervised(
    folder: Path, store: Catching, check: str = "exit 0", memory_limit: int = 10**12
) -> AsyncGenerator[Fleet]:
    """One process, which does nothing, under a supervisor that looks twenty times a second."""
    site = Site(folder, "", store.url)
    package = site.release("action", "v1") / "app" / "action"
    package.mkdir(parents=True)
    for file, text in (("../__init__.py", ""), ("__init__.py", ""), ("__main__.py", SERVICE)):
        (package / file).write_text(text)
    site.configuration("action").mkdir(parents=True)
    (site.configuration("action") / "healthcheck.sh").write_text(check)
    async with http_client() as http, anyio.create_task_group() as tasks:
        fleet = Fleet(site, tasks, lambda _: None)
        try:
            await fleet.replace("action", INSTANCE, "v1")
            supervisor = Supervisor(fleet, Otlp(store.url, http, "supervisor"), lambda _: None, memory_limit, 0.05)
            tasks.start_soon(supervisor.keep, INSTANCE)
            yield fleet
        finally:
            tasks.cancel_scope.cancel()
            await fleet.stop()


async def until(true: Callable[[], bool]) -> None:
    with anyio.fail_after(30):
        while not true():  # noqa: ASYNC110 - what changes is another process
            await anyio.sleep(0.02)


def told(store: Catching) -> list[tuple[str, str]]:
    """Return the instance and the text of each log record that was sent."""
    records = []
    for document in store.caught.get("/v1/logs", []):
        (resource,) = document["resourceLogs"]
        attributes = {one["key"]: one["value"]["stringValue"] for one in resource["resource"]["attributes"]}
        sent = resource["scopeLogs"][0]["logRecords"]
        records += [(attributes["service.instance.id"], record["body"]["stringValue"]) for record in sent]
    return records


async def test_a_process_that_dies_is_started_anew_and_told_in_its_log(tmp_path: Path, catcher: Catching) -> None:
    async with supervised(tmp_path, catcher) as fleet:
        first = fleet.running[INSTANCE]
        psutil.Process(first.child.process.pid).kill()
        await until(lambda: len(told(catcher)) == 2)
        assert fleet.running[INSTANCE].child.alive
        assert fleet.running[INSTANCE].version == first.version
    assert told(catcher) == [
        (INSTANCE, "Main process of action-1 exited, code -9; it will be restarted"),
        (INSTANCE, "Started action-1 anew"),
    ]


async def test_a_process_above_its_memory_limit_is_killed_and_started_anew(tmp_path: Path, catcher: Catching) -> None:
    async with supervised(tmp_path, catcher, memory_limit=1024 * 1024) as fleet:
        first = fleet.running[INSTANCE]
        await until(lambda: fleet.running[INSTANCE] is not first)
        assert first.child.process.returncode == -9
    assert "action-1 was OOMKilled: " in told(catcher)[0][1]
    assert "above its limit of 1 MiB" in told(catcher)[0][1]


async def test_three_failed_health_checks_in_a_row_restart_the_instance_and_tell_what_they_said(
    tmp_path: Path, catcher: Catching
) -> None:
    async with supervised(tmp_path, catcher, check="case x in y) exit 0 ;;\n") as fleet:
        first = fleet.running[INSTANCE]
        await until(lambda: fleet.running[INSTANCE] is not first)
        (fleet.site.configuration("action") / "healthcheck.sh").write_text("exit 0")
    texts = [text for _, text in told(catcher)]
    assert ["syntax error" in text for text in texts[:3]] == [True] * 3
    assert texts[3] == "action-1 failed 3 health checks in a row; it will be restarted"


async def test_an_instance_that_is_started_anew_refuses_connections_until_it_listens(
    tmp_path: Path, catcher: Catching
) -> None:
    async with supervised(tmp_path, catcher) as fleet:
        address = ("127.0.0.1", int(fleet.url(INSTANCE).rpartition(":")[2]))
        socket.create_connection(address).close()
        assert await fleet.revive(fleet.running[INSTANCE], 1.0) is not None
        assert fleet.url(INSTANCE).endswith(f":{address[1]}")
        with pytest.raises(ConnectionRefusedError):  # this service never listens
            socket.create_connection(address)


async def test_a_process_that_was_replaced_meanwhile_is_not_started_anew(tmp_path: Path, catcher: Catching) -> None:
    async with supervised(tmp_path, catcher) as fleet:
        old = fleet.running[INSTANCE]
        await fleet.replace("action", INSTANCE, "v1")
        assert await fleet.revive(old, 1.0) is None


def test_the_log_of_postgresql_is_read_with_what_belongs_to_each_message() -> None:
    before = "2026-11-21 08:20:00.123 UTC [77] schedule@robots schedule: "
    (failed, waits) = log_lines(
        [
            "the end of a line that began before",
            before + "ERROR:  permission denied for table jobs",
            before + "STATEMENT:  INSERT INTO jobs",
            "\tVALUES (1)",
            before + "LOG:  process 77 still waiting for ShareLock on transaction 9 after 500.1 ms",
        ]
    )
    assert (failed.severity, waits.severity) == ("ERROR", "INFO")
    assert failed.body == "permission denied for table jobs; STATEMENT: INSERT INTO jobs VALUES (1)"
    assert failed.at == datetime(2026, 11, 21, 8, 20, 0, 123000, UTC)
    assert failed.attributes == {"pid": "77", "db.user": "schedule", "application": "schedule"}


def test_a_state_that_no_session_is_in_is_told_as_none() -> None:
    told = {(one.name, one.attributes.get("state", "")): one.value for one in points([Session("active", 3, 1.5, 2)])}
    assert told["postgresql.backends", "active"] == 3
    assert told["postgresql.backends", "idle in transaction"] == 0
    assert told["postgresql.backends.waiting", ""] == 2
    assert told["postgresql.transaction.age.max", "active"] == 1.5
