"""What the outbox and the places share: what is said, what a place can do, and the ways in which saying it can fail."""

import hashlib
from dataclasses import dataclass
from typing import Final, Protocol

from pydantic import JsonValue

from midwatch.channels.notices import Notice, Point
from midwatch.settings.channels import Stage

IMPORTANT: Final[frozenset[Stage]] = frozenset({"concluded", "waits", "recovered", "reopened", "failed"})
"""What is said where nothing can be taken back or changed: few messages, each worth one."""
EVERY: Final[frozenset[Stage]] = frozenset(
    {"opened", "concluded", "waits", "decided", "acted", "recovered", "reopened", "failed", "closed"}
)


@dataclass(frozen=True)
class Style:
    """How a place is told: by one message that `edits` itself, and by turning points of some `stages`.

    Turning points that nobody was told of yet are said together, or with `each` one by one, in order.
    """

    edits: bool = False
    stages: frozenset[Stage] = IMPORTANT
    each: bool = False


@dataclass(frozen=True)
class Letter:
    """One thing to say: an incident as it stands, because of turning points; without any, the message that changes.

    `id` is the same whenever it is said again. `within` is where the message that changes is, for what belongs to it.
    """

    id: str
    notice: Notice
    points: tuple[Point, ...] = ()
    within: str | None = None


def letter_id(investigation: str, channel: str, part: str) -> str:
    """Return the id of what is said to a channel: the same after a crash, another one for anything else."""
    return hashlib.sha256(f"{investigation}|{channel}|{part}".encode()).hexdigest()[:24]


class Undelivered(Exception):
    """Raised when something was not said, or when nobody knows whether it was (`perhaps`).

    `pause` is how long the place asks to be left alone, in seconds; `hopeless` says that this will never be taken,
    `refused` that our credentials are not.
    """

    def __init__(
        self,
        why: str,
        *,
        perhaps: bool = False,
        hopeless: bool = False,
        refused: bool = False,
        pause: float | None = None,
    ) -> None:
        super().__init__(why)
        self.perhaps, self.hopeless, self.refused, self.pause = perhaps, hopeless, refused, pause


class CannotBeAsked(Exception):
    """Raised by a place that cannot say what is there already: then the same is sent again, under the same id."""


class Channel(Protocol):
    """A place where people are told."""

    style: Style

    def has_place(self, notice: Notice) -> bool:
        """Return whether an incident can be told here: a comment needs an issue that it belongs to."""
        ...

    def content(self, letter: Letter) -> JsonValue:
        """Return what would be said, without anything that differs from one time to the next."""
        ...

    async def send(self, letter: Letter) -> str:
        """Say it and return where it is now, '' if that has no name; raises `Undelivered`."""
        ...

    async def change(self, place: str, letter: Letter) -> None:
        """Make what is at a place say this instead; raises `Undelivered`."""
        ...

    async def find(self, letter: Letter) -> str | None:
        """Return where a letter with this id is, None if it is not there; raises `CannotBeAsked`, `Undelivered`."""
        ...

    async def check(self) -> str:
        """Return in words that the place can be reached and lets us in, changing nothing; raises `Undelivered`."""
        ...

    async def aclose(self) -> None:
        """Let go of connections."""
        ...
