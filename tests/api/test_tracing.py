"""Traces of investigations: read back from the store that midwatch's own receiver fills; off unless asked for."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
from tests.api.conftest import AT
from ulid import ULID

from midwatch.records import (
    Conclusion,
    Hypothesis,
    Incident,
    ModelCall,
    Outcome,
    Plan,
    Report,
    Scope,
    Severity,
    Status,
    ToolCall,
    Verdict,
)
from midwatch.storage.journal import Journal
from midwatch.tracing import is_on, tracing
from midwatch_kit.records import TopologyFragment, Window
from midwatch_store import Store

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with closing(Journal(tmp_path / "journal.db")) as opened:
        yield opened


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (ENDPOINT, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_SDK_DISABLED"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """Run midwatch's own receiver; yields its folder, and where it listens."""
    folder = tmp_path / "store"
    command = [sys.executable, "-m", "midwatch_store", "serve", "--dir", str(folder), "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as receiver:
        assert receiver.stderr is not None
        yield folder, receiver.stderr.readline().split("listening on ")[1].split(",")[0]
        receiver.terminate()


def investigated(journal: Journal) -> str:
    """Note what an investigation notes, and return its id."""
    name = str(ULID.from_datetime(AT))
    incident = Incident(
        id=name,
        title="x",
        status=Status.INVESTIGATING,
        severity=Severity.HIGH,
        service="service:gateway",
        started_at=AT,
        first_seen=AT,
    )
    window = Window(start=AT, end=AT + timedelta(minutes=1))
    scope = Scope(symptom="service:gateway", window=window, baseline=window, onset=None, topology=TopologyFragment())
    cause = Hypothesis(
        id="h", kind="change", entity="service:forge", rationale="r", confirms="c", refutes="r", prior=0.5
    )
    agent = "subagent change service:forge"
    journal.note(name, "incident", "1", incident)
    _asked(journal, name, "discover", "host")
    journal.note(name, "topology", "scope", scope)
    journal.note(name, "hypothesis", "h", cause)
    _asked(journal, name, "get_change", agent)
    _asked(journal, name, "get_trace", agent, error="the backend is down")
    thought = ModelCall(model="claude-x", input_tokens=900, output_tokens=80, usd=0.01, seconds=0.001)
    journal.note(name, "model_call", "1", thought, "the model: lead")
    journal.note(name, "verdict", "h", Verdict(hypothesis="h", result="supported", reason="r", probability=0.9))
    journal.note(name, "conclusion", "1", Conclusion(outcome=Outcome.ROOT_CAUSE, statement="s"))
    journal.note(name, "plan", "1", Plan(action="a", reasoning="r", risk="low", digest="d"))
    journal.note(name, "report", "1", Report(outcome=Outcome.ROOT_CAUSE, mitigated=False, packet="p"))
    return name


def _asked(journal: Journal, name: str, tool: str, by: str, error: str | None = None) -> None:
    secret = {"query": "password=geheim"}
    call = ToolCall(server="deploys", tool=tool, arguments=secret, error=error, seconds=0.001)
    journal.note(name, "tool_call", f"{tool}:{by}", call, by)


async def test_a_trace_of_an_investigation_stands_in_the_store_whole(
    journal: Journal, store: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, url = store
    monkeypatch.setenv(ENDPOINT, url)
    async with tracing(journal):
        name = await anyio.to_thread.run_sync(investigated, journal)
    spans = _read(folder)
    by_name = {span["name"]: span for span in spans}
    root = by_name["investigation"]
    assert {span["trace"] for span in spans} == {ULID.from_str(name).hex}
    assert root["parent"] == ""
    assert (root["attributes"]["midwatch.outcome"], root["service"]) == ("root_cause", "midwatch")
    parents = {span["name"]: next((p["name"] for p in spans if p["id"] == span["parent"]), "") for span in spans}
    assert parents == {
        "investigation": "",
        **dict.fromkeys(("scope", "survey", "test", "conclude", "plan", "report"), "investigation"),
        "tools/call discover": "scope",
        "subagent change service:forge": "test",
        "the model: lead": "test",
        "tools/call get_change": "subagent change service:forge",
        "tools/call get_trace": "subagent change service:forge",
        "chat claude-x": "the model: lead",
    }
    asked, thought = by_name["tools/call get_trace"], by_name["chat claude-x"]["attributes"]
    assert (asked["kind"], asked["status"], asked["attributes"]["error.type"]) == ("Client", "Error", "tool_error")
    assert asked["attributes"]["gen_ai.tool.name"] == "get_trace"
    assert (thought["gen_ai.request.model"], thought["gen_ai.usage.input_tokens"]) == ("claude-x", "900")
    assert "geheim" not in str(spans)


def _read(folder: Path) -> list[dict[str, Any]]:
    columns = "SpanName, TraceId, SpanId, ParentSpanId, ServiceName, SpanKind, StatusCode, SpanAttributes"
    names = ("name", "trace", "id", "parent", "service", "kind", "status", "attributes")
    with Store(folder) as store:
        rows = store.query(f"SELECT {columns} FROM otel_traces ORDER BY Timestamp")
        return [dict(zip(names, row, strict=True)) for row in rows]


async def test_an_address_where_nobody_listens_costs_an_investigation_nothing_and_holds_nothing_up(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    monkeypatch.setenv(ENDPOINT, f"http://127.0.0.1:{port}")
    with anyio.fail_after(20):
        async with tracing(journal):
            began = time.monotonic()
            investigated(journal)
            noted = time.monotonic() - began
            left = time.monotonic()
    assert noted < 5
    assert time.monotonic() - left < 8
    assert journal.listeners == []


def test_without_an_address_nothing_of_it_is_even_imported() -> None:
    code = "import midwatch.tracing, sys; print([name for name in sys.modules if name.startswith('opentelemetry.sdk')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("name", "value", "on"),
    [(ENDPOINT, "http://x", True), ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://x", True), (ENDPOINT, "", False)],
)
def test_the_usual_variables_turn_it_on(monkeypatch: pytest.MonkeyPatch, name: str, value: str, on: bool) -> None:
    monkeypatch.setenv(name, value)
    assert is_on() is on
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    assert not is_on()
