"""What is CloudWatch Logs' own: its bill, its queries that run on, whose log groups are, and what its streams tell."""

import json
import re
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any

import boto3
import pytest
from tests.backends.fakes.awsapi import AwsApi, Refusal, aws
from tests.backends.fakes.cloudwatchlogs import FakeCloudWatchLogs, Group
from tests.backends.fakes.insights import Event
from tests.backends.logs.conftest import Connect, Settings, give_up_on, log_event
from tests.backends.logs.story import HOUR, QUARTER, WHOLE, tell
from tests.backends.logs.test_logs_contract import answer
from tests.backends.motoserver import moto_server
from tests.backends.serving import Trouble

from midwatch_kit.logs import Scope
from midwatch_kit.logs.backend import Filter, Walk
from midwatch_logs.backends.cloudwatch import CloudWatchLogs, backend, insights, ql
from midwatch_logs.settings import LogSettings

LATE = 1_795_143_300_000  # 2026-11-20T02:55:00Z


def forge(*messages: str, group: str = "/ecs/forge", stream: str = "ecs/forge/f-1") -> list[Event]:
    return [Event(LATE + number, group, stream, message) for number, message in enumerate(messages)]


@contextmanager
def asked_of(fake: FakeCloudWatchLogs, *groups: str) -> Generator[tuple[Settings, AwsApi, Trouble]]:
    with aws(fake.answers) as (settings, api, trouble):
        yield {**settings, "cloudwatch_log_groups": list(groups) or ["*"]}, api, trouble


async def refusal(connect: Connect, settings: Settings, tool: str = "search_logs", **arguments: Any) -> str:
    async with connect(**settings) as client:
        reply = await client.call_tool(tool, {**HOUR, **arguments})
    assert reply.is_error
    return str(reply.content)


async def test_more_than_may_be_read_is_refused_before_it_is(connect: Connect) -> None:
    fake = FakeCloudWatchLogs(forge("a"), {"/ecs/forge": Group(10**15), "/ecs/bot": Group(10)})
    with asked_of(fake) as (settings, _, _):
        said = await refusal(connect, settings)
        assert fake.queries == {}
        async with connect(**settings) as client:
            assert (await answer(client, "search_logs", **HOUR, services=["bot"]))["matched"] == 0
    assert "Logs Insights would read about" in said
    assert "GiB of 2 log groups for this" in said
    assert (
        "one query may read 10.00 GiB: narrow the window, name services, or raise MIDWATCH_CLOUDWATCH_LOGS_MAX" in said
    )
    assert [query["logGroupNames"] for query in fake.queries.values()] == [["/ecs/bot"]]


async def test_what_was_read_is_told_and_nothing_is_read_twice(connect: Connect) -> None:
    fake = FakeCloudWatchLogs([log_event(line) for line in tell()])
    with asked_of(fake) as (settings, _, _):
        async with connect(**settings) as client:
            surveyed = await answer(client, "survey_logs", **QUARTER)
            counting = len(fake.queries)
            found = await answer(client, "search_logs", **HOUR, text="finish")
    read = 200 * len(tell()) / 2**20
    assert f"-- Insights read {read:.1f} MiB in all so far" in surveyed["query"]
    assert counting == 2, "the window and the baseline once each"
    assert found["matched"] == 121
    assert len(fake.queries) == counting + 1, "one query has found and counted"


async def test_a_survey_of_more_lines_than_are_read_finds_what_is_new_and_looks_for_few(connect: Connect) -> None:
    fake = FakeCloudWatchLogs([log_event(line) for line in tell()])
    with asked_of(fake) as (settings, _, _):
        async with connect(**settings, logs_sample_lines=100, reply_chars=50_000) as client:
            told = await answer(client, "survey_logs", **QUARTER)
    new = [line for line in told["lines"] if line.startswith("new_pattern")]
    assert any("unknown field 'finish'" in line and "since 02:48:00Z" in line for line in new)
    assert not any("part is late" in line or "took" in line for line in new), "known before, if not in the sample"
    in_whole_periods = [text for text in fake.texts if "mw_level like" not in text]
    assert len(in_whole_periods) <= 2 + 2 * 3


