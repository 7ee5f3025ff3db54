"""The page on a set: what was measured, beside what others reach, and each failure by name."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from midwatch_bench.accuracy.data_sets import SETS
from midwatch_bench.accuracy.measured import Measured
from midwatch_bench.accuracy.published import PUBLISHED
from midwatch_bench.accuracy.report import write_report

RIGHT = Measured(
    "calm-01",
    "score",
    "g",
    ("service:a",),
    ("service:a",),
    place=1,
    outcome="root_cause",
    confidence=0.9,
    baselines={"BARO": 2},
)
WRONG = Measured("calm-02", "fit", "g", ("service:a",), ("service:b", "service:a"), place=2, outcome="inconclusive")


def page(folder: Path, results: Sequence[Measured]) -> str:
    return write_report("petshop", "midwatch bench …", results, folder).read_text(encoding="utf-8")


def test_each_half_has_a_table_of_its_own_and_a_failure_is_told_by_name(tmp_path: Path) -> None:
    text = page(tmp_path, [RIGHT, WRONG])
    assert text.index("## The fit half") < text.index("## The score half")
    assert "- calm-02 (fit): inconclusive. Right is service:a: place 2. Held: service:b, service:a." in text
    assert "calm-01 (" not in text


def test_abstaining_is_right_where_the_likeliest_was_wrong(tmp_path: Path) -> None:
    assert "1 of 2 named no cause. Of these, 1 were right to" in page(tmp_path, [RIGHT, WRONG])


def test_who_says_that_nothing_is_wrong_was_not_right_to_abstain(tmp_path: Path) -> None:
    denied = replace(WRONG, outcome="no_incident", ranked=(), place=0)
    assert "1 of 1 named no cause. Of these, 0 were right to" in page(tmp_path, [denied])


def test_the_picture_stands_beside_the_page(tmp_path: Path) -> None:
    assert "](petshop-reliability.svg)" in page(tmp_path, [RIGHT])
    assert (tmp_path / "petshop-reliability.svg").exists()


def test_baselines_are_held_against_the_same_cases_only(tmp_path: Path) -> None:
    text = page(tmp_path, [RIGHT, WRONG])
    assert "| method (1 cases) | top-1 | top-3 | top-5 |" in text
    assert "| BARO | 0.000 | 1.000 | 1.000 |" in text
    assert "| midwatch | 1.000 | 1.000 | 1.000 |" in text


def test_every_set_has_a_published_table_whose_rows_fit_its_columns() -> None:
    assert set(SETS) <= set(PUBLISHED)
    assert all(len(row) == len(known.columns) for known in PUBLISHED.values() for row in known.rows)
