"""Queries as people write them, taken apart no further than a filter of the settings has to be put into them."""

import re
from typing import Final

from midwatch_kit import BadInput

_QUOTED: Final = re.compile(r'"(?:[^"\\]|\\.)*"|`[^`]*`', re.DOTALL)
_BEFORE_RAW: Final = " \t\n\r(=~<>!,{&|^"
"""What may stand before a text in backticks; after anything else it would be a part of a name."""


def blank(query: str) -> str:
    """Return a query of the same length with nothing but spaces where its texts stand."""
    return _QUOTED.sub(lambda found: " " * len(found[0]), query)


def refuse_strange(query: str) -> None:
    """Raise `BadInput` where a lexer might see other texts than `blank` does: TraceQL's own is one of Go."""
    names = [found for found in _QUOTED.finditer(query) if found[0][0] == "`" and found.start()]
    odd = next((found[0] for found in names if query[found.start() - 1] not in _BEFORE_RAW), None)
    strange = re.search(r"//|/\*|['\"`]", blank(query))
    if odd or strange:
        told = odd or (strange and strange[0])
        raise BadInput(f"{told} cannot be read here: leave comments out, write texts in double quotes, and close them")


def refuse_unbalanced(condition: str) -> None:
    """Raise `BadInput` for a condition that would not stay within parentheses around it."""
    depth = 0
    for letter in blank(condition):
        depth += (letter == "(") - (letter == ")")
        if depth < 0:
            break
    if depth:
        raise BadInput(f"parentheses do not match in {condition[:200]!r}: each ( needs its )")
