"""Rows as Arrow tables: the writing side's form of the schema, with the defaults for what a row leaves out.

Nothing here touches a file. Only this module and those that write import Arrow.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from midwatch_store.errors import InvalidRows
from midwatch_store.schema import LABELS, SEQ, TABLES, TEXT, TIME, Column, Table

Row = Mapping[str, object]

_TYPES: Final = {
    TEXT: pa.string(),
    TIME: pa.timestamp("ns"),
    LABELS: pa.map_(pa.string(), pa.string()),
    "BIGINT": pa.int64(),
    "BOOLEAN": pa.bool_(),
    "DOUBLE": pa.float64(),
    "INTEGER": pa.int32(),
    "UBIGINT": pa.uint64(),
    "UTINYINT": pa.uint8(),
}


def find_table(name: str) -> Table:
    """The table of that name; InvalidRows when the store has none."""
    if name not in TABLES:
        raise InvalidRows(f"the store has no table {name!r}; it has {', '.join(TABLES)}")
    return TABLES[name]


@cache
def arrow_schema(table: Table) -> pa.Schema:
    """The table's columns as Arrow fields, `Seq` last."""
    return pa.schema([pa.field(column.name, _arrow_type(column.type)) for column in table.columns])


def from_rows(table: Table, rows: Sequence[Row]) -> pa.Table:
    """The rows as Arrow, without `Seq`; times are ns since the epoch or datetimes, maps are dicts.

    What a row leaves out is '' for text, empty for maps and lists, NULL for the rest.
    """
    _refuse_unknown(table, set().union(*rows))
    columns = {column.name: _array(table, column, rows) for column in _given(table)}
    return pa.table(columns)


def conform(table: Table, rows: pa.Table) -> pa.Table:
    """An Arrow table as the table's columns in their order, types and defaults, without `Seq`."""
    _refuse_unknown(table, set(rows.column_names))
    try:
        columns = {column.name: _column(column, rows) for column in _given(table)}
    except pa.ArrowException as error:
        raise InvalidRows(f"{table.name}: {error}") from error
    return pa.table(columns)


def check_times(table: Table, rows: pa.Table) -> None:
    """Raise InvalidRows when a row has no event time or one before 1970."""
    times = rows.column(table.time)
    earliest = pc.min(times.cast(pa.int64())).as_py()
    if times.null_count or (earliest is not None and earliest < 0):
        raise InvalidRows(f"{table.name}: every row needs a {table.time} at or after 1970-01-01T00:00:00Z")


def _given(table: Table) -> tuple[Column, ...]:
    return table.columns[:-1]


def _arrow_type(kind: str) -> pa.DataType:
    return pa.list_(_arrow_type(kind[:-2])) if kind.endswith("[]") else _TYPES[kind]


def _default(kind: str) -> object:
    if kind.endswith("[]"):
        return []
    return {TEXT: "", LABELS: {}}.get(kind)


def _array(table: Table, column: Column, rows: Sequence[Row]) -> pa.Array:
    default = _default(column.type)
    values = [default if (value := row.get(column.name)) is None else value for row in rows]
    try:
        return pa.array(values, type=_arrow_type(column.type))
    except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
        raise InvalidRows(f"{table.name}.{column.name}: {error}") from error


def _column(column: Column, rows: pa.Table) -> pa.Array | pa.ChunkedArray:
    kind, default = _arrow_type(column.type), _default(column.type)
    if column.name not in rows.column_names:
        return pa.array([default], type=kind).take(pa.array([0] * rows.num_rows, type=pa.int32()))
    given = rows.column(column.name).cast(kind)
    return given.fill_null("") if column.type == TEXT else given


def _refuse_unknown(table: Table, names: set[str]) -> None:
    unknown = names - {column.name for column in _given(table)}
    if SEQ in unknown:
        raise InvalidRows(f"{table.name}: {SEQ} is given by the store, leave it out")
    if unknown:
        raise InvalidRows(f"{table.name} has no column {', '.join(sorted(unknown))}")
