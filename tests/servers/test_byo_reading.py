"""What the byo server makes of files: formats, times, damage, partitions, and how much it reads of them."""

import gzip
import json
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mcp import Client

from midwatch_byo.clean import LONGEST_LINE, Cleaned, clean
from midwatch_byo.layout import Layout
from midwatch_byo.server import build
from midwatch_byo.settings import ByoSettings
from midwatch_byo.times import nanoseconds
from midwatch_kit import BadInput, Window
from midwatch_kit.logs import ns_of

HOUR = {"start": "2026-11-20T02:00:00Z", "end": "2026-11-20T03:00:00Z"}
Connect = Callable[..., Client]


@pytest.fixture
def connect(tmp_path: Path) -> Connect:
    """Returns a maker of clients of a byo server whose one source, `shop`, is the folder `logs` of this test."""

    def client(source: dict[str, Any], **settings: Any) -> Client:
        described = {"name": "shop", "location": f"file://{tmp_path}/logs", **source}
        (tmp_path / "mapping.yaml").write_text(json.dumps({"sources": [described]}))
        folders = {"evidence_dir": tmp_path / "evidence", "cache_dir": tmp_path / "cache"}
        chosen = {"mapping": tmp_path / "mapping.yaml", **folders, **settings}
        return Client(build(ByoSettings.model_validate(chosen)).build())

    return client


