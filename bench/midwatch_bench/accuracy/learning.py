"""How the error of confidence falls with the cases it was fitted to: fit on one half, look at the other. Not a test.

    python -m midwatch_bench.accuracy.learning SET.json… [--robots DIR]

SET.json is what `midwatch bench accuracy SET --json` printed. Of the named causes of the fit halves a part is drawn at
random, some times over, curves and bounds are fitted to it, and their calibration error is taken on all of the score
halves. A line that is flat at the end says that more cases of this sort would not help.
"""

import argparse
import random
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from statistics import mean

from midwatch_bench.accuracy.calibrate import Point, error, fit, points_in, points_of_robots
from midwatch_bench.accuracy.table import table

SHARES = (0.05, 0.1, 0.25, 0.5, 1.0)
DRAWS = 20


def learning(points: Sequence[Point]) -> Iterator[tuple[int, list[float]]]:
    """Yield how many causes were fitted to and the calibration errors on the score halves, one for each draw."""
    drawn = random.Random(1)  # the same draws every time
    own = [p for p in points if p.split == "fit"]
    others = [p for p in points if p.split == "score"]
    for share in SHARES:
        count = max(1, round(share * len(own)))
        yield count, [error(others, fit(drawn.sample(own, count))) for _ in range(DRAWS if share < 1 else 1)]


def report(points: Sequence[Point]) -> Iterable[str]:
    """Yield a table of mean, least and greatest error by how many causes were fitted to."""
    rows = [
        (str(count), f"{mean(errors):.3f}", f"{min(errors):.3f}", f"{max(errors):.3f}")
        for count, errors in learning(points)
    ]
    return table(("causes fitted to", "calibration error, mean", "least", "greatest"), rows)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, nargs="+")
    parser.add_argument("--robots", type=Path)
    asked = parser.parse_args()
    points = [point for path in asked.results for point in points_in(path)]
    points += points_of_robots(asked.robots) if asked.robots else []
    if not {"fit", "score"} <= {point.split for point in points}:
        parser.error("causes of both halves are needed: run the sets with --split all")
    print("\n".join(report(points)))


if __name__ == "__main__":
    main()
