"""What the tools need from any record of changes: a handful of questions, with plain values for answers.

Each module of `backends` answers these for one system, `Together` for all that are on. Nothing here judges.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol, runtime_checkable

from midwatch_deploys.catalogue import Declared
from midwatch_deploys.inventory import Inventory
from midwatch_kit import Check

_ABBREVIATED: Final = 7
_HASH: Final = re.compile(
    r"(?<![0-9a-zA-Z])(?=[0-9a-f]*[a-f])(?=[0-9a-f]*[0-9])[0-9a-f]{7,40}(?![0-9a-zA-Z])", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Change:
    """One change, as last recorded; times in UTC, texts are '' where nothing was said.

    `instance` is '' for a change of the whole service, `service` is '' for one that concerns everything. `source` is
    the record that tells of it (`git commit`, `github deployment`). `keys` are what another record would know the same
    change by: `revision_key`, or the name of what was changed. `links` are its pages in all records, `url` first.
    """

    id: str
    at: datetime
    kind: str
    service: str = ""
    instance: str = ""
    title: str = ""
    author: str = ""
    version: str = ""
    previous_version: str = ""
    repository: str = ""
    url: str = ""
    files: tuple[str, ...] = ()
    diff: str = ""
    ended: datetime | None = None
    outcome: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    source: str = ""
    keys: frozenset[str] = frozenset()
    links: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """The newest changes that match, oldest first and without their diffs; `matched` counts all, exactly.

    `gaps` say in words what could not be looked at: then the count is of what could.
    """

    changes: tuple[Change, ...]
    matched: int
    query: str
    gaps: tuple[str, ...] = ()


class ChangeBackend(Protocol):
    """Whoever can answer questions about changes; synchronous, thread safe; raises `BackendDown`."""

    def between(self, begin: datetime | None, end: datetime) -> Found:
        """Return the changes that were under way or made in `[begin, end)`; `begin` None is as far back as there is."""

    def find(self, change_id: str) -> Change | None:
        """Return one change with its diff."""

    def checks(self) -> Sequence[Check]:
        """Look at the backend and say how it is."""


@runtime_checkable
class KnowsRevisions(Protocol):
    """Who also holds the source code, and so can tell what a revision that somebody else deployed brought."""

    def commit(self, revision: str, service: str) -> Change | None:
        """Return the commit that a full or abbreviated hash names, as far as it is the service's; None if unknown."""

    def diff(self, before: str, after: str, service: str) -> str:
        """Return what changed for a service between two revisions; '' if one of them is unknown."""


@runtime_checkable
class KnowsCatalogue(Protocol):
    """Who holds files in which services are declared."""

    def catalogue(self) -> tuple[Sequence[Declared], Sequence[str]]:
        """Return what is declared now, and in words what could not be read."""


@runtime_checkable
class KnowsInventory(Protocol):
    """Who knows what there is in an account of a cloud, or which workflows deploy, and how it is tied."""

    def inventory(self) -> Inventory:
        """Return what there is now; raises `BackendDown` when nothing can be read."""

    def checks(self) -> Sequence[Check]:
        """Look at what may be read."""


def revision_key(revision: str) -> str:
    """Return the key of a commit's hash, which may be abbreviated; '' for what is none."""
    found = hash_in(revision)
    return f"revision:{found[:_ABBREVIATED].lower()}" if found else ""


def hash_in(text: str) -> str:
    """Return the first thing in a version or a tag that reads as a commit's hash, abbreviated or not; '' if none."""
    found = _HASH.search(text)
    return found[0] if found else ""
