"""The importers of public data, on tiny hand-made data in their formats: what becomes telemetry, and what never."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.bench.published import DAY, DETECTED, INJECTED, POD, START, nezha_trace, taken_at, write_csv

from midwatch_bench.importers import changerca, nezha, petshop, sockshop
from midwatch_bench.importers.case import Case, write_snapshot
from midwatch_kit.records import TopologyFragment
from midwatch_store.reader import Store


def rows(case: Case, folder: Path, sql: str) -> list[tuple[object, ...]]:
    with Store(write_snapshot(case, folder)) as reader:
        return [tuple(row) for row in reader.query(sql)]


def test_a_petshop_case_ends_with_the_first_row_that_starts_after_its_alert(petshop_data: Path, tmp_path: Path) -> None:
    (case,) = petshop.cases(petshop_data)
    found = rows(case, tmp_path / "s", 'SELECT max(epoch_ns("TimeUnix")) FROM otel_metrics_gauge')
    assert found == [((START + 900) * 10**9,)]  # the row of START + 600, which is over 300 s later
    assert case.alert.seen_at == datetime.fromtimestamp(START + 901, UTC)


def test_a_petshop_cases_history_ends_where_the_case_begins(petshop_data: Path, tmp_path: Path) -> None:
    (case,) = petshop.cases(petshop_data)
    asked = 'SELECT epoch_ns("TimeUnix") // 1000000000 FROM otel_metrics_sum WHERE "ServiceName" = \'front\' ORDER BY 1'
    starts = [int(str(row[0])) - 300 - START for row in rows(case, tmp_path / "s", asked)]
    assert starts == [-1200, -900, -600, -300, 0, 300, 600]


def test_an_empty_cell_of_petshop_is_no_point(petshop_data: Path, tmp_path: Path) -> None:
    (case,) = petshop.cases(petshop_data)
    asked = """SELECT count(*) FROM otel_metrics_gauge WHERE "ServiceName" = 'back' AND epoch_ns("TimeUnix") > {}"""
    ((late,),) = rows(case, tmp_path / "s", asked.format((START + 1) * 10**9))
    assert late == 0


def test_a_snapshot_of_petshop_does_not_hold_its_answer(petshop_data: Path, tmp_path: Path) -> None:
    (case,) = petshop.cases(petshop_data)
    folder = write_snapshot(case, tmp_path / "s")
    assert case.answers == {"service:back"}
    alert = json.loads((folder / "incident.json").read_text())
    assert (alert["service"], alert["title"]) == ("front", "Latency of front is above its usual level")
    assert set(alert) == {"service", "title", "severity", "started_at", "seen_at"}
    assert not any("break-the-cause" in path.read_text(errors="ignore") for path in folder.rglob("*") if path.is_file())


def test_the_graph_of_petshop_goes_from_caller_to_callee(petshop_data: Path, tmp_path: Path) -> None:
    (case,) = petshop.cases(petshop_data)
    text = (write_snapshot(case, tmp_path / "s") / "topology.json").read_text()
    (relation,) = TopologyFragment.model_validate_json(text).relations
    assert (relation.source, relation.kind, relation.target) == ("service:front", "calls", "service:back")


NAMES = ("PetSite", "search_AWS::ECS::Fargate", "lists_AWS::ECS::Fargate", "www.example.com_remote")
BALANCER = "Servi-searc.us-west-2.elb.amazonaws.com_remote"


@pytest.mark.parametrize(
    ("alias", "meant"),
    [
        ("lists_client", "lists_AWS::ECS::Fargate"),
        (BALANCER, "search_AWS::ECS::Fargate"),
        ("servi-petsi.us-west-2.elb.amazonaws.com_remote", "PetSite"),
        ("servi-other.us-west-2.elb.amazonaws.com_remote", None),
        ("www.example.com_remote", None),
        ("search_AWS::ECS::Fargate", None),
        ("PetSite", None),
    ],
)
def test_a_client_or_a_load_balancer_of_petshop_stands_for_the_service_that_answers(
    alias: str, meant: str | None
) -> None:
    assert petshop.meant_by(alias, (*NAMES, alias)) == meant


def test_the_graph_of_petshop_has_no_aliases_and_no_service_that_calls_itself(tmp_path: Path) -> None:
    names = ("PetSite", "search_AWS::ECS::Fargate", BALANCER, "servi-petsi.us-west-2.elb.amazonaws.com_remote")
    calls = [["PetSite", 0.0, 1.0, 1.0, 1.0], *([name, 0.0, 0.0, 0.0, 0.0] for name in names[1:])]
    write_csv(tmp_path / "graph.csv", [["", *names], *calls])
    assert petshop.read_graph(tmp_path / "graph.csv") == (("PetSite", "search_AWS::ECS::Fargate"),)


def test_the_half_of_a_case_follows_from_its_number(petshop_data: Path) -> None:
    (case,) = petshop.cases(petshop_data)
    assert (case.number, case.split) == (3, "score")


def test_a_nezha_case_has_its_three_minutes_and_the_calm_ones_before_them(nezha_data: Path, tmp_path: Path) -> None:
    (case,) = nezha.cases(nezha_data)
    asked = 'SELECT count(*), count(DISTINCT "TraceId"), max("Timestamp") < \'2023-01-29 08:46\' FROM otel_traces'
    ((spans, traces, before),) = rows(case, tmp_path / "s", asked)
    assert (spans, traces, before) == (3 * (3 + 1), 3 + 1, True)


def test_nezhas_spans_are_of_services_and_enter_them_where_pods_change(nezha_data: Path, tmp_path: Path) -> None:
    (case,) = nezha.cases(nezha_data)
    asked = 'SELECT DISTINCT "ServiceName", "SpanName", "SpanKind" FROM otel_traces ORDER BY "SpanName"'
    gateway = "ts-gateway-service"
    assert rows(case, tmp_path / "s", asked) == [
        (gateway, "/*", "Server"),
        ("ts-stock-service", "/stock", "Server"),
        (gateway, "HTTP GET", "Client"),
    ]


def test_nezhas_lines_without_a_time_are_left_out(nezha_data: Path, tmp_path: Path) -> None:
    (case,) = nezha.cases(nezha_data)
    assert rows(case, tmp_path / "s", "SELECT count(*) FROM otel_logs") == [(3 + 1,)]


def test_nezhas_calm_minutes_end_where_the_case_begins_at_the_pace_of_its_first_minute(
    nezha_data: Path, tmp_path: Path
) -> None:
    day, calm = (next(nezha_data.glob(f"{part}/*/trace")) for part in ("rca_data", "construct_data"))
    first = int(DAY.timestamp())
    (minute,) = calm.iterdir()
    write_csv(minute, [nezha_trace(0)[0], *(row for n in (0, 50) for row in nezha_trace(first + 420 + n)[1:])])
    write_csv(
        day / "08_43_trace.csv", [nezha_trace(0)[0], *(row for n in (0, 8) for row in nezha_trace(first + n)[1:])]
    )
    (case,) = nezha.cases(nezha_data)
    asked = f'SELECT epoch("Timestamp") - {first} FROM otel_traces WHERE "SpanName" = \'/*\' ORDER BY 1 LIMIT 3'
    assert [at for (at,) in rows(case, tmp_path / "s", asked)] == [-5, -1, 0]


def test_nezhas_log_lines_lose_what_stands_in_columns_and_what_was_written_over_them(
    nezha_data: Path, tmp_path: Path
) -> None:
    (case,) = nezha.cases(nezha_data)
    asked = """SELECT DISTINCT "SeverityText", "SeverityNumber", "LogAttributes"['code.namespace'],
        "LogAttributes"['code.line.number'], "Body" FROM otel_logs"""
    assert rows(case, tmp_path / "s", asked) == [("WARN", 13, "s.StockImpl", "31", "[find][nothing found]")]


def test_nezhas_metrics_have_units_and_an_hour_of_history(nezha_data: Path, tmp_path: Path) -> None:
    (case,) = nezha.cases(nezha_data)
    asked = """SELECT "MetricUnit", avg("Value"), count(*) FROM otel_metrics_gauge
        WHERE "MetricName" = 'k8s.pod.cpu_limit_utilization' AND "ServiceName" = 'ts-stock-service' GROUP BY 1"""
    ((unit, value, points),) = rows(case, tmp_path / "s", asked)
    assert (unit, value) == ("1", 0.5)
    assert points == 63  # an hour before the fault, its three minutes


@pytest.mark.parametrize(("last", "counted"), [(97.5, True), (0, False)])
def test_nezhas_entrance_tells_its_successes_where_they_were_counted(
    nezha_data: Path, tmp_path: Path, last: float, counted: bool
) -> None:
    second = int(DAY.timestamp())
    names: list[object] = ["Time", "TimeStamp", "ServiceName", "SuccessRate(%)"]
    table = [names, [taken_at(second), 0, "Frontend", 0], [taken_at(second + 60), 0, "Frontend", last]]
    write_csv(next(nezha_data.glob("rca_data/*/metric")) / "front_service.csv", table)
    (case,) = nezha.cases(nezha_data)
    asked = """SELECT "ServiceName", "Value" FROM otel_metrics_gauge
        WHERE "MetricName" = 'server.request.success_rate' ORDER BY "TimeUnix" """
    found = rows(case, tmp_path / "s", asked)
    assert found == ([("ts-gateway-service", 0.0), ("ts-gateway-service", last)] if counted else [])


def test_the_alert_of_nezha_names_the_entrance_alone(nezha_data: Path) -> None:
    (case,) = nezha.cases(nezha_data)
    assert case.answers == {"service:ts-stock-service", f"instance:{POD}"}
    assert "stock" not in json.dumps(case.alert.body())
    assert case.alert.started_at == datetime(2023, 1, 29, 8, 45, 4, tzinfo=UTC)


def test_time_ends_three_minutes_after_a_changerca_case_was_detected(changerca_data: Path, tmp_path: Path) -> None:
    (case,) = changerca.cases(changerca_data)
    found = rows(case, tmp_path / "s", 'SELECT max(epoch_ns("TimeUnix")) FROM otel_metrics_gauge')
    assert found == [((DETECTED + 180) * 10**9,)]
    assert case.alert.seen_at == datetime.fromtimestamp(DETECTED + 180, UTC)


def test_the_alert_of_changerca_is_of_whom_nobody_calls_and_names_no_suspect(changerca_data: Path) -> None:
    (case,) = changerca.cases(changerca_data)
    assert (case.alert.service, case.alert.title) == ("front", "Requests of front misbehave")
    assert case.calls == (("front", "cart"), ("front", "stock"))
    assert case.answers == {"service:stock", "instance:stock-v2-bb-new", "instance:stock-v2-bb-two"}


def test_each_step_of_a_changerca_rollout_that_began_in_time_is_a_deploy_with_its_new_pods(
    changerca_data: Path, tmp_path: Path
) -> None:
    (case,) = changerca.cases(changerca_data)
    asked = """SELECT "ServiceName", epoch_ns("Timestamp") // 1000000000, epoch_ns("EndTime") // 1000000000, "Version",
        "PreviousVersion", "Attributes"['instances'], "Outcome" FROM changes ORDER BY 2"""
    first = DETECTED - 100
    assert rows(case, tmp_path / "s", asked) == [
        ("stock", first, first + 65, "v2", "v1", "stock-v2-bb-new", "succeeded"),
        ("stock", first + 80, first + 220, "v2", "v1", "stock-v2-bb-two", "succeeded"),
    ]


def test_a_pod_of_changerca_says_nothing_once_it_is_replaced(changerca_data: Path, tmp_path: Path) -> None:
    (case,) = changerca.cases(changerca_data)
    asked = """SELECT max(epoch_ns("TimeUnix")) // 1000000000, min("Value") FROM otel_metrics_gauge
        WHERE "ResourceAttributes"['service.instance.id'] = 'stock-v1-aa-old'
        AND "MetricName" = 'server.request.success_rate'"""
    assert rows(case, tmp_path / "s", asked) == [(DETECTED - 120, 100.0)]


def test_a_minute_without_a_request_is_no_point_of_changerca(changerca_data: Path, tmp_path: Path) -> None:
    (case,) = changerca.cases(changerca_data)
    asked = """SELECT "MetricName", max(epoch_ns("TimeUnix")) // 1000000000, max("Value") FROM otel_metrics_gauge
        WHERE "ResourceAttributes"['service.version'] = 'v2' AND "MetricName" LIKE '%success%' GROUP BY 1"""
    assert rows(case, tmp_path / "s", asked) == [("server.request.success_rate", DETECTED + 60, 10.0)]


def test_a_pods_columns_of_changerca_are_read_by_place(changerca_data: Path, tmp_path: Path) -> None:
    (case,) = changerca.cases(changerca_data)
    asked = """SELECT "MetricName", max("Value") FROM otel_metrics_gauge WHERE "MetricName" NOT LIKE '%success%'
        GROUP BY 1 ORDER BY 1"""
    assert rows(case, tmp_path / "s", asked) == [
        ("k8s.pod.cpu_limit_utilization", 0.2),
        ("k8s.pod.memory_limit_utilization", 0.4),
        ("server.request.duration", 0.005),
    ]


def test_a_snapshot_of_changerca_does_not_hold_its_answer(changerca_data: Path, tmp_path: Path) -> None:
    (case,) = changerca.cases(changerca_data)
    folder = write_snapshot(case, tmp_path / "s")
    alert = (folder / "incident.json").read_text()
    assert "stock" not in alert
    assert "exception" not in alert
    with Store(folder) as reader:
        services = [row[0] for row in reader.query('SELECT DISTINCT "ServiceName" FROM otel_metrics_gauge ORDER BY 1')]
    assert services == ["cart", "front", "stock"]


def test_a_case_of_sock_shop_has_five_minutes_on_each_side_of_the_injection(
    sockshop_data: Path, tmp_path: Path
) -> None:
    (case,) = sockshop.cases(sockshop_data)
    asked = """SELECT avg("Value"), min(epoch_ns("TimeUnix")) // 1000000000, max(epoch_ns("TimeUnix")) // 1000000000
        FROM otel_metrics_gauge WHERE "MetricName" = 'container.cpu.utilization' AND epoch_ns("TimeUnix") {} 17e17"""
    before, after = (rows(case, tmp_path / name, asked.format(sign)) for name, sign in (("a", "<"), ("b", ">=")))
    assert before == [(pytest.approx(0.02), INJECTED - 300, INJECTED - 1)]
    assert after == [(pytest.approx(0.99), INJECTED, INJECTED + 299)]


def test_the_90th_percentile_stands_for_all_latencies_of_sock_shop_and_empty_cells_are_no_points(
    sockshop_data: Path, tmp_path: Path
) -> None:
    (case,) = sockshop.cases(sockshop_data)
    asked = 'SELECT "MetricName", "ServiceName", count(*) FROM otel_metrics_gauge GROUP BY ALL ORDER BY 1'
    assert rows(case, tmp_path / "s", asked) == [
        ("container.cpu.utilization", "cart", 600),
        ("container.memory.usage", "cart-db", 600),
        ("service.request.duration", "cart", 599),
        ("service.requests", "cart", 600),
    ]


def test_the_alert_of_sock_shop_names_the_entrance_and_the_time_alone(sockshop_data: Path) -> None:
    (case,) = sockshop.cases(sockshop_data)
    assert (case.name, case.number, case.group, case.calls) == ("cart-cpu-3", 3, "cpu", ())
    assert case.answers == {"service:cart", "service:cart-db"}
    assert case.alert.started_at == datetime.fromtimestamp(INJECTED, UTC)
    assert case.alert.seen_at == datetime.fromtimestamp(INJECTED + 300, UTC)
    assert "cart" not in json.dumps(case.alert.body())
