"""The grammar of time: what every tool of every server reads."""

import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from midwatch_kit import BadInput, Window, clock, parse_time, resolve_baseline, resolve_window, rfc3339

NOW = datetime(2026, 11, 20, 2, 48, tzinfo=UTC)
MOMENTS = st.datetimes(datetime(2001, 9, 10), datetime(2200, 1, 1), timezones=st.just(UTC))
ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(MOMENTS)
def test_a_time_written_as_rfc3339_reads_back_as_itself(moment: datetime) -> None:
    assert parse_time(rfc3339(moment), NOW) == moment


@given(MOMENTS, ZONES)
def test_a_time_in_any_zone_is_the_same_moment_in_utc(moment: datetime, zone: timezone) -> None:
    read = parse_time(moment.astimezone(zone).isoformat(), NOW)
    assert (read, read.utcoffset()) == (moment, timedelta(0))


@given(MOMENTS)
def test_a_time_without_a_zone_is_utc(moment: datetime) -> None:
    assert parse_time(moment.replace(tzinfo=None).isoformat(), NOW) == moment


@given(MOMENTS, st.sampled_from([0, 3, 6, 9]))
def test_unix_time_reads_in_seconds_milli_micro_and_nanoseconds(moment: datetime, digits: int) -> None:
    unix = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000 // 10 ** (9 - digits)
    assert abs(parse_time(str(unix), NOW) - moment) < timedelta(seconds=10**-digits) + timedelta(microseconds=1)


@given(st.lists(st.tuples(st.integers(0, 999), st.sampled_from("smhdw")), min_size=1, max_size=4), st.booleans())
def test_relative_times_add_up(parts: list[tuple[int, str]], with_now: bool) -> None:
    seconds = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
    text = ("now" if with_now else "") + "-" + "".join(f"{count}{unit}" for count, unit in parts)
    total = sum(count * seconds[unit] for count, unit in parts)
    assert parse_time(text, NOW) == NOW - timedelta(seconds=total)


@given(st.text(max_size=40) | st.from_regex(r"(now)?-?\d{1,25}[smhdw]?[Z+]?", fullmatch=True))
def test_any_text_is_a_moment_in_utc_or_refused(text: str) -> None:
    with suppress(BadInput):
        assert parse_time(text, NOW).utcoffset() == timedelta(0)


@pytest.mark.parametrize("text", ["yesterday", "", "15m", "+5m", "now+5m", "-5", "-1y", "2026-13-01", "25:00", "1e9"])
def test_a_time_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match=re.escape(f"cannot read the time {text!r}: use RFC 3339")):
        parse_time(text, NOW)


def test_a_window_ends_now_at_the_latest() -> None:
    assert resolve_window("-15m", "2030-01-01", NOW) == Window(start=NOW - timedelta(minutes=15), end=NOW)


def test_a_window_in_the_future_is_refused_with_the_time_it_is() -> None:
    with pytest.raises(BadInput, match="now is 2026-11-20T02:48:00Z: choose a start in the past"):
        resolve_window("2026-11-20T02:49:00Z", "2026-11-20T02:50:00Z", NOW)


def test_an_empty_or_backward_window_is_refused_with_both_times() -> None:
    with pytest.raises(BadInput, match=r"empty: start '-5m' is 2026-11-20T02:43:00Z, end '-10m' is 2026-11-20T02:38"):
        resolve_window("-5m", "-10m", NOW)


def test_the_default_baseline_is_three_windows_long_and_ends_where_the_window_starts() -> None:
    window = resolve_window("-10m", "now", NOW)
    assert resolve_baseline(window, None, None, NOW) == resolve_window("-40m", "-10m", NOW)


def test_half_a_baseline_and_one_that_reaches_into_the_window_are_refused() -> None:
    window = resolve_window("-10m", "now", NOW)
    with pytest.raises(BadInput, match="go together"):
        resolve_baseline(window, "-1h", None, NOW)
    with pytest.raises(BadInput, match="inside the window"):
        resolve_baseline(window, "-1h", "-5m", NOW)


def test_a_window_with_no_room_for_a_baseline_before_it_is_refused() -> None:
    with pytest.raises(BadInput, match="no baseline fits"):
        resolve_baseline(resolve_window("0001-01-01", "now", NOW), None, None, NOW)


def test_a_time_of_day_is_the_last_one_there_was() -> None:
    now = datetime(2026, 11, 20, 3, 15, tzinfo=UTC)
    assert parse_time("02:48", now) == datetime(2026, 11, 20, 2, 48, tzinfo=UTC)
    assert parse_time("23:59:30", now) == datetime(2026, 11, 19, 23, 59, 30, tzinfo=UTC)


def test_people_read_the_time_of_day_in_utc() -> None:
    assert clock(NOW.astimezone(timezone(timedelta(hours=9)))) == "02:48:00"
