"""Groups of numbers of unequal size, sorted once and asked many times. Not a statistic: what statistics are made of."""

from dataclasses import dataclass
from typing import Self, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
_LARGEST = 1e150


def finite(values: ArrayLike) -> Floats:
    """The values as floats: NaN where not finite, and cut at 1e150, beyond which squares overflow."""
    table = np.asarray(values, dtype=np.float64)
    return np.clip(np.where(np.isfinite(table), table, np.nan), -_LARGEST, _LARGEST)


@dataclass(frozen=True, slots=True, eq=False)
class Ordered:
    """Values sorted within groups: group `i` is `values[offsets[i] : offsets[i] + sizes[i]]`."""

    values: Floats
    offsets: Ints
    sizes: Ints

    @classmethod
    def of_rows(cls, rows: ArrayLike) -> Self:
        """One group for each row of a 2-D array; what is not finite counts as missing."""
        table = np.sort(np.atleast_2d(finite(rows)), axis=1)
        sizes = np.count_nonzero(~np.isnan(table), axis=1).astype(np.int64)
        offsets = np.arange(len(table), dtype=np.int64) * table.shape[1]
        return cls(table.ravel(), offsets, sizes)

    @classmethod
    def of_groups(cls, values: ArrayLike, groups: ArrayLike, count: int) -> Self:
        """`count` groups from flat values with a group code each, 0 to `count - 1`; what is not finite is missing."""
        flat, codes = finite(values), np.asarray(groups, dtype=np.int64)
        known = ~np.isnan(flat)
        flat, codes = flat[known], codes[known]
        sizes = np.bincount(codes, minlength=count).astype(np.int64)
        return cls(flat[np.lexsort((flat, codes))], np.cumsum(sizes) - sizes, sizes)

    def at(self, rank: ArrayLike) -> Floats:
        """The value of each group at a rank from 0 to its size less one, between ranks by line; NaN if it is empty."""
        if not self.values.size:
            return np.full(self.sizes.shape, np.nan)
        position = np.clip(np.asarray(rank, dtype=np.float64), 0, np.maximum(self.sizes - 1, 0))
        low = np.floor(position).astype(np.int64)
        high = np.minimum(low + 1, np.maximum(self.sizes - 1, 0))
        last = self.values.size - 1
        below = self.values[np.minimum(self.offsets + low, last)]
        above = self.values[np.minimum(self.offsets + high, last)]
        between = below * (1 - (position - low)) + above * (position - low)
        return np.where(self.sizes > 0, between, np.nan)

    def quantile(self, q: ArrayLike) -> Floats:
        """The quantile of each group, by linear interpolation (type 7 of Hyndman & Fan, 1996)."""
        return self.at(np.asarray(q, dtype=np.float64) * (self.sizes - 1))
