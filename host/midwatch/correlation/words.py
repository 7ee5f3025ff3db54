"""How alike the titles of two alerts are: by the words in them, whatever their order, without names and figures."""

import re
from functools import lru_cache

from rapidfuzz import fuzz

_FIGURES = re.compile(r"[0-9a-f]{8,}|\d+(\.\d+)?\S*", re.IGNORECASE)
_MARKS = re.compile(r"[^\w]+|_")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_CHANCE = 0.5
"""How alike two titles of nothing in common come out."""


@lru_cache(maxsize=2048)
def plain(title: str, service: str) -> str:
    """Return a title's words alone, in lower case: not the service's name, no figures."""
    said = title.replace(service.partition(":")[2] or service, " ")
    return _MARKS.sub(" ", _FIGURES.sub(" ", _CAMEL.sub(" ", said))).casefold().strip()[:200]


@lru_cache(maxsize=8192)
def likeness(one: str, other: str) -> float:
    """Return how alike two plain titles are, from 0 (no more than by chance) to 1."""
    if not one or not other:
        return 0.0
    return max(0.0, (fuzz.token_set_ratio(one, other) / 100 - _CHANCE) / (1 - _CHANCE))
