"""Fits how sure the builtin reasoner may be to how often it was right, on the fit halves alone. Not a test.

    python -m midwatch_bench.accuracy.calibrate SET.json… [--robots DIR] [--write FILE]

SET.json is what `midwatch bench accuracy SET --json` printed. --robots names a folder that `midwatch bench accuracy
robots --keep` filled: all of its cases count as fitted. Printed is the expected calibration error of each set, as it
was, as fitted, and as fitted without that set; --write puts the curves with their provenance into FILE, which is
host/midwatch/builtin/calibration.json.

Each curve is logistic in the log-odds (Platt 1999), with his targets, which keep small counts from being certain. A
normal prior of width 1 around the log-odds as they are keeps it there where there is little to fit. Causes that are
limited by something do not count for a curve; the bound of such a limit, where it is not set by hand, is how often they
were right, by Laplace's rule of succession: one more right and one more wrong than were seen.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from midwatch.accuracy.score import Truth, score
from midwatch.builtin.calibration import CALIBRATION, MOST, Calibration, Curve
from midwatch.builtin.caps import SET_BY_HAND, highest
from midwatch.records import Conclusion, Limit, Outcome
from midwatch.storage.journal import Journal
from midwatch_bench.accuracy.measured import log_odds_of
from midwatch_bench.accuracy.reliability import expected_calibration_error, sure_but_wrong
from midwatch_bench.accuracy.table import table

HIGHEST_INDECISIVE = 0.9
"""Without decisive evidence nobody is surer than this, whatever was fitted."""
_STEPS, _CLOSE = 5000, 1e-6


@dataclass(frozen=True)
class Point:
    """A cause that was named: its set and half, its log-odds, whether the evidence was decisive, if it is right.

    `limit` is what keeps its confidence below a bound, if anything does.
    """

    data_set: str
    split: str
    log_odds: float
    decisive: bool
    right: bool
    limit: Limit | None = None


def fit(points: Sequence[Point]) -> Calibration:
    """Return the curves and bounds that fit these points best; with none, those of the log-odds as they are."""
    free = [p for p in points if p.limit is None]
    limits = {p.limit for p in points if p.limit} - SET_BY_HAND
    return Calibration(
        decisive=_curve([p for p in free if p.decisive], CALIBRATION.decisive.highest),
        indecisive=_curve([p for p in free if not p.decisive], HIGHEST_INDECISIVE),
        limits={limit: _succession([p.right for p in points if p.limit is limit]) for limit in sorted(limits)},
        provenance={},
    )


def _succession(right: Sequence[bool]) -> float:
    return round((sum(right) + 1) / (len(right) + 2), 2)


def error(points: Sequence[Point], calibration: Calibration) -> float:
    """Return the expected calibration error of points under given curves."""
    return expected_calibration_error(_sure(points, calibration))


def report(points: Sequence[Point]) -> Iterable[str]:
    """Yield a table of errors: of each set and half, and of all."""
    fitted = fit(_fit_half(points))
    parts = sorted({(p.data_set, p.split) for p in points})
    chosen = {f"{name}, {half}": [p for p in points if (p.data_set, p.split) == (name, half)] for name, half in parts}
    chosen["all, score"] = [p for p in points if p.split == "score"]
    rows = [_row(name, members, points, fitted) for name, members in chosen.items() if members]
    yield from table(("set, half", "named", "right", "as it is", "fitted", "without the set", "sure, wrong"), rows)
    yield ""
    for name, curve in (("decisive", fitted.decisive), ("indecisive", fitted.indecisive)):
        yield f"{name}: slope {curve.slope:.3f}, intercept {curve.intercept:.3f}, at most {curve.highest}"
    for limit, bound in fitted.limits.items():
        right = [p.right for p in _fit_half(points) if p.limit is limit]
        yield f"{limit}: at most {bound} ({sum(right)} of {len(right)} were right)"


def _row(name: str, members: Sequence[Point], points: Sequence[Point], fitted: Calibration) -> Sequence[str]:
    own = {p.data_set for p in members}
    others = fit([p for p in _fit_half(points) if p.data_set not in own]) if len(own) == 1 else None
    wrong, sure = sure_but_wrong(_sure(members, fitted))
    return (
        name,
        str(len(members)),
        f"{sum(p.right for p in members) / len(members):.3f}",
        f"{error(members, CALIBRATION):.3f}",
        f"{error(members, fitted):.3f}",
        f"{error(members, others):.3f}" if others else "-",
        f"{wrong}/{sure}",
    )


def _fit_half(points: Iterable[Point]) -> list[Point]:
    return [p for p in points if p.split == "fit"]


def _sure(points: Iterable[Point], calibration: Calibration) -> list[tuple[float, bool]]:
    return [(_confidence(p, calibration), p.right) for p in points]


def _confidence(point: Point, calibration: Calibration) -> float:
    curve = calibration.decisive if point.decisive else calibration.indecisive
    bound = highest(point.limit, calibration) if point.limit else 1.0
    return min(curve.confidence(point.log_odds), bound)


def _curve(points: Sequence[Point], highest: float) -> Curve:
    """Return the curve of the greatest posterior; its slope is never negative.

    Each step is Newton's with the largest curvature that there can be, so none goes too far (Böhning and Lindsay,
    "Monotonicity of quadratic-approximation algorithms", 1988).
    """
    if not points:
        return Curve(slope=1.0, intercept=0.0, highest=highest)
    x = np.clip([p.log_odds for p in points], -MOST, MOST)
    right = np.array([p.right for p in points])
    above, below = (right.sum() + 1) / (right.sum() + 2), 1 / ((~right).sum() + 2)
    inputs, targets = np.stack([x, np.ones_like(x)], axis=1), np.where(right, above, below)
    asis = np.array([1.0, 0.0])
    found = asis.copy()
    farthest = np.linalg.inv(inputs.T @ inputs / 4 + np.eye(2))
    for _ in range(_STEPS):
        said = 1 / (1 + np.exp(-inputs @ found))
        later = found - farthest @ (inputs.T @ (said - targets) + (found - asis))
        later[0] = max(later[0], 0.0)
        found, moved = later, np.abs(later - found).max()
        if moved < _CLOSE:
            break
    return Curve(slope=round(float(found[0]), 4), intercept=round(float(found[1]), 4), highest=highest)


def points_in(path: Path) -> list[Point]:
    """Return the causes that were named in what the command printed as JSON; the file is named after its set."""
    results: list[Mapping[str, object]] = json.loads(path.read_text(encoding="utf-8"))
    return [
        Point(
            path.stem,
            str(told["split"]),
            float(str(told["log_odds"])),
            decisive=told["outcome"] == Outcome.ROOT_CAUSE,
            right=told["place"] == 1,
            limit=Limit(str(told["limited_by"])) if told["limited_by"] else None,
        )
        for told in results
        if told["log_odds"] is not None
    ]


def points_of_robots(folder: Path) -> list[Point]:
    """Return the causes that were named in the cases of the proving ground; right means that all of them are."""
    found = []
    for case in sorted(path.parent for path in folder.glob("*/truth.json")):
        truth = Truth.model_validate_json((case / "truth.json").read_text(encoding="utf-8"))
        with closing(Journal(case / "host" / "journal.db")) as journal:
            for investigation in journal.investigations():
                conclusion = journal.values(investigation, Conclusion)[-1]
                if conclusion.root_causes:
                    first = conclusion.root_causes[0]
                    reckoned = log_odds_of(first, journal, investigation)
                    sound = score(investigation, journal, truth).right
                    decisive = conclusion.outcome is Outcome.ROOT_CAUSE
                    found.append(
                        Point("robots", "fit", reckoned, decisive=decisive, right=sound, limit=first.limited_by)
                    )
    return found


def main() -> None:
    """Print the table, and write the curves where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, nargs="*")
    parser.add_argument("--robots", type=Path)
    parser.add_argument("--write", type=Path)
    asked = parser.parse_args()
    points = [point for path in asked.results for point in points_in(path)]
    points += points_of_robots(asked.robots) if asked.robots else []
    if not _fit_half(points):
        parser.error("nothing to fit: no case of a fit half named a cause")
    print("\n".join(lines := list(report(points))))
    if asked.write:
        fitted = fit(_fit_half(points)).model_copy(update={"provenance": _provenance(points, lines)})
        asked.write.write_text(fitted.model_dump_json(indent=1) + "\n", encoding="utf-8")


def _provenance(points: Sequence[Point], lines: Sequence[str]) -> dict[str, str]:
    fitted = _fit_half(points)
    sets = sorted({p.data_set for p in fitted})
    names = " ".join(Path(word).name if "/" in word else word for word in sys.argv[1:])
    return {
        "data": ", ".join(f"{name}: {sum(p.data_set == name for p in fitted)} named causes" for name in sets),
        "split": "fit",
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "command": f"python -m midwatch_bench.accuracy.calibrate {names}",
        "errors": "\n".join(line for line in lines if line.startswith("|")),
    }


if __name__ == "__main__":
    main()
