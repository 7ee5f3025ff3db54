"""One object to Parquet with the columns that the shared SQL asks for, by DuckDB; the mapping says what means what.

SQL is made of the mapping's texts, quoted: the mapping is this server's configuration, as its command line is. A line
that cannot be read, or whose time cannot, is left out and counted. In format text a line that does not match the
pattern belongs to the one before it, as in a stack trace.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb

from midwatch_byo.clean import Cleaned
from midwatch_byo.layout import Partition
from midwatch_byo.mapping import Source
from midwatch_byo.times import nanoseconds
from midwatch_kit.logs import severity_of

_FIELDS: Final = ("time", "level", "service", "instance", "message", "trace_id")
CONFIG: Final[dict[str, str | bool | int | float | list[str]]] = {
    "threads": 2,
    "memory_limit": "1GB",
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}
_RAW: Final = """CREATE TABLE raw AS SELECT line FROM read_csv({path}, columns = {{'line': 'VARCHAR'}}, delim = '',
    quote = '', escape = '', comment = '', header = false, auto_detect = false, new_line = '\\n', nullstr = '\x01',
    strict_mode = false, ignore_errors = true, max_line_size = 8388608)"""
_JSON: Final = """CREATE TABLE fields AS SELECT number, {columns} FROM (SELECT rowid AS number, line,
    CASE WHEN json_valid(line) THEN json_extract_string(line, {paths}) END AS f FROM raw) WHERE f IS NOT NULL"""
_TEXT: Final = """CREATE TABLE fields AS SELECT number, {columns} FROM (
    SELECT *, regexp_extract(line, {pattern}, {groups}) AS f FROM (
    SELECT min(number) AS number, first(line ORDER BY number) AS line,
    string_agg(line, chr(10) ORDER BY number) FILTER (NOT begins) AS more
    FROM (SELECT *, sum(begins::INTEGER) OVER (ORDER BY number) AS entry
    FROM (SELECT rowid AS number, line, regexp_matches(line, {pattern}) AS begins FROM raw))
    WHERE entry > 0 GROUP BY entry))"""
_PARQUET: Final = """CREATE TABLE fields AS SELECT file_row_number AS number, {columns}
    FROM read_parquet({path}, file_row_number = true)"""
_DESCRIBE: Final = "DESCRIBE SELECT * FROM read_parquet({path})"
_LINES: Final = """CREATE TABLE parsed AS SELECT make_timestamp_ns(ns) AS time, number, severity,
    coalesce(nullif(service, ''), {service}) AS service, coalesce(nullif(instance, ''), {instance}) AS instance,
    coalesce(message, '') AS message, coalesce(trace_id, '') AS trace_id, attributes
    FROM (SELECT *, {ns} AS ns FROM fields)
    JOIN (SELECT level AS named, {severity} AS severity FROM (SELECT DISTINCT level FROM fields))
    ON level IS NOT DISTINCT FROM named WHERE ns IS NOT NULL"""
_ENTRIES: Final = {
    "jsonl": "SELECT count(*) FROM raw WHERE trim(line) <> ''",
    "text": """SELECT (SELECT count(*) FROM fields) + count(*) FROM raw WHERE trim(line) <> ''
        AND rowid < coalesce((SELECT min(number) FROM fields), 9223372036854775807)""",
    "parquet": "SELECT count(*) FROM fields",
}


@dataclass(frozen=True, slots=True)
class Parsed:
    """What became of an object's lines; times in ns, None when no line could be read; `fault` says why none could."""

    lines: int
    unreadable: int
    giant: int
    undecodable: int
    torn: bool
    first_ns: int | None
    last_ns: int | None
    fault: str = ""


def parse(source: Source, partition: Partition, path: Path, cleaned: Cleaned, target: Path) -> Parsed:
    """Read the lines of one object from `path`, cleaned, and write them to `target`; raises duckdb.Error."""
    with duckdb.connect(config=CONFIG) as database:
        database.execute("SET TimeZone = 'UTC'")
        if source.format == "parquet":
            columns = _parquet_columns(database, source, path)
            database.execute(_PARQUET.format(columns=columns, path=quoted(str(path))))
        else:
            skipped = f" WHERE NOT regexp_matches(line, {quoted(source.skip)})" if source.skip else ""
            database.execute(_RAW.format(path=quoted(str(path))) + skipped)
            database.execute(_json_fields(source) if source.format == "jsonl" else _text_fields(source))
        database.execute(_lines(source, partition))
        database.execute(f"COPY parsed TO {quoted(str(target))} (FORMAT parquet)")
        counted = database.execute("SELECT count(*), epoch_ns(min(time)), epoch_ns(max(time)) FROM parsed")
        ((lines, first, last),) = counted.fetchall()
        ((entries,),) = database.execute(_ENTRIES[source.format]).fetchall()
    return Parsed(lines, entries - lines, cleaned.giant, cleaned.undecodable, cleaned.torn, first, last)


