"""Where a quote stands in a document that is kept: what a model says that it read is looked up, not believed.

A quote is looked for in the document's values, each by itself. Blanks and line ends may differ, since a model may wrap
what it copies, and so may what cannot be seen, since a model does not get to see it; every other character counts.
Figures may be rounded, as they are when they are shown. Of a document that is empty can be quoted that nothing matched.
"""

import re
import sys
from collections.abc import Iterator, Sequence
from typing import Final

from pydantic import JsonValue

from midwatch.claude.untrusted import visible, visible_places
from midwatch_kit.records import Citation

SHORTEST: Final = 6
"""Characters of a part of a text that say something; a whole value may be shorter."""
_DIGITS: Final = 3
"""Digits of a rounded figure that say something by themselves; of several in a row each may have fewer."""
NOTHING: Final = "0 matched"
_FIGURE: Final = re.compile(r"-?\d+(?:\.\d+)?")
_SAID: Final = re.compile(r"(?<![\w.:/-])\d+(?:\.\d+)?(?![\w:/-]|\.\d)")


def cited(evidence: str, document: JsonValue, quote: str) -> Citation | None:
    """Return a citation of the first value that says `quote`, as it stands there; None when none does."""
    wanted = visible(quote).strip()
    if not wanted:
        return None
    if wanted == NOTHING and document == {"rows": []}:
        return Citation(evidence=evidence, where="/rows", quote=[])
    spaced = re.compile(r"\s+".join(map(re.escape, wanted.split())))
    for where, value in _values(document, ""):
        if isinstance(value, str):
            places = visible_places(value)
            found = spaced.search("".join(value[place] for place in places))
            if found and (len(wanted) >= SHORTEST or found[0] == visible(value).strip()):
                stands = value[places[found.start()] : places[found.end() - 1] + 1]
                return Citation(evidence=evidence, where=where, quote=stands)
        elif wanted == _as_text(value):
            return Citation(evidence=evidence, where=where, quote=value)
    return _rounded(evidence, document, wanted)


def figures_without(document: JsonValue, statement: str) -> list[str]:
    """Return the figures of a statement that a document does not have, also not rounded; single digits are words."""
    stored = [number for _, value in _values(document, "") for number in _numbers(value)]
    said = [figure for figure in _SAID.findall(statement) if len(figure) > 1]
    return [figure for figure in dict.fromkeys(said) if not any(_rounds_to(number, figure) for number in stored)]


def _rounded(evidence: str, document: JsonValue, wanted: str) -> Citation | None:
    """Return a citation of the first of those numbers in a row that a quote of figures alone gives rounded."""
    figures = wanted.replace(",", " ").split()
    if not all(_FIGURE.fullmatch(figure) for figure in figures):
        return None
    if len(figures) == 1 and len(figures[0].strip("-").replace(".", "")) < _DIGITS:
        return None
    stored = [(where, value) for where, value in _values(document, "") if isinstance(value, int | float)]
    for start in range(len(stored) - len(figures) + 1):
        run = stored[start : start + len(figures)]
        if all(_rounds_to(value, figure) for (_, value), figure in zip(run, figures, strict=True)):
            where, value = run[0]
            return Citation(evidence=evidence, where=where, quote=value)
    return None


def _rounds_to(number: float, figure: str) -> bool:
    """Whether a number is a figure once it has as many decimals as it; none of no computer's size is."""
    if abs(number) > sys.float_info.max:
        return False
    decimals = len(figure.partition(".")[2])
    return abs(number - float(figure)) <= 0.5 * 0.1**decimals * (1 + 1e-9)


def _numbers(value: JsonValue) -> Sequence[float]:
    if isinstance(value, str):
        return [float(figure) for figure in _FIGURE.findall(value)]
    return [value] if isinstance(value, int | float) and not isinstance(value, bool) else []


def _values(document: JsonValue, where: str) -> Iterator[tuple[str, JsonValue]]:
    """Yield each value that is no list and no object, with its JSON Pointer (RFC 6901), in the document's order."""
    if isinstance(document, dict):
        for name, value in document.items():
            yield from _values(value, f"{where}/{name.replace('~', '~0').replace('/', '~1')}")
    elif isinstance(document, list):
        for number, value in enumerate(document):
            yield from _values(value, f"{where}/{number}")
    elif document is not None:
        yield where, document


def _as_text(value: JsonValue) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)