def write(path: Path, content: str | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


async def search(client: Client, **arguments: Any) -> dict[str, Any]:
    reply = await client.call_tool("search_byo", {**HOUR, "order": "oldest", **arguments})
    assert not reply.is_error, reply.content
    answer: dict[str, Any] = reply.structured_content or {}
    return answer


async def rows(client: Client, **arguments: Any) -> list[dict[str, Any]]:
    reply = await client.call_tool("search_byo", {**HOUR, "order": "oldest", **arguments})
    assert not reply.is_error, reply.content
    kept = (reply.meta or {})["midwatch/evidence"]
    pages = [
        (await client.read_resource(f"midwatch://evidence/{kept['id']}/page/{page}")).contents[0].text  # type: ignore[union-attr]
        for page in range(kept["pages"])
    ]
    found: list[dict[str, Any]] = json.loads("".join(pages))["rows"]
    return found


async def test_json_lines_are_read_by_their_mapped_fields_nested_ones_too(connect: Connect, tmp_path: Path) -> None:
    lines = [
        {"ts": "2026-11-20T02:10:00.123456789Z", "lvl": 50, "msg": "it's bad", "ctx": {"trace": "a1", "user": 7}},
        {"ts": 1795140660.5, "lvl": "info", "msg": "fine", "app": "bot", "dotted.host": "bot-1"},
    ]
    write(tmp_path / "logs" / "a.ndjson", "\n".join(map(json.dumps, lines)))
    fields = {"time": "ts", "level": "lvl", "message": "msg", "service": "app", "instance": "dotted.host"}
    source = {
        "format": "jsonl",
        "fields": {**fields, "trace_id": "ctx.trace", "attributes": ["ctx.user"]},
        "levels": {"50": "ERROR"},
        "service": "shop-front",
    }
    async with connect(source) as client:
        found = await rows(client)
    assert [row["time"] for row in found] == ["2026-11-20T02:10:00.123456789Z", "2026-11-20T02:11:00.500000000Z"]
    assert [row["level"] for row in found] == ["ERROR", "INFO"]
    assert [row["service"] for row in found] == ["shop-front", "bot"]
    assert [row["instance"] for row in found] == ["", "bot-1"]
    assert found[0]["message"] == "it's bad"
    assert found[0]["trace_id"] == "a1"
    assert found[0]["attributes"] == {"ctx.user": "7"}


async def test_plain_text_is_read_by_a_pattern_and_a_stack_trace_stays_with_its_line(
    connect: Connect, tmp_path: Path
) -> None:
    text = """junk before the first line
20/Nov/2026 03:10:00 ERROR [forge-2] cannot read part
Traceback (most recent call last):
KeyError: 'finish'
20/Nov/2026 03:10:01 INFO [forge-1] order=77 done"""
    write(tmp_path / "logs" / "app.log", text)
    source = {
        "format": "text",
        "pattern": r"^(?P<time>\d\d/\w+/\d{4} [\d:]+) (?P<level>\w+) \[(?P<instance>[^\]]*)\] "
        r"(?:order=(?P<order>\d+) )?(?P<message>.*)$",
        "time_format": "%d/%b/%Y %H:%M:%S",
        "time_zone": "Europe/Berlin",
        "service": "forge",
    }
    async with connect(source) as client:
        found = await rows(client)
        told = await search(client, text="keyerror")
    assert [(row["time"][:19], row["level"], row["instance"]) for row in found] == [
        ("2026-11-20T02:10:00", "ERROR", "forge-2"),
        ("2026-11-20T02:10:01", "INFO", "forge-1"),
    ]
    assert found[0]["message"] == "cannot read part\nTraceback (most recent call last):\nKeyError: 'finish'"
    assert found[1]["attributes"] == {"order": "77"}
    assert told["matched"] == 1
    assert "1 unreadable lines left out" in told["query"]


async def test_parquet_is_read_whatever_the_type_of_its_time(connect: Connect, tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    times = ["TIMESTAMP '2026-11-20 02:10:00.5'", "TIMESTAMPTZ '2026-11-20 03:10:01+01'", "1795140602000"]
    with duckdb.connect() as database:
        for i, moment in enumerate(times):
            select = f"SELECT {moment} AS at, 'warn' AS level, 'line {i}' AS message, {{'id': 'a{i}'}} AS trace"
            database.execute(f"COPY ({select}) TO '{tmp_path}/logs/{i}.parquet' (FORMAT parquet)")
    async with connect({"format": "parquet", "fields": {"time": "at", "trace_id": "trace.id"}}) as client:
        found = await rows(client)
    assert [(row["message"], row["trace_id"], row["level"]) for row in found] == [
        (f"line {i}", f"a{i}", "WARN") for i in range(3)
    ]
    assert [row["time"][14:21] for row in found] == ["10:00.5", "10:01.0", "10:02.0"]


@pytest.mark.parametrize("packing", ["plain", "gzip", "zstd"])
async def test_packed_files_are_unpacked_by_what_they_are_not_by_their_name(
    connect: Connect, tmp_path: Path, packing: str
) -> None:
    line = json.dumps({"time": "2026-11-20T02:10:00Z", "message": "packed"}) + "\n"
    path = tmp_path / "logs" / "object-without-suffix"
    if packing == "zstd":
        path.parent.mkdir()
        with duckdb.connect() as database:
            copy = "(FORMAT csv, HEADER false, QUOTE '', DELIMITER '\x01', COMPRESSION zstd)"
            database.execute(f"COPY (SELECT $line) TO '{path}' {copy}", {"line": line.rstrip()})
    else:
        write(path, gzip.compress(line.encode()) if packing == "gzip" else line)
    async with connect({"format": "jsonl"}) as client:
        assert [row["message"] for row in await rows(client)] == ["packed"]


async def test_damage_costs_its_own_lines_and_is_counted(connect: Connect, tmp_path: Path) -> None:
    good = json.dumps({"time": "2026-11-20T02:10:00Z", "message": "good"}).encode()
    binary = b'{"time": "2026-11-20T02:11:00Z", "message": "bin\xff\xfe"}'
    giant = json.dumps({"time": "2026-11-20T02:12:00Z", "message": "y" * 2 * LONGEST_LINE}).encode()
    no_time = b'{"time": "yesterday", "message": "when?"}'
    half = b'{"time": "2026-11-20T02:13:00Z", "mess'
    write(tmp_path / "logs" / "a.jsonl", b"\n".join([good, binary, giant, b"", b"\x00\x01\x02", no_time, half]))
    write(tmp_path / "logs" / "torn.jsonl.gz", gzip.compress((good + b"\n") * 50_000)[:-200])
    write(tmp_path / "logs" / "empty.jsonl", b"")
    async with connect({"format": "jsonl"}) as client:
        found = await search(client, text="good", services=["shop"])
        assert (await search(client, text="bin\ufffd\ufffd"))["matched"] == 1
        checked = await client.call_tool("check_byo", {})
    assert 1 < found["matched"] <= 50_001
    assert "unreadable lines left out" in found["query"]
    assert "read 2 of 2 objects" in found["query"]
    assert not checked.is_error


async def test_a_parquet_file_that_is_none_is_named_and_the_others_are_read(connect: Connect, tmp_path: Path) -> None:
    write(tmp_path / "logs" / "b.parquet", b"PAR1 not really")
    with duckdb.connect() as database:
        select = "SELECT '2026-11-20T02:10:00Z' AS time, 'good' AS message"
        database.execute(f"COPY ({select}) TO '{tmp_path}/logs/a.parquet' (FORMAT parquet)")
    async with connect({"format": "parquet"}) as client:
        found = await search(client)
        checked = await client.call_tool("check_byo", {})
    assert found["matched"] == 1
    assert "1 objects cannot be read" in found["query"]
    assert "b.parquet" in checked.content[0].text  # type: ignore[union-attr]


def partitioned(folder: Path) -> int:
    """Write a day of two services, an object an hour each, and return the bytes of one object."""
    begin = datetime(2026, 11, 20, tzinfo=UTC)
    line = ""
    for hour in range(24):
        for service in ("forge", "bot"):
            moment = begin + timedelta(hours=hour, minutes=30)
            line = json.dumps({"time": moment.isoformat(), "message": "x" * 100, "level": "info"})
            write(folder / service / f"{moment:%Y/%m/%d/%H}" / "part.jsonl", line)
    return len(line)


LAYOUT = {"format": "jsonl", "layout": "{service}/{yyyy}/{mm}/{dd}/{HH}/"}


async def test_only_the_partitions_of_the_window_are_read_and_the_bytes_are_told(
    connect: Connect, tmp_path: Path
) -> None:
    size = partitioned(tmp_path / "logs")
    write(tmp_path / "logs" / "forge" / "2026" / "11" / "20" / "02" / "_SUCCESS", "not a log")
    async with connect(LAYOUT) as client:
        found = await search(client)
        survey = await client.call_tool("survey_byo", HOUR)
    assert found["matched"] == 2
    assert f"read 2 of 48 objects, {2 * size} of {48 * size} bytes" in found["query"]
    assert {line.split()[2] for line in found["lines"]} == {"forge", "bot"}
    assert f"read 6 of 48 objects, {6 * size} of {48 * size} bytes" in survey.content[0].text  # type: ignore[union-attr]


async def test_a_window_over_the_limit_is_refused_before_anything_is_read(connect: Connect, tmp_path: Path) -> None:
    size = partitioned(tmp_path / "logs")
    async with connect(LAYOUT, read_max_bytes=5 * size) as client:
        assert (await search(client))["matched"] == 2
        refused = await client.call_tool("search_byo", {"start": "2026-11-20T00:00:00Z", "end": "2026-11-20T10:00:00Z"})
        assert not list((tmp_path / "cache" / "objects").glob("*.parquet"))[2:]
    assert refused.is_error
    text = refused.content[0].text  # type: ignore[union-attr]
    assert "in 20 objects" in text
    assert "MIDWATCH_BYO_READ_MAX_BYTES" in text


async def test_lines_outside_their_partition_are_found_with_slack_and_complained_of_without(
    connect: Connect, tmp_path: Path
) -> None:
    late = json.dumps({"time": "2026-11-20T02:59:50Z", "message": "late"})
    write(tmp_path / "logs" / "forge" / "2026" / "11" / "20" / "03" / "part.jsonl", late)
    async with connect(LAYOUT) as client:
        assert (await search(client))["matched"] == 0
        assert "outside their partition" in (await client.call_tool("check_byo", {})).content[0].text  # type: ignore[union-attr]
    async with connect({**LAYOUT, "slack": "PT1M"}) as client:
        assert (await search(client))["matched"] == 1


async def test_the_cache_stays_within_its_bound(connect: Connect, tmp_path: Path) -> None:
    begin = datetime(2026, 11, 20, tzinfo=UTC)
    for hour in range(8):
        moments = [begin + timedelta(hours=hour, milliseconds=i) for i in range(6_000)]
        noise = [f"{hash((hour, i)):x}" * 4 for i in range(6_000)]
        lines = [json.dumps({"time": m.isoformat(), "message": n}) for m, n in zip(moments, noise, strict=True)]
        write(tmp_path / "logs" / f"{begin + timedelta(hours=hour):%Y/%m/%d/%H}" / "a.jsonl", "\n".join(lines))
    bound = 2**20
    async with connect({"format": "jsonl", "layout": "{yyyy}/{mm}/{dd}/{HH}/"}, cache_max_bytes=bound) as client:
        for hour in (*range(8), 0):
            start = begin + timedelta(hours=hour)
            window = {"start": start.isoformat(), "end": (start + timedelta(hours=1)).isoformat()}
            assert (await search(client, **window))["matched"] == 6_000
            kept = sum(path.stat().st_size for path in (tmp_path / "cache" / "objects").glob("*.parquet"))
            assert kept <= bound


FOLDERS = st.sampled_from(
    ["{yyyy}/{mm}/{dd}/{HH}/", "{service}/{yyyy}-{mm}-{dd}/", "dt={yyyy}{mm}{dd}/h={HH}/{service}-{*}", "{*}/", ""]
)
HOURS = st.integers(min_value=0, max_value=24 * 70)


@given(FOLDERS, st.lists(st.tuples(HOURS, st.sampled_from(["forge", "bot"])), max_size=12), HOURS, st.integers(1, 50))
def test_listing_the_folders_of_a_window_finds_what_listing_everything_finds(
    text: str, written: list[tuple[int, str]], start: int, length: int
) -> None:
    layout = Layout(text)
    begin = datetime(2026, 10, 1, tzinfo=UTC)
    window = Window(start=begin + timedelta(hours=start), end=begin + timedelta(hours=start + length, minutes=30))
    names = {"{yyyy}": "%Y", "{mm}": "%m", "{dd}": "%d", "{HH}": "%H"}
    keys = set()
    for hour, service in written:
        key = text if text and not text.endswith("/") else f"{text}part"
        for field, directive in names.items():
            key = key.replace(field, f"{begin + timedelta(hours=hour):{directive}}")
        keys.add(key.replace("{service}", service).replace("{*}", "any"))

    def children(folder: str) -> set[str]:
        return {
            key[len(folder) :].split("/")[0] for key in keys if key.startswith(folder) and "/" in key[len(folder) :]
        }

    def wanted(key: str) -> bool:
        partition = layout.read(key)
        return partition is not None and partition.overlaps([window], timedelta(0))

    listed = layout.folders([window], timedelta(0), children)
    found = {key for key in keys if any(key.startswith(folder) for folder in listed) and wanted(key)}
    assert found == {key for key in keys if wanted(key)}


ZONES = st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kolkata", "America/New_York"])
OFFSETS = st.sampled_from(["", "Z", "+05:30", "-0800", "+01"])


@pytest.fixture(scope="module")
def read_time() -> Iterator[Callable[[str, str], int | None]]:
    """Returns a reader of times: text and zone to nanoseconds, by the server's own SQL."""
    with duckdb.connect() as database:
        database.execute("SET TimeZone = 'UTC'")

        def read(text: str, zone: str) -> int | None:
            sql = f"SELECT {nanoseconds('', zone)} FROM (SELECT $1 AS time)"
            ((found,),) = database.execute(sql, [text]).fetchall()
            return None if found is None else int(found)

        yield read


@settings(max_examples=50, deadline=None)
@given(naive=st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1)), zone=ZONES, offset=OFFSETS)
def test_a_time_is_read_as_python_reads_it(
    read_time: Callable[[str, str], int | None], naive: datetime, zone: str, offset: str
) -> None:
    earlier, later = (naive.replace(tzinfo=ZoneInfo(zone), fold=fold) for fold in (0, 1))
    if not offset and earlier.utcoffset() != later.utcoffset():
        return  # an hour that a clock shows twice, or never
    for text in (naive.isoformat() + offset, naive.isoformat(sep=" ") + offset):
        assert read_time(text, zone) == ns_of(datetime.fromisoformat(text) if offset else earlier)


