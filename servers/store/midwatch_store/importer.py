"""Files into a store: the Collector's file-exporter output, one OTLP JSON document per line, gzip or plain.

A line may also be `{"changes": […]}`, `{"alarms": […]}` or `{"objects": […]}`, as the receiver takes them. No other
format is known here.
"""

import gzip
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

from midwatch_store.arrow import Row
from midwatch_store.events import alarm_rows, change_rows, object_rows
from midwatch_store.otlp.signals import SIGNALS, convert
from midwatch_store.otlp.values import Converted
from midwatch_store.otlp.wire import BadBody, decode_document, load_json
from midwatch_store.writer import Writer

_BATCH_ROWS: Final = 20_000
_GZIP_MAGIC: Final = b"\x1f\x8b"
_EVENTS: Final = {"changes": change_rows, "alarms": alarm_rows, "objects": object_rows}


@dataclass
class Imported:
    """What an import did: rows by table, records left out, and what was wrong, line by line."""

    rows: dict[str, int] = field(default_factory=dict)
    rejected: int = 0
    problems: list[str] = field(default_factory=list)


def import_files(writer: Writer, paths: Sequence[Path]) -> Imported:
    """Append every record of the files; a line that cannot be read is left out and named. Raises OSError."""
    total = Imported()
    pending: dict[str, list[Row]] = {}
    for path in paths:
        for converted in _documents(path, total):
            for table, rows in converted.rows.items():
                pending.setdefault(table, []).extend(rows)
                total.rows[table] = total.rows.get(table, 0) + len(rows)
            if sum(len(rows) for rows in pending.values()) >= _BATCH_ROWS:
                writer.append(pending)
                pending = {}
    writer.append(pending)
    return total


def _documents(path: Path, total: Imported) -> Iterator[Converted]:
    with _open(path) as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                converted = _convert(line)
            except ValueError as error:
                total.problems.append(f"{path}:{number}: {error}")
                continue
            if converted.rejected:
                total.rejected += converted.rejected
                total.problems.append(f"{path}:{number}: {converted.rejected} left out: {converted.reason}")
            yield converted


def _convert(line: bytes) -> Converted:
    document = load_json(line)
    if not isinstance(document, Mapping):
        raise BadBody(f"a line must be a JSON object, not {type(document).__name__}")
    found = [_part(document, key) for key in document]
    rows: dict[str, list[Row]] = {}
    for converted in found:
        for table, more in converted.rows.items():
            rows.setdefault(table, []).extend(more)
    return Converted(
        rows, sum(each.rejected for each in found), next((each.reason for each in found if each.reason), "")
    )


def _part(document: Mapping[str, Any], key: str) -> Converted:
    """The records under one key of a document."""
    for signal in SIGNALS:
        if key == signal.levels[0]:
            decoded = decode_document(signal, {key: document[key]})
            converted = convert(decoded.request, time.time_ns())
            rejected = decoded.rejected + converted.rejected
            return Converted(converted.rows, rejected, decoded.reason or converted.reason)
    if key in _EVENTS:
        return _EVENTS[key](document[key], time.time_ns())
    raise BadBody(f"{key!r} is none of {', '.join([*(signal.levels[0] for signal in SIGNALS), *_EVENTS])}")


def _open(path: Path) -> IO[bytes] | gzip.GzipFile:
    with path.open("rb") as file:
        packed = file.read(2) == _GZIP_MAGIC
    return gzip.open(path) if packed else path.open("rb")
