"""How dense points are, so that buckets can be as wide as the points lie apart."""

from typing import Final

import numpy as np

from midwatch_metrics.backend import Cells

_SPARSE: Final = 8


def buckets_that_fit(cells: Cells, wanted: int) -> int:
    """Return how many buckets a window should have: `wanted`, or fewer where a point comes only every so many buckets.

    Narrow buckets over coarse data would be mostly empty, and the look back, of so many buckets, would be short.
    """
    gap = _usual_gap(cells)
    return wanted if gap < _SPARSE else max(1, round(wanted / gap))


def _usual_gap(cells: Cells) -> float:
    """The median distance of neighbouring points of a series, in buckets; 1 where nobody can tell."""
    places = np.unique(np.column_stack([cells.series, cells.bucket]), axis=0)
    gaps = np.diff(places[:, 1])[np.diff(places[:, 0]) == 0]
    return float(np.median(gaps)) if len(gaps) else 1.0