@settings(max_examples=50, deadline=None)
@given(st.integers(min_value=10**9, max_value=4 * 10**9))
def test_unix_times_are_read_in_whatever_unit_they_are(
    read_time: Callable[[str, str], int | None], seconds: int
) -> None:
    for digits in (0, 3, 6, 9):
        assert read_time(str(seconds * 10**digits), "UTC") == seconds * 10**9
    assert read_time(f"{seconds}.123456789", "UTC") == seconds * 10**9 + 123_456_789


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-45T00:00:00Z", "12", "2026-11-20", "true"])
def test_what_is_no_time_is_none(read_time: Callable[[str, str], int | None], text: str) -> None:
    assert read_time(text, "UTC") is None


@given(st.lists(st.binary(max_size=60), max_size=40), st.booleans())
def test_cleaning_keeps_the_number_of_lines_and_changes_no_sound_one(lines: list[bytes], packed: bool) -> None:
    content = b"\n".join(lines)
    with tempfile.TemporaryDirectory() as name:
        source, target = Path(name) / "source", Path(name) / "target"
        source.write_bytes(gzip.compress(content) if packed or content[:2] == b"\x1f\x8b" else content)
        clean(source, target, 2**30)
        cleaned = target.read_bytes()
    assert cleaned.count(b"\n") == content.count(b"\n")
    assert b"\0" not in cleaned
    for before, after in zip(content.split(b"\n"), cleaned.decode().split("\n"), strict=True):
        sound = b"\0" not in before and before.decode(errors="replace").encode() == before
        assert not sound or after.encode() == before


def test_a_file_that_unpacks_beyond_bounds_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bomb").write_bytes(gzip.compress(b"\0" * 50_000_000))
    with pytest.raises(BadInput, match="unpacks to over 10 MiB"):
        clean(tmp_path / "bomb", tmp_path / "out", 10 * 2**20)


def test_a_line_without_end_is_cut_and_counted_once(tmp_path: Path) -> None:
    (tmp_path / "endless").write_bytes(b"x" * (12 * 2**20) + b"\nnext")
    assert clean(tmp_path / "endless", tmp_path / "out", 2**30) == Cleaned(giant=1)
    assert [len(line) for line in (tmp_path / "out").read_bytes().split(b"\n")] == [LONGEST_LINE, 4]
