"""The importers on a whole clone and on what may be wrong in one: a case that is there is counted, none ends a run."""

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from shutil import copytree, rmtree

import pytest
from tests.bench.published import DAY, DETECTED, ENTRANCE, POD, cloudopsbench_in, nezha_log, nezha_trace, write_csv

from midwatch_bench.accuracy.cloudopsbench import WORDS
from midwatch_bench.accuracy.running import Run, run_case
from midwatch_bench.importers import changerca, cloudopsbench, nezha, petshop, sockshop
from midwatch_bench.importers.case import UNREADABLE, Case
from midwatch_bench.importers.files import Unreadable

SETS: Mapping[str, Callable[[Path], Iterator[Case]]] = {
    "changerca": changerca.cases,
    "nezha": nezha.cases,
    "petshop": petshop.cases,
    "sockshop": sockshop.cases,
}


@pytest.fixture
def data(request: pytest.FixtureRequest) -> Path:
    """The made set of the name that a test is given."""
    found: Path = request.getfixturevalue(f"{request.param}_data")
    return found


def why(case: Case) -> str:
    """Return why nothing can be read of a case."""
    with pytest.raises(Unreadable) as raised:
        case.telemetry()
    assert (case.group, case.answers) == (UNREADABLE, frozenset())
    return str(raised.value)


@pytest.mark.parametrize(
    ("data", "name", "folder"),
    [
        ("changerca", "changerca", "data/2023-09-22/2023-09-22_3"),
        ("nezha", "nezha", "rca_data/2023-01-29"),
        ("petshop", "petshop", "dataset/low_traffic/train/issue_3"),
        ("sockshop", "sockshop", "sock-shop-data/cart-cpu/3"),
    ],
    indirect=["data"],
)
def test_a_case_is_the_same_from_the_root_of_a_clone_and_from_any_folder_above_it(
    data: Path, name: str, folder: str
) -> None:
    (data / "README.md").write_text("a clone has more than data", encoding="utf-8")
    (whole,) = SETS[name](data)
    for depth in range(1, folder.count("/") + 2):
        (part,) = SETS[name](data / "/".join(folder.split("/")[:depth]))
        assert (part.name, part.number, part.group, part.alert) == (whole.name, whole.number, whole.group, whole.alert)


@pytest.mark.parametrize(
    ("data", "name", "missing"),
    [
        ("changerca", "changerca", "2023-09-22_3.json"),
        ("petshop", "petshop", "issue_3/target.json"),
        ("petshop", "petshop", "issue_3/metrics.csv"),
        ("petshop", "petshop", "graph.csv"),
        ("sockshop", "sockshop", "anomalous.csv"),
    ],
    indirect=["data"],
)
def test_a_case_of_which_a_file_is_missing_is_listed_and_says_which(data: Path, name: str, missing: str) -> None:
    next(data.rglob(missing)).unlink()
    (case,) = SETS[name](data)
    assert why(case).endswith(f"{missing.rpartition('/')[2]}: No such file or directory")


@pytest.mark.parametrize(
    ("data", "name", "file"),
    [
        ("changerca", "changerca", "2023-09-22_3.json"),
        ("nezha", "nezha", "2023-01-29-fault_list.json"),
        ("petshop", "petshop", "target.json"),
    ],
    indirect=["data"],
)
def test_a_pointer_to_a_large_file_that_was_not_fetched_is_no_end_of_a_run(data: Path, name: str, file: str) -> None:
    next(data.rglob(file)).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n", encoding="utf-8")
    (case,) = SETS[name](data)
    assert f"{file}: Expecting value" in why(case)


def test_an_unreadable_case_counts_as_one_that_was_not_solved_and_hides_no_other(petshop_data: Path) -> None:
    issue = next(petshop_data.rglob("issue_3"))
    copytree(issue, issue.with_name("issue_4"))
    (issue / "target.json").write_bytes(b"\xff\xfe")
    broken, sound = petshop.cases(petshop_data)
    assert (broken.name, sound.name) == ("low_traffic-train-03", "low_traffic-train-04")
    assert sound.answers == {"service:back"}
    result = run_case(Run("petshop", petshop_data), broken)
    assert (result.place, result.outcome, result.right) == (0, "failed", False)
    assert "issue_3/target.json" in result.said


