"""The byo server over files as AWS writes them into buckets: load balancers, flow logs, CloudTrail."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mcp import Client

from midwatch_byo.server import build
from midwatch_byo.settings import ByoSettings

HOUR = {"start": "2026-11-20T02:00:00Z", "end": "2026-11-20T03:00:00Z"}
ALB = (
    "https 2026-11-20T02:48:07.186641Z app/shop/50dc6c495c0c9188 192.0.2.7:2817 10.0.0.1:80 0.086 0.048 0.037 502 - 0 "
    '57 "GET https://shop.example.com:443/orders/17 HTTP/1.1" "curl/8.5" ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2 '
    "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/shop/73e2d6bc24d8a067 "
    '"Self=1-67891234-12456789abcdef012345678;Root=1-67891233-abcdef012345678912345678" "shop.example.com" '
    '"session-reused" 1 2026-11-20T02:48:07.052000Z "forward" "-" "TargetConnectionErrorCode" '
    '"10.0.0.1:80" "-" "-" "-"\n'
)
FLOW = (
    "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action "
    "log-status\n"
    "2 123456789010 eni-1235b8ca 172.31.16.139 172.31.16.21 20641 5432 6 20 4249 1795142880 1795142940 REJECT OK\n"
    "2 123456789010 eni-1235b8ca - - - - - - - 1795142890 1795142950 - NODATA\n"
)
EVENT = {
    "eventTime": "2026-11-20T02:41:00Z",
    "eventSource": "ec2.amazonaws.com",
    "eventName": "AuthorizeSecurityGroupIngress",
    "awsRegion": "eu-central-1",
    "errorCode": "Client.UnauthorizedOperation",
    "userIdentity": {"type": "AssumedRole", "arn": "arn:aws:sts::123456789012:assumed-role/ops/ravi"},
}
FILES = {
    "alb": ("elasticloadbalancing/eu-central-1/{day}/123456789012_elasticloadbalancing_app.shop_20_x.log.gz", ALB),
    "vpc_flow": ("vpcflowlogs/eu-central-1/{day}/123456789012_vpcflowlogs_eu-central-1_fl-1_x.log.gz", FLOW),
    "cloudtrail": (
        "CloudTrail/eu-central-1/{day}/123456789012_CloudTrail_eu-central-1_x.json.gz",
        json.dumps({"Records": [EVENT, {**EVENT, "errorCode": None, "eventName": "DescribeInstances"}]}),
    ),
}
Opened = Callable[..., Client]


@pytest.fixture
def opened(tmp_path: Path) -> Opened:
    """Returns a maker of clients over one file of a format in the folder of its day, and the same of a day before."""

    def client(kind: str, content: bytes | None = None, **source: Any) -> Client:
        path, text = FILES[kind]
        for day in ("2026/11/20", "2026/11/18"):
            file = tmp_path / "AWSLogs/123456789012" / path.format(day=day)
            file.parent.mkdir(parents=True)
            file.write_bytes(content or gzip.compress(text.encode()))
        mapping = {"sources": [{"name": "edge", "location": f"file://{tmp_path}", "format": kind, **source}]}
        (tmp_path / "mapping.yaml").write_text(json.dumps(mapping))
        folders = {"evidence_dir": tmp_path / "evidence", "cache_dir": tmp_path / "cache"}
        return Client(build(ByoSettings.model_validate({"mapping": tmp_path / "mapping.yaml", **folders})).build())

    return client


async def searched(client: Client) -> str:
    """What a search of the hour answers, and behind it the stored rows with all that lines don't show."""
    async with client:
        reply = await client.call_tool("search_byo", {**HOUR, "order": "oldest"})
        assert not reply.is_error, reply.content
        kept = (reply.meta or {})["midwatch/evidence"]["id"]
        rows = await client.read_resource(f"midwatch://evidence/{kept}/page/0")
    return f"{reply.content[0].text}\n{rows.contents[0].text}"  # type: ignore[union-attr]


async def test_a_request_at_a_load_balancer_is_a_line_of_it_with_its_trace(opened: Opened) -> None:
    text = await searched(opened("alb"))
    line = text.splitlines()[2]
    assert line.startswith("2026-11-20T02:48:07.186Z ERROR shop/10.0.0.1:80 trace=1-67891233-abcdef012345678912345678")
    assert '502 - 0 57 "GET https://shop.example.com:443/orders/17 HTTP/1.1"' in line
    assert '"error_reason":"TargetConnectionErrorCode"' in text
    assert "unreadable" not in text


async def test_flows_are_lines_of_their_interface_and_the_header_is_none(opened: Opened) -> None:
    text = await searched(opened("vpc_flow"))
    assert "WARN eni-1235b8ca 172.31.16.139 172.31.16.21 20641 5432 6 20 4249" in text
    assert "matched=2 " in text
    assert "unreadable" not in text


async def test_events_of_cloudtrail_are_lines_of_the_service_that_was_asked(opened: Opened) -> None:
    text = await searched(opened("cloudtrail"))
    assert "2026-11-20T02:41:00.000Z WARN ec2.amazonaws.com/eu-central-1 AuthorizeSecurityGroupIngress" in text
    assert "assumed-role/ops/ravi" in text
    assert "matched=2 " in text


@pytest.mark.parametrize("kind", FILES)
async def test_only_the_days_of_the_window_are_read(kind: str, opened: Opened) -> None:
    assert "read 1 of 2 objects" in await searched(opened(kind))


async def test_what_a_source_says_itself_stands(opened: Opened) -> None:
    text = await searched(opened("alb", layout="", service="front", levels={"5": "FATAL"}))
    assert " FATAL shop/" in text
    assert "read 2 of 2 objects" in text


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (gzip.compress(FILES["cloudtrail"][1].encode(), mtime=0)[:60], "ends in the middle"),
        (b'{"Digest": 1}', "has no list"),
    ],
    ids=["cut", "another document"],
)
async def test_a_file_that_is_none_of_cloudtrail_is_named_with_the_reason(
    content: bytes, words: str, opened: Opened
) -> None:
    client = opened("cloudtrail", content)
    async with client:
        await client.call_tool("search_byo", HOUR)
        check = await client.call_tool("check_byo", {})
    assert words in check.content[0].text  # type: ignore[union-attr]
