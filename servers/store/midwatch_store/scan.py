"""Parquet files as DuckDB sees them: the table function that reads a list of them, and what ails one it can't read.

Which files to read is not decided here.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

import duckdb

from midwatch_store.schema import Table


def literal(path: Path) -> str:
    """The glob pattern that matches this path and no other."""
    return "".join(f"[{character}]" if character in "*?[" else character for character in str(path))


def scan_sql(paths: Iterable[Path]) -> str:
    """A SQL table function over the files, each taken literally (a `*` in a directory's name is no pattern)."""
    quoted = ", ".join("'" + literal(path).replace("'", "''") + "'" for path in paths)
    return f"read_parquet([{quoted}], hive_partitioning = false)"


def view_sql(table: Table, paths: Iterable[Path]) -> str:
    """A SQL query for the table's rows in the files; without files, one with the right columns and no row.

    The casts cost nothing where the types are right, and fail where a foreign file's are not.
    """
    found = list(paths)
    return f"SELECT {table.cast_list} FROM {scan_sql(found)}" if found else table.empty_select  # noqa: S608


def find_damage(
    connection: duckdb.DuckDBPyConnection, table: Table, paths: Iterable[Path], error: Exception
) -> Mapping[Path, str]:
    """The files that cannot be read as rows of the table, each with the reason, after `error` from reading them all.

    Footers are read first; contents only when every footer is sound and the error is not one about the query.
    """
    everything = list(paths)
    suspects = [path for path in everything if str(path) in str(error)] or everything
    found = {path: reason for path in suspects if (reason := _wrong_footer(connection, table, path))}
    if found or isinstance(error, duckdb.BinderException):
        return found
    return {path: reason for path in suspects if (reason := _wrong_contents(connection, table, path))}


def _wrong_footer(connection: duckdb.DuckDBPyConnection, table: Table, path: Path) -> str | None:
    try:
        described = connection.execute(f"DESCRIBE SELECT * FROM {scan_sql([path])}").fetchall()  # noqa: S608
    except duckdb.Error as error:
        return _reason(path, error)
    types = {name: kind for name, kind, *_ in described}
    for column in table.columns:
        if types.get(column.name) != column.type:
            return f"not rows of {table.name}: {column.name} is {types.get(column.name, 'missing')}, not {column.type}"
    return None


def _wrong_contents(connection: duckdb.DuckDBPyConnection, table: Table, path: Path) -> str | None:
    try:
        connection.execute(f"SELECT bit_xor(hash({table.column_list})) FROM {scan_sql([path])}").fetchall()  # noqa: S608
    except duckdb.Error as error:
        return _reason(path, error)
    return None


def _reason(path: Path, error: duckdb.Error) -> str | None:
    """The first line of what DuckDB says of a file, or None when the file has gone: that is no damage."""
    return str(error).partition("\n")[0] if path.exists() else None
