"""Ways in which telemetry comes to be wrong before any server sees it: the story's rows in, other rows out. Pure."""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from tests.e2e.story import SECOND, Row, Rows

_TIMES: Final = {"otel_metrics_gauge": "TimeUnix"}


def clocks_apart(rows: Rows, seconds: Mapping[str, float]) -> Rows:
    """Have each service tell times that are so many seconds ahead (or behind, when negative)."""
    return {
        table: [_moved(row, table, int(seconds.get(str(row["ServiceName"]), 0.0) * SECOND)) for row in told]
        for table, told in rows.items()
    }


def lagging(rows: Rows, until_ns: int) -> Rows:
    """Leave out what happened from a time on: it is still on its way."""
    return _kept(rows, lambda table, row: _at(row, table) < until_ns)


def half_of(rows: Rows, seed: int) -> Rows:
    """Lose half of all rows, each by the toss of a coin."""
    draw = random.Random(seed)
    return _kept(rows, lambda _, __: draw.random() < 0.5)


def twice(rows: Rows) -> Rows:
    """Have every row two times, as an exporter that did not hear the answer sends it again."""
    return {table: [*told, *told] for table, told in rows.items()}


def out_of_order(rows: Rows, seed: int, batches: int = 12) -> Iterator[Rows]:
    """Yield the rows in batches, in no order at all."""
    draw = random.Random(seed)
    shuffled = {table: draw.sample(told, len(told)) for table, told in rows.items()}
    for number in range(batches):
        yield {table: told[number::batches] for table, told in shuffled.items()}


def _kept(rows: Rows, keep: Callable[[str, Row], bool]) -> Rows:
    return {table: [row for row in told if keep(table, row)] for table, told in rows.items()}


def _at(row: Row, table: str) -> int:
    return int(str(row[_TIMES.get(table, "Timestamp")]))


def _moved(row: Row, table: str, by: int) -> Row:
    moved = {**row, _TIMES.get(table, "Timestamp"): _at(row, table) + by}
    events = row.get("Events.Timestamp")
    return {**moved, "Events.Timestamp": [at + by for at in events]} if isinstance(events, Sequence) else moved
