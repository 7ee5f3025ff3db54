"""What leaves for a model, without what must not leave: each secret and each person behind a name of our own.

The same thing has the same name throughout an investigation, so that a model can tell two persons apart. The way back
stays inside. Personal data find it in quotes and in what the suite's own servers are asked, which told them in the
first place. Secrets never do: a log line that has a model repeat a secret's name somewhere gets the name alone.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from midwatch.storage.privacy import hidden

_NAMED: Final = re.compile(r"<(?:email|card|person)-\d+>")
_SHORTEST_NAME: Final = 3


@dataclass
class Mask:
    """The names that one investigation gave."""

    _names: dict[tuple[str, str], str] = field(default_factory=dict)
    _things: dict[str, str] = field(default_factory=dict)
    _persons: dict[str, str] = field(default_factory=dict)

    def know(self, persons: Iterable[str]) -> None:
        """Take these for names of persons from now on; telemetry names them in fields of their own."""
        for person in persons:
            if len(person) >= _SHORTEST_NAME:
                self._persons.setdefault(person, self._name("person", person))

    def masked(self, text: str) -> str:
        """Return a text as it may leave."""
        shown = hidden(text, self._name)
        if not self._persons:
            return shown
        longest_first = sorted(self._persons, key=len, reverse=True)
        named = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w)")
        return named.sub(lambda found: self._persons[found[0]], shown)

    def unmasked(self, text: str) -> str:
        """Return a text with the persons in it; what was a secret stays behind its name."""
        return _NAMED.sub(lambda found: self._things.get(found[0], found[0]), text)

    def _name(self, kind: str, thing: str) -> str:
        known = self._names.get((kind, thing))
        if known is None:
            number = sum(of == kind for of, _ in self._names) + 1
            known = self._names[kind, thing] = f"<{kind}-{number}>"
            if kind != "secret":
                self._things[known] = thing
        return known