def pattern_fault(source: Source) -> str | None:
    """Return what DuckDB has against a source's patterns: RE2 knows no look-around and no back-reference."""
    try:
        with duckdb.connect(config=CONFIG) as database:
            database.execute("SELECT regexp_matches('', $1), regexp_matches('', $2)", [source.pattern, source.skip])
    except duckdb.Error as error:
        return f"source {source.name}: its pattern cannot be used: {str(error).splitlines()[0]}"
    return None


def quoted(text: str) -> str:
    """Return a text as a SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def _lines(source: Source, partition: Partition) -> str:
    levels = "".join(f"WHEN {quoted(text)} THEN {number} " for text, number in source.severities.items())
    usual = severity_of("level")
    return _LINES.format(
        severity=f"CASE level {levels}ELSE {usual} END" if levels else usual,
        service=quoted(partition.service or source.service or source.name),
        instance=quoted(partition.instance),
        ns=nanoseconds(source.time_format, source.time_zone),
    )


def _json_fields(source: Source) -> str:
    paths: list[str] = []

    def value_of(name: str) -> str:
        """The expression for a field: by its name as it stands, then as a path into objects."""
        here = [f'$."{name}"', *(["$." + ".".join(f'"{part}"' for part in name.split("."))] if "." in name else [])]
        paths.extend(here)
        found = ", ".join(f"f[{n}]" for n in range(len(paths) - len(here) + 1, len(paths) + 1))
        return f"coalesce({found})"

    values = {name: value_of(getattr(source.fields, name)) for name in _FIELDS}
    values["message"] = f"coalesce({values['message']}, line)"
    attributes = _labels({name: value_of(name) for name in source.fields.attributes})
    return _JSON.format(columns=_select(values, attributes), paths=f"[{', '.join(map(quoted, paths))}]")


def _text_fields(source: Source) -> str:
    numbers = source.groups
    values = {name: _group(numbers.get(getattr(source.fields, name))) for name in _FIELDS}
    if source.fields.message not in numbers:
        values["message"] = "line"
    values["message"] = f"concat_ws(chr(10), {values['message']}, more)"
    known = {getattr(source.fields, name) for name in _FIELDS}
    others = {name: _group(number) for name, number in numbers.items() if name not in known}
    # All groups are taken at once, by names: one by one DuckDB knows only nine.
    groups = ", ".join(quoted(f"g{number}") for number in range(1, re.compile(source.pattern).groups + 1))
    return _TEXT.format(columns=_select(values, _labels(others)), pattern=quoted(source.pattern), groups=f"[{groups}]")


def _group(number: int | None) -> str:
    return "NULL" if number is None else f"f['g{number}']"


def _parquet_columns(database: duckdb.DuckDBPyConnection, source: Source, path: Path) -> str:
    described = database.execute(_DESCRIBE.format(path=quoted(str(path)))).fetchall()
    kinds = {str(name): str(kind) for name, kind, *_ in described}
    values = {name: _column(kinds, getattr(source.fields, name)) for name in _FIELDS}
    return _select(values, _labels({name: _column(kinds, name) for name in source.fields.attributes}))


def _column(kinds: dict[str, str], name: str) -> str:
    """The expression for a column, or for a field of a struct or a map in one; NULL when there is none."""
    outer, _, inner = name.partition(".")
    if name in kinds:
        return f"{_identifier(name)}::VARCHAR"
    if inner and kinds.get(outer, "").startswith(("STRUCT", "MAP")):
        return f"{_identifier(outer)}[{quoted(inner)}]::VARCHAR"
    return "NULL"


def _select(values: dict[str, str], attributes: str) -> str:
    columns = ", ".join(f"({value})::VARCHAR AS {_identifier(name)}" for name, value in values.items())
    return f"{columns}, {attributes} AS attributes"


def _labels(values: dict[str, str]) -> str:
    names = ", ".join(map(quoted, values))
    return f"MAP([{names}]::VARCHAR[], [{', '.join(values.values())}]::VARCHAR[])"


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
