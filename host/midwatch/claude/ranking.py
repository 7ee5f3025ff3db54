"""Which texts fit a question best, by Okapi BM25 as SQLite's full-text index has it, with words cut to their stems.

A word counts the more the fewer texts have it, and less the longer the text. In a name it counts more than in a
description, there more than among arguments. No words are known: nothing here is made for incidents.
"""

import re
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from typing import Final, NamedTuple

_WORD: Final = re.compile(r"[a-z0-9]{2,}")
_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_MOST_WORDS: Final = 100
"""Words of a question that are looked for: it is a few sentences, whatever a server or a model makes of them."""


class Text(NamedTuple):
    """What is looked through: a name, what it says, and what else belongs to it."""

    name: str
    said: str
    rest: str = ""


def best_first(texts: Sequence[Text], question: str) -> list[int]:
    """Return the places of the texts that share a word with a question, the best first; equals as they stand."""
    words = list(dict.fromkeys(words_of(question)))[:_MOST_WORDS]
    if not words:
        return []
    with closing(sqlite3.connect(":memory:")) as index:
        index.execute("CREATE VIRTUAL TABLE texts USING fts5(name, said, rest, tokenize='porter unicode61')")
        rows = ((place, *(" ".join(words_of(each)) for each in text)) for place, text in enumerate(texts))
        index.executemany("INSERT INTO texts(rowid, name, said, rest) VALUES (?, ?, ?, ?)", rows)
        wanted = " OR ".join(f'"{word}"' for word in words)
        found = index.execute(
            "SELECT rowid FROM texts WHERE texts MATCH ? ORDER BY bm25(texts, 3.0, 1.0, 0.5), rowid", (wanted,)
        )
        return [place for (place,) in found]


def words_of(text: str) -> list[str]:
    """Return the words of a text, those of joined names apart."""
    return _WORD.findall(_CAMEL.sub(" ", text).lower())
