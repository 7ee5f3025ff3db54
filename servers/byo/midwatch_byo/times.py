"""How a line's time is written, as a SQL expression: RFC 3339 and its kin, Unix times, or a format of the team's own.

What most logs write, RFC 3339 in UTC, is cast, which is several times as fast as taking it apart. A cast ignores other
offsets, so they are taken apart.

The expression is over a text column `time` and gives nanoseconds since the epoch (UTC), or NULL for what is no time.
"""

from typing import Final

_CLOCK: Final = r"^(\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d)?)(?:[.,](\d{1,9})\d*)? ?(Z|[+-]\d\d(?::?\d\d)?)?$"
_UNIX: Final = r"^\d{9,19}(\.\d+)?$"
_FROM_UTC: Final = """CASE WHEN time[11] IN ('T', ' ') AND time[17] = ':'
    AND (ends_with(time, 'Z') OR ends_with(time, '+00:00'))
    THEN epoch_ns(TRY_CAST(time AS TIMESTAMP_NS)) END"""
_FROM_UNIX: Final = """TRY_CAST(TRY_CAST(time AS DECIMAL(38, 9)) * (CASE
    WHEN length(split_part(time, '.', 1)) <= 11 THEN 1000000000 WHEN length(split_part(time, '.', 1)) <= 14 THEN 1000000
    WHEN length(split_part(time, '.', 1)) <= 17 THEN 1000 ELSE 1 END) AS BIGINT)"""
_FROM_CLOCK: Final = """(CASE WHEN regexp_extract(time, {clock}, 3) = '' THEN {bare}
    ELSE epoch_us(TRY_CAST(regexp_extract(time, {clock}, 1) || regexp_extract(time, {clock}, 3) AS TIMESTAMPTZ)) END
    * 1000 + rpad(regexp_extract(time, {clock}, 2), 9, '0')::BIGINT)"""


def nanoseconds(time_format: str, zone: str) -> str:
    """Return the expression; `time_format` is of strptime, `zone` is that of times which carry none."""
    if time_format:
        parsed = f"try_strptime(time, {_quoted(time_format)})"
        carried = "%z" in time_format or "%Z" in time_format
        return f"epoch_us({parsed if carried else _in_zone(parsed, zone)}) * 1000"
    bare = f"epoch_us({_in_zone(f'TRY_CAST(regexp_extract(time, {_quoted(_CLOCK)}, 1) AS TIMESTAMP)', zone)})"
    clock = _FROM_CLOCK.format(clock=_quoted(_CLOCK), bare=bare)
    return (
        f"coalesce({_FROM_UTC}, CASE WHEN regexp_matches(time, {_quoted(_CLOCK)}) THEN {clock} "
        f"WHEN regexp_matches(time, {_quoted(_UNIX)}) THEN {_FROM_UNIX} END)"
    )


def _in_zone(naive: str, zone: str) -> str:
    return naive if zone == "UTC" else f"timezone({_quoted(zone)}, {naive})"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