def test_a_tool_that_is_given_up_stops_its_query() -> None:
    fake = FakeCloudWatchLogs(forge("a"))
    fake.held = True
    with asked_of(fake) as (settings, _, _):
        logs = CloudWatchLogs(LogSettings(**settings), 1_000)
        give_up_on(lambda: logs.count(Scope((WHOLE,)), Filter()), fake.begun)
    assert fake.stopped.is_set()
    assert fake.queries == {}


async def test_a_query_that_takes_too_long_is_stopped(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(insights, "QUERY_SECONDS", 0.1)
    fake = FakeCloudWatchLogs(forge("a"))
    fake.held = True
    with asked_of(fake) as (settings, _, _):
        assert "Logs Insights queried for 0.1 s: narrow the window or name services" in await refusal(connect, settings)
    assert fake.stopped.is_set()


async def test_a_query_that_ends_badly_says_so(connect: Connect) -> None:
    fake = FakeCloudWatchLogs(forge("a"))
    fake.ends_as = "Failed"
    with asked_of(fake) as (settings, _, _):
        assert "the query of Logs Insights ended as Failed: ask again" in await refusal(connect, settings)


async def test_a_refused_query_brings_its_own_words_and_the_place(connect: Connect) -> None:
    with asked_of(FakeCloudWatchLogs(forge("a"))) as (settings, _, _):
        said = await refusal(connect, settings, text="a(?=b)", regex=True)
    assert "Logs Insights refuses this: invalid regular expression: invalid or unsupported: (?=" in said
    assert re.search(r"\(\?= at \d+:\d+: '/a\(\?=b\)/' -- in fields @timestamp", said.replace("\\'", "'"))


@pytest.mark.parametrize(
    ("group", "service"),
    [
        ("/aws/lambda/pay-worker", "pay-worker"),
        ("/ecs/forge", "forge"),
        ("/aws/ecs/containerinsights/shop/performance", "shop"),
        ("/aws/rds/instance/orders-db/error", "orders-db"),
        ("/shop/prod/web", "web"),
        ("/legacy/box-17", "billing"),
        ("plain", "plain"),
    ],
)
async def test_a_log_group_s_name_says_whose_it_is_or_a_setting_does(
    connect: Connect, group: str, service: str
) -> None:
    with asked_of(FakeCloudWatchLogs(forge("a", group=group))) as (settings, _, _):
        async with connect(**settings, cloudwatch_logs_services={"/legacy/*": "billing"}) as client:
            told = await answer(client, "list_log_sources", **HOUR)
    assert told["lines"][0].startswith(f"service:{service}: 1 lines")


async def test_log_groups_are_chosen_by_name_and_by_prefix(connect: Connect) -> None:
    names = ("/ecs/a", "/ecs/b", "/ecs/c", "/aws/lambda/d", "/other")
    events = [event for name in names for event in forge("x", group=name)]
    with asked_of(FakeCloudWatchLogs(events), "/ecs/*", "/other") as (settings, _, _):
        async with connect(**settings) as client:
            told = await answer(client, "list_log_sources", **HOUR)
    assert [line.split(":")[1] for line in told["lines"]] == ["a", "b", "c", "other"]


async def test_an_unknown_log_group_is_told_with_near_ones(connect: Connect) -> None:
    with asked_of(FakeCloudWatchLogs(forge("a")), "/ecs/forg") as (settings, _, _):
        said = await refusal(connect, settings)
    assert (
        "no log group in eu-west-1 matches /ecs/forg; there are /ecs/forge: set MIDWATCH_CLOUDWATCH_LOG_GROUPS" in said
    )


async def test_the_level_of_a_line_of_text_is_the_word_that_names_it(connect: Connect) -> None:
    lines = forge(
        "2026-11-20T02:55:00Z [ERROR] cannot read part",
        "WARN part is late",
        "INFO no error found",
        '{"log": "{\\"level\\":\\"error\\",\\"msg\\":\\"x\\"}"}',
        '{"log": {"level": "warning"}, "message": "slow"}',
        "all is well",
    )
    with asked_of(FakeCloudWatchLogs(lines)) as (settings, _, _):
        async with connect(**settings) as client:
            sources = await answer(client, "list_log_sources", **HOUR)
            warned = await answer(client, "search_logs", **HOUR, level="WARN", order="oldest")
            every = await answer(client, "search_logs", **HOUR, order="oldest")
    assert sources["lines"][0].startswith("service:forge: 6 lines, 2 errors, 2 warnings")
    assert [line.split()[1] for line in warned["lines"]] == ["ERROR", "WARN", "ERROR", "WARN"]
    assert [line.split()[1] for line in every["lines"]] == ["ERROR", "WARN", "INFO", "ERROR", "WARN", "-"]


async def test_a_line_of_json_tells_its_message_trace_and_attributes(connect: Connect) -> None:
    told = {"level": "info", "message": "paid", "trace_id": "t1", "order": 7, "code": {"function": {"name": "pay"}}}
    with asked_of(FakeCloudWatchLogs(forge(json.dumps(told)))) as (settings, _, _):
        async with connect(**settings) as client:
            found = await answer(client, "get_trace_logs", **HOUR, trace_id="t1")
    assert found["lines"] == ["> 2026-11-20T02:55:00.000Z INFO forge/f-1 trace=t1 paid"]


@pytest.mark.parametrize("text", ["", "line"], ids=["plain", "searched"])
async def test_lines_of_one_and_the_same_time_come_once_over_all_pages(connect: Connect, text: str) -> None:
    events = [Event(LATE + n // 400, "/ecs/forge", "s", f"line {n}") for n in range(1_100)]
    with asked_of(FakeCloudWatchLogs(events)) as (settings, _, _):
        async with connect(**settings, reply_chars=500_000) as client:
            for order in ("newest", "oldest"):
                asked = {**HOUR, "order": order, "limit": 270, "text": text}
                told = await answer(client, "search_logs", **asked)
                lines = list(told["lines"])
                while told.get("next_cursor"):
                    told = await answer(client, "search_logs", **asked, cursor=told["next_cursor"])
                    lines += told["lines"]
                assert len(lines) == len(set(lines)) == told["matched"] == 1_100


async def test_plain_lines_cost_no_query_but_their_count(connect: Connect) -> None:
    fake = FakeCloudWatchLogs([log_event(line) for line in tell()])
    with asked_of(fake) as (settings, api, _):
        async with connect(**settings) as client:
            told = await answer(client, "search_logs", **HOUR, services=["bot"], limit=5)
    assert len(fake.texts) == 1
    assert "stats count(*) as mw_lines" in fake.texts[0]
    newest_first = [asked for name, asked in api.asked if name == "logs:FilterLogEvents" and asked["limit"] > 1]
    assert {asked["startFromHead"] for asked in newest_first} == {False}
    assert "FilterLogEvents of /ecs/bot" in told["query"]


async def test_log_groups_for_infrequent_access_are_read_by_queries_alone(connect: Connect) -> None:
    fake = FakeCloudWatchLogs(forge("a", "b"), {"/ecs/forge": Group(kind="INFREQUENT_ACCESS")})
    with asked_of(fake) as (settings, _, _):
        async with connect(**settings) as client:
            told = await answer(client, "search_logs", **HOUR, context=1)
    assert [line[-1] for line in told["lines"]] == ["b", "a"]


async def test_more_than_fifty_log_groups_are_asked_fifty_at_a_time(connect: Connect) -> None:
    fake = FakeCloudWatchLogs([event for n in range(60) for event in forge("x", group=f"/ecs/s{n:02}")])
    with asked_of(fake) as (settings, _, _):
        async with connect(**settings) as client:
            told = await answer(client, "search_logs", **HOUR, text="x", limit=70)
    assert told["matched"] == 60
    assert sorted(len(query["logGroupNames"]) for query in fake.queries.values()) == [10, 50]


@pytest.mark.parametrize(("rows", "instances"), [(40, 12), (6, 0)], ids=["in halves", "as wholes"])
async def test_counts_of_more_rows_than_an_answer_has_are_still_exact(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, rows: int, instances: int
) -> None:
    monkeypatch.setattr(ql, "MOST_ROWS", rows)
    monkeypatch.setattr(backend, "MOST_ROWS", rows)
    events = [Event(LATE - 60_000 * (n % 7), "/ecs/forge", f"f-{n % 12}", "ERROR boom") for n in range(420)]
    fake = FakeCloudWatchLogs(events)
    with asked_of(fake) as (settings, _, _):
        async with connect(**settings) as client:
            told = await answer(client, "survey_logs", **QUARTER)
            listed = await answer(client, "list_log_sources", **HOUR)
    assert told["matched"] == listed["matched"] == 420
    assert listed["lines"][0].startswith("service:forge: 420 lines, 420 errors")
    assert listed["lines"][0].count("f-") == min(instances, 6)


@pytest.mark.parametrize(
    "missing", ["FilterLogEvents", "StartQuery", "GetQueryResults", "StopQuery", "DescribeLogGroups"]
)
async def test_a_missing_permission_is_named_by_the_check(connect: Connect, missing: str) -> None:
    with asked_of(FakeCloudWatchLogs(forge("a"))) as (settings, api, _):
        api.denied = {f"logs:{missing}"}
        async with connect(**settings) as client:
            told = await answer(client, "check_logs")
    failed = [line for line in told["lines"] if line.startswith("FAIL") and f"allow logs:{missing}" in line]
    assert len(failed) == 1


async def test_throttling_that_passes_is_waited_out(connect: Connect) -> None:
    with asked_of(FakeCloudWatchLogs(forge("a"))) as (settings, api, _):
        api.refusals = [Refusal("ThrottlingException", "Rate exceeded")]
        async with connect(**settings) as client:
            assert (await answer(client, "search_logs", **HOUR))["matched"] == 1


@pytest.mark.parametrize(
    ("refused", "said"),
    [
        (Refusal("AccessDeniedException", "no"), "CloudWatch Logs refused (AccessDeniedException): allow logs:Desc"),
        (Refusal("ExpiredTokenException", "old"), "the session has run out; log in again"),
        (Refusal("InvalidParameterException", "odd"), "cannot use the question (InvalidParameterException): odd"),
    ],
    ids=["denied", "expired", "odd"],
)
async def test_a_refusal_is_told_in_words(connect: Connect, refused: Refusal, said: str) -> None:
    with asked_of(FakeCloudWatchLogs(forge("a"))) as (settings, api, _):
        api.refusals = [refused]
        assert said in await refusal(connect, settings)


@pytest.mark.parametrize("kind", ["stall", "cut", "garbage"])
async def test_an_answer_that_does_not_come_whole_is_told_in_words(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    if kind == "stall":
        monkeypatch.setattr(backend, "READ_SECONDS", 0.2)
    with asked_of(FakeCloudWatchLogs(forge("a"))) as (settings, _, trouble):
        trouble.kind = kind
        assert "CloudWatch Logs " in await refusal(connect, settings)


@pytest.fixture(scope="module")
def moto() -> Generator[str]:
    """Moto's server on a socket, for what it does right: log groups by prefix, and lines of a time."""
    with moto_server() as url:
        yield url


def test_moto_s_log_groups_are_found_and_their_lines_walked(moto: str) -> None:
    client = boto3.client("logs", region_name="eu-west-1", endpoint_url=moto)
    for group in ("/ecs/forge", "/ecs/bot", "/aws/lambda/pay"):
        client.create_log_group(logGroupName=group)
        client.create_log_stream(logGroupName=group, logStreamName="s/1")
    times = [LATE + n * 10 for n in range(25)]
    _put(client, "/ecs/forge", times[::2])
    _put(client, "/ecs/bot", times[1::2])
    _put(client, "/aws/lambda/pay", times)
    settings = LogSettings.model_validate(
        {"aws_endpoint_url": moto, "aws_region": "eu-west-1", "cloudwatch_log_groups": ["/ecs/*"]}
    )
    logs = CloudWatchLogs(settings, 1_000)
    step = logs.lines(Scope((WHOLE,)), Filter(), Walk(10, forward=True))
    rest = logs.lines(Scope((WHOLE,)), Filter(), Walk(100, forward=True, after=step.seen[-1].line.place))
    walked = [seen.line for seen in (*step.seen, *rest.seen)]
    assert (step.more, rest.more) == (True, False)
    assert [line.time_ns // 10**6 for line in walked] == times
    assert {(line.service, line.instance) for line in walked} == {("forge", "1"), ("bot", "1")}


def _put(client: Any, group: str, times: Sequence[int]) -> None:
    events = [{"timestamp": time, "message": f"line {time}"} for time in times]
    client.put_log_events(logGroupName=group, logStreamName="s/1", logEvents=events)
