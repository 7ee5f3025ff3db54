"""Which services a commit concerns, by the paths that it touches and what the settings say of them. Pure."""

from collections.abc import Iterable, Mapping
from typing import Final

ALL: Final = "*"
"""The name that stands for all services in the settings."""


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
