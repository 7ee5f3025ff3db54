"""Which services a commit concerns, by the paths that it touches and what the settings say of them. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from itertools import takewhile
from typing import Final

ALL: Final = "*"
"""The name that stands for all services in the settings."""
_EVERYTHING: Final = frozenset({"**", "**/*", "**/**"})
_WILD: Final = re.compile(r"[*?+\[]")
_NO_WORD: Final = re.compile(r"[^a-z0-9]+")


class Services:
    """Paths of repositories and the services that are built from them.

    A key is `PATH`, or `REPOSITORY:PATH` where a path alone is not enough; `REPOSITORY:` is the whole repository. The
    longest key that fits a file decides. A commit that touches no such path is one of the service that is named as its
    repository is.
    """

    def __init__(self, paths: Mapping[str, str]) -> None:
        self._paths = dict(paths)

    def touched(self, repository: str, files: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """Return the services that files belong to, each with its own; '' is all services."""
        rules = self._rules(repository)
        found: dict[str, list[str]] = {}
        for file in files:
            service = next((name for prefix, name in rules if _within(file, prefix)), None)
            if service is not None:
                found.setdefault("" if service == ALL else service, []).append(file)
        return {service: tuple(own) for service, own in found.items()} or {short_name(repository): tuple(files)}

    def paths(self, repository: str, service: str) -> tuple[str, ...]:
        """Return the paths of a service in a repository, and of what all share; empty for the whole repository."""
        return tuple(prefix for prefix, name in self._rules(repository) if prefix and name in (service, ALL))

    def names(self, repository: str) -> tuple[str, ...]:
        """Return the services that a repository is known to hold."""
        named = dict.fromkeys(name for _, name in self._rules(repository) if name != ALL)
        return tuple(named) or (short_name(repository),)

    def divided(self, repository: str) -> bool:
        """Whether it takes a commit's files to know which services of a repository it concerns."""
        return any(prefix for prefix, _ in self._rules(repository))

    def triggered(self, repository: str, patterns: Iterable[str]) -> dict[str, str]:
        """Return the services whose paths a workflow's patterns name, each with the pattern that does.

        Patterns are those of `on.push.paths` on GitHub: a later `!` takes back. What all services share names none, and
        neither does a kind of file wherever it is (`**.py`).
        """
        rules = self._rules(repository)
        found: dict[tuple[str, str], str] = {}
        for pattern in patterns:
            parts = pattern.removeprefix("!").rstrip("/").split("/")
            folder = "/".join(takewhile(lambda part: not _WILD.search(part), parts))
            if pattern.startswith("!"):
                found = {rule: why for rule, why in found.items() if not _covers(parts, rule[0].split("/"))}
            elif not parts[0].startswith("**") or pattern in _EVERYTHING:
                own = next((rule for rule in rules if _within(folder, rule[0])), None)
                beneath = [rule for rule in rules if rule[0] != folder and _within(rule[0], folder)]
                reached = [rule for rule in beneath if _reaches(parts, rule[0].split("/"))]
                found |= {rule: pattern for rule in (own, *reached) if rule and rule[1] != ALL and rule not in found}
        return {service: why for (_, service), why in found.items()}

    def named(self, repository: str, texts: Iterable[str]) -> list[str]:
        """Return a repository's services that texts name as words, in any case; of names in each other the longest."""
        names = {_as_words(name): name for name in self.names(repository)}
        longest = sorted(filter(None, names), key=len, reverse=True)
        each = re.compile(f"(?<![a-z0-9])(?:{'|'.join(map(re.escape, longest))})(?![a-z0-9])")
        found = {name for text in texts for name in each.findall(_as_words(text))} if longest else set()
        return [name for words, name in names.items() if words in found]

    def _rules(self, repository: str) -> list[tuple[str, str]]:
        """Return the paths that count in a repository with their services, the longest first."""
        rules = []
        for key, service in self._paths.items():
            named, colon, path = key.rpartition(":")
            if not colon or named in (repository, short_name(repository)):
                rules.append((path.strip("/"), service))
        return sorted(rules, key=lambda rule: -len(rule[0]))


def short_name(repository: str) -> str:
    """Return the last part of a repository's path, URL or `owner/name`."""
    return repository.rstrip("/").removesuffix("/.git").removesuffix(".git").rsplit("/", 1)[-1].rsplit(":", 1)[-1]


def _within(file: str, prefix: str) -> bool:
    return not prefix or file == prefix or file.startswith(f"{prefix}/")


def _reaches(parts: Sequence[str], folder: Sequence[str]) -> bool:
    """Whether a pattern may fit a file beneath a folder; `*` stays within one part of a path, `**` does not."""
    for part, name in zip(parts, folder, strict=False):
        if "**" in part:
            return True
        if not fnmatchcase(name, part):
            return False
    return len(parts) > len(folder)


def _covers(parts: Sequence[str], folder: Sequence[str]) -> bool:
    """Whether a pattern fits every file beneath a folder."""
    above = parts[:-1]
    fits = len(above) <= len(folder) and all(map(fnmatchcase, folder, above))
    return fits and parts[-1] == "**"


def _as_words(text: str) -> str:
    return _NO_WORD.sub("-", text.lower()).strip("-")
