"""Cursors: they pin the query, the window and what was stored, and cannot be mistaken for another."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from midwatch_kit import BadInput, Page, Window, open_page

WINDOW = Window(start=datetime(2026, 11, 20, 2, 30, tzinfo=UTC), end=datetime(2026, 11, 20, 2, 48, 1, 17, tzinfo=UTC))
SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text(max_size=20)
POSITIONS = st.lists(SCALARS, min_size=1, max_size=3).map(tuple)
ARGUMENTS = st.dictionaries(st.text(max_size=5), SCALARS, max_size=4)


def first(**arguments: str) -> Page:
    return open_page(None, arguments, lambda: WINDOW, lambda: 41)


def never() -> Window:
    raise AssertionError("only the first page asks")


@given(POSITIONS, ARGUMENTS)
def test_a_cursor_resumes_after_its_position_in_the_first_pages_window_and_pin(
    position: tuple[str, ...], arguments: dict[str, str]
) -> None:
    begun = open_page(None, arguments, lambda: WINDOW, lambda: 41)
    resumed = open_page(begun.cursor_after(position), dict(reversed(arguments.items())), never)
    assert (resumed.after, resumed.window, resumed.pin) == (position, WINDOW, 41)


@given(st.data())
def test_a_cursor_with_one_character_changed_resumes_at_the_same_place_or_is_refused(data: st.DataObject) -> None:
    cursor = first(q="a").cursor_after((1763606880123456789, 7))
    place = data.draw(st.integers(0, len(cursor) - 1))
    other = data.draw(st.characters(codec="utf-8"))
    with suppress(BadInput):
        resumed = open_page(cursor[:place] + other + cursor[place + 1 :], {"q": "a"}, never)
        assert resumed.after == (1763606880123456789, 7)


@given(st.text(min_size=1, max_size=60))
def test_any_other_text_is_refused_as_a_damaged_cursor(text: str) -> None:
    with pytest.raises(BadInput, match="the cursor is damaged"):
        open_page(text, {}, never)


def test_an_empty_cursor_is_the_first_page() -> None:
    assert open_page("", {"q": "a"}, lambda: WINDOW).after is None


def test_a_cursor_of_another_query_is_refused() -> None:
    cursor = first(q="a").cursor_after((1,))
    with pytest.raises(BadInput, match="belongs to another query"):
        open_page(cursor, {"q": "b"}, never)


def test_a_relative_window_does_not_slide_between_pages() -> None:
    moments = iter([WINDOW, Window(start=WINDOW.start + timedelta(hours=1), end=WINDOW.end + timedelta(hours=1))])
    begun = open_page(None, {}, lambda: next(moments))
    assert open_page(begun.cursor_after((1,)), {}, lambda: next(moments)).window == WINDOW
