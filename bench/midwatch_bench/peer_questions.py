"""The questions, and who is asked them: a peer is asked in the way that its own descriptions advise."""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypeAlias

from midwatch_bench.peer_systems import INDEX

Arguments: TypeAlias = Mapping[str, Any]
_GRAFANA: Final = "GRAFANA_"
_AWS: Final = ("AWS_", "MIDWATCH_AWS_", "MIDWATCH_CLOUDWATCH_")


@dataclass(frozen=True)
class Server:
    """How a server is started, and the calls that answer the question; each call may use what the ones before said."""

    name: str
    command: Sequence[str]
    env: Mapping[str, str]
    calls: Sequence[tuple[str, Callable[[str], Arguments]]]


@dataclass(frozen=True)
class Asking:
    """Where the telemetry of a run is, and the times that are asked for: a window of 10 s, and 30 s before it."""

    settings: Mapping[str, str]
    repository: str
    until: datetime
    folder: Path

    def ours(self, name: str, *prefixes: str) -> tuple[str, list[str], dict[str, str]]:
        """Return the name, the command and the environment of a server of midwatch's, with its backends' settings."""
        command = [sys.executable, "-m", f"midwatch_{name}"]
        env = {**self.env(*prefixes), "MIDWATCH_EVIDENCE_DIR": str(self.folder / "evidence")}
        return f"midwatch-{name}", command, env

    def env(self, *prefixes: str) -> dict[str, str]:
        """Return the settings whose names begin so."""
        return {key: value for key, value in self.settings.items() if key.startswith(prefixes)}

    def before(self, seconds: float) -> str:
        """Return a moment before the end of the run."""
        return (self.until - timedelta(seconds=seconds)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    @property
    def last(self) -> Arguments:
        """The window as midwatch's tools take it."""
        return {"start": self.before(10), "end": self.before(0)}

    @property
    def window(self) -> Arguments:
        """The arguments of midwatch's surveys."""
        return {**self.last, "baseline_start": self.before(40), "baseline_end": self.before(10)}

    def grafana(self, tool: str, arguments: Arguments) -> Server:
        """Return Grafana's own server, asked one question."""
        quiet = {"GRAFANA_USAGE_STATS": "disabled"}
        return Server(
            "mcp-grafana 2.1.1",
            ["uvx", "mcp-grafana@2.1.1"],
            {**self.env(_GRAFANA), **quiet},
            [(tool, lambda _: arguments)],
        )


def of_metrics(asking: Asking) -> Sequence[Server]:
    """Return who is asked of metrics."""
    ours, url = asking.ours("metrics", "MIDWATCH_PROMETHEUS"), asking.settings["MIDWATCH_PROMETHEUS_URL"]
    answers = 'rate(http_server_request_duration_seconds_count{job="gateway"}[15s])'
    query = f"sum by (http_response_status_code) ({answers})"
    times = {"start": asking.before(40), "end": asking.before(0)}
    of_grafana = {"startTime": asking.before(40), "endTime": asking.before(0), "stepSeconds": 2, "queryType": "range"}
    own = {"expression": query, "points": 20, **times}
    return [
        Server(*ours, [("survey_metrics", lambda _: {**asking.window, "entities": ["service:gateway"]})]),
        Server("midwatch-metrics, in PromQL", *ours[1:], [("query_metrics", lambda _: own)]),
        Server(
            "prometheus-mcp-server 1.6.2",
            ["uvx", "prometheus-mcp-server@1.6.2"],
            {"PROMETHEUS_URL": url},
            [("execute_range_query", lambda _: {"query": query, "step": "2s", **times})],
        ),
        asking.grafana("query_prometheus", {"datasourceUid": "prometheus", "expr": query, **of_grafana}),
    ]


def of_traces(asking: Asking) -> Sequence[Server]:
    """Return who is asked of traces."""
    ours, url = asking.ours("traces", "MIDWATCH_JAEGER"), asking.settings["MIDWATCH_JAEGER_URL"]
    times = {"start_time": asking.before(10), "end_time": asking.before(0)}
    return [
        Server(*ours, [("survey_traces", lambda _: asking.window)]),
        Server(
            "opentelemetry-mcp 0.2.2",
            ["uvx", "opentelemetry-mcp@0.2.2", "--backend", "jaeger", "--url", url],
            {},
            [("find_errors", lambda _: {**times, "service_name": "gateway", "limit": 100})],
        ),
    ]


def of_deploys(asking: Asking) -> Sequence[Server]:
    """Return who is asked of changes; the hour that midwatch's survey compares with has none."""
    begin = "2026-10-20T00:00:00Z"
    hour = {"baseline_start": "2026-10-19T23:00:00Z", "baseline_end": begin}
    repository = {"repo_path": asking.repository}
    return [
        Server(
            *asking.ours("deploys", "MIDWATCH_GIT_", "MIDWATCH_SERVICE_PATHS"),
            [
                ("survey_changes", lambda _: {**hour, "start": begin, "end": asking.before(0)}),
                ("get_change", lambda said: {"change_id": _first_change(said)}),
            ],
        ),
        Server(
            "mcp-server-git 2026.10.19",
            ["uvx", "mcp-server-git@2026.10.19", "--repository", asking.repository],
            {},
            [
                ("git_log", lambda _: {**repository, "start_timestamp": begin.removesuffix("Z")}),
                ("git_show", lambda _: {**repository, "revision": "HEAD"}),
            ],
        ),
    ]


def in_logql(asking: Asking) -> Sequence[Server]:
    """Return who is asked for lines in LogQL."""
    query = '{service_name=~".+"} | detected_level="error"'
    of_grafana = {"datasourceUid": "loki", "logql": query, "limit": 20, "format": "compact"}
    times = {"startRfc3339": asking.before(10), "endRfc3339": asking.before(0)}
    return [
        Server(
            *asking.ours("logs", "MIDWATCH_LOKI"),
            [("query_logs", lambda _: {**asking.last, "query": query, "limit": 20})],
        ),
        asking.grafana("query_loki_logs", {**of_grafana, **times}),
    ]


def in_query_dsl(asking: Asking) -> Sequence[Server]:
    """Return who is asked in Elasticsearch's query DSL."""
    errors = {"term": {"log.level": "error"}}
    groups = {"service": {"terms": {"field": "service.name"}}}
    window = {"range": {"@timestamp": {"gte": asking.before(10), "lt": asking.before(0)}}}
    whole = {"size": 0, "query": {"bool": {"filter": [errors, window]}}, "aggs": groups}
    url = asking.settings["MIDWATCH_ELASTICSEARCH_URL"]
    ours = {**asking.last, "query": json.dumps({"query": errors, "aggs": groups})}
    return [
        Server(*asking.ours("logs", "MIDWATCH_ELASTICSEARCH"), [("query_logs", lambda _: ours)]),
        Server(
            "elasticsearch-mcp-server 2.1.6",
            ["uvx", "elasticsearch-mcp-server@2.1.6"],
            {"ELASTICSEARCH_HOSTS": url},
            [("search_documents", lambda _: {"index": INDEX, "body": whole})],
        ),
        Server(
            "@elastic/mcp-server-elasticsearch 0.3.1",
            ["npx", "-y", "@elastic/mcp-server-elasticsearch@0.3.1"],
            {"ES_URL": url, "ES_API_KEY": "any"},
            [("search", lambda _: {"index": INDEX, "queryBody": whole})],
        ),
    ]


def in_insights(asking: Asking) -> Sequence[Server]:
    """Return who is asked in the language of Logs Insights."""
    query = 'filter level = "ERROR" | stats count(*) as n by @log'
    endpoint, region = (asking.settings[f"MIDWATCH_AWS_{name}"] for name in ("ENDPOINT_URL", "REGION"))
    groups = [f"/ecs/{service}" for service in ("gateway", "bot", "forge", "schedule", "action")]
    times = {"start_time": asking.before(10), "end_time": asking.before(0)}
    return [
        Server(*asking.ours("logs", *_AWS), [("query_logs", lambda _: {**asking.last, "query": query})]),
        Server(
            "awslabs.cloudwatch-mcp-server 0.3.1",
            ["uvx", "awslabs.cloudwatch-mcp-server@0.3.1"],
            {**asking.env("AWS_"), "AWS_ENDPOINT_URL": endpoint, "AWS_REGION": region},
            [
                (
                    "execute_log_insights_query",
                    lambda _: {"log_group_names": groups, "query_string": query, "region": region, **times},
                )
            ],
        ),
    ]


QUESTIONS: Final[Mapping[str, Callable[[Asking], Sequence[Server]]]] = {
    "Which answers does gateway give, and since when?": of_metrics,
    "What fails, and where does it begin?": of_traces,
    "What was changed last, in full?": of_deploys,
    "The last 20 errors, in LogQL": in_logql,
    "Errors by service, in query DSL": in_query_dsl,
    "Errors by service, in Logs Insights": in_insights,
}


def _first_change(said: str) -> str:
    return str(json.loads(said)["lines"][0].rpartition("id=")[2])
