"""How dense points are, so that buckets can be as wide as the points lie apart."""

from typing import Final

import numpy as np

from midwatch_metrics.backend import Cells
from midwatch_metrics.timeline import MOST_BEFORE, Timeline

_SPARSE: Final = 8


def width_that_fits(cells: Cells, timeline: Timeline, back: int) -> int:
    """Return how wide buckets should be, in ns: as they are, or as far apart as points lie that come rarely.

    Narrow buckets over coarse data would be mostly empty, and the look back, of so many buckets, would be short. Where
    no series has two points, that is so already: then buckets must reach `back` ns, to where the baseline begins.
    """
    gap = _usual_gap(cells)
    if gap is None:
        return max(timeline.width, -(-back // MOST_BEFORE))
    return timeline.width if gap < _SPARSE else round(timeline.width * gap)


def _usual_gap(cells: Cells) -> float | None:
    """The median distance of neighbouring points of a series, in buckets; None where nobody can tell."""
    places = np.unique(np.column_stack([cells.series, cells.bucket]), axis=0)
    gaps = np.diff(places[:, 1])[np.diff(places[:, 0]) == 0]
    return float(np.median(gaps)) if len(gaps) else None
