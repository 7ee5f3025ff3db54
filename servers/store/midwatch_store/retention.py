"""Keeping the store within an age and a size, by deleting whole hours, oldest first.

An hour is the unit: no file is rewritten to drop some of its rows, and the current hour always stays.
"""

import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from midwatch_store import segments
from midwatch_store.clock import to_ns
from midwatch_store.schema import TABLES
from midwatch_store.writer import Writer


def expire(writer: Writer, now: datetime, max_age: timedelta | None, max_bytes: int | None) -> list[str]:
    """Delete hours that ended more than `max_age` before `now`, then the oldest until `max_bytes` are kept.

    None is no limit. Returns the deleted hours as `YYYY-MM-DD/HH`, over all tables. Blocks; holds back appends while
    there is something to delete.
    """
    hours = dict(sorted(_hours(writer.path)))
    doomed = _too_old(hours, now, max_age)
    total = sum(_size(folder) for hour, folders in hours.items() if hour not in doomed for folder in folders)
    for hour in [hour for hour in hours if hour not in doomed and hour < _name(now)]:
        if max_bytes is None or total <= max_bytes:
            break
        total -= sum(_size(folder) for folder in hours[hour])
        doomed.append(hour)
    if doomed:
        with writer.paused():
            for hour in doomed:
                _delete(hours[hour])
    return doomed


def _too_old(hours: dict[str, list[Path]], now: datetime, max_age: timedelta | None) -> list[str]:
    if max_age is None:
        return []
    cutoff = min(_name(now - max_age), _name(now))
    return [hour for hour in hours if hour < cutoff]


def _hours(root: Path) -> Iterator[tuple[str, list[Path]]]:
    folders: dict[str, list[Path]] = {}
    for table in TABLES:
        for folder in segments.hour_folders(root, table):
            folders.setdefault(f"{folder.parent.name}/{folder.name}", []).append(folder)
    yield from folders.items()


def _name(moment: datetime) -> str:
    folder = segments.hour_folder(Path(), "", to_ns(moment))
    return f"{folder.parent.name}/{folder.name}"


def _delete(folders: list[Path]) -> None:
    for folder in folders:
        shutil.rmtree(folder)
        if not any(folder.parent.iterdir()):
            folder.parent.rmdir()


def _size(folder: Path) -> int:
    return sum(segments.size(path) for path in folder.iterdir())
