from app.action.reach import LOWER_ARM, UPPER_ARM, Reach
from app.schedule.travel import DEPOTS, DETOUR, TravelTimes


def test_shortest_ways_go_both_ways_alike_and_are_never_shorter_than_the_straight_line() -> None:
    estimate, known = TravelTimes(), TravelTimes()
    known.warm()
    for start in range(0, DEPOTS, 7):
        for end in range(0, DEPOTS, 11):
            minutes = known.minutes(start, end)
            assert abs(minutes - known.minutes(end, start)) < 1e-6
            assert minutes >= estimate.minutes(start, end) / DETOUR - 1e-6


def test_stopped_warming_leaves_the_estimates() -> None:
    times, reach = TravelTimes(), Reach()
    before = times.minutes(0, 140)
    times.stop()
    times.warm()
    reach.stop()
    reach.warm()
    assert times.minutes(0, 140) == before
    assert reach.metres(0) == UPPER_ARM + LOWER_ARM
