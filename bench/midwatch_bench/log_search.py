"""A log search that matches a million lines, through the real server over stdio, against plain DuckDB. Not a test.

    python -m midwatch_bench.log_search [--lines 1000000]

Half of the store's lines match. The first page is timed, the count compared, and the walk goes on to the end: every
line must come exactly once. Figures of time are ratios to DuckDB asked for the same rows in the same files.
"""

import argparse
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import anyio
import duckdb
import pyarrow as pa
from mcp import Client, StdioServerParameters, stdio_client

from midwatch_store.writer import Writer

ValueT = TypeVar("ValueT")

START = datetime(2026, 11, 20, 2, tzinfo=UTC)
START_NS = int(START.timestamp()) * 10**9
HOUR_NS = 3_600 * 10**9
BATCH = 100_000
REPLY_CHARS = 500_000
PAGE = 5_000
NUMBER = re.compile(r"order no\. (\d+) ")
ASKED = {"text": "refused", "start": "2026-11-20T02:00:00Z", "end": "2026-11-20T03:00:00Z", "limit": PAGE}
MATCHING = """FROM read_parquet('{files}') WHERE "Body" ILIKE '%refused%'"""


def write_lines(folder: Path, matching: int) -> None:
    """Write as many lines that match as others, in turn, over one hour, in files of 100,000."""
    with Writer(folder) as writer:
        for first in range(0, 2 * matching, BATCH):
            numbers = range(first, min(first + BATCH, 2 * matching))
            times = [START_NS + number * (HOUR_NS // (2 * matching)) for number in numbers]
            writer.append_arrow("otel_logs", _lines(numbers, times))


def _lines(numbers: range, times: list[int]) -> pa.Table:
    said = ("accepted after 12 ms", "refused: no stock")
    return pa.table(
        {
            "Timestamp": pa.array(times, pa.timestamp("ns")),
            "ServiceName": ["stock"] * len(numbers),
            "SeverityNumber": pa.array([9 + 8 * (number % 2) for number in numbers], pa.int32()),
            "Body": [f"order no. {number} {said[number % 2]}" for number in numbers],
        }
    )


def timed(call: Callable[[], ValueT]) -> tuple[float, ValueT]:
    """The least of three runs, in seconds, and what the call gave."""
    best, value = float("inf"), call()
    for _ in range(3):
        began = time.perf_counter()
        value = call()
        best = min(best, time.perf_counter() - began)
    return best, value


def plain(folder: Path) -> dict[str, tuple[float, Any]]:
    """What DuckDB alone takes, in this process: to count, to give the newest page, and to give every line in order."""
    connection = duckdb.connect()
    matching = MATCHING.format(files=folder / "otel_logs" / "**" / "*.parquet")
    rows = f"""SELECT "Timestamp", "Seq", "Body" {matching} ORDER BY "Timestamp" DESC, "Seq" DESC"""
    return {
        "count": timed(lambda: connection.execute(f"SELECT count(*) {matching}").fetchall()[0][0]),
        "page": timed(lambda: len(connection.execute(f"{rows} LIMIT {PAGE}").fetchall())),
        "all": timed(lambda: len(connection.execute(rows).fetchall())),
    }


async def walk(client: Client) -> tuple[list[float], list[int], list[int]]:
    """Ask page after page to the end; returns the seconds of each, what each counted, and the numbers of all lines."""
    seconds, counted, numbers = [], [], []
    cursor: dict[str, str] = {}
    while True:
        began = time.perf_counter()
        result = await client.call_tool("search_logs", {**ASKED, **cursor})
        seconds.append(time.perf_counter() - began)
        reply = result.structured_content or {}
        counted.append(int(reply["matched"]))
        numbers += [int(match[1]) for match in map(NUMBER.search, reply["lines"]) if match]
        if "next_cursor" not in reply:
            return seconds, counted, numbers
        cursor = {"cursor": reply["next_cursor"]}


async def bench(folder: Path, matching: int) -> None:
    """Run the walk and print what it took beside what DuckDB takes."""
    environment = {"MIDWATCH_STORE": str(folder / "store"), "MIDWATCH_REPLY_CHARS": str(REPLY_CHARS)}
    environment["MIDWATCH_EVIDENCE_DIR"] = str(folder / "evidence")
    server = StdioServerParameters(command=sys.executable, args=["-m", "midwatch_logs"], env=environment)
    async with Client(stdio_client(server)) as client:
        await client.call_tool("check_logs", {})
        seconds, counted, numbers = await walk(client)
    alone = plain(folder / "store")
    for line in _told(seconds, counted, numbers, alone, matching):
        print(line)


def _told(
    seconds: list[float], counted: list[int], numbers: list[int], alone: dict[str, tuple[float, Any]], matching: int
) -> Iterator[str]:
    exact = set(counted) == {matching} and alone["count"][1] == matching
    whole = sorted(numbers) == list(range(1, 2 * matching, 2))
    newest_first = numbers == sorted(numbers, reverse=True)
    later = sorted(seconds[1:])
    first = alone["count"][0] + alone["page"][0]
    yield f"{matching:,} of {2 * matching:,} lines match; {len(seconds)} pages of up to {PAGE:,} lines"
    yield f"  count exact on every page: {exact}; each line exactly once: {whole}; newest first: {newest_first}"
    yield f"  first page   {seconds[0]:6.2f} s   {seconds[0] / first:5.1f}x DuckDB's count and page ({first:.2f} s)"
    yield (
        f"  a later page {later[len(later) // 2]:6.2f} s   {later[len(later) // 2] / alone['page'][0]:5.1f}x "
        f"DuckDB's page ({alone['page'][0]:.2f} s); the slowest {later[-1]:.2f} s"
    )
    yield f"  to the end   {sum(seconds):6.2f} s   {sum(seconds) / alone['all'][0]:5.1f}x DuckDB's one query for all"


def main() -> None:
    """Write the lines and run the bench."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=1_000_000, help="lines that match")
    matching = parser.parse_args().lines
    with tempfile.TemporaryDirectory() as folder:
        write_lines(Path(folder) / "store", matching)
        anyio.run(bench, Path(folder), matching)


if __name__ == "__main__":
    main()
