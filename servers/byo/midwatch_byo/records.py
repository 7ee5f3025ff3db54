"""One JSON document that holds many records, as CloudTrail writes them, made one record a line."""

import gzip
import json
import zlib
from pathlib import Path
from typing import Final

from midwatch_kit import BadInput

_GZIP: Final = b"\x1f\x8b"


class NoRecords(Exception):
    """Raised when a document cannot be read, or holds no such records; the text says which."""


def spread(source: Path, target: Path, name: str, most_bytes: int) -> Path:
    """Write the records in the field `name` of a plain or gzip document to `target`, one a line, and return that.

    A document that is a list is one of records. Raises `NoRecords`, and `BadInput` for one that unpacks to over
    `most_bytes`.
    """
    with source.open("rb") as raw:
        packed = raw.read(2) == _GZIP
        raw.seek(0)
        opened = gzip.GzipFile(fileobj=raw) if packed else raw
        try:
            text = opened.read(most_bytes + 1)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise NoRecords(f"it ends in the middle ({error})") from None
    if len(text) > most_bytes:
        raise BadInput(f"an object unpacks to over {most_bytes / 2**20:.0f} MiB: raise the limit, or split it")
    try:
        document = json.loads(text)
    except ValueError as error:
        raise NoRecords(f"it is no JSON document: {error}") from None
    records = document.get(name) if isinstance(document, dict) else document
    if not isinstance(records, list):
        raise NoRecords(f"it has no list {name!r}")
    source.unlink()
    with target.open("w", encoding="utf-8") as lines:
        lines.writelines(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    return target
