"""What only CloudWatch has: metrics of AWS' own services, dimensions, periods, limits, a price, alarms with history."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from pydantic import ValidationError
from tests.backends.fakes.cloudwatch import CloudWatch, Refusing, changed
from tests.backends.metrics.asking import asked, document, refused, text_of
from tests.backends.metrics.conftest import Connect
from tests.backends.metrics.in_cloudwatch import telling
from tests.backends.metrics.story import Told
from tests.backends.motoserver import moto_server
from tests.backends.serving import listening, served

from midwatch_kit import BadInput
from midwatch_metrics.backends.cloudwatch import open_cloudwatch
from midwatch_metrics.settings import MetricsSettings

pytestmark = pytest.mark.xdist_group("metrics_backends")

NOW = datetime.now(UTC).replace(second=0, microsecond=0)
WINDOW = {"start": (NOW - timedelta(minutes=15)).isoformat(), "end": NOW.isoformat()}
BALANCER = {"LoadBalancer": "app/shop/50dc6c495c0c9188"}
TARGETS = {**BALANCER, "TargetGroup": "targetgroup/carts/73e2d6bc24d8a067"}
ZONES = [{**BALANCER, "AvailabilityZone": f"eu-west-1{zone}"} for zone in "ab"]


@pytest.fixture(autouse=True)
def _this_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have each test begin with the minute it runs in: all tests together may take longer than an outage is ago."""
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    monkeypatch.setitem(globals(), "NOW", now)
    monkeypatch.setitem(WINDOW, "start", (now - timedelta(minutes=15)).isoformat())
    monkeypatch.setitem(WINDOW, "end", now.isoformat())


@contextmanager
def settings_of(kept: CloudWatch, namespaces: str = "*", **more: Any) -> Iterator[dict[str, Any]]:
    """The settings of a server over a CloudWatch that runs until left."""
    with listening(kept) as url:
        yield {"aws_endpoint_url": url, "cloudwatch_namespaces": namespaces, **more}


def minutes(last: int = 60, first: int = 0) -> Iterator[int]:
    """Seconds at which minutes begin, from so many minutes ago to so many."""
    for ago in range(last, first, -1):
        yield int((NOW - timedelta(minutes=ago)).timestamp())


def in_aws() -> CloudWatch:
    """An hour of a shop out of AWS' services: in the last five minutes a tenth of all fails, and takes three times as
    long. Errors of a load balancer and of a table are only told of where there are any, as AWS does."""
    kept = CloudWatch()
    for at in minutes():
        bad = at >= int((NOW - timedelta(minutes=5)).timestamp())
        for dimensions, share in ((BALANCER, 1.0), (TARGETS, 1.0), *((zone, 0.5) for zone in ZONES)):
            kept.put("AWS/ApplicationELB", "RequestCount", dimensions, at, 1, 600 * share)
            kept.put("AWS/ApplicationELB", "TargetResponseTime", dimensions, at, 0.3 if bad else 0.1, 600 * share)
            if bad:
                kept.put("AWS/ApplicationELB", "HTTPCode_Target_5XX_Count", dimensions, at, 1, 60 * share)
        for name, value in (("Invocations", 120), ("Errors", 12 if bad else 0), ("Throttles", 0)):
            kept.put("AWS/Lambda", name, {"FunctionName": "mailer"}, at, value, 1)
        kept.put("AWS/Lambda", "Duration", {"FunctionName": "mailer"}, at, 90 if bad else 30, 120)
        kept.put("AWS/Lambda", "ConcurrentExecutions", {}, at, 7, 1)
        own = {"TableName": "carts-table", "Operation": "GetItem"}
        kept.put("AWS/DynamoDB", "SuccessfulRequestLatency", own, at, 12 if bad else 4, 240)
        if bad:
            kept.put("AWS/DynamoDB", "ThrottledRequests", own, at, 1, 24)
        ecs = {"ClusterName": "prod", "ServiceName": "carts"}
        kept.put("AWS/ECS", "CPUUtilization", ecs, at, 97 if bad else 40, 1)
        kept.put("AWS/SQS", "ApproximateAgeOfOldestMessage", {"QueueName": "mails"}, at, 300 if bad else 2, 1)
    return kept


