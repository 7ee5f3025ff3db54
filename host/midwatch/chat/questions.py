"""A question in plain words: the entities and kinds of cause that it names, and the time that it is about.

Nothing here understands language. Names are looked up among those that are known, times are of the one grammar that
all tools have, in a few phrases around it.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from difflib import get_close_matches
from typing import Final

from midwatch.errors import HostError
from midwatch.records import HypothesisKind
from midwatch_kit.errors import BadInput
from midwatch_kit.records import EntityId, Window
from midwatch_kit.window import parse_time

LONGEST: Final = 1_000
_WORDS: Final = re.compile(r"[\w.:@/-]+")
_SHORTEST: Final = 4
_TIME: Final = r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d)?|\d\d:\d\d(?::\d\d)?)"
_SPAN: Final = re.compile(
    r"\b(?:last|past)\s+(?:(\d+)\s*)?(s|seconds?|min|m|minutes?|h|hours?|d|days?|w|weeks?)\b", re.IGNORECASE
)
_BETWEEN: Final = re.compile(rf"\b(?:between|from)\s+{_TIME}\s+(?:and|to|until)\s+{_TIME}", re.IGNORECASE)
_SINCE: Final = re.compile(rf"\b(?:since|after)\s+{_TIME}", re.IGNORECASE)
_AROUND: Final = re.compile(rf"\b(?:at|around|about)\s+{_TIME}", re.IGNORECASE)
_NOW: Final = re.compile(r"\b(?:now|currently|at the moment|today|still)\b", re.IGNORECASE)
_AROUND_IT: Final = timedelta(minutes=5)
_POINTS_BACK: Final = re.compile(r"(?<!\bis )(?<!\bare )\bthere\b|\b(?:that one|them|they)\b", re.IGNORECASE)
_GOES_ON: Final = re.compile(r"^\s*(?:and|what about|how about|or|also)\b", re.IGNORECASE)
_QUOTED: Final = re.compile(r"\"([^\"]{3,200})\"|'([^']{3,200})'")


@dataclass(frozen=True)
class Question:
    """A question and what it names; `window` is the time that it gives, if it gives one."""

    text: str
    entities: tuple[EntityId, ...] = ()
    kinds: frozenset[HypothesisKind] = frozenset()
    window: Window | None = None
    near: tuple[str, ...] = ()

    @property
    def is_about_now(self) -> bool:
        """Whether it asks how things are by now."""
        return bool(_NOW.search(self.text))

    @property
    def goes_on(self) -> bool:
        """Whether it goes on from the question before: `and bot?`."""
        return bool(_GOES_ON.search(self.text))

    @property
    def quoted(self) -> str:
        """What it has between quotes: a text to look for."""
        found = _QUOTED.search(self.text)
        return (found[1] or found[2]) if found else ""


def understood(text: str, known: Iterable[EntityId], now: datetime, before: Sequence[str] = ()) -> Question:
    """Return a question with what it names of the `known`; one that says `there` means what those before it named.

    `before` are the earlier questions, the latest last. A bare name stands for one entity, a service before any other.
    Raises `HostError` for a time that cannot be read.
    """
    every = sorted(known)
    said = _said(text)
    named = _named(said, every)
    kinds = frozenset(kind for kind in HypothesisKind if kind.value in said)
    if not named and not kinds and _POINTS_BACK.search(text):
        named = next(filter(None, (_named(_said(earlier), every) for earlier in reversed(before))), ())
    return Question(text.strip(), named, kinds, window_in(text, now), _near(said, every))


def window_in(text: str, now: datetime) -> Window | None:
    """Return the window that a question names, if it names one; raises `HostError` for one that is empty."""
    try:
        if found := _BETWEEN.search(text):
            return Window(start=_at(found[1], now), end=_at(found[2], now))
        if found := _SINCE.search(text):
            return Window(start=_at(found[1], now), end=now)
        if found := _AROUND.search(text):
            at = _at(found[1], now)
            return Window(start=at - _AROUND_IT, end=at + _AROUND_IT)
        if found := _SPAN.search(text):
            return Window(start=_at(f"-{found[1] or 1}{found[2][0].lower()}", now), end=now)
    except (ValueError, OverflowError):
        raise HostError(
            f"the time in {text[:80]!r} is no window that ends after it begins, and not before now"
        ) from None
    except BadInput as error:
        raise HostError(str(error)) from None
    return None


def _said(text: str) -> list[str]:
    return [word.strip(".:").casefold() for word in _WORDS.findall(text)]


def _named(said: Sequence[str], known: Sequence[EntityId]) -> tuple[EntityId, ...]:
    """Return the entities that are named, in the order of the question."""
    found: dict[EntityId, None] = {}
    for word in said:
        full = [entity for entity in known if entity.casefold() == word]
        bare = [entity for entity in known if entity.partition(":")[2].casefold() == word]
        first = sorted(bare, key=lambda entity: not entity.startswith("service:"))[:1]
        of_kind = [entity for entity in known if entity.partition(":")[0] == word]
        only = of_kind if len(of_kind) == 1 else []  # "the database", where there is one
        found |= dict.fromkeys(full or first or only)
    return tuple(found)


def _near(said: Sequence[str], known: Sequence[EntityId]) -> tuple[str, ...]:
    """Return names that some word of the question is near to, for one that names nothing."""
    names = {entity.partition(":")[2].casefold(): entity for entity in known}
    close = [name for word in said if len(word) >= _SHORTEST for name in get_close_matches(word, names, 1, 0.75)]
    return tuple(dict.fromkeys(names[name] for name in close))


def _at(text: str, now: datetime) -> datetime:
    return parse_time(text.replace(" ", "T") if "-" in text[:5] and " " in text else text, now)
