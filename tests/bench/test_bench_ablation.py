"""The table of what each server is worth: a row for each that was down, a column for each set."""

from midwatch_bench.accuracy.ablation import NOTHING, lines_of
from midwatch_bench.accuracy.measured import Measured


def placed(place: int) -> Measured:
    return Measured("one", "fit", "g", ("service:a",), place=place)


def test_each_server_that_was_down_has_a_row_and_each_set_a_column() -> None:
    results = {
        ("shop", NOTHING): [placed(1), placed(2)],
        ("town", NOTHING): [placed(1)],
        ("shop", "logs"): [placed(0), placed(2)],
        ("town", "logs"): [],
    }
    assert list(lines_of(results))[2:] == [
        "| without nothing | 0.500 / 1.000 | 1.000 / 1.000 |",
        "| without logs | 0.000 / 0.500 | - |",
    ]