def test_petshops_temporal_scenarios_have_no_fault_free_metrics_and_need_none(petshop_data: Path) -> None:
    low = next(petshop_data.rglob("low_traffic"))
    rmtree(low / "noissue")
    low.rename(low.with_name("temporal_traffic2"))
    (case,) = petshop.cases(petshop_data)
    assert (case.name, case.group) == ("temporal_traffic2-train-03", "temporal_traffic2 latency")
    assert case.telemetry()["otel_metrics_gauge"]


def test_all_scenarios_and_halves_of_petshop_come_in_the_order_of_the_paper(petshop_data: Path) -> None:
    low = next(petshop_data.rglob("low_traffic"))
    copytree(low / "train" / "issue_3", low / "test" / "issue_10")
    copytree(low / "train" / "issue_3", low / "test" / "issue_9")
    for scenario in ("high_traffic", "temporal_traffic1"):
        copytree(low, low.with_name(scenario))
    names = [case.name for case in petshop.cases(petshop_data)]
    of_each = ("test-09", "test-10", "train-03")
    assert names == [f"{s}-{n}" for s in ("low_traffic", "high_traffic", "temporal_traffic1") for n in of_each]


def test_a_day_of_nezha_without_all_traces_of_a_case_is_told_by_its_metrics_and_the_clock(nezha_data: Path) -> None:
    (whole,) = nezha.cases(nezha_data)
    assert {"otel_traces", "otel_logs"} < whole.telemetry().keys()
    (nezha_data / "rca_data" / "2023-01-29" / "trace" / "08_44_trace.csv").unlink()
    (case,) = nezha.cases(nezha_data)
    assert case.telemetry().keys() == {"otel_metrics_gauge"}
    assert case.alert.started_at == datetime(2023, 1, 29, 8, 45, 4, tzinfo=UTC)
    assert case.alert.seen_at == datetime(2023, 1, 29, 8, 46, 4, tzinfo=UTC)


@pytest.mark.parametrize(
    "part", ["rca_data/2023-01-29/log/08_44_log.csv", "construct_data/2023-01-29/log/08_50_log.csv"]
)
def test_a_case_of_nezha_of_which_some_logs_are_missing_has_its_traces_alone(nezha_data: Path, part: str) -> None:
    (nezha_data / part).write_text("", encoding="utf-8")
    (case,) = nezha.cases(nezha_data)
    assert case.telemetry().keys() == {"otel_metrics_gauge", "otel_traces"}


def test_a_day_of_nezha_without_its_entrance_cannot_be_read(nezha_data: Path) -> None:
    next(nezha_data.rglob(f"{ENTRANCE}_metric.csv")).unlink()
    (case,) = nezha.cases(nezha_data)
    assert "there is no pod of ts-gateway-service" in why(case)


def test_nezhas_faults_are_numbered_in_the_order_of_time_whatever_the_order_of_the_list(nezha_data: Path) -> None:
    told = {"inject_pod": POD, "inject_type": "network_delay"}
    hours = {
        "09": [told | {"inject_time": "2023-01-29 09:10:00"}],
        "08": [told | {"inject_time": "2023-01-29 08:10:00"}],
    }
    next(nezha_data.rglob("*-fault_list.json")).write_text(json.dumps(hours), encoding="utf-8")
    seen = [(case.name, f"{case.alert.started_at:%H:%M}", case.group) for case in nezha.cases(nezha_data)]
    kind = "train ticket network_delay"
    assert seen == [("2023-01-29-00", "08:12", kind), ("2023-01-29-01", "09:12", kind)]


IDS = "TraceID: t SpanID: c "
SPOKEN = {
    json.dumps({"severity": "warning", "message": f"{IDS}no stock", "v": 1}): ("WARNING", "no stock"),
    json.dumps({"severity": "info", "message": f"{IDS}found"}): ("INFO", "found"),
    f"{IDS}Get called with id=7": ("", "Get called with id=7"),
    f"05:18:42.995 INFO  - {IDS}Get start": ("INFO", "- Get start"),
}


