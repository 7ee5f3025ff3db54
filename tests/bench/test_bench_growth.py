"""What the bench of growth measures is done right at small sizes: figures of wrong answers would say nothing."""

import sys

import pytest

from midwatch_bench import growth


def test_all_shifts_are_found_and_no_others() -> None:
    found, false = growth.measure_series(600).found.split(", ")
    right, _, there, _ = found.split()
    assert right == there
    assert int(there) > 10
    assert false == "0 false"


def test_every_cause_has_ways_to_the_front_door() -> None:
    taken = growth.measure_topology(500)
    assert taken.size > 500
    assert int(taken.found.split()[0]) >= growth.QUESTIONS
    assert taken.peer


def test_a_store_of_lines_gives_a_survey() -> None:
    assert int(growth.measure_logs(3_000).found.split()[0]) > 0


def test_a_measure_that_does_not_exist_is_told_with_those_that_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["growth", "traces"])
    with pytest.raises(SystemExit):
        growth.main()
    assert "there is no measure 'traces': choose from logs, series, topology" in capsys.readouterr().err
