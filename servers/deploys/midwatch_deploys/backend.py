"""What the tools need from any record of changes: a handful of questions, with plain values for answers.

GitHub, CloudFormation or a CI system can stand behind the same tools by answering these. Nothing here judges.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from midwatch_kit import Check


@dataclass(frozen=True, slots=True)
class Change:
    """One change, as last recorded; times in UTC, texts are '' where nothing was said.

    `instance` is '' for a change of the whole service, `service` is '' for one that concerns everything.
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


@dataclass(frozen=True, slots=True)
class Found:
    """The newest changes that match, oldest first and without their diffs; `matched` counts all, exactly."""

    changes: tuple[Change, ...]
    matched: int
    query: str


class ChangeBackend(Protocol):
    """Whoever can answer questions about changes; synchronous, thread safe; raises `BackendDown`."""

    def between(self, begin: datetime | None, end: datetime) -> Found:
        """Return the changes that were under way or made in `[begin, end)`; `begin` None is as far back as there is."""

    def find(self, change_id: str) -> Change | None:
        """Return one change with its diff."""

    def checks(self) -> Sequence[Check]:
        """Look at the backend and say how it is."""