@pytest.mark.parametrize("printed", SPOKEN)
def test_nezhas_lines_say_the_same_in_json_and_in_plain_words(nezha_data: Path, printed: str) -> None:
    names, *_ = nezha_log(0)
    for path in nezha_data.rglob("*_log.csv"):
        minute = int(DAY.timestamp()) * 10**9
        write_csv(path, [names, [minute, POD, f"t{DAY.timestamp():.0f}", "c", json.dumps({"log": printed + "\n"})]])
    (case,) = nezha.cases(nezha_data)
    line = case.telemetry()["otel_logs"][-1]
    assert (line["SeverityText"], line["Body"]) == SPOKEN[printed]


def test_a_line_of_nezha_that_is_torn_is_taken_as_it_is(nezha_data: Path) -> None:
    names, *_ = nezha_log(0)
    for path in nezha_data.rglob("rca_data/**/*_log.csv"):
        write_csv(path, [names, [10**18, POD, "t", "c", 'tten][by another]\\n"}']])
    (case,) = nezha.cases(nezha_data)
    assert case.telemetry()["otel_logs"][-1]["Body"] == 'tten][by another]\\n"}'


def test_the_spans_of_an_application_in_other_languages_enter_where_pods_change(nezha_data: Path) -> None:
    for path in nezha_data.rglob("*_trace.csv"):
        head, *spans = nezha_trace(int(DAY.timestamp()))
        names = ("hipstershop.Frontend/Recv.", "hipstershop.AdService/GetAds", "hipstershop.AdService/GetAds")
        write_csv(path, [head, *([*span[:4], name, *span[5:]] for span, name in zip(spans, names, strict=True))])
    (case,) = nezha.cases(nezha_data)
    assert {row["SpanKind"] for row in case.telemetry()["otel_traces"]} == {"Server", "Client"}


def test_a_rollout_of_changerca_may_add_pods_and_need_not_end(changerca_data: Path) -> None:
    path = next(changerca_data.rglob("2023-09-22_3.json"))
    told = json.loads(path.read_text(encoding="utf-8"))
    step = {"v1": 1, "v2": 1, "release_pod": ["cart-v2-cc-new"], "delete_pod": []}
    told["plan"]["cart"]["process"] = {str(DETECTED): step}
    path.write_text(json.dumps(told), encoding="utf-8")
    (case,) = changerca.cases(changerca_data)
    (cart,) = (change for change in case.telemetry()["changes"] if change["ServiceName"] == "cart")
    assert (cart["Version"], cart["PreviousVersion"], cart["Outcome"]) == ("v2", "", "running")


def test_what_changerca_left_out_of_a_case_is_left_out_and_no_more(changerca_data: Path) -> None:
    for name in ("dependency.csv", "source_success.csv"):
        next(changerca_data.rglob(name)).unlink()
    pod = next(changerca_data.rglob("stock-v1-*.csv"))
    pod.write_text(pod.read_text(encoding="utf-8") + "2023,16954", encoding="utf-8")  # the last row was cut off
    (case,) = changerca.cases(changerca_data)
    assert (case.alert.service, case.calls) == ("front", (("front", "stock"),))
    assert {row["ServiceName"] for row in case.telemetry()["otel_metrics_gauge"]} == {"stock"}


def test_a_phase_of_sock_shop_without_rows_cannot_be_read(sockshop_data: Path) -> None:
    path = next(sockshop_data.rglob("anomalous.csv"))
    path.write_text(path.read_text(encoding="utf-8").splitlines()[0] + "\n", encoding="utf-8")
    (case,) = sockshop.cases(sockshop_data)
    assert why(case) == "cart-cpu/3/anomalous.csv: it has no rows"


