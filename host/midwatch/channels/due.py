"""What is still to be said: an incident as it stands beside what was said of it. A pure function of both."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from midwatch.channels.letters import Channel, Letter, letter_id
from midwatch.channels.notices import Notice, Point
from midwatch.channels.outbox import MESSAGE, Delivery
from midwatch.settings.channels import Stage
from midwatch_kit.evidence import canonical


@dataclass(frozen=True)
class Due:
    """One letter that is to be said: the parts it says, and whether it may have been said before.

    With `change_at` it replaces what is there; `said` is the digest of its content.
    """

    letter: Letter
    parts: tuple[str, ...]
    said: str
    perhaps: bool = False
    change_at: str | None = None


def due(
    name: str, channel: Channel, stages: frozenset[Stage], notice: Notice, known: Mapping[str, Delivery]
) -> list[Due]:
    """Return what is to be said to a channel now, in order: first the message that changes, then turning points.

    Turning points that the first message tells already are not said beside it. Those of one letter stay together, so
    that it can be found, or sent again, as it was.
    """
    wanted = [point for point in notice.points if point.stage in stages]
    if not channel.style.edits:
        return [*_points(name, channel, notice, wanted, known, None)]
    message = known.get(MESSAGE)
    letter = Letter(letter_id(notice.incident, name, MESSAGE), notice)
    said = digest_of(channel, letter)
    if message is None or message.state in ("intended", "unsent"):
        perhaps = message is not None and message.state == "intended"
        parts = (MESSAGE, *(point.key for point in wanted if perhaps is False or point.key in known))
        return [Due(letter, parts, said, perhaps)]
    if message.state == "given_up":
        return []
    change = [Due(letter, (MESSAGE,), said, change_at=message.place)] if message.said != said else []
    return [*change, *_points(name, channel, notice, wanted, known, message.place)]


def digest_of(channel: Channel, letter: Letter) -> str:
    """Return the digest of what a letter says there."""
    return hashlib.sha256(canonical(channel.content(letter))).hexdigest()[:24]


def _points(
    name: str,
    channel: Channel,
    notice: Notice,
    wanted: Iterable[Point],
    known: Mapping[str, Delivery],
    within: str | None,
) -> Iterable[Due]:
    """Yield the letters about turning points: those that were begun, as they were, then those that are new."""
    left = [point for point in wanted if point.key not in known or known[point.key].state in ("intended", "unsent")]
    begun: dict[str, list[Point]] = {}
    for point in left:
        if point.key in known and known[point.key].state == "intended":
            begun.setdefault(known[point.key].letter, []).append(point)
    for letter, group in begun.items():
        yield _due(channel, Letter(letter, notice, tuple(group), within), perhaps=True)
    new = [point for point in left if point.key not in known or known[point.key].state == "unsent"]
    together = [[point] for point in new] if channel.style.each else [new] if new else []
    for group in together:
        yield _due(channel, Letter(letter_id(notice.incident, name, group[-1].key), notice, tuple(group), within))


def _due(channel: Channel, letter: Letter, *, perhaps: bool = False) -> Due:
    return Due(letter, tuple(point.key for point in letter.points), digest_of(channel, letter), perhaps)
