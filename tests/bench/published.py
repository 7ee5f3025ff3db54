"""Tiny hand-made data in the layouts in which the public sets are published: one case of each."""

import csv
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

START = 1_681_350_000
FIGURES = [("latency", "Average"), ("latency", "p95"), ("availability", "Average"), ("requests", "Sum")]
NODES = ("front", "back")


def write_csv(path: Path, lines: Sequence[Sequence[object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(lines)


def sheet(starts: Sequence[int], *, empty: bool = False) -> list[list[object]]:
    """Return a metrics.csv: two nodes with four figures each; the last node has none of them when it is `empty`."""
    columns = [(node, *figure) for node in NODES for figure in FIGURES]
    heads: list[list[object]] = [[name, *(c[i] for c in columns)] for i, name in enumerate(("microservice", "m", "s"))]
    values = [0.1, 0.3, 99.5, 600, *(["", "", "", 0] if empty else [0.05, 0.1, 100, 900])]
    return [*heads, ["unix_timestamp", *[""] * len(columns)], *([start, *values] for start in starts)]


def petshop_in(folder: Path) -> Path:
    """Write issue 3 of the low traffic: `back` makes `front` slow."""
    root = folder / "dataset"
    issue = root / "low_traffic" / "train" / "issue_3"
    write_csv(root / "low_traffic" / "noissue" / "metrics.csv", sheet([1_693_922_400 + 300 * n for n in range(4)]))
    write_csv(issue / "metrics.csv", sheet([START + 300 * n for n in range(5)], empty=True))
    write_csv(root / "low_traffic" / "graph.csv", [["", *NODES], ["front", 0.0, 1.0], ["back", 0.0, 0.0]])
    target = {"node": "front", "metric": "latency", "agg": "Average", "timestamp": START + 350}
    command = {"reproducibility": {"command": "break-the-cause"}}
    told = {"target": target, "root_cause": {"node": "back", "metric": None}, "metadata": command}
    (issue / "target.json").write_text(json.dumps(told), encoding="utf-8")
    return folder


POD, ENTRANCE = "ts-stock-service-5d4f-abcde", "ts-gateway-service-77f-xyz12"
DAY = datetime(2023, 1, 29, 8, 43, 4, tzinfo=UTC)
METRICS = ["Time", "TimeStamp", "PodName", "CpuUsageRate(%)", "PodWorkload(Ops)", "PodServerLatencyP90(s)"]


def nezha_in(folder: Path) -> Path:
    """Write a day of one fault, three minutes and a calm one of traces and logs, and two pods' metrics."""
    day, calm = folder / "rca_data" / "2023-01-29", folder / "construct_data" / "2023-01-29"
    second = int(DAY.timestamp())
    for what, minute in [(calm, second + 420), *((day, second + 60 * n) for n in range(3))]:
        stamp = f"{datetime.fromtimestamp(minute, UTC):%H_%M}"
        write_csv(what / "trace" / f"{stamp}_trace.csv", nezha_trace(minute))
        write_csv(what / "log" / f"{stamp}_log.csv", nezha_log(minute))
    for pod in (POD, ENTRANCE):
        figures = [[taken_at(second + 60 * n), 0, pod, 50.0, 2.5, 0.2] for n in range(-90, 30)]
        write_csv(day / "metric" / f"{pod}_metric.csv", [METRICS, *figures])
    fault = {"inject_time": f"{DAY:%Y-%m-%d %H:%M:%S}", "inject_timestamp": "0", "inject_pod": POD}
    listed = {"08": [{**fault, "inject_type": "return"}]}
    (day / "2023-01-29-fault_list.json").write_text(json.dumps(listed), encoding="utf-8")
    return folder


def taken_at(second: int) -> str:
    """Return a time in the words of a metric file; the number in the column beside it may be wrong."""
    return f"{datetime.fromtimestamp(second, UTC):%Y-%m-%d %H:%M:%S}.512478311 +0000 UTC m=+0.119240217"


def nezha_trace(minute: int) -> list[list[object]]:
    begin = minute * 10**9
    ids = ["TraceID", "SpanID", "ParentID"]
    names: list[object] = [*ids, "PodName", "OperationName", "StartTimeUnixNano", "EndTimeUnixNano"]
    spans = [("a", "root", ENTRANCE, "/*"), ("b", "a", ENTRANCE, "HTTP GET"), ("c", "b", POD, "/stock")]
    return [names, *([f"t{minute}", *span, begin, begin + 10**7] for span in spans)]


def nezha_log(minute: int) -> list[list[object]]:
    said = "16:43:04.100 WARN  s.StockImpl#31 TraceID: t SpanID: c [find][nothing found]\n"
    names: list[object] = ["TimeUnixNano", "PodName", "TraceID", "SpanID", "Log"]
    line = [POD, f"t{minute}", "c", json.dumps({"log": said, "stream": "stdout"})]
    torn = [*line[:-1], line[-1] + 'tten][by another]\\n""']
    return [names, [minute * 10**9, *torn], [-6795364578871345152, *line]]  # the second has no time


DETECTED = 1_695_400_000
MINUTES = range(DETECTED - 300, DETECTED + 301, 60)
POD_COLUMNS = ["Time", "Timestamp", "SuccessRate", "Latency", "Cpu", "Memory", "NodeCpu", "NodeMemory"]


def pod(folder: Path, name: str, caller: str, callee: str, rows: Sequence[tuple[int, float | str]]) -> None:
    """Write a pod's file: when, and which share of the calls succeeded; CPU 20 %, memory 40 %, 5 ms."""
    lines: list[list[object]] = [["", moment, success, 20, 40, 1, 1, 0.005] for moment, success in rows]
    write_csv(folder / f"{name}_{caller}_{callee}.csv", [POD_COLUMNS, *lines])


def changerca_in(data: Path) -> Path:
    """Write a case in which `stock` is at fault: its new pod fails, and `cart` is rolled out as well."""
    folder = data / "data" / "2023-09-22" / "2023-09-22_3"
    pairs = [("front", "stock"), ("front", "cart"), ("stock", "10.0.0.1")]
    write_csv(folder / "dependency.csv", [["Source", "Target", "Weight"], *((a, b, 1) for a, b in pairs)])
    pod(folder, "stock-v1-aa-old", "front", "stock", [(t, 100 if t < DETECTED - 100 else 10) for t in MINUTES])
    pod(folder, "stock-v2-bb-new", "front", "stock", [(t, "NaN" if t > DETECTED + 100 else 10) for t in MINUTES[4:]])
    for end in ("source", "destination"):
        shares = [["", t, 90, 100] for t in MINUTES]
        write_csv(folder / f"{end}_success.csv", [["time", "timestamp", "front_stock", "front_cart"], *shares])
    first = DETECTED - 100
    steps = {
        str(first): ({"v1": 1, "v2": 1, "release_pod": ["stock-v2-bb-new"], "delete_pod": ["stock-v1-aa-old"]}, 65),
        str(first + 80): (
            {"v1": 0, "v2": 2, "release_pod": ["stock-v2-bb-two"], "delete_pod": ["stock-v1-aa-two"]},
            220,
        ),
    }
    plan = {name: {**step, "release_complete_timestamp": first + done} for name, (step, done) in steps.items()}
    late = {"v1": 1, "v2": 1, "release_pod": ["cart-v2-cc-new"], "delete_pod": ["cart-v1-dd-old"]}
    cart = {str(DETECTED + 190): {**late, "release_complete_timestamp": DETECTED + 250}}
    told = {
        "plan": {"stock": {"release_time": first, "process": plan}, "cart": {"release_time": 0, "process": cart}},
        "fault": "exception",
        "fault_release_service": "stock",
        "normal_service_list": ["cart"],
        "GIED_result": "front",
        "detect_timestamp": DETECTED,
    }
    (folder / "2023-09-22_3.json").write_text(json.dumps(told), encoding="utf-8")
    return data


INJECTED = 1_700_000_000


def sockshop_in(folder: Path) -> Path:
    """Write repetition 3 of a fault of the cart's CPU, the phase before it stamped hours after it."""
    columns = ["time", "cart_cpu", "cart-db_mem", "cart_lod", "cart_lat_50", "cart_lat_90"]
    for phase, begin, cpu in [("normal", INJECTED + 9_000, 2.0), ("anomalous", INJECTED, 99.0)]:
        rows = [[begin + n, cpu, 1e6, 4.5, 0.1, "" if n == 0 else 0.2] for n in range(320)]
        write_csv(folder / "sock-shop-data" / "cart-cpu" / "3" / f"{phase}.csv", [columns, *rows])
    return folder


def cloudopsbench_in(folder: Path, place: str, cause: str = "oom_killed", taxonomy: str = "Runtime_Fault") -> Path:
    """Write a case without alerts, objects and metrics at `<system>/<category>/<id>`: `cart` is at fault."""
    case = folder / "benchmark" / place
    answer = {"fault_taxonomy": taxonomy, "fault_object": "app/cart", "root_cause": cause}
    said = {"namespace": "boutique", "query": "Service abnormal restart.", "difficulty": "easy", "result": answer}
    tools = {"collection_timestamp": "2026-01-01T20:00:00"}
    files = {"metadata.json": said, "tool_cache.json": tools, "raw_data/k8s_states.json": {}}
    (case / "raw_data").mkdir(parents=True)
    for name, told in files.items():
        (case / name).write_text(json.dumps(told), encoding="utf-8")
    return case
