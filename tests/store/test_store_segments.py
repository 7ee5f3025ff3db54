"""What the store's file names say, and which files supersede which."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from midwatch_store.segments import Segment, hour_folder, live, parse

INSTANTS = st.integers(0, 2**63 - 1)
RANGES = st.tuples(INSTANTS, INSTANTS).map(sorted)


@st.composite
def segments(draw: st.DrawFn) -> Segment:
    (low, high), (first, last) = draw(RANGES), draw(RANGES)
    return Segment(hour_folder(Path("/store"), "otel_logs", low), low, high, first, last)


@given(segments())
def test_a_name_says_what_the_segment_holds(segment: Segment) -> None:
    assert parse(segment.path) == segment


@given(st.text(st.characters(codec="utf-8", exclude_characters="/\x00"), min_size=1).filter(lambda n: n not in ".."))
def test_only_names_that_the_store_writes_are_read_as_segments(name: str) -> None:
    segment = parse(Path("/store") / f"{name}.parquet")
    assert segment is None or segment.path.name == f"{name}.parquet"


def test_names_with_turned_ranges_or_padding_are_not_the_stores() -> None:
    assert parse(Path("/s/5-4-1-2.parquet")) is None
    assert parse(Path("/s/4-5-2-1.parquet")) is None
    assert parse(Path("/s/04-5-1-2.parquet")) is None
    assert parse(Path("/s/4-5-1-2.parquet.tmp")) is None


@given(segments(), INSTANTS, INSTANTS)
def test_a_segment_overlaps_a_window_when_an_instant_of_it_lies_inside(segment: Segment, start: int, end: int) -> None:
    inside = max(segment.min_ns, start) <= min(segment.max_ns, end - 1)
    assert segment.overlaps(start, end) == (inside and start < end) or end <= start


@given(st.lists(st.integers(1, 50), min_size=1, max_size=20), st.data())
def test_after_any_merges_of_neighbours_each_seq_is_read_from_one_file(sizes: list[int], data: st.DataObject) -> None:
    folder, seen, parts = Path("/s"), 0, []
    for size in sizes:
        parts.append(Segment(folder, 0, 0, seen + 1, seen + size))
        seen += size
    everything, current = list(parts), list(parts)
    for _ in range(data.draw(st.integers(0, 4))):
        low = data.draw(st.integers(0, len(current) - 1))
        high = data.draw(st.integers(low, len(current) - 1))
        merged = Segment(folder, 0, 0, current[low].first_seq, current[high].last_seq)
        current[low : high + 1] = [merged]
        everything.append(merged)
    ordered = sorted(set(everything), key=lambda segment: (segment.first_seq, -segment.last_seq))
    assert live(ordered) == current