async def test_what_users_feel_is_told_of_the_services_of_aws(connect: Connect) -> None:
    with settings_of(in_aws()) as settings:
        async with connect(**settings) as client:
            records = await document(client, "survey_metrics", "records", **WINDOW)
    felt = {(one["entity"], one["subject"]): one for one in records["observations"] if one["kind"] == "spike"}
    for service, share in (("shop", 10.0), ("carts", 10.0), ("mailer", 10.0), ("carts-table", 10.0)):
        errors = felt[f"service:{service}", "error_rate"]
        assert (errors["baseline"], errors["magnitude"]) == (0.0, pytest.approx(share / 3, rel=0.01)), service
    levels = {service: felt[f"service:{service}", "latency_mean"]["baseline"] for service in ("shop", "mailer")}
    assert levels == {"shop": 100.0, "mailer": 30.0}
    assert felt["service:mails", "latency_mean"]["unit"] == "ms"
    rare = felt["service:shop", "AWS/ApplicationELB/HTTPCode_Target_5XX_Count.rate"]
    assert (rare["baseline"], rare["magnitude"]) == (0.0, 1.0)
    cpu = next(one for one in records["observations"] if one["subject"] == "AWS/ECS/CPUUtilization")
    assert (cpu["entity"], cpu["kind"], cpu["magnitude"]) == ("service:carts", "saturation", 97.0)


async def test_requests_that_are_kept_by_zone_and_in_all_count_once(connect: Connect) -> None:
    with settings_of(in_aws(), "AWS/ApplicationELB") as settings:
        async with connect(**settings) as client:
            records = await document(client, "survey_metrics", "records", **WINDOW)
            by_zone = await document(
                client,
                "query_metric",
                **WINDOW,
                name="RequestCount",
                filters={"AvailabilityZone": "eu-west-1a"},
                points=15,
            )
            listed = await asked(client, "list_metrics", **WINDOW)
    rates = {one["entity"]: one["magnitude"] for one in records["observations"] if one["subject"] == "request_rate"}
    assert rates == {"service:shop": 10.0, "service:carts": 10.0}
    assert by_zone["rows"][0]["values"] == [5.0] * 15
    assert "AWS/ApplicationELB/RequestCount counter [1]: 2 series of carts, shop; by AvailabilityZone, LoadB" in listed


async def test_totals_of_the_account_are_nobodys(connect: Connect) -> None:
    with settings_of(in_aws(), "AWS/Lambda") as settings:
        async with connect(**settings) as client:
            listed = await asked(client, "list_metrics", **WINDOW)
    assert "ConcurrentExecutions" not in listed
    assert "AWS/Lambda/Errors counter [1]: 1 series of mailer" in listed


async def test_percentiles_are_those_of_cloudwatch_itself(connect: Connect) -> None:
    kept = CloudWatch()
    for at in minutes(15):
        for value in range(1, 101):
            kept.put("AWS/Lambda", "Duration", {"FunctionName": "mailer"}, at, value, 1)
    with settings_of(kept) as settings:
        async with connect(**settings) as client:
            named: dict[str, Any] = {**WINDOW, "name": "AWS/Lambda/Duration", "points": 15}
            told = {
                aggregation: (await document(client, "query_metric", **named, aggregation=aggregation))["rows"][0]
                for aggregation in ("p50", "p99", "avg", "rate")
            }
    values = {aggregation: row["values"][0] for aggregation, row in told.items()}
    assert values == {"p50": 50.0, "p99": 99.0, "avg": 50.5, "rate": pytest.approx(100 / 60, rel=1e-4)}


