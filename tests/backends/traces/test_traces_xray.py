"""What is X-Ray's own: its documents, its permissions, its filter expressions, and its limits.

Documents are put into moto, which keeps them and gives them back as X-Ray does; what moto cannot do is asked of a fake.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from tests.backends.fakes.otlp import Row
from tests.backends.fakes.segments import id_of
from tests.backends.fakes.xray import FakeXRay
from tests.backends.motoserver import moto_server
from tests.backends.serving import served

from midwatch_kit import BackendDown, BadInput
from midwatch_traces import answers
from midwatch_traces.backend import Search, TraceBackend

WHOLE = ("2026-11-20T02:44:00Z", "2026-11-20T02:48:00Z")
LAST = ("2026-11-20T02:47:45Z", "2026-11-20T02:48:00Z")
START = 1_795_142_640.0
TRACE = f"1-{int(START):08x}-bd862e3fe1be46a994272793"
Connect = Callable[..., TraceBackend]

pytestmark = pytest.mark.xdist_group("trace backends")


def part(name: str, number: int, begin: float, end: float, **more: Any) -> Row:
    """A segment or subsegment that lasts from `begin` to `end` seconds after the trace began."""
    return {"name": name, "id": f"{number:016x}", "start_time": START + begin, "end_time": START + end, **more}


def segment(name: str, number: int, begin: float, end: float, **more: Any) -> Row:
    return {**part(name, number, begin, end, **more), "trace_id": TRACE}


def order() -> list[Row]:
    """A web request whose function reads a table, asks PostgreSQL and a bank, and sends to a queue."""
    table = part("DynamoDB", 11, 0.2, 0.3, namespace="aws", aws={"operation": "GetItem", "table_name": "stock"})
    url = "jdbc:postgresql://db.example.com:5432/shop"
    sql = {"url": url, "database_type": "PostgreSQL", "sanitized_query": "SELECT * FROM prices WHERE id = ?"}
    prices = part("shop@db.example.com", 12, 0.3, 0.4, namespace="remote", sql=sql)
    asked = {"request": {"method": "POST", "url": "https://bank.example.com/pay"}, "response": {"status": 429}}
    bank = part("bank.example.com", 13, 0.4, 0.5, namespace="remote", http=asked, error=True, throttle=True)
    queue = {"operation": "SendMessage", "queue_url": "https://sqs.eu-central-1.amazonaws.com/1/orders"}
    send = part("SQS", 14, 0.5, 0.6, namespace="aws", aws=queue)
    raised = {"exceptions": [{"id": "e" * 16, "type": "BankBusy", "message": "try later"}]}
    work = part("work", 15, 0.15, 0.7, subsegments=[table, prices, bank, send], fault=True, cause=raised)
    request = {"request": {"method": "GET", "url": "https://shop.example.com/orders/4711"}, "response": {"status": 502}}
    function = {"origin": "AWS::Lambda::Function", "parent_id": f"{2:016x}", "fault": True, "cause": "e" * 16}
    return [
        segment(
            "shop", 1, 0, 0.9, http=request, fault=True, subsegments=[part("order", 3, 0.05, 0.8, namespace="remote")]
        ),
        segment("order", 2, 0.1, 0.8, origin="AWS::Lambda", parent_id=f"{3:016x}"),
        segment("order", 4, 0.12, 0.75, subsegments=[work], **function),
        segment("DynamoDB", 5, 0.2, 0.3, inferred=True, origin="AWS::DynamoDB::Table", parent_id=f"{11:016x}"),
    ]


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    """The address of moto's X-Ray with a trace in it."""
    with moto_server() as url:
        client = boto3.client("xray", endpoint_url=url)
        client.put_trace_segments(TraceSegmentDocuments=[json.dumps(told) for told in order()])
        yield url


def test_a_trace_of_segments_reads_as_a_tree_of_what_happened(moto: str, connect: Connect) -> None:
    answer = answers.get(connect(xray=True, aws_endpoint_url=moto), TRACE, *WHOLE)
    rows = {row["span_id"]: row for row in answer.rows}  # type: ignore[index, call-overload]
    assert len(rows) == 9  # the inferred segment of the table is what the call to it says
    text = "\n".join(answer.lines)
    assert "shop GET /orders/{} " in text
    assert "order DynamoDB.GetItem " in text
    assert "order POST bank.example.com +" in text
    assert "order work +" in text
    assert text.count("FAILED BankBusy: try later") == 2  # the function only names the exception of its work
    assert "FAILED throttled" in text


