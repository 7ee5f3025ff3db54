"""Instants as nanoseconds since 1970-01-01T00:00:00Z, the store's only measure of time.

Not a time grammar: relative times and parsing belong to the callers.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

SECOND_NS: Final = 1_000_000_000
HOUR_NS: Final = 3600 * SECOND_NS

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def to_ns(instant: datetime) -> int:
    """Nanoseconds since the epoch of an aware datetime, exactly; a naive one raises ValueError."""
    if instant.tzinfo is None:
        raise ValueError(f"{instant.isoformat()} has no time zone: pass an aware datetime, such as one in UTC")
    return (instant - _EPOCH) // _MICROSECOND * 1000


def from_ns(instant: int) -> datetime:
    """The UTC datetime at or just before `instant` nanoseconds since the epoch (datetimes hold microseconds)."""
    return _EPOCH + timedelta(microseconds=instant // 1000)


def rfc3339(instant: int) -> str:
    """`instant` in RFC 3339, UTC, with all nine digits of the nanoseconds."""
    return f"{from_ns(instant):%Y-%m-%dT%H:%M:%S}.{instant % SECOND_NS:09d}Z"
