"""The robots as a whole: PostgreSQL, a git repository, six processes, their telemetry in a real store."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import httpx
import psutil
import pytest

from midwatch_store.reader import Store

# One live application at a time: two on a small machine would disturb each other.
pytestmark = pytest.mark.xdist_group("live")

START_SECONDS = 40.0
Event = dict[str, Any]


class Running(Protocol):
    """What the tests need of a runner."""

    process: subprocess.Popen[str]
    seen: list[Event]

    def until(self, wanted: Callable[[Event], bool], seconds: float) -> Event: ...
    def named(self, name: str, seconds: float) -> Event: ...
    def errors(self) -> str: ...
    def meet_family(self) -> set[psutil.Process]: ...
    def has_descendant(self, name: str) -> bool: ...
    def survivors(self, seconds: float) -> list[str]: ...


class Catching(Protocol):
    """What the tests need of a place to post to."""

    @property
    def url(self) -> str: ...

    @property
    def caught(self) -> dict[str, list[Any]]: ...


Start = Callable[..., Running]


def wanting(name: str, **fields: object) -> Callable[[Event], bool]:
    return lambda event: all(event.get(key) == value for key, value in {"event": name, **fields}.items())


def healthy(event: Event) -> bool:
    return bool(event["event"] == "health" and event["requests"] > 10 and event["errors"] == 0)


def faults(runner: Running, seconds: float) -> tuple[Event, Event]:
    """Return the fault and the alarm that it set off, whichever of the two is told first."""
    first = runner.until(lambda event: event["event"] in ("fault", "alarm"), seconds)
    second = runner.until(lambda event: event["event"] in ("fault", "alarm"), 20.0)
    return (first, second) if first["event"] == "fault" else (second, first)


def test_a_bad_deploy_is_seen_in_the_telemetry_and_cured_by_rolling_it_back(
    tmp_path: Path, store: tuple[str, Path], catcher: Catching, run_robots: Start
) -> None:
    url, folder = store
    runner = run_robots(
        *("--store-url", url, "--dir", str(tmp_path / "run"), "--webhook", f"{catcher.url}/alerts"),
        *("--fault", "forge-field", "--seed", "3", "--baseline", "9"),
    )
    started = runner.named("started", START_SECONDS)
    family = runner.meet_family()
    assert len(family) >= 7
    fault, alarm = faults(runner, 40.0)
    assert (alarm["alarm_name"], alarm["state"]) == ("GatewayErrorRate", "alarm")
    assert fault["truth"]["causes"] == [{"kind": "change", "entity": "service:forge"}]
    trigger = fault["trigger"]
    assert trigger["files"] == ["app/forge/blueprint.py", "app/forge/planner.py"]
    health = runner.named("health", 5.0)
    assert 0 < health["error_share"] < 0.8
    assert "UnreadableBlueprint" in health["problems"][0]

    rolled = httpx.post(
        f"{started['deployer']}/roll-back",
        json={"service": "forge", "to_version": trigger["previous_version"]},
        timeout=40.0,
    ).json()
    assert (rolled["outcome"], rolled["changed"], rolled["recorded"]) == ("succeeded", True, True)
    runner.until(wanting("alarm", alarm_name="GatewayErrorRate", state="ok"), 15.0)
    runner.until(healthy, 8.0)
    runner.meet_family()

    stopped_at = time.monotonic()
    assert runner.process.stdin is not None
    runner.process.stdin.close()
    assert runner.process.wait(20) == 0
    assert time.monotonic() - stopped_at < 10
    assert runner.survivors(0.5) == []
    assert runner.seen[-1]["reason"] == "standard input was closed"

    statuses = [payload["status"] for payload in catcher.caught["/alerts"]]
    assert statuses == ["firing", "resolved"]
    with Store(folder) as reader:
        check_telemetry_of_a_bad_deploy(reader, trigger)


def check_telemetry_of_a_bad_deploy(reader: Store, trigger: Event) -> None:
    exceptions = reader.query(
        "SELECT DISTINCT ServiceName, ResourceAttributes['service.version'], \"Events.Attributes\"[1]['exception.type']"
        " FROM otel_traces WHERE len(\"Events.Name\") > 0 AND SpanKind = 'Server' AND ServiceName = 'forge'"
    )
    assert exceptions == [("forge", trigger["version"], "app.forge.blueprint.UnreadableBlueprint")]
    failing = reader.query(
        "SELECT DISTINCT ResourceAttributes['service.instance.id'] FROM otel_traces"
        " WHERE ServiceName = 'forge' AND StatusCode = 'Error' ORDER BY 1"
    )
    assert failing == [("forge-1",), ("forge-2",)]
    linked = reader.query(
        "SELECT count(*) FROM otel_traces consumer JOIN otel_traces producer"
        ' ON consumer."Links.SpanId"[1] = producer.SpanId'
        " WHERE consumer.ServiceName = 'action' AND producer.SpanKind = 'Producer'"
    )
    assert linked[0][0] > 20
    edges = reader.query(
        "SELECT DISTINCT caller.ServiceName, callee.ServiceName FROM otel_traces callee JOIN otel_traces caller"
        " ON callee.ParentSpanId = caller.SpanId WHERE callee.SpanKind = 'Server' ORDER BY ALL"
    )
    assert edges == [("bot", "forge"), ("bot", "schedule"), ("gateway", "bot")]
    changes = reader.query(
        "SELECT Kind, ServiceName, arg_max(Outcome, Seq) FROM changes GROUP BY ChangeId, Kind, ServiceName"
        " ORDER BY min(Seq)"
    )
    assert [kind for kind, _, _ in changes] == ["deploy", "infrastructure", "deploy", "deploy"]
    assert {outcome for _, _, outcome in changes} == {"succeeded"}
    assert [service for _, service, _ in changes[2:]] == ["forge", "forge"]
    metrics = {name for (name,) in reader.query("SELECT DISTINCT MetricName FROM otel_metrics_gauge")}
    metrics |= {name for (name,) in reader.query("SELECT DISTINCT MetricName FROM otel_metrics_sum")}
    assert metrics >= {"process.cpu.utilization", "process.memory.usage", "cache.hits", "jobs.queue.depth"}


def test_a_deleted_cache_hits_one_instance_and_a_killed_runner_leaves_nothing(
    tmp_path: Path, store: tuple[str, Path], run_robots: Start
) -> None:
    url, folder = store
    runner = run_robots(
        *("--store-url", url, "--dir", str(tmp_path / "run"), "--fault", "forge-cache", "--seed", "2"),
        *("--baseline", "5"),
    )
    started = runner.named("started", START_SECONDS)
    fault, _ = faults(runner, 40.0)
    instance = fault["trigger"]["instance"]
    assert fault["truth"]["causes"] == [{"kind": "operator", "entity": f"instance:{instance}"}]
    restarted = httpx.post(
        f"{started['deployer']}/restart", json={"service": "forge", "instance": instance}, timeout=40.0
    ).json()
    assert restarted["outcome"] == "succeeded"
    runner.until(healthy, 10.0)

    runner.meet_family()
    runner.process.kill()
    assert runner.survivors(20.0) == []
    with Store(folder) as reader:
        failing = reader.query(
            "SELECT DISTINCT ResourceAttributes['service.instance.id'] FROM otel_traces"
            " WHERE ServiceName = 'forge' AND StatusCode = 'Error'"
        )
        ((transcript,),) = reader.query("SELECT Diff FROM changes WHERE Instance = ? AND Kind = 'session'", [instance])
        (bodies,) = reader.query(
            "SELECT list(DISTINCT Body) FROM otel_logs WHERE ServiceName = 'forge' AND SeverityText = 'ERROR'"
        )
    assert failing == [(instance,)]
    assert "removed 'blueprints.sqlite'" in transcript
    assert all("OperationalError: unable to open database file" in body for body in bodies[0])


def test_a_clean_system_flaps_and_fails_no_request(tmp_path: Path, catcher: Catching, run_robots: Start) -> None:
    runner = run_robots(
        *("--store-url", catcher.url, "--dir", str(tmp_path / "run"), "--webhook", f"{catcher.url}/alerts"),
        *("--fault", "clean", "--seed", "5", "--baseline", "5"),
    )
    runner.named("started", START_SECONDS)
    fault, alarm = faults(runner, 40.0)
    assert fault["truth"]["outcome"] == "no_incident"
    assert 0.01 < alarm["value"] < 0.1
    runner.until(wanting("alarm", state="ok"), 12.0)
    runner.process.terminate()
    assert runner.process.wait(20) == 0
    assert runner.seen[-1]["reason"] == "got SIGTERM"
    assert [event for event in runner.seen if event["event"] == "health" and event["errors"]] == []
    assert [row["state"] for (row,) in catcher.caught["/v1/alarms"]] == ["alarm", "ok"]


def test_an_interrupt_while_it_still_starts_leaves_nothing(
    tmp_path: Path, catcher: Catching, run_robots: Start
) -> None:
    runner = run_robots("--store-url", catcher.url, "--dir", str(tmp_path / "run"))
    while not runner.has_descendant("initdb"):
        assert runner.process.poll() is None
    runner.process.send_signal(signal.SIGINT)
    assert runner.process.wait(20) == 0
    assert runner.survivors(20.0) == []
    assert [(event["event"], event["reason"]) for event in runner.seen] == [("stopped", "got SIGINT")]


def test_a_run_without_a_store_ends_at_once_and_says_what_to_start(tmp_path: Path, run_robots: Start) -> None:
    runner = run_robots("--store-url", "http://127.0.0.1:9", "--dir", str(tmp_path / "run"))
    assert runner.process.wait(30) == 1
    assert "robots: no telemetry store at http://127.0.0.1:9 (ConnectError): start one with" in runner.errors()


def test_a_folder_that_holds_something_is_refused(tmp_path: Path, run_robots: Start) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    runner = run_robots("--store-url", "http://127.0.0.1:9", "--dir", str(tmp_path))
    assert runner.process.wait(30) == 1
    assert "isn't empty" in runner.errors()


def test_the_command_line_lists_faults_and_tells_the_truth_without_running() -> None:
    def robots(*arguments: str) -> Any:
        done = subprocess.run([sys.executable, "-m", "robots", *arguments], capture_output=True, text=True, check=True)
        return json.loads(done.stdout)

    assert {"forge-field", "forge-cache", "clean"} <= {fault["name"] for fault in robots("faults", "--json")}
    told = robots("truth", "--fault", "clean")
    assert (told["outcome"], told["causes"]) == ("no_incident", [])