def test_a_mark_of_the_byte_order_is_no_part_of_a_columns_name(sockshop_data: Path) -> None:
    for path in sockshop_data.rglob("*.csv"):
        path.write_text(path.read_text(encoding="utf-8"), encoding="utf-8-sig")
    (case,) = sockshop.cases(sockshop_data)
    assert case.name == "cart-cpu-3"
    assert case.telemetry()["otel_metrics_gauge"]


def test_cloud_opsbench_counts_odd_and_even_folders_apart_and_the_same_in_any_part(tmp_path: Path) -> None:
    for place in ("boutique/runtime/1", "boutique/runtime/2", "boutique/scheduling/3", "trainticket/service/5"):
        cloudopsbench_in(tmp_path, place)
    whole = {case.name: case.number for case in cloudopsbench.cases(tmp_path)}
    assert whole == {
        "boutique/runtime/1": 0,
        "boutique/runtime/2": 0,
        "boutique/scheduling/3": 1,
        "trainticket/service/5": 0,
    }
    (part,) = cloudopsbench.cases(tmp_path / "benchmark" / "boutique" / "scheduling")
    assert (part.name, part.number) == ("boutique/scheduling/3", 1)
    (one,) = cloudopsbench.cases(tmp_path / "benchmark" / "boutique" / "runtime" / "2")
    assert one.name == "boutique/runtime/2"


def test_a_case_of_cloud_opsbench_without_its_label_or_its_tools_cannot_be_read(tmp_path: Path) -> None:
    (cloudopsbench_in(tmp_path, "boutique/runtime/1") / "metadata.json").unlink()
    (cloudopsbench_in(tmp_path, "boutique/runtime/2") / "tool_cache.json").unlink()
    reasons = [why(case) for case in cloudopsbench.cases(tmp_path)]
    missing = "No such file or directory"
    assert reasons == [f"runtime/1/metadata.json: {missing}", f"runtime/2/tool_cache.json: {missing}"]


def test_alerts_of_cloud_opsbench_without_a_time_and_columns_without_a_name_are_passed_over(tmp_path: Path) -> None:
    raw = cloudopsbench_in(tmp_path, "boutique/performance/1") / "raw_data"
    alerts = [{"name": "cart", "time_range": None}, {"name": "cart"}]
    (raw / "alert.json").write_text(json.dumps({"alerts": alerts}), encoding="utf-8")
    write_csv(raw / "metrics.csv", [["time", "cart-cpu"], ["2026-01-01 19:59:00", 0.5, "more"]])
    (case,) = cloudopsbench.cases(tmp_path)
    assert case.alert.seen_at == datetime(2026, 1, 1, 12, 0, tzinfo=UTC)  # when it was collected, in UTC+8
    assert [row["Value"] for row in case.telemetry()["otel_metrics_gauge"]] == [0.5]


def test_an_object_of_cloud_opsbench_that_was_printed_otherwise_is_known_by_name(tmp_path: Path) -> None:
    case = cloudopsbench_in(tmp_path, "boutique/service/1")
    texts = {
        f"kubectl describe service {name} -n boutique": f"Name: {name}\nNamespace: boutique\nPort: http {port}/TCP\n"
        for name, port in (("cart", "80-90"), ("stock", "80"))
    }
    (case / "raw_data" / "k8s_states.json").write_text(json.dumps(texts), encoding="utf-8")
    (found,) = cloudopsbench.cases(tmp_path)
    told = [json.loads(str(row["Object"])) for row in found.telemetry()["objects"] if row["Kind"] == "Service"]
    assert {thing["metadata"]["name"]: "spec" in thing for thing in told} == {"cart": False, "stock": True}


def test_what_else_a_clone_of_cloud_opsbench_holds_is_no_case(tmp_path: Path) -> None:
    case = cloudopsbench_in(tmp_path, "boutique/codedefect/1", "code_busy_loop", "Application_Code_Defect")
    for other in (
        "process-label/boutique/codedefect/1/milestone.json",
        "golden-trajectory/boutique/runtime/1/path1.json",
    ):
        (tmp_path / other).parent.mkdir(parents=True)
        (tmp_path / other).write_text("{}", encoding="utf-8")
    (case / "code").mkdir()
    (case / "code" / "metadata.json").write_text("{}", encoding="utf-8")
    (found,) = cloudopsbench.cases(tmp_path)
    assert (found.name, found.group) == ("boutique/codedefect/1", "boutique code_busy_loop")
    assert found.answers == {"application_code_defect app/cart code_busy_loop"}


