"""Telemetry of the embedded store, told to the systems that teams run: Loki, Prometheus, Jaeger, GitHub and git.

Names of metrics and labels are those that OpenTelemetry's own translation to Prometheus gives
(https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/).
"""

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import duckdb
from tests.backends.debian import program
from tests.backends.fakes.github import TOKEN, GitHub
from tests.backends.fakes.github import served as github_at
from tests.backends.fakes.jaeger import FakeJaeger
from tests.backends.fakes.loki import Entry, FakeLoki
from tests.backends.metrics.conftest import fetched, free_port, running, wait_until
from tests.backends.serving import served

Row = dict[str, Any]
_UNITS: Final = {"s": "seconds", "By": "bytes", "1": "ratio"}
_NS: Final = {"Timestamp", "TimeUnix", "Events.Timestamp"}


@contextmanager
def told_elsewhere(run: Path, until_ns: int, services: tuple[str, ...], folder: Path) -> Iterator[dict[str, str]]:
    """Tell what a run of the robots had in its store by a moment; yields the settings that lead to where it is told.

    Metrics go to a real Prometheus and commits stay in the run's own repository; the others are wire-true fakes.
    """
    (repository,) = run.glob("robots/repository")
    paths = {f"app/{service}": service for service in services}
    spans = list(rows(run / "store", "otel_traces", until_ns))
    with ExitStack() as stack:
        loki, _ = stack.enter_context(served(FakeLoki(loki_entries(run / "store", until_ns)).app))
        jaeger, _ = stack.enter_context(served(FakeJaeger(spans).app))
        github = stack.enter_context(github_at(forge_of(repository, run / "store", until_ns)))
        prometheus = stack.enter_context(prometheus_with(open_metrics(run / "store", until_ns), folder))
        yield {
            "MIDWATCH_LOKI_URL": loki,
            "MIDWATCH_PROMETHEUS_URL": prometheus,
            "MIDWATCH_JAEGER_URL": jaeger,
            "MIDWATCH_GITHUB_URL": github,
            "MIDWATCH_GITHUB_TOKEN": TOKEN,
            "MIDWATCH_GITHUB_REPOSITORIES": json.dumps(["robots/app"]),
            "MIDWATCH_GIT_REPOSITORIES": json.dumps([str(repository)]),
            "MIDWATCH_SERVICE_PATHS": json.dumps(paths),
        }