@pytest.mark.parametrize(("days", "period"), [(1, 60), (20, 300), (100, 3600)])
async def test_old_data_are_asked_for_by_the_period_they_are_kept_by(days: int, period: int, connect: Connect) -> None:
    kept, start = CloudWatch(), NOW.replace(minute=0) - timedelta(days=days)
    for at in range(0, 4 * 3600, period):
        kept.put("AWS/SQS", "NumberOfMessagesSent", {"QueueName": "mails"}, int(start.timestamp()) + at, period, 1)
    window = {"start": start.isoformat(), "end": (start + timedelta(hours=4)).isoformat()}
    with settings_of(kept) as settings:
        async with connect(**settings) as client:
            told = await document(client, "query_metric", **window, name="AWS/SQS/NumberOfMessagesSent", points=240)
    assert f"every {period} s" in told["query"]
    assert [value for value in told["rows"][0]["values"] if value] == [1.0] * (4 * 3600 // period)


async def test_a_period_that_is_not_over_is_no_drop(connect: Connect) -> None:
    kept, now = CloudWatch(), datetime.now(UTC)
    for ago in range(600):
        at = now - timedelta(minutes=ago)
        kept.put("Shop", "orders_total", {"ServiceName": "shop"}, int(at.timestamp()), 60, 1)
    window = {"start": (now - timedelta(hours=9)).isoformat(), "end": "now"}
    with settings_of(kept, "Shop") as settings:
        async with connect(**settings) as client:
            told = await document(client, "query_metric", **window, name="orders_total", points=9)
    assert set(told["rows"][0]["values"]) - {None} == {1.0}


async def test_much_is_asked_in_as_many_calls_and_pages_as_it_takes(connect: Connect) -> None:
    kept = CloudWatch(page=1_500, listed_at_once=100)
    for number in range(620):
        for at in minutes(5):
            kept.put("Shop", "orders_total", {"ServiceName": "shop", "host": f"h{number:03}"}, at, 60, 1)
    window = {**WINDOW, "start": (NOW - timedelta(minutes=5)).isoformat()}
    with settings_of(kept, "Shop", cloudwatch_most_metrics=1_000) as settings:
        async with connect(**settings) as client:
            told = await document(client, "query_metric", **window, name="orders_total", points=5)
    calls = [body for operation, body in kept.asked if operation == "GetMetricData"]
    assert told["rows"][0]["values"] == [620.0] * 5
    assert {len(call["MetricDataQueries"]) for call in calls} == {500, 120}
    assert len(calls) == 2 + 1  # of 500 and 120 metrics with 5 points each, 1,500 points a page
    assert len([1 for operation, _ in kept.asked if operation == "ListMetrics"]) == 7
    assert {call["ScanBy"] for call in calls} == {"TimestampAscending"}


async def test_no_more_metrics_are_paid_for_than_allowed_and_what_users_feel_comes_first(connect: Connect) -> None:
    kept = in_aws()
    with settings_of(kept, "AWS/ECS,AWS/Lambda", cloudwatch_most_metrics=3) as settings:
        async with connect(**settings) as client:
            told = await asked(client, "survey_metrics", **WINDOW)
    assert "asked 3 metrics in 5 queries, left out 2 (MIDWATCH_CLOUDWATCH_MOST_METRICS)" in told
    assert "2 series were not looked at: name entities to see theirs" in told
    queries = [query for name, body in kept.asked if name == "GetMetricData" for query in body["MetricDataQueries"]]
    names = {query["MetricStat"]["Metric"]["MetricName"] for query in queries}
    assert names == {"Duration", "Errors", "Invocations"}


async def test_settings_say_which_dimensions_name_a_service_and_what_is_counted(connect: Connect) -> None:
    kept = CloudWatch()
    for at in minutes(15):
        kept.put("Shop", "Logins", {"Team": "web", "Node": "n1", "Tier": "free"}, at, 30, 1)
    own = {"cloudwatch_service_dimensions": "Team", "cloudwatch_instance_dimensions": "Node"}
    with settings_of(kept, "Shop", **own, cloudwatch_counters="log*") as settings:
        async with connect(**settings) as client:
            listed = await asked(client, "list_metrics", **WINDOW)
            told = await document(
                client, "query_metric", **WINDOW, name="Logins", filters={"service": "web", "Tier": "free"}, points=15
            )
    assert "Shop/Logins counter [1]: 1 series of n1; by Tier" in listed
    assert told["rows"][0]["values"] == [0.5] * 15


async def test_alarms_change_as_their_history_tells_with_value_threshold_and_whose_they_are(
    connect: Connect, cloudwatch: str, told: Told
) -> None:
    settings: dict[str, Any] = {"aws_endpoint_url": cloudwatch, "cloudwatch_namespaces": "Shop"}
    hour = {"start": told.start.isoformat(), "end": told.end.isoformat()}
    async with connect(**settings) as client:
        rows = (await document(client, "list_alarms", **hour))["rows"]
        page = await asked(client, "list_alarms", **hour, limit=1)
        one = await asked(client, "list_alarms", **hour, entities=["alarm:shop"])
        nobodys = await asked(client, "list_alarms", **hour, entities=["stock"])
    assert [(row["alarm"], row["state"]) for row in rows] == [
        ("shop", "alarm"),
        ("checkout-errors", "alarm"),
        ("checkout-errors", "ok"),
        ("checkout-errors", "alarm"),
    ]
    assert [row["service"] for row in rows] == ["checkout"] * 4
    assert (rows[1]["value"], rows[1]["threshold"], rows[0]["value"]) == (180.0, 10.0, None)
    assert rows[1]["attributes"]["metric"] == "Shop/http_requests_total"
    assert rows[1]["reason"].startswith("Threshold Crossed")
    assert datetime.fromisoformat(rows[1]["time"]) == told.fault + timedelta(minutes=1, milliseconds=250)
    assert "matched=4" in page
    assert "matched=1" in one
    assert "Before it" not in nobodys
    assert "No alarm is known up to this window" in nobodys


async def test_how_alarms_stood_before_comes_from_what_they_changed_to_last(
    connect: Connect, cloudwatch: str, told: Told
) -> None:
    settings: dict[str, Any] = {"aws_endpoint_url": cloudwatch, "cloudwatch_namespaces": "Shop"}
    quiet = {
        "start": (told.start + timedelta(minutes=22)).isoformat(),
        "end": (told.start + timedelta(minutes=25)).isoformat(),
    }
    async with connect(**settings) as client:
        before = await asked(client, "list_alarms", **quiet, entities=["checkout"])
        listed = await asked(client, "list_metrics", **told.window)
    assert "No alarm changed in this window. Before it:" in before
    assert "checkout-errors on checkout: alarm" in before
    assert "a drill" in before
    assert "alarm:shop on service:checkout: alarm since" in listed
    assert "alarm:stock-depth on service:stock: ok since" in listed


async def test_how_many_alarms_stood_before_an_outage_is_asked_in_one_go(connect: Connect) -> None:
    kept, since = CloudWatch(), NOW - timedelta(minutes=5)
    for number in range(25):
        kept.alarms.append({"AlarmName": f"a{number}", "StateValue": "ALARM", "StateUpdatedTimestamp": since})
        kept.history.append(changed(f"a{number}", since, "OK", "ALARM"))
        kept.history.append(changed(f"a{number}", since + timedelta(minutes=1), "ALARM", "INSUFFICIENT_DATA"))
    earlier = {"start": WINDOW["start"], "end": (NOW - timedelta(minutes=10)).isoformat()}
    with settings_of(kept) as settings:
        async with connect(**settings, reply_chars=100_000) as client:
            listed = await asked(client, "list_metrics", **earlier)
    assert listed.count(": ok since") == 25
    assert [operation for operation, _ in kept.asked].count("DescribeAlarmHistory") == 1


async def test_pages_of_alarms_go_on_where_the_last_ended(connect: Connect) -> None:
    kept = CloudWatch(listed_at_once=10)
    for number in range(25):
        kept.history.append(changed(f"a{number % 3}", NOW - timedelta(seconds=number), "OK", "ALARM"))
    with settings_of(kept) as settings:
        async with connect(**settings) as client:
            seen, cursor = [], None
            while True:
                reply = await client.call_tool(
                    "list_alarms",
                    {"start": WINDOW["start"], "end": (NOW + timedelta(minutes=1)).isoformat(), "limit": 7}
                    | ({"cursor": cursor} if cursor else {}),
                )
                told = text_of(reply)
                seen += [line.split()[0] for line in told.splitlines() if ": alarm" in line]
                cursor = (reply.structured_content or {}).get("next_cursor") or (reply.meta or {}).get(
                    "midwatch/cursor"
                )
                if not cursor:
                    break
    assert len(seen) == len(set(seen)) == 25
    assert seen == sorted(seen, reverse=True)


async def test_the_check_names_each_permission_and_a_namespace_that_is_empty(connect: Connect) -> None:
    kept = in_aws()
    kept.refusing["DescribeAlarmHistory"] = Refusing("AccessDeniedException")
    with settings_of(kept, "AWS/Lambda,AWS/Lamda") as settings:
        async with connect(**settings) as client:
            told = await asked(client, "check_metrics")
    assert "ok   may call cloudwatch:GetMetricData: yes" in told
    assert "FAIL may call cloudwatch:DescribeAlarmHistory" in told
    assert "allow cloudwatch:DescribeAlarmHistory to these credentials" in told
    assert "FAIL namespace AWS/Lamda: it has no metrics of the last two weeks → is AWS/Lambda meant?" in told
    assert "ok   lag: the newest period began" in told


@pytest.mark.parametrize(
    ("operation", "code", "words"),
    [
        ("ListMetrics", "AccessDeniedException", "allow cloudwatch:ListMetrics to these credentials"),
        ("GetMetricData", "AccessDeniedException", "allow cloudwatch:GetMetricData to these credentials"),
        ("GetMetricData", "ExpiredTokenException", "the session has run out; log in again"),
    ],
)
async def test_what_is_refused_is_said_without_a_secret(
    operation: str, code: str, words: str, connect: Connect
) -> None:
    kept = in_aws()
    kept.refusing[operation] = Refusing(code)
    with settings_of(kept) as settings:
        async with connect(**settings) as client:
            told = await refused(client, "survey_metrics", **WINDOW)
            checked = await asked(client, "check_metrics")
    assert told[0] == "backend_down"
    assert words in told[1]
    assert "hidden-key" not in told[1] + checked
    assert "FAIL" in checked


async def test_a_throttled_call_is_asked_again(connect: Connect) -> None:
    kept = in_aws()
    kept.refusing["GetMetricData"] = Refusing("ThrottlingException", times=1)
    with settings_of(kept) as settings:
        async with connect(**settings) as client:
            assert "service:mailer" in str(await document(client, "survey_metrics", "records", **WINDOW))
    assert kept.refusing["GetMetricData"].times == 0


@pytest.mark.parametrize("tool", ["survey_metrics", "list_alarms"])
@pytest.mark.parametrize(
    ("kind", "code", "words"),
    [("garbage", "backend_down", "what answers is not CloudWatch"), ("stall", "timed_out", "1.5")],
)
async def test_what_is_no_answer_ends_in_words_and_in_time(
    kind: str, code: str, words: str, tool: str, connect: Connect
) -> None:
    with served(in_aws()) as (url, trouble):
        trouble.kind = kind
        settings = {"aws_endpoint_url": url, "cloudwatch_namespaces": "*", "deadline_seconds": 1.5}
        async with connect(**settings) as client:
            began = datetime.now(UTC)
            told = await refused(client, tool, **WINDOW)
    assert told[0] == code
    assert words in told[1]
    assert datetime.now(UTC) - began < timedelta(seconds=10)


async def test_beside_another_place_both_answer(connect: Connect, prometheus: str, told: Told) -> None:
    with settings_of(telling(told), "Shop") as settings:
        async with connect(**settings, prometheus_url=prometheus) as client:
            listed = await asked(client, "list_metrics", **told.window)
    assert "Shop/jobs_queue_depth gauge" in listed
    assert "\njobs_queue_depth gauge" in listed
    assert "cloudwatch: GetMetricData" in listed


def test_settings_that_cannot_be_used_say_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(BadInput, match="set MIDWATCH_AWS_REGION or AWS_REGION"):
        open_cloudwatch(MetricsSettings(cloudwatch_namespaces=["*"]))
    with pytest.raises(ValidationError, match="MIDWATCH_CLOUDWATCH_NAMESPACES"):
        MetricsSettings.model_validate({"cloudwatch_namespaces": " , "})


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    """The address of moto's server."""
    with moto_server() as url:
        yield url


async def test_moto_is_read_likewise(connect: Connect, moto: str) -> None:
    async with connect(aws_endpoint_url=moto, cloudwatch_namespaces="Shop") as client:
        cloudwatch = boto3.client("cloudwatch", endpoint_url=moto, region_name="eu-west-1")
        dimensions = [{"Name": "ServiceName", "Value": "shop"}]
        data = [
            {
                "MetricName": name,
                "Dimensions": dimensions,
                "Timestamp": datetime.fromtimestamp(at + 10, UTC),
                "Value": value,
            }
            for at in minutes(20)
            for name, value in (("orders_total", 120.0), ("queue_depth", 3.0), ("queue_depth", 5.0))
        ]
        cloudwatch.put_metric_data(Namespace="Shop", MetricData=data)  # type: ignore[arg-type]
        cloudwatch.put_metric_alarm(
            AlarmName="deep",
            Namespace="Shop",
            MetricName="queue_depth",
            Dimensions=dimensions,  # type: ignore[arg-type]
            ComparisonOperator="GreaterThanThreshold",
            Threshold=100.0,
            EvaluationPeriods=1,
            Period=60,
            Statistic="Average",
        )
        cloudwatch.set_alarm_state(AlarmName="deep", StateValue="ALARM", StateReason="a drill")
        rate = await document(client, "query_metric", **WINDOW, name="orders_total", points=15)
        depth = {
            aggregation: await document(
                client, "query_metric", **WINDOW, name="queue_depth", points=15, aggregation=aggregation
            )
            for aggregation in ("avg", "max", "min")
        }
        listed = await asked(client, "list_metrics", start="-15m")
    assert rate["rows"][0]["values"] == [2.0] * 15
    assert [depth[name]["rows"][0]["values"][0] for name in ("avg", "max", "min")] == [4.0, 5.0, 3.0]
    assert "Shop/orders_total counter [1]: 1 series of shop" in listed
    assert "alarm:deep on service:shop: alarm since" in listed