def test_the_map_knows_tables_databases_queues_and_hosts_and_one_request_of_a_function(
    moto: str, connect: Connect
) -> None:
    mapped = answers.map_all(connect(xray=True, aws_endpoint_url=moto), *WHOLE)
    assert mapped.fragment is not None
    assert {(r.source, r.kind, r.target) for r in mapped.fragment.relations if r.learnt_from == "spans"} == {
        ("service:shop", "calls", "service:order"),
        ("service:order", "reads", "database:stock"),
        ("service:order", "reads", "database:shop"),
        ("service:order", "calls", "external:bank.example.com"),
        ("service:order", "sends_to", "queue:orders"),
    }
    [order_row] = [row for row in mapped.rows if row.get("entity") == "service:order"]  # type: ignore[union-attr]
    assert order_row["requests"] == 1  # type: ignore[index, call-overload]


def test_calls_that_only_the_graph_knows_are_in_the_map(told: list[Row], connect: Connect) -> None:
    with served(FakeXRay(told).app) as (url, _):
        mapped = answers.map_all(connect(xray=True, aws_endpoint_url=url), *LAST)
    assert "web calls ghost: 3 calls, counted by xray" in mapped.lines
    assert "service:bank.example.com" not in {entity.id for entity in mapped.fragment.entities}  # type: ignore[union-attr]


def test_an_id_as_aws_writes_it_is_understood(told: list[Row], connect: Connect) -> None:
    with served(FakeXRay(told).app) as (url, _):
        answer = answers.get(connect(xray=True, aws_endpoint_url=url), f" {id_of(told[0]['TraceId'])} ", *WHOLE)
    assert answer.matched == sum(row["TraceId"] == told[0]["TraceId"] for row in told)


@pytest.mark.parametrize("operation", ["GetTraceSummaries", "BatchGetTraces", "GetServiceGraph"])
def test_a_missing_permission_is_named_by_the_checks(operation: str, told: list[Row], connect: Connect) -> None:
    with served(FakeXRay(told[:200], denied=[operation]).app) as (url, _):
        checks = connect(xray=True, aws_endpoint_url=url).checks()
    [refused] = [check for check in checks if not check.ok]
    assert refused.name == f"xray {operation}"
    assert refused.do == f"allow xray:{operation} to these credentials"


def test_without_the_graph_the_other_questions_are_answered(told: list[Row], connect: Connect) -> None:
    with served(FakeXRay(told, denied=["GetServiceGraph"]).app) as (url, _):
        backend = connect(xray=True, aws_endpoint_url=url)
        assert answers.map_all(backend, *LAST).matched
        assert answers.search(backend, Search(service="no such"), *LAST, 10, None).matched == 0


def test_a_long_window_is_asked_for_in_pieces_the_latest_first(told: list[Row], connect: Connect) -> None:
    fake = FakeXRay(told)
    with served(fake.app) as (url, _):
        found = answers.search(
            connect(xray=True, aws_endpoint_url=url), Search(errors=True), "2026-11-18T00:00:00Z", LAST[1], 1_000, None
        )
    ends = [asked["EndTime"] for _, asked in fake.asked if asked.get("FilterExpression")]
    assert found.matched
    assert ends[0] == max(ends)
    assert len(set(ends)) == 9  # of six hours each


def test_a_filter_narrows_every_question_and_is_shown(told: list[Row], connect: Connect) -> None:
    with served(FakeXRay(told).app) as (url, _):
        backend = connect(xray=True, aws_endpoint_url=url, xray_filter='annotation[aws.local.operation] = "POST /buy"')
        found = answers.search(backend, Search(service="web", attributes={"tier": "7"}), *LAST, 10, None)
        names = {row["operation"] for row in answers.search(backend, Search(), *LAST, 99, None).rows}  # type: ignore[index, call-overload]
    assert found.query.endswith(
        '--filter-expression \'(annotation[aws.local.operation] = "POST /buy") AND service("web") '
        'AND (annotation.tier = "7" OR annotation.tier = 7)\''
    )
    assert names == {"POST /buy"}


def test_a_malformed_filter_gets_the_words_of_aws(told: list[Row], connect: Connect) -> None:
    with (
        served(FakeXRay(told[:200]).app) as (url, _),
        pytest.raises(
            BadInput, match=r"cannot use the question \(InvalidRequestException\): Invalid filter expression"
        ),
    ):
        answers.search(connect(xray=True, aws_endpoint_url=url, xray_filter="servise("), Search(), *LAST, 10, None)


def test_traces_that_x_ray_did_not_get_to_are_asked_for_again(told: list[Row], connect: Connect) -> None:
    late = {id_of(row["TraceId"]) for row in told[-100:]}
    with served(FakeXRay(told, unprocessed=late).app) as (url, _):
        answer = answers.search(connect(xray=True, aws_endpoint_url=url), Search(), *LAST, 1_000, None)
    assert {str(row["trace_id"]) for row in answer.rows} >= {told[-1]["TraceId"]}  # type: ignore[index, call-overload]
    assert not answer.caveats


def test_without_a_region_the_start_error_says_what_to_set(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    with pytest.raises(BackendDown, match="set MIDWATCH_AWS_REGION or AWS_REGION"):
        connect(xray=True)
