"""What a backend puts together out of several questions: all are asked at once, and each may leave a gap."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final, TypeAlias, TypeVar

from midwatch_deploys.backend import Change, Found
from midwatch_deploys.same import overlaps
from midwatch_kit import BackendDown, Check, KitError, rfc3339
from midwatch_kit.parallel import at_once

T = TypeVar("T")
Asked = TypeVar("Asked")
Part: TypeAlias = Callable[[datetime, datetime], tuple[list[Change], str]]
"""Returns the changes in a span of time, and what was left out, in words."""

LATE: Final = timedelta(days=1)
"""How long before a window something may have begun that is still under way in it."""


@dataclass(frozen=True, slots=True)
class _Told:
    changes: Sequence[Change] = ()
    gap: str = ""
    failed: bool = False


def gathered(place: str, parts: Mapping[str, Part], begin: datetime, end: datetime) -> Found:
    """Return what all parts tell of `[begin, end)`, and in words what they leave out; `place` is who is asked.

    Raises `BackendDown` when every part fails.
    """
    names = list(parts)
    told = each_at_once(lambda name: _asked(place, parts[name], begin, end), names)
    if told and all(each.failed for each in told):
        raise BackendDown(f"nothing of {place} can be read: {'; '.join(dict.fromkeys(each.gap for each in told))}")
    changes = [change for each in told for change in each.changes if overlaps(change, begin, end)]
    changes.sort(key=lambda change: (change.at, change.id))
    gaps = tuple(f"{name}: {each.gap}" for name, each in zip(names, told, strict=True) if each.gap)
    query = f"{place}: {', '.join(names)} within [{rfc3339(begin)}, {rfc3339(end)})"
    return Found(tuple(changes), len(changes), query, gaps)


def each_at_once(ask: Callable[[Asked], T], things: Iterable[Asked]) -> list[T]:
    """Return what each question answers, in their order; a few are asked at a time, and none when nobody waits."""
    return at_once([partial(ask, thing) for thing in things])


def checked(name: str, look: Callable[[], str], do: str) -> Check:
    """Return a check that is well when a look at something tells a detail, and not when it raises."""
    try:
        return Check(name, ok=True, detail=look())
    except KitError as error:
        return Check(name, ok=False, detail=str(error), do=do)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        return Check(name, ok=False, detail=f"the answer is in a strange shape ({type(error).__name__})", do=do)


def _asked(place: str, part: Part, begin: datetime, end: datetime) -> _Told:
    try:
        changes, gap = part(begin, end)
    except KitError as error:
        return _Told(gap=str(error), failed=True)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        return _Told(gap=f"the answer is in a shape that is not one of {place} ({type(error).__name__})", failed=True)
    return _Told(changes, gap)