@contextmanager
def prometheus_with(text: str, folder: Path) -> Iterator[str]:
    """Run a real Prometheus that has samples of the past; yields its address."""
    (folder / "samples.txt").write_text(text)
    (folder / "prometheus.yml").write_text("global: {}\n")
    tool, server = program("prometheus", "promtool"), program("prometheus", "prometheus")
    blocks = ("tsdb", "create-blocks-from", "openmetrics", "-q", folder / "samples.txt", folder / "data")
    subprocess.run([tool, *blocks], check=True)
    url = f"http://127.0.0.1:{free_port()}"
    flags = [f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
    with running(server, *flags, f"--web.listen-address={url[7:]}", log=folder / "prometheus.log"):
        wait_until(lambda: "Ready" in fetched(f"{url}/-/ready"))
        yield url


def forge_of(repository: Path, store: Path, until_ns: int) -> GitHub:
    """A GitHub with the repository's commits, and a deployment for each deploy that the store has by then."""
    github = GitHub("robots/app")
    commits = _git(repository, "log", "--reverse", "--format=%H%x09%P%x09%an%x09%cI%x09%s").splitlines()
    for sha, parents, author, at, title in (line.split("\t") for line in commits):
        files = _git(repository, "show", "--format=", "--name-only", sha).split()
        patches = {name: _git(repository, "show", "--format=", sha, "--", name) for name in files}
        github.commit(sha, title, at.replace("+00:00", "Z"), author, patches, *parents.split())
    deploys = {row["ChangeId"]: row for row in rows(store, "changes", until_ns) if row["Kind"] == "deploy"}
    before = {line.split("\t")[0] for line in commits}
    for number, row in enumerate(deploys.values(), 1):
        if number == 1:
            github.deploy(0, _whole(row["PreviousVersion"], before), "2026-11-01T00:00:00Z")
        at = datetime.fromtimestamp(row["Timestamp"] / 1e9, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        github.deploy(number, _whole(row["Version"], before), at)
    return github


def rows(store: Path, table: str, until_ns: int) -> Iterator[Row]:
    """Yield a table's rows up to a moment; times are ns since 1970, maps are dicts."""
    files = f"{store / table}/**/*.parquet"
    time = "TimeUnix" if "metrics" in table else "Timestamp"
    asked = duckdb.connect().sql(
        f"SELECT * FROM read_parquet('{files}', union_by_name=true) WHERE epoch_ns({time}) < {until_ns}"
    )
    nanoseconds = ", ".join(
        f'list_transform("{name}", lambda moment: epoch_ns(moment)) AS "{name}"'
        if name.startswith("Events")
        else f'epoch_ns("{name}") AS "{name}"'
        for name in asked.columns
        if name in _NS
    )
    found = asked.project(f"* REPLACE ({nanoseconds})").order(f'"{time}"')
    for values in found.fetchall():
        yield dict(zip(found.columns, values, strict=True))


def loki_entries(store: Path, until_ns: int) -> list[Entry]:
    """Log lines as Loki keeps those that come by OTLP: few labels on streams, the rest as structured metadata."""
    return [_loki_entry(row) for row in rows(store, "otel_logs", until_ns)]


def open_metrics(store: Path, until_ns: int) -> str:
    """All metrics as OpenMetrics text, sample by sample, for `promtool tsdb create-blocks-from`."""
    lines: dict[str, list[str]] = {}
    for table, tell in (("gauge", _level), ("sum", _amount), ("histogram", _histogram)):
        for row in rows(store, f"otel_metrics_{table}", until_ns):
            at = f"{row['TimeUnix'] / 1e9:.3f}"
            for name, labels, value in tell(row):
                lines.setdefault(name, []).append(f"{name}{_labels(labels)} {value:.17g} {at}")
    return "\n".join([line for name in sorted(lines) for line in lines[name]] + ["# EOF\n"])


def _git(repository: Path, *arguments: str) -> str:
    return subprocess.run(["git", "-C", repository, *arguments], capture_output=True, text=True, check=True).stdout


def _whole(version: str, hashes: set[str]) -> str:
    (found,) = (sha for sha in hashes if sha.startswith(version))
    return found


def _loki_entry(row: Row) -> Entry:
    resource, said = row["ResourceAttributes"], row["LogAttributes"]
    metadata = {_plain(name): value for name, value in {**resource, **said}.items()}
    metadata |= {"detected_level": row["SeverityText"].lower(), "severity_text": row["SeverityText"]}
    metadata |= {"trace_id": row["TraceId"], "span_id": row["SpanId"]} if row["TraceId"] else {}
    return Entry(row["Timestamp"], row["Body"], {"service_name": row["ServiceName"]}, metadata)


def _level(row: Row) -> Iterator[tuple[str, Mapping[str, str], float]]:
    yield _named(row), _all_labels(row), row["Value"]


def _amount(row: Row) -> Iterator[tuple[str, Mapping[str, str], float]]:
    yield _named(row) + ("_total" if row["IsMonotonic"] else ""), _all_labels(row), row["Value"]


def _histogram(row: Row) -> Iterator[tuple[str, Mapping[str, str], float]]:
    name, labels = _named(row), _all_labels(row)
    up_to = 0
    for bound, count in zip([*row["ExplicitBounds"], "+Inf"], row["BucketCounts"], strict=True):
        up_to += count
        yield f"{name}_bucket", {**labels, "le": str(bound)}, up_to
    yield f"{name}_sum", labels, row["Sum"]
    yield f"{name}_count", labels, row["Count"]


def _named(row: Row) -> str:
    unit = _UNITS.get(row["MetricUnit"], "")
    name = _plain(row["MetricName"])
    return name if not unit or name.endswith(unit) else f"{name}_{unit}"


def _all_labels(row: Row) -> dict[str, str]:
    """A point's own attributes, and who measured it as `job` and `instance`, which is how resources come to labels."""
    own = {_plain(name): value for name, value in row["Attributes"].items()}
    resource = row["ResourceAttributes"]
    return {**own, "job": row["ServiceName"], "instance": resource.get("service.instance.id", "")}


def _labels(labels: Mapping[str, str]) -> str:
    escaped = {name: value.replace("\\", "\\\\").replace('"', '\\"') for name, value in sorted(labels.items()) if value}
    return "{" + ",".join(f'{name}="{value}"' for name, value in escaped.items()) + "}"


def _plain(name: str) -> str:
    return re.sub(r"\W", "_", name)
