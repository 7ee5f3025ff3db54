"""Where a quote stands in a document that is kept: what a model says that it read is looked up, not believed.

A quote is looked for in the document's values, each by itself. Blanks and line ends may differ, since a model may wrap
what it copies, and so may what cannot be seen, since a model does not get to see it; every other character counts.
"""

import re
from collections.abc import Iterator
from typing import Final

from pydantic import JsonValue

from midwatch.claude.untrusted import visible, visible_places
from midwatch_kit.records import Citation

SHORTEST: Final = 6
"""Characters of a part of a text that say something; a whole value may be shorter."""


def cited(evidence: str, document: JsonValue, quote: str) -> Citation | None:
    """Return a citation of the first value that says `quote`, as it stands there; None when none does."""
    wanted = visible(quote).strip()
    if not wanted:
        return None
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
    return None


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
