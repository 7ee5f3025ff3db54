"""The words of a template that never vary: what to look for to find every line of the template."""

import re
from typing import Final

_PLACEHOLDER: Final = re.compile(r"<[a-z*_]+>|[1-5]xx\b|\n|\\|\"")
_LONG_ENOUGH: Final = 6
_LONGEST: Final = 120


def constant_part(text: str) -> str:
    """Return the longest piece of a masked text without a placeholder, '' when none is telling enough."""
    pieces = [piece.strip() for piece in _PLACEHOLDER.split(text)]
    longest = max(pieces, key=len, default="")[:_LONGEST]
    return longest if len(longest) >= _LONG_ENOUGH else ""
