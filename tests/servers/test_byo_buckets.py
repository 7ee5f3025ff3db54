"""The byo server over a bucket, and walks whose objects change; S3 is moto's server on a real socket."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from mcp import Client, StdioServerParameters
from tests.backends.motoserver import moto_server

from midwatch_byo.places import Folder
from midwatch_byo.server import build
from midwatch_byo.settings import ByoSettings
from midwatch_kit import BadInput
from midwatch_kit.evidence import broken_citations
from midwatch_kit.records import Observation

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

HOUR = {"start": "2026-11-20T02:00:00Z", "end": "2026-11-20T03:00:00Z"}
Open = Callable[..., Client]


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """The address of an S3 server on this machine."""
    with moto_server() as url:
        yield url


@pytest.fixture
def bucket(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> "Iterator[S3Client]":
    """A client of a server with the empty bucket `logs`; the environment holds the credentials."""
    for name, value in {
        "ACCESS_KEY_ID": "id",
        "SECRET_ACCESS_KEY": "hidden-key",
        "DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    client = boto3.client("s3", endpoint_url=endpoint)
    client.create_bucket(Bucket="logs")
    yield client
    for listed in client.list_objects_v2(Bucket="logs").get("Contents", []):
        client.delete_object(Bucket="logs", Key=listed["Key"])
    client.delete_bucket(Bucket="logs")


@pytest.fixture
def opened(tmp_path: Path, endpoint: str) -> Open:
    """Returns a maker of clients of a byo server over `s3://logs/app`, or over what it is told."""

    def client(cache: str = "cache", **source: Any) -> Client:
        described = {
            "name": "app",
            "location": "s3://logs/app",
            "format": "jsonl",
            "layout": "{service}/{yyyy}/{mm}/{dd}/{HH}/",
            "endpoint": endpoint,
            **source,
        }
        (tmp_path / "mapping.json").write_text(json.dumps({"sources": [described]}))
        chosen = {
            "mapping": tmp_path / "mapping.json",
            "cache_dir": tmp_path / cache,
            "evidence_dir": tmp_path / "evidence",
        }
        return Client(build(ByoSettings.model_validate(chosen)).build())

    return client


def lines(count: int, minute: int = 10, hour: int = 2, level: str = "info", message: str = "line") -> str:
    return "".join(
        json.dumps(
            {
                "time": f"2026-11-20T{hour:02}:{minute:02}:{i * 60 // count:02}Z",
                "level": level,
                "message": f"{message} {i}",
            }
        )
        + "\n"
        for i in range(count)
    )


def put(bucket: "S3Client", key: str, body: str) -> None:
    bucket.put_object(Bucket="logs", Key=f"app/{key}", Body=body.encode())


async def page(client: Client, **arguments: Any) -> dict[str, Any]:
    reply = await client.call_tool("search_byo", {**HOUR, **arguments})
    assert not reply.is_error, reply.content
    answer: dict[str, Any] = reply.structured_content or {}
    return answer


async def refusal(client: Client, **arguments: Any) -> str:
    reply = await client.call_tool("search_byo", {**HOUR, **arguments})
    assert reply.is_error
    return str(reply.content[0].text)  # type: ignore[union-attr]


async def test_only_the_windows_objects_are_fetched_and_only_once(
    bucket: "S3Client", opened: Open, tmp_path: Path
) -> None:
    for hour in range(6):
        for service in ("forge", "bot"):
            put(bucket, f"{service}/2026/11/20/{hour:02}/a.jsonl", lines(10, hour=hour))
    size = len(lines(10))
    async with opened() as client:
        found = await page(client)
        again = await page(client, text="line 3")
    assert found["matched"] == 20
    assert f"read 2 of 12 objects, {2 * size} of {12 * size} bytes" in found["query"]
    assert again["matched"] == 2
    assert len(list((tmp_path / "cache" / "objects").glob("*.parquet"))) == 2


async def test_a_walk_sees_what_its_first_page_saw_while_objects_come_change_and_go(
    bucket: "S3Client", opened: Open
) -> None:
    for name in ("a", "b", "c"):
        put(bucket, f"forge/2026/11/20/02/{name}.jsonl", lines(100, message=name))
    seen: list[str] = []
    async with opened() as client:
        cursor = None
        for step in range(100):
            found = await page(client, limit=30, **({"cursor": cursor} if cursor else {}))
            seen += [" ".join(line.split()[-2:]) for line in found["lines"]]
            assert found["matched"] == 300
            put(bucket, f"forge/2026/11/20/02/new-{step}.jsonl", lines(10, message="late"))
            put(bucket, "forge/2026/11/20/02/b.jsonl", lines(100, message="overwritten"))
            bucket.delete_object(Bucket="logs", Key="app/forge/2026/11/20/02/c.jsonl")
            if (cursor := found.get("next_cursor")) is None:
                break
        afresh = await page(client)
    assert sorted(seen) == sorted(f"{name} {i}" for name in "abc" for i in range(100))
    assert afresh["matched"] == 200 + 10 * (step + 1)


async def test_a_walk_whose_objects_changed_is_refused_where_no_copy_is_left(bucket: "S3Client", opened: Open) -> None:
    put(bucket, "forge/2026/11/20/02/a.jsonl", lines(50))
    async with opened() as client:
        cursor = (await page(client, limit=10))["next_cursor"]
    async with opened(cache="another") as client:
        assert (await page(client, limit=10, cursor=cursor))["matched"] == 50
    put(bucket, "forge/2026/11/20/02/a.jsonl", lines(60))
    async with opened(cache="a-third") as client:
        assert "changed since the first page" in await refusal(client, limit=10, cursor=cursor)


async def test_a_file_that_grows_is_walked_to_where_it_ended(opened: Open, tmp_path: Path) -> None:
    log = tmp_path / "logs" / "forge.jsonl"
    log.parent.mkdir()
    log.write_text(lines(100))
    async with opened(location=f"file://{tmp_path}/logs", layout="{service}.jsonl") as client:
        first = await page(client, limit=40)
        with log.open("a") as grown:
            grown.write(lines(100, minute=5, message="appended"))
        second = await page(client, limit=100, cursor=first["next_cursor"])
        assert (await page(client))["matched"] == 200
    assert first["returned"] + second["returned"] == 100
    assert not [line for line in second["lines"] if "appended" in line]


def test_a_file_is_fetched_as_it_was_listed_or_not_at_all(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "a.log"
    log.parent.mkdir()
    log.write_text("first\n")
    folder = Folder("shop", str(log.parent))
    (listed,) = folder.objects("")
    with log.open("a") as grown:
        grown.write("second\n")
    folder.fetch(listed, tmp_path / "copy")
    assert (tmp_path / "copy").read_text() == "first\n"
    (tmp_path / "rotated").write_text("another file, and a longer one\n")
    (tmp_path / "rotated").replace(log)
    for _ in ("replaced", "gone"):
        with pytest.raises(BadInput, match=r"a\.log changed or went away"):
            folder.fetch(listed, tmp_path / "copy")
        log.unlink(missing_ok=True)


async def test_the_survey_of_a_bucket_finds_the_fault_and_cites_what_it_stored(
    bucket: "S3Client", opened: Open
) -> None:
    for hour in (0, 1, 2):
        body = "".join(lines(20, minute, hour) for minute in range(60))
        put(bucket, f"bot/2026/11/20/{hour:02}/a.jsonl", body)
        put(bucket, f"forge/2026/11/20/{hour:02}/a.jsonl", body)
    put(bucket, "forge/2026/11/20/02/x.jsonl", lines(40, 30, 2, "error", "KeyError: 'finish' in part"))
    async with opened() as client:
        reply = await client.call_tool("survey_byo", {**HOUR, "start": "2026-11-20T02:15:00Z"})
        stored: dict[str, bytes] = {}
        for kept in ((reply.meta or {})[name] for name in ("midwatch/evidence", "midwatch/records")):
            pages = [
                (await client.read_resource(f"midwatch://evidence/{kept['id']}/page/{number}")).contents[0].text  # type: ignore[union-attr]
                for number in range(kept["pages"])
            ]
            stored[kept["id"]] = "".join(pages).encode()
    records = json.loads(stored[(reply.meta or {})["midwatch/records"]["id"]])
    found = [Observation.model_validate(observation) for observation in records["observations"]]
    assert [fault for observation in found for fault in broken_citations(observation, stored)] == []
    assert (found[0].kind, found[0].entity) == ("new_pattern", "service:forge")
    assert found[0].onset is not None
    assert found[0].onset.isoformat() == "2026-11-20T02:30:00+00:00"
    assert ("normal", "service:bot") in {(observation.kind, observation.entity) for observation in found}


async def test_what_a_bucket_refuses_is_said_in_words_without_the_secret(bucket: "S3Client", opened: Open) -> None:
    async with opened(location="s3://nowhere/app") as client:
        assert "no such bucket" in await refusal(client)
        checked = await client.call_tool("check_byo", {})
        assert "FAIL app" in checked.content[0].text  # type: ignore[union-attr]
    async with opened(endpoint="http://127.0.0.1:9") as client:
        told = await refusal(client)
    assert "does not answer" in told
    assert "hidden-key" not in told


async def test_missing_credentials_are_asked_for(
    bucket: "S3Client", opened: Open, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    async with opened() as client:
        assert "AWS_ACCESS_KEY_ID" in await refusal(client)


async def test_a_process_reads_a_bucket_over_stdio_and_offers_the_verbs_of_the_logs_server(
    bucket: "S3Client", opened: Open, tmp_path: Path
) -> None:
    put(bucket, "forge/2026/11/20/02/a.jsonl", lines(3))
    opened()
    settings = {"MAPPING": tmp_path / "mapping.json", "CACHE_DIR": tmp_path / "cache"}
    environment = {
        **os.environ,
        **{f"MIDWATCH_BYO_{name}": str(value) for name, value in settings.items()},
        "MIDWATCH_EVIDENCE_DIR": str(tmp_path / "evidence"),
    }
    parameters = StdioServerParameters(command=sys.executable, args=["-m", "midwatch_byo"], env=environment)
    async with Client(parameters) as client:
        tools = (await client.list_tools()).tools
        assert (await page(client))["matched"] == 3
    assert {tool.name: (tool.meta or {})["midwatch/role"] for tool in tools} == {
        "list_byo_sources": "discover",
        "survey_byo": "survey",
        "search_byo": "drill_down",
        "get_byo_trace": "drill_down",
        "check_byo": "check",
    }
    assert all(tool.annotations and tool.annotations.read_only_hint for tool in tools)
    assert sum(len(tool.model_dump_json(by_alias=True, exclude_none=True)) for tool in tools) < 6_000


@pytest.mark.parametrize(
    ("mapping", "said"),
    [
        ("sources: [", "is not YAML"),
        ("sources: []", "sources"),
        ("sources: [{name: a, location: 'ftp://x', format: jsonl}]", "use file:///a/folder or s3://bucket/prefix"),
        ("sources: [{name: a, location: 'file:///x', format: text}]", "a pattern is what format text needs"),
        ("sources: [{name: a, location: 'file:///x', format: jsonl, layout: '{HH}/'}]", "coarser"),
        ("sources: [{name: a, location: 'file:///x', format: jsonl, layout: '{hour}/'}]", "{hour}"),
        ("sources: [{name: a, location: 'file:///x', format: jsonl, time_zone: Mars}]", "no time zone 'Mars'"),
        ("sources: [{name: a, location: 'file:///x', format: text, pattern: '(?P<time>.)(?=x)'}]", "(?="),
        ("sources: [{name: a, location: 'file:///x', format: jsonl, formt: x}]", "formt"),
    ],
)
def test_a_mapping_that_cannot_be_used_is_refused_in_words(tmp_path: Path, mapping: str, said: str) -> None:
    (tmp_path / "mapping.yaml").write_text(mapping)
    with pytest.raises(BadInput) as refused:
        build(ByoSettings.model_validate({"mapping": tmp_path / "mapping.yaml"}))
    assert said in str(refused.value)


def test_the_mapping_that_the_docs_show_can_be_used(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "byo.md").read_text()
    example = page.split("```yaml\n")[1].split("```")[0]
    (tmp_path / "mapping.yaml").write_text(example)
    assert build(ByoSettings.model_validate({"mapping": tmp_path / "mapping.yaml"})).name == "byo"


def test_a_mapping_that_is_not_there_is_named() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "midwatch_byo", "--mapping", "/nowhere/mapping.yaml"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ended.returncode == 2
    assert "/nowhere/mapping.yaml" in ended.stderr
