"""The receiver as its senders meet it: a real process, real sockets, the real OpenTelemetry SDK."""

import gzip
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import httpx
import pytest
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind

from midwatch_store import Store


class Receiver(Protocol):
    """What the fixtures give: a running receiver."""

    @property
    def url(self) -> str: ...

    @property
    def path(self) -> Path: ...

    @property
    def process(self) -> subprocess.Popen[str]: ...

    @property
    def client(self) -> httpx.Client: ...

    def stop(self, how: signal.Signals = ...) -> int: ...

    def post(self, path: str, document: object) -> httpx.Response: ...


StartReceiver = Callable[..., Receiver]

RESOURCE = Resource({"service.name": "forge", "service.instance.id": "forge-1", "service.version": "1.2.3"})


def _logs(*bodies: str) -> dict[str, Any]:
    records = [{"body": {"stringValue": body}} for body in bodies]
    return {"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]}


def _bodies(path: Path) -> list[str]:
    with Store(path) as store:
        return [body for (body,) in store.query("SELECT Body FROM otel_logs ORDER BY Seq")]


def _until(condition: Callable[[], bool], what: str, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds:g} s for {what}"
        time.sleep(0.01)


@pytest.mark.parametrize("compression", [Compression.NoCompression, Compression.Gzip])
def test_spans_of_the_opentelemetry_sdk_arrive(shared_receiver: Receiver, compression: Compression) -> None:
    provider = TracerProvider(resource=RESOURCE)
    exporter = OTLPSpanExporter(endpoint=f"{shared_receiver.url}/v1/traces", compression=compression)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    tracer = provider.get_tracer("test", "0.1")
    with (
        tracer.start_as_current_span("GET /bots", kind=SpanKind.SERVER) as parent,
        pytest.raises(KeyError),
        tracer.start_as_current_span("decode"),
    ):
        raise KeyError("colour")
    provider.shutdown()

    context = parent.get_span_context()
    with Store(shared_receiver.path) as store:
        child, root = store.query(
            "SELECT SpanName, SpanKind, StatusCode, TraceId, ParentSpanId, \"Events.Attributes\"[1]['exception.type'], "
            "ServiceName, ResourceAttributes['service.instance.id'], ScopeVersion FROM otel_traces "
            "WHERE TraceId = ? ORDER BY SpanKind",
            [f"{context.trace_id:032x}"],
        )
    shared = ("forge", "forge-1", "0.1")
    assert root == ("GET /bots", "Server", "Unset", f"{context.trace_id:032x}", "", None, *shared)
    assert child == ("decode", "Internal", "Error", root[3], f"{context.span_id:016x}", "KeyError", *shared)


def test_metrics_of_the_opentelemetry_sdk_arrive(shared_receiver: Receiver) -> None:
    reader = PeriodicExportingMetricReader(OTLPMetricExporter(endpoint=f"{shared_receiver.url}/v1/metrics"))
    provider = MeterProvider(metric_readers=[reader], resource=RESOURCE)
    meter = provider.get_meter("test")
    meter.create_counter("calls", unit="1").add(3, {"route": "/bots"})
    meter.create_histogram("latency", unit="s").record(0.2)
    meter.create_gauge("queue").set(7)
    provider.shutdown()

    with Store(shared_receiver.path) as store:
        calls = store.query(
            "SELECT MetricName, Value, IsMonotonic, Attributes FROM otel_metrics_sum WHERE MetricName = 'calls'"
        )
        latency = store.query(
            "SELECT Count, Sum, list_sum(BucketCounts), MetricUnit FROM otel_metrics_histogram "
            "WHERE MetricName = 'latency'"
        )
        queue = store.query("SELECT Value FROM otel_metrics_gauge WHERE MetricName = 'queue'")
    assert calls == [("calls", 3.0, True, {"route": "/bots"})]
    assert latency == [(1, 0.2, 1, "s")]
    assert queue == [(7.0,)]


def test_logs_of_the_opentelemetry_sdk_arrive(shared_receiver: Receiver) -> None:
    provider = LoggerProvider(resource=RESOURCE)
    provider.add_log_record_processor(
        BatchLogRecordProcessor(OTLPLogExporter(endpoint=f"{shared_receiver.url}/v1/logs"))
    )
    provider.get_logger("test").emit(body="no such bot", severity_text="ERROR", attributes={"bot": 7})
    provider.shutdown()

    with Store(shared_receiver.path) as store:
        read = store.query(
            "SELECT Body, SeverityText, LogAttributes, ServiceName FROM otel_logs WHERE Body LIKE 'no such%'"
        )
    assert read == [("no such bot", "ERROR", {"bot": "7"}, "forge")]


def test_changes_and_alarms_arrive_as_json(shared_receiver: Receiver) -> None:
    at = datetime.now(UTC).replace(microsecond=0)
    change = {
        "timestamp": at.isoformat(),
        "change_id": "d-1",
        "kind": "deploy",
        "service_name": "forge",
        "files": ["forge/models.py"],
        "end_time": (at + timedelta(seconds=2)).isoformat(),
        "outcome": "succeeded",
    }
    alarm = {"timestamp": at.isoformat(), "alarm_name": "errors", "state": "alarm", "value": 8.7, "threshold": 5}
    assert shared_receiver.post("/v1/changes", [change]).json() == {"accepted": 1, "rejected": 0, "reason": ""}
    partly = shared_receiver.post("/v1/alarms", [alarm, {**alarm, "state": "worried"}]).json()
    assert (partly["accepted"], partly["rejected"]) == (1, 1)
    assert partly["reason"].startswith("alarms[1]: state: ")

    naive = at.replace(tzinfo=None)
    with Store(shared_receiver.path) as store:
        changes = store.query("SELECT Timestamp, ChangeId, Kind, Files, EndTime, Instance FROM changes")
        alarms = store.query("SELECT AlarmName, State, Value, Threshold FROM alarms")
    assert changes == [(naive, "d-1", "deploy", ["forge/models.py"], naive + timedelta(seconds=2), "")]
    assert alarms == [("errors", "alarm", 8.7, 5.0)]


def test_an_event_that_is_all_wrong_is_refused_without_repeating_what_it_held(shared_receiver: Receiver) -> None:
    answer = shared_receiver.post(
        "/v1/changes", [{"timestamp": "2026-05-04T02:00:00", "change_id": "x", "token": "s3cret"}]
    )
    assert answer.status_code == 400
    assert "changes[0]: timestamp: Input should have timezone info" in answer.json()["message"]
    assert "s3cret" not in answer.text
    assert "must be a JSON array of alarms" in shared_receiver.post("/v1/alarms", {}).json()["message"]


def test_a_batch_with_bad_records_is_stored_in_part_and_says_how_many_not(
    start_receiver: StartReceiver, store_path: Path
) -> None:
    receiver = start_receiver()
    document = _logs("good")
    document["resourceLogs"][0]["scopeLogs"][0]["logRecords"].append({"timeUnixNano": "soon"})
    answer = receiver.post("/v1/logs", document)
    assert answer.status_code == 200
    assert answer.json()["partialSuccess"]["rejectedLogRecords"] == "1"
    assert _bodies(store_path) == ["good"]


@pytest.mark.parametrize(
    ("headers", "body", "status", "complaint"),
    [
        ({"content-type": "text/plain"}, b"x", 415, "send application/x-protobuf or application/json"),
        ({"content-type": "application/json", "content-encoding": "zstd"}, b"x", 415, "'zstd'; send gzip or none"),
        ({"content-type": "application/json"}, b"{", 400, "the body is not JSON"),
        ({"content-type": "application/json", "content-encoding": "gzip"}, b"x", 400, "the body is not gzip"),
        ({"content-type": "application/json"}, b" " * 1_100_000, 413, "larger than 1048576 bytes"),
        (
            {"content-type": "application/json", "content-encoding": "gzip"},
            gzip.compress(bytes(50_000_000), mtime=0),
            413,
            "larger than 1048576 bytes",
        ),
        ({"content-type": "application/x-protobuf"}, b"x", 400, "not a protobuf ExportLogsServiceRequest"),
    ],
    ids=["type", "encoding", "no JSON", "no gzip", "large", "large once unpacked", "no protobuf"],
)
def test_a_body_that_cannot_be_taken_is_answered_with_what_is_wrong(
    shared_receiver: Receiver, headers: dict[str, str], body: bytes, status: int, complaint: str
) -> None:
    answer = shared_receiver.client.post("/v1/logs", content=body, headers=headers)
    assert (answer.status_code, complaint in answer.text) == (status, True), answer.text
    assert shared_receiver.post("/v1/logs", _logs("after")).status_code == 200


def test_a_full_intake_says_when_to_come_again_and_loses_nothing_it_took(
    start_receiver: StartReceiver, store_path: Path
) -> None:
    receiver = start_receiver("--max-waiting", "2")
    with ThreadPoolExecutor(40) as pool:
        answers = list(pool.map(lambda number: receiver.post("/v1/logs", _logs(str(number))), range(40)))
    taken = {str(number) for number, answer in enumerate(answers) if answer.status_code == 200}
    refused = [answer for answer in answers if answer.status_code != 200]
    assert {(answer.status_code, answer.headers["retry-after"]) for answer in refused} == {(429, "1")}
    assert sorted(_bodies(store_path)) == sorted(taken)


def test_rows_acknowledged_before_kill_minus_nine_are_there_exactly_once_after_a_restart(
    start_receiver: StartReceiver, store_path: Path
) -> None:
    acknowledged: list[str] = []
    for life in range(2):
        receiver, enough = start_receiver("--upkeep-seconds", "0.1"), len(acknowledged) + 40
        with ThreadPoolExecutor(4) as pool:
            lanes = [pool.submit(_stream, receiver, f"{life}/{lane}", acknowledged) for lane in range(4)]
            _until(lambda least=enough: len(acknowledged) >= least, "acknowledged rows")  # type: ignore[misc]
            receiver.stop(signal.SIGKILL)
            for lane in lanes:
                lane.result(timeout=20)

    start_receiver().post("/v1/logs", _logs("last"))
    found = _bodies(store_path)
    assert found[-1] == "last"
    assert len(found) == len(set(found))
    assert set(acknowledged) <= set(found)
    assert list(store_path.rglob("*.tmp")) == []


def _stream(receiver: Receiver, lane: str, acknowledged: list[str]) -> None:
    """Send two rows at a time, for as long as someone takes them, and note what was acknowledged."""
    for number in range(100_000):
        bodies = [f"{lane}/{number}a", f"{lane}/{number}b"]
        try:
            answer = receiver.post("/v1/logs", _logs(*bodies))
        except httpx.TransportError:
            return
        if answer.status_code == 200:
            acknowledged.extend(bodies)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_told_to_stop_it_answers_what_it_has_taken_and_ends_well(
    start_receiver: StartReceiver, store_path: Path, how: signal.Signals
) -> None:
    receiver = start_receiver("--flush-seconds", "0.2")
    with ThreadPoolExecutor(8) as pool:
        posts = [pool.submit(receiver.post, "/v1/logs", _logs(str(number))) for number in range(8)]
        _until(lambda: _waiting(receiver) > 0 or posts[0].done(), "a request to wait")
        assert receiver.stop(how) == 0
        answered = [str(number) for number, post in enumerate(posts) if _succeeded(post)]
    assert answered
    assert set(answered) <= set(_bodies(store_path))


def _waiting(receiver: Receiver) -> int:
    return int(receiver.client.get("/healthz").json()["waiting"])


def _succeeded(post: Future[httpx.Response]) -> bool:
    return post.exception() is None and post.result().status_code == 200


def test_it_can_be_told_to_end_with_its_standard_input(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "midwatch_store", "serve", "--dir", str(tmp_path), "--port", "0"]
    command += ["--while-stdin-open", "true"]
    with subprocess.Popen(command, text=True, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stderr is not None
        assert "listening on " in child.stderr.readline()
        assert child.poll() is None
        _, errors = child.communicate(timeout=20)
    assert (child.returncode, errors) == (0, "")


def test_small_writes_are_merged_and_old_hours_deleted_while_it_runs(
    start_receiver: StartReceiver, store_path: Path
) -> None:
    receiver = start_receiver("--upkeep-seconds", "0.1", "--max-age", "2h", "--flush-seconds", "0.01")
    for number in range(10):
        assert receiver.post("/v1/logs", _logs(str(number))).status_code == 200
    old = (datetime.now(UTC) - timedelta(hours=9)).isoformat()
    receiver.post("/v1/alarms", [{"timestamp": old, "alarm_name": "errors", "state": "ok"}])
    with Store(store_path) as store:
        _until(lambda: store.extent("alarms") is None, "the old hour to go")
        _until(lambda: any(_merged(path) for path in store_path.rglob("*.parquet")), "a merge")
    assert _bodies(store_path) == [str(number) for number in range(10)]


def _merged(path: Path) -> bool:
    first, last = path.stem.split("-")[2:]
    return int(last) - int(first) >= 7


def test_a_failing_disk_is_reported_and_telemetry_taken_again_when_it_is_well(
    start_receiver: StartReceiver, store_path: Path
) -> None:
    receiver = start_receiver()
    obstacle = store_path / "otel_logs"
    obstacle.write_text("a file where a folder should be")
    answer = receiver.post("/v1/logs", _logs("lost"))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert "could not be written" in answer.json()["message"]
    assert receiver.client.get("/healthz").status_code == 503
    obstacle.unlink()
    assert receiver.post("/v1/logs", _logs("kept")).status_code == 200
    assert receiver.client.get("/healthz").json()["status"] == "ok"
    assert _bodies(store_path) == ["kept"]


def _serve(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "midwatch_store", "serve", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def test_a_port_that_is_taken_is_one_clear_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = _serve("--dir", str(tmp_path / "store"), "--port", port)
    expected = f"midwatch-store: cannot listen on 127.0.0.1:{port}: Address already in use; "
    assert (done.returncode, done.stderr) == (1, expected + "choose another with --port or --host\n")


def test_a_directory_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = _serve("--dir", str(tmp_path / "file" / "store"), "--port", "0")
    assert done.returncode == 1
    assert done.stderr.startswith(f"midwatch-store: cannot write to the store at {tmp_path}/file/store: ")
    assert done.stderr.count("\n") == 1


def test_a_second_receiver_for_a_store_is_refused(start_receiver: StartReceiver, store_path: Path) -> None:
    receiver = start_receiver()
    done = _serve("--dir", str(store_path), "--port", "0")
    assert done.returncode == 1
    assert f"already has a writer (process {receiver.process.pid})" in done.stderr


def test_a_setting_that_makes_no_sense_is_one_clear_line() -> None:
    done = _serve("--max-age", "a while")
    assert done.returncode == 2
    expected = "write an age as a number and a unit, such as 30m, 24h or 7d, or 'none'"
    assert done.stderr == f"midwatch-store: --max-age (or MIDWATCH_STORE_MAX_AGE): {expected}\n"
