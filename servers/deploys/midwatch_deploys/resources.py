"""Which services the resources of a cloud or a cluster belong to, by their names and what the settings say. Pure."""

import re
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Final

from midwatch_deploys.services import ALL

_LAST: Final = re.compile(r"[:/]")


class Resources:
    """Patterns of names, as of a shell, and the services that they stand for.

    A pattern is held against the whole name and against its last part: `forge-*` fits `arn:aws:rds:…:db:forge-db`. The
    first one that fits decides. A resource that none fits is a service of its own, named as it is.
    """

    def __init__(self, patterns: Mapping[str, str]) -> None:
        self._patterns = dict(patterns)

    def service_of(self, *names: str) -> str:
        """Return the service of a resource that has these names, the most telling first; '' is all services."""
        return self.known(*names) if self.knows(*names) else next((last_part(name) for name in names if name), "")

    def known(self, *names: str) -> str:
        """Return the service that the settings give a resource; '' is all services, or that they say nothing."""
        service = next((each for each in self._fitting(names)), "")
        return "" if service == ALL else service

    def knows(self, *names: str) -> bool:
        """Whether the settings say what a resource belongs to."""
        return any(True for _ in self._fitting(names))

    def _fitting(self, names: Iterable[str]) -> Iterable[str]:
        forms = [form for name in names if name for form in (name, last_part(name))]
        return (service for pattern, service in self._patterns.items() if any(fnmatchcase(f, pattern) for f in forms))


def last_part(name: str) -> str:
    """Return the last part of an ARN or a path."""
    return _LAST.split(name.rstrip("/"))[-1]
