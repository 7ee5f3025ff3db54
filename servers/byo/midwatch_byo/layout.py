"""Partition layouts: what an object's key says of its time and its writer, and which folders a window needs.

A layout is a pattern of the key below a source's location, such as `{service}/{yyyy}/{mm}/{dd}/{HH}/`. `{yyyy}`,
`{mm}`, `{dd}`, `{HH}` and `{MM}` are the partition's start in UTC; `{service}` and `{instance}` name the writer; `{*}`
is any one name. What follows the last slash is a pattern of file names; without it any file below fits. Keys alone
are read here, never an object.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

from midwatch_kit import Window

_TIME: Final = {"yyyy": r"\d{4}", "mm": r"\d{2}", "dd": r"\d{2}", "HH": r"\d{2}", "MM": r"\d{2}"}
_FORMATS: Final = {"yyyy": "%Y", "mm": "%m", "dd": "%d", "HH": "%H", "MM": "%M"}
_NAMES: Final = ("service", "instance", "*")
_FIELD: Final = re.compile(r"\{([^{}]*)\}")
_MOST_FOLDERS: Final = 500


@dataclass(frozen=True)
class Partition:
    """What a key says: the span of time (None: any), the service and the instance ('': not said)."""

    start: datetime | None
    end: datetime | None
    service: str
    instance: str

    def overlaps(self, windows: Sequence[Window], slack: timedelta) -> bool:
        """Whether a line of this partition, at most `slack` outside its span, can lie in one of the windows."""
        if self.start is None or self.end is None:
            return True
        return any(self.start - slack < w.end and w.start < self.end + slack for w in windows)


class Layout:
    """A partition layout; raises ValueError, in words for who writes the mapping, when it cannot be used."""

    def __init__(self, text: str) -> None:
        self.text = text.lstrip("/")
        fields = _FIELD.findall(self.text)
        if unknown := [name for name in fields if name not in (*_TIME, *_NAMES)]:
            known = ", ".join(f"{{{name}}}" for name in (*_TIME, *_NAMES))
            raise ValueError(f"the layout {text!r} has a field {{{unknown[0]}}}: use {known}")
        order = [name for name in _TIME if name in fields]
        if order != list(_TIME)[: len(order)]:
            raise ValueError(
                f"the layout {text!r} names {{{order[-1]}}} without all that is coarser (yyyy, mm, dd, HH)"
            )
        if repeated := [name for name in fields if name != "*" and fields.count(name) > 1]:
            raise ValueError(f"the layout {text!r} names {{{repeated[0]}}} twice")
        self.finest = order[-1] if order else None
        self._folders = self.text.split("/")[:-1]
        tail = "" if not self.text or self.text.endswith("/") else r"\Z"
        self._whole = re.compile(_pattern(self.text) + tail)

    def read(self, key: str) -> Partition | None:
        """Return what a key (below the location) says, or None when it does not fit the layout."""
        match = self._whole.match(key)
        if match is None:
            return None
        said = match.groupdict()
        service, instance = said.get("service", ""), said.get("instance", "")
        if self.finest is None:
            return Partition(None, None, service, instance)
        numbers = [int(said[name]) for name in _TIME if name in said]
        try:
            year, month, day, hour, minute = (*numbers, *(1, 1, 1, 0, 0)[len(numbers) :])
            start = datetime(year, month, day, hour, minute, tzinfo=UTC)
        except ValueError:
            return None
        return Partition(start, _next(start, self.finest), service, instance)

    def folders(
        self, windows: Sequence[Window], slack: timedelta, children: Callable[[str], Iterable[str]]
    ) -> list[str]:
        """Return the folders (each ending in `/`, or empty) that hold whatever the windows need, and few others.

        `children` lists the names of folders in a folder; it is asked only where a name is not known beforehand.
        """
        frontier: dict[str, list[datetime]] = {"": self._moments(windows, slack)}
        for component in self._folders:
            deeper: dict[str, list[datetime]] = {}
            for folder, moments in frontier.items():
                for name, kept in _descend(component, moments, partial(children, folder)):
                    deeper[f"{folder}{name}/"] = kept
            if len(deeper) > _MOST_FOLDERS:
                break
            frontier = deeper
        return list(frontier)

    def _moments(self, windows: Sequence[Window], slack: timedelta) -> list[datetime]:
        if self.finest is None:
            return []
        found: dict[datetime, None] = {}
        for window in windows:
            moment = _floor(window.start - slack, self.finest)
            while moment < window.end + slack:
                found[moment] = None
                moment = _next(moment, self.finest)
        return list(found)


def _descend(
    component: str, moments: list[datetime], children: Callable[[], Iterable[str]]
) -> Iterable[tuple[str, list[datetime]]]:
    """The names that one component of the layout can have here, each with the moments that it leaves possible."""
    times = [name for name in _FIELD.findall(component) if name in _TIME]
    if any(name in _NAMES for name in _FIELD.findall(component)):
        pattern = re.compile(_pattern(component) + r"\Z")
        for child in children():
            if match := pattern.match(child):
                said = match.groupdict()
                kept = [m for m in moments if all(m.strftime(_FORMATS[name]) == said[name] for name in times)]
                if kept or not times:
                    yield child, kept if times else moments
        return
    by_name: dict[str, list[datetime]] = {}
    for moment in moments if times else ():
        name = moment.strftime(_FIELD.sub(_directive, component.replace("%", "%%")))
        by_name.setdefault(name, []).append(moment)
    yield from by_name.items() if times else [(component, moments)]


def _directive(field: re.Match[str]) -> str:
    return _FORMATS[field[1]]


def _pattern(text: str) -> str:
    parts: list[str] = []
    for i, part in enumerate(_FIELD.split(text)):
        if i % 2 == 0:
            parts.append(re.escape(part))
        elif part == "*":
            parts.append("[^/]+")
        else:
            parts.append(f"(?P<{part}>{_TIME.get(part, '[^/]+?')})")
    return "".join(parts)


def _floor(moment: datetime, unit: str) -> datetime:
    """The start of the minute, hour, day, month or year that a moment lies in."""
    minute = moment.replace(second=0, microsecond=0)
    if unit == "MM":
        return minute
    hour = minute.replace(minute=0)
    if unit == "HH":
        return hour
    day = hour.replace(hour=0)
    if unit == "dd":
        return day
    return day.replace(day=1) if unit == "mm" else day.replace(day=1, month=1)


def _next(start: datetime, unit: str) -> datetime:
    steps = {"MM": timedelta(minutes=1), "HH": timedelta(hours=1), "dd": timedelta(days=1), "mm": timedelta(days=31)}
    return _floor(start + steps.get(unit, timedelta(days=366)), unit)
