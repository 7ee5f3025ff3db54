"""What text the store keeps: no NUL, no half of a character, and no value without an end.

Not an escaping scheme: what is replaced or cut here is marked, not recoverable.
"""

from typing import Final

MAX_CHARACTERS: Final = 256 * 1024
ORIGINAL_LENGTH: Final = "midwatch.original_length"

_REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"


def clean(text: str) -> str:
    """`text` with every NUL and unpaired surrogate replaced by U+FFFD, so that any reader can take it."""
    if text.isascii():
        return text.replace("\x00", _REPLACEMENT) if "\x00" in text else text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").replace("\x00", _REPLACEMENT)


def bounded(text: str, marks: dict[str, str], mark: str) -> str:
    """The first MAX_CHARACTERS of `text`; what is longer leaves its length in `marks` under the name `mark`."""
    if len(text) <= MAX_CHARACTERS:
        return text
    marks[mark] = str(len(text))
    return text[:MAX_CHARACTERS]
