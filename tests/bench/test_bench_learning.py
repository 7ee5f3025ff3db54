"""What confidence learns from more cases: its error is taken on the half that was not fitted."""

from midwatch_bench.accuracy.calibrate import Point
from midwatch_bench.accuracy.learning import learning


def half(split: str, *, right_of_ten: int) -> list[Point]:
    told = [number < right_of_ten for number in range(10)] * 10
    return [Point("a", split, 4.0, decisive=True, right=right) for right in told]


def test_the_error_falls_as_more_of_the_fit_half_is_seen_and_is_small_where_the_halves_are_alike() -> None:
    found = list(learning(half("fit", right_of_ten=6) + half("score", right_of_ten=6)))
    counts, means = zip(*((count, sum(errors) / len(errors)) for count, errors in found), strict=True)
    assert counts == (5, 10, 25, 50, 100)
    assert means[-1] < 0.05 < means[0]


def test_the_error_is_that_of_the_other_half_and_stays_where_it_is_not_alike() -> None:
    *_, (_, errors) = learning(half("fit", right_of_ten=9) + half("score", right_of_ten=2))
    assert errors[0] > 0.5
