"""Text of others on one line of a reply, and names that are like one that nobody knows."""

import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final

_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def printable(text: str) -> str:
    """Return `text` on one line, with control characters and broken surrogates written as escapes."""
    return _UNPRINTABLE.sub(_escape, text)


def near(name: str, known: Iterable[str]) -> list[str]:
    """Return up to five known names that are most like one that is unknown; if none is, the first ten in order."""
    names = sorted(known)
    return get_close_matches(name, names, 5, 0.4) or names[:10]


def _escape(match: re.Match[str]) -> str:
    short = {"\n": "\\n", "\t": " ", "\r": "\\r"}.get(match[0])
    if short is not None:
        return short
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
