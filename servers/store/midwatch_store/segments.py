"""The store's files: what their names say, which of them hold a window, and which are superseded.

A segment is one Parquet file, `<table>/<YYYY-MM-DD>/<HH>/<min_ns>-<max_ns>-<first_seq>-<last_seq>.parquet`, with
inclusive bounds. Everything here works on names alone; no file is ever opened.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from midwatch_store.clock import from_ns
from midwatch_store.schema import TABLES

SEQUENCE_FILE: Final = "sequence"

_NAME: Final = re.compile(r"(\d{1,19})-(\d{1,19})-(\d{1,19})-(\d{1,19})\.parquet")
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_HOUR: Final = re.compile(r"\d{2}")


@dataclass(frozen=True)
class Segment:
    """One file by its name: `folder`, event times in ns (inclusive), and the Seq range of its rows (inclusive)."""

    folder: Path
    min_ns: int
    max_ns: int
    first_seq: int
    last_seq: int

    @property
    def path(self) -> Path:
        """Where the file is."""
        return self.folder / f"{self.min_ns}-{self.max_ns}-{self.first_seq}-{self.last_seq}.parquet"

    def overlaps(self, start: int | None, end: int | None) -> bool:
        """Whether a row of this file can lie in `[start, end)`, in ns; None is unbounded."""
        return (end is None or self.min_ns < end) and (start is None or self.max_ns >= start)

    def contains(self, other: "Segment") -> bool:
        """Whether this file's Seq range covers another's: then it was merged from it."""
        return self != other and self.first_seq <= other.first_seq and other.last_seq <= self.last_seq


def parse(path: Path) -> Segment | None:
    """The segment that a file's name describes, or None for a name the store never writes."""
    match = _NAME.fullmatch(path.name)
    if match is None:
        return None
    low, high, first, last = (int(group) for group in match.groups())
    segment = Segment(path.parent, low, high, first, last)
    return segment if low <= high and first <= last and segment.path == path else None


def hour_folder(root: Path, table: str, instant: int) -> Path:
    """The folder for rows of the UTC hour that holds `instant` (ns)."""
    hour = from_ns(instant)
    return root / table / hour.date().isoformat() / f"{hour:%H}"


def hour_folders(root: Path, table: str, start: int | None = None, end: int | None = None) -> Iterator[Path]:
    """The table's hour folders that overlap `[start, end)` in ns, oldest first."""
    first = None if start is None else hour_folder(root, table, start)
    last = None if end is None else hour_folder(root, table, end)
    for day in _children(root / table, _DAY):
        if (first is not None and day.name < first.parent.name) or (last is not None and day.name > last.parent.name):
            continue
        for hour in _children(day, _HOUR):
            if (first is None or hour >= first) and (last is None or hour <= last):
                yield hour


def read_folder(folder: Path) -> tuple[list[Segment], list[Path]]:
    """The segments of one hour folder by Seq, and the Parquet files in it whose names the store never writes."""
    segments: list[Segment] = []
    strangers: list[Path] = []
    try:
        paths = [path for path in folder.iterdir() if path.suffix == ".parquet"]
    except (FileNotFoundError, NotADirectoryError):
        return [], []
    for path in paths:
        segment = parse(path)
        if segment is None:
            strangers.append(path)
        else:
            segments.append(segment)
    return sorted(segments, key=lambda segment: (segment.first_seq, -segment.last_seq)), sorted(strangers)


def live(segments: Iterable[Segment]) -> list[Segment]:
    """One folder's segments (ordered as `read_folder` gives them) without those a merged file contains."""
    kept: list[Segment] = []
    for segment in segments:
        if not (kept and kept[-1].contains(segment)):
            kept.append(segment)
    return kept


def last_seq(root: Path) -> int:
    """The largest Seq that the store has ever given out, 0 when it never held a row."""
    seen = _recorded_seq(root)
    for table in TABLES:
        for folder in hour_folders(root, table):
            segments, _ = read_folder(folder)
            seen = max(seen, max((segment.last_seq for segment in segments), default=0))
    return seen


def size(path: Path) -> int:
    """A file's size in bytes, 0 when it has gone."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _recorded_seq(root: Path) -> int:
    try:
        return int((root / SEQUENCE_FILE).read_text(encoding="ascii"))
    except (FileNotFoundError, ValueError):
        return 0


def _children(folder: Path, pattern: re.Pattern[str]) -> list[Path]:
    try:
        return sorted(child for child in folder.iterdir() if pattern.fullmatch(child.name))
    except (FileNotFoundError, NotADirectoryError):
        return []
