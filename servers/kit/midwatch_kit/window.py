"""One grammar of time for every tool: RFC 3339, Unix time, a time of day, `now`, or `-15m`, `now-1h30m` before it.

Windows are resolved once, echoed in every reply and pinned by cursors, so that `-15m` cannot slide between pages.
"""

import re
from datetime import UTC, datetime, time, timedelta

from midwatch_kit.errors import BadInput
from midwatch_kit.records import Window

_RELATIVE = re.compile(r"(?:now)?-((?:\d+[smhdw])+)")
_PART = re.compile(r"(\d+)([smhdw])")
_CLOCK = re.compile(r"\d\d:\d\d(:\d\d)?")
_UNIX = re.compile(r"\d{9,19}")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_FORMS = "use RFC 3339 (2026-11-20T02:48:00Z), 02:48 (UTC), now, or a time before now such as -15m or -7d"


def parse_time(text: str, now: datetime) -> datetime:
    """Return the moment that `text` names, in UTC; a time without an offset is taken as UTC.

    Unix times may be in seconds, milliseconds, microseconds or nanoseconds. A time of day (`02:48`) is the last one
    there was. Raises `BadInput`.
    """
    text = text.strip()
    try:
        if text == "now":
            return now
        if relative := _RELATIVE.fullmatch(text):
            return now - sum((_span(*part) for part in _PART.findall(relative[1])), timedelta())
        if _CLOCK.fullmatch(text):
            return _last_at(text, now)
        if _UNIX.fullmatch(text):
            return _from_unix(int(text))
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadInput(f"cannot read the time {text[:80]!r}: {_FORMS}") from None


def resolve_window(start: str, end: str, now: datetime | None = None) -> Window:
    """Return the window that `start` and `end` name; an end in the future is drawn back to now.

    Raises `BadInput` when a time cannot be read, when the window is empty or when it starts in the future.
    """
    now = now or datetime.now(UTC)
    first, last = parse_time(start, now), min(parse_time(end, now), now)
    if first >= now:
        raise BadInput(f"the window starts at {rfc3339(first)}, but now is {rfc3339(now)}: choose a start in the past")
    if last <= first:
        raise BadInput(f"the window is empty: start {start!r} is {rfc3339(first)}, end {end!r} is {rfc3339(last)}")
    return Window(start=first, end=last)


def resolve_baseline(window: Window, start: str | None, end: str | None, now: datetime | None = None) -> Window:
    """Return the window to compare with: as named, or three times the window's length just before it.

    Raises `BadInput` when only one of the two is given, or when the baseline reaches into the window.
    """
    if start is None and end is None:
        return Window(start=_before(window), end=window.start)
    if start is None or end is None:
        raise BadInput("baseline_start and baseline_end go together: give both, or neither")
    baseline = resolve_window(start, end, now)
    if baseline.end > window.start:
        raise BadInput(f"the baseline ends at {rfc3339(baseline.end)}, inside the window: end it by its start")
    return baseline


def rfc3339(moment: datetime) -> str:
    """Return `moment` as RFC 3339 in UTC, with as many digits of a second as it has (at most six)."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def clock(moment: datetime) -> str:
    """Return the time of day of `moment` in UTC, for people: `02:48:07`."""
    return moment.astimezone(UTC).strftime("%H:%M:%S")


def _before(window: Window) -> datetime:
    try:
        return window.start - 3 * window.length
    except OverflowError:
        raise BadInput(f"no baseline fits before {rfc3339(window.start)}: choose a later start") from None


def _last_at(clock: str, now: datetime) -> datetime:
    """Return the last time at which clocks in UTC showed this, today or yesterday."""
    today = datetime.combine(now.date(), time.fromisoformat(clock), UTC)
    return today if today <= now else today - timedelta(days=1)


def _span(count: str, unit: str) -> timedelta:
    return timedelta(**{_UNITS[unit]: int(count)})


def _from_unix(value: int) -> datetime:
    thousands = max(0, len(str(value)) - 10) // 3  # seconds have ten digits until the year 2286
    return datetime.fromtimestamp(value / 1000**thousands, UTC)
