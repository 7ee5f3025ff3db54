"""Which series an expression of PromQL selects: enough of the language to tell what of it is not there.

Prometheus itself says whether an expression is one; here it is taken for that.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_SKIPPED: Final = re.compile(
    r"""
    \#[^\n]*                                                  # a comment
    | \b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)
    | \[[^\]]*\]                                              # a range
    | \boffset\s+-?\s*[\w.]+ | @\s*[\w.]+(?:\s*\(\s*\))?
    """,
    re.VERBOSE | re.IGNORECASE,
)
_TEXT: Final = r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'|`[^`]*`'
_SELECTOR: Final = re.compile(
    rf"(?P<text>{_TEXT})|(?P<braces>\{{(?:{_TEXT}|[^}}\"'`])*\}})|(?P<name>(?<![\w:.])[a-zA-Z_:][\w:]*)(?P<call>\s*\()?"
)
_PART: Final = re.compile(rf"(?:(?P<label>[a-zA-Z_]\w*|{_TEXT})\s*(?P<sign>=~|!~|!=|=)\s*)?(?P<value>{_TEXT})")
_WORDS: Final = frozenset({"and", "or", "unless", "atan2", "bool", "inf", "nan"})
_ESCAPED: Final = re.compile(r"\\(.)")


@dataclass(frozen=True)
class Selector:
    """A selector's metric, '' for none, and its labels that must be equal to a value."""

    name: str
    equal: tuple[tuple[str, str], ...] = ()


def selectors_of(expression: str) -> list[Selector]:
    """Return the selectors of an expression in the order of their first occurrence, each once."""
    return list(dict.fromkeys(_selectors(_without_clauses(expression))))


def _without_clauses(expression: str) -> str:
    """The expression without comments, groupings, ranges and moments, but with its texts as they are."""
    both = re.compile(rf"(?P<text>{_TEXT})|(?:{_SKIPPED.pattern})", re.VERBOSE | re.IGNORECASE)
    return both.sub(lambda found: found["text"] or " ", expression)


def _selectors(expression: str) -> Iterator[Selector]:
    name = ""
    for found in _SELECTOR.finditer(expression):
        if found["braces"]:
            own, equal = _matchers(found["braces"])
            yield Selector(own or name, equal)
            name = ""
            continue
        if name:
            yield Selector(name)
        word = found["name"] or ""
        name = "" if found["call"] or word.lower() in _WORDS else word
    if name:
        yield Selector(name)


def _matchers(braces: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    """The metric that is named between braces, '' for none, and the labels that must be equal."""
    name, equal = "", []
    for part in _PART.finditer(braces):
        label, value = _plain(part["label"] or ""), _plain(part["value"])
        if not label or (label == "__name__" and part["sign"] == "="):
            name = value
        elif part["sign"] == "=" and value:
            equal.append((label, value))
    return name, tuple(equal)


def _plain(text: str) -> str:
    if text[:1] not in ("'", '"', "`"):
        return text
    return text[1:-1] if text[0] == "`" else _ESCAPED.sub(r"\1", text[1:-1])
