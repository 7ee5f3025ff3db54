"""What a confidence is worth: of those that were named with 0.7, seven in ten should be right.

Bins of equal width and the expected calibration error are those of Naeini, Cooper and Hauskrecht, "Obtaining well
calibrated probabilities using Bayesian binning", AAAI 2015.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from midwatch_bench.accuracy.measured import Measured

Named: TypeAlias = tuple[float, bool]
"""The confidence with which a cause was named, in 0 to 1, and whether it was right."""
BINS = 10
SURE = 0.9


@dataclass(frozen=True)
class Bin:
    """The named causes whose confidence is in one tenth: how many, their mean confidence, the share that is right."""

    count: int
    confidence: float
    right: float


def named(results: Sequence[Measured]) -> list[Named]:
    """Return the confidences of the causes that were named; an investigation that abstained has none."""
    return [(r.confidence, r.right) for r in results if r.confidence is not None]


def bins(causes: Sequence[Named]) -> list[Bin]:
    """Return the bins that hold anything, the least sure first; a confidence on a border is in the upper bin."""
    members: dict[int, list[Named]] = {}
    for confidence, right in sorted(causes):
        members.setdefault(min(int(confidence * BINS + 1e-9), BINS - 1), []).append((confidence, right))
    return [_bin(them) for _, them in sorted(members.items())]


def expected_calibration_error(causes: Sequence[Named]) -> float:
    """Return how far confidence and share of right ones are apart, on average over the causes; 0 for none."""
    return sum(b.count * abs(b.right - b.confidence) for b in bins(causes)) / max(1, len(causes))


def sure_but_wrong(causes: Sequence[Named]) -> tuple[int, int]:
    """Return how many are wrong of those above `SURE`, and how many those are."""
    sure = [right for confidence, right in causes if confidence > SURE]
    return sure.count(False), len(sure)


def _bin(them: Sequence[Named]) -> Bin:
    count = len(them)
    return Bin(count, sum(confidence for confidence, _ in them) / count, sum(right for _, right in them) / count)