@pytest.mark.parametrize(
    ("taxonomy", "cause", "label"),
    [
        ("Runtime_Fault", "container_memory_limit_too_low", "runtime_fault app/cart oom_killed"),
        ("Runtime_Fault", "oom_killed", "runtime_fault app/cart oom_killed"),
        ("Runtime_Fault", "db_readonly_mode", "runtime_fault app/cart db_read_only"),
        ("Service_Routing_Fault", "gateway_misrouted", "service_routing_fault app/cart gateway_misroute"),
        ("Performance_Fault", "node_network_delay", "infrastructure_fault app/cart node_network_delay"),
        (" Startup_Fault", "Missing_Secret_Binding ", "startup_fault app/cart missing_secret_binding"),
    ],
)
def test_what_releases_of_cloud_opsbench_call_differently_is_one_label(
    tmp_path: Path, taxonomy: str, cause: str, label: str
) -> None:
    cloudopsbench_in(tmp_path, "boutique/runtime/1", cause, taxonomy)
    (case,) = cloudopsbench.cases(tmp_path)
    assert case.answers == {label}


KINDS = {
    "Admission_Fault": """missing_service_account namespace_cpu_quota_exceeded namespace_memory_quota_exceeded
        namespace_pod_quota_exceeded namespace_service_quota_exceeded namespace_storage_quota_exceeded""",
    "Infrastructure_Fault": """containerd_unavailable kube_proxy_unavailable kube_scheduler_unavailable
        kubelet_unavailable node_network_delay node_network_packet_loss""",
    "Performance_Fault": "pod_cpu_overload pod_network_delay",
    "Runtime_Fault": """db_connection_exhaustion db_read_only deployment_zero_replicas liveness_probe_incorrect_port
        liveness_probe_incorrect_protocol liveness_probe_incorrect_timing mysql_invalid_credentials mysql_invalid_port
        oom_killed readiness_probe_incorrect_port readiness_probe_incorrect_protocol service_sidecar_port_conflict""",
    "Scheduling_Fault": """cpu_capacity_mismatch memory_capacity_mismatch node_affinity_mismatch node_cordon_mismatch
        node_selector_mismatch pod_anti_affinity_conflict pv_binding_occupied pvc_access_mode_mismatch
        pvc_capacity_mismatch pvc_selector_mismatch pvc_storage_class_mismatch taint_toleration_mismatch""",
    "Service_Routing_Fault": """gateway_misroute service_dns_resolution_failure service_env_var_address_mismatch
        service_port_mapping_mismatch service_protocol_mismatch service_selector_mismatch""",
    "Startup_Fault": """image_registry_dns_failure incorrect_image_reference missing_image_pull_secret
        missing_secret_binding volume_mount_permission_denied""",
}
"""The 49 kinds of faults of Cloud-OpsBench's first release, by taxonomy."""


def test_findings_are_put_into_each_kind_of_cloud_opsbench_but_one_that_nothing_tells_from_a_delay() -> None:
    published = {(taxonomy, cause) for taxonomy, causes in KINDS.items() for cause in causes.split()}
    assert len(published) == 49
    assert published - WORDS == {("Infrastructure_Fault", "node_network_packet_loss")}
    assert not WORDS - published


def test_a_long_cell_is_read(nezha_data: Path) -> None:
    path = next(nezha_data.rglob("08_43_log.csv"))
    with path.open(newline="", encoding="utf-8") as file:
        head, line, *_ = csv.reader(file)
    write_csv(path, [head, [*line[:-1], json.dumps({"log": "x" * 200_000})]])
    (case,) = nezha.cases(nezha_data)
    assert max(len(str(row["Body"])) for row in case.telemetry()["otel_logs"]) == 200_000
