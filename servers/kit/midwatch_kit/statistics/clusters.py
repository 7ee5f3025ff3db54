"""Clustering of distinct masked lines into templates. It knows nothing of periods or counts but which is frequent."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

WILDCARD = "<*>"
_ALIKE = 0.6
_MOST_WORDS = 100


def cluster(frequency: Mapping[str, int], variety: int) -> dict[str, str]:
    """The template of each distinct line; it depends on the lines and their frequencies, not on their order.

    A word becomes `<*>` where at least `variety` different words stand in its place within a cluster.
    """
    templates: dict[str, str] = {}
    by_length: dict[int, list[tuple[str, list[str]]]] = {}
    for line in sorted(frequency, key=lambda text: (-frequency[text], text)):
        words = line.split(" ", _MOST_WORDS)[:_MOST_WORDS]
        by_length.setdefault(len(words), []).append((line, words))
    for same_length in by_length.values():
        found = _templates(_numbered([words for _, words in same_length]), same_length, variety)
        templates.update(found)
    return templates


def _numbered(rows: list[list[str]]) -> NDArray[np.int32]:
    """Words as numbers, those that hold a placeholder as negative ones; shape (lines, words)."""
    numbers: dict[str, int] = {}
    table = np.empty((len(rows), len(rows[0])), dtype=np.int32)
    for i, row in enumerate(rows):
        table[i] = [numbers.setdefault(word, len(numbers) + 1) for word in row]
    masked = np.array([0] + [-1 if "<" in word and ">" in word else 1 for word in numbers], dtype=np.int32)
    return np.asarray(table * masked[table], dtype=np.int32)


def _templates(table: NDArray[np.int32], lines: list[tuple[str, list[str]]], variety: int) -> dict[str, str]:
    templates: dict[str, str] = {}
    left = np.arange(len(table))
    while left.size:
        member = _alike(table[left], table[left[0]])
        members, left = left[member], left[~member]
        varied = [len(np.unique(column)) >= variety for column in table[members].T]
        for i in members:
            line, words = lines[int(i)]
            cut = [WILDCARD if wild else word for word, wild in zip(words, varied, strict=True)]
            templates[line] = " ".join(cut) if any(varied) else line
    return templates


def _alike(table: NDArray[np.int32], leader: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Which lines share enough words with the leader, placeholders apart; the leader does with itself."""
    telling = leader > 0
    same = table == leader
    if not telling.any():
        return np.asarray(same.all(axis=1))
    return np.asarray(same[:, telling].mean(axis=1) >= _ALIKE)
