"""What a confidence is worth: bins, the expected calibration error, and the picture of them."""

from xml.etree import ElementTree

import pytest

from midwatch_bench.accuracy.diagram import reliability_diagram
from midwatch_bench.accuracy.measured import Measured
from midwatch_bench.accuracy.reliability import Bin, bins, expected_calibration_error, named, sure_but_wrong

SEVEN_OF_TEN = [(0.7, True)] * 7 + [(0.7, False)] * 3


def test_a_confidence_that_means_what_it_says_has_no_error() -> None:
    assert expected_calibration_error(SEVEN_OF_TEN) == pytest.approx(0)


def test_the_error_is_the_gap_of_each_bin_weighed_by_what_is_in_it() -> None:
    causes = [*SEVEN_OF_TEN, *[(0.95, False)] * 10]
    assert expected_calibration_error(causes) == pytest.approx(0.95 / 2)
    assert expected_calibration_error([]) == 0


def test_a_bin_tells_how_many_how_sure_and_how_many_right() -> None:
    assert bins([(0.5, True), (0.5, False), (0.3, True)]) == [Bin(1, 0.3, 1.0), Bin(2, 0.5, 0.5)]


def test_full_confidence_is_in_the_last_bin_and_a_border_in_the_upper_one() -> None:
    assert [b.count for b in bins([(1.0, True), (0.9, True), (0.7, True), (0.69, True)])] == [1, 1, 2]


def test_only_what_is_above_the_border_counts_as_sure() -> None:
    assert sure_but_wrong([(0.9, False), (0.91, False), (0.97, True)]) == (1, 2)


def test_who_abstains_has_no_confidence_to_be_judged() -> None:
    silent = Measured("a", "fit", "g", ("service:a",), outcome="inconclusive")
    said = Measured("b", "fit", "g", ("service:a",), place=1, outcome="best_effort", confidence=0.5)
    assert named([silent, said]) == [(0.5, True)]


def test_the_diagram_is_well_formed_and_has_a_bar_for_each_bin_as_high_as_its_share() -> None:
    picture = reliability_diagram([Bin(4, 0.05, 0.5), Bin(6, 0.97, 1.0)], "one < two & three")
    bars = [each for each in ElementTree.fromstring(picture).iter() if each.get("class") == "bar"]
    assert [float(str(bar.get("height"))) for bar in bars] == [160, 320]
    assert all(float(str(bar.get("x"))) >= 48 for bar in bars)
