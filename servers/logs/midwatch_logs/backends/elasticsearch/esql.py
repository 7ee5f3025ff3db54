"""ES|QL as somebody wrote it: does it read what the server may read, and nothing else. It is not parsed beyond that."""

import re
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Final

from midwatch_kit import BadInput

_TOKENS: Final = re.compile(
    r"""(?P<comment>//[^\n]*|/\*.*?(?:\*/|\Z))|(?P<text>\"{3}.*?\"{3}|"(?:[^"\\\n]|\\.)*")|(?P<field>`(?:[^`]|``)*`)
    |(?P<sign>[|();,])|(?P<word>[^\s|();,"`/]+|/)""",
    re.VERBOSE | re.DOTALL,
)
_SOURCES: Final = {"FROM", "TS"}
_BEGINNINGS: Final = {*_SOURCES, "ROW", "SHOW"}
_ENDS: Final = {"METADATA"}


def refuse_foreign(query: str, readable: str) -> None:
    """Raise `BadInput` when a query reads other indices than `readable`, as the setting names them.

    `LOOKUP JOIN` and `ENRICH` may: what they bring beside the lines is made for that, and can only be read.
    """
    beginning = next((word for word, _ in _words(query)), "")
    if beginning.upper() not in _BEGINNINGS:
        raise BadInput(f"a query in ES|QL begins with FROM, not with {beginning[:40]!r}: write FROM {readable}")
    allowed = [name.strip() for name in readable.split(",")]
    kept_out = [name for name in allowed if name.startswith("-")]
    for sources in _sources(query):
        for name in sources:
            if not _covered(name, sources, allowed, kept_out):
                raise BadInput(f"this server reads {readable}, and {name[:120]!r} is not within it: FROM {readable}")


def _covered(name: str, sources: Sequence[str], allowed: Sequence[str], kept_out: Sequence[str]) -> bool:
    """Whether an index is within the setting; one with `*` must leave out all that the setting leaves out."""
    if name.startswith("-"):
        return True
    within = any(fnmatchcase(name, pattern) for pattern in allowed if not pattern.startswith("-"))
    if "*" in name:
        return within and set(kept_out) <= set(sources)
    return within and not any(fnmatchcase(name, pattern[1:]) for pattern in kept_out)


def _sources(query: str) -> Iterator[list[str]]:
    """The indices of each FROM: at the beginning, and in queries within the query."""
    reading: list[str] | None = None
    begins = True
    for word, kind in _words(query):
        if reading is not None and (word in {"|", ";", ")", "("} or word.upper() in _ENDS):
            yield reading
            reading = None
        if reading is not None and kind != "sign":
            reading.append(word.strip('"'))
        elif begins and kind == "word" and word.upper() in _SOURCES:
            reading = []
        begins = word in {"|", ";", "("}
    if reading:
        yield reading


def _words(query: str) -> Iterator[tuple[str, str]]:
    """What a query is made of, without its comments, and of which kind each is."""
    for found in _TOKENS.finditer(query):
        if found.lastgroup != "comment":
            yield found[0], str(found.lastgroup)
