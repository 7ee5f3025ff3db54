"""Whether samples still arrive: the same check for every backend that is asked for its newest sample."""

from collections.abc import Callable

from midwatch_kit import Check, KitError, lag_of
from midwatch_metrics.timeline import from_ns


def lag_check(newest: Callable[[], int | None], stale_seconds: float, detail: str, do: str) -> Check:
    """Return the check of a backend whose newest sample has this time in nanoseconds; raises nothing.

    `detail` has a place for the seconds since then, and `do` says where to look when they are more than
    `stale_seconds`, or when there is no sample.
    """
    try:
        moment = newest()
    except KitError as error:
        return Check("lag", False, str(error), "ask again later; if it lasts, see the backend's log")
    lag = lag_of(None if moment is None else from_ns(moment))
    if lag is None:
        return Check("lag", False, "no sample in the last day", do)
    fresh = lag <= stale_seconds
    return Check("lag", fresh, detail.format(lag), "" if fresh else do)
