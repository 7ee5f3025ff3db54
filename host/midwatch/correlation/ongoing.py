"""What is going on: the outages of late with what is known of each, and every alert's own history.

This is what decisions are made from, held in memory and learnt anew from the table of alerts. It is bounded: what was
not heard of for long is forgotten, and so is the oldest when there is too much.
"""

import hashlib
from bisect import bisect_left, insort
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache

from midwatch.correlation.kinds import Kind, kind_of
from midwatch.correlation.neighbourhood import Neighbourhood
from midwatch.correlation.weights import TOGETHER_SECONDS
from midwatch.correlation.words import plain
from midwatch.records import Alert, Severity, Status
from midwatch_kit.records import EntityId
from midwatch_kit.window import rfc3339

OVER = frozenset({Status.RESOLVED, Status.LINKED, Status.SKIPPED, Status.FAILED, Status.CANCELLED})
_EPISODES = 16
_STARTS, _TITLES = 64, 8
"""How many starts and titles of one component an outage remembers."""


def service_id(name: str) -> EntityId:
    """Return the entity id of a service by its bare name; an id stays what it is."""
    return name if ":" in name else f"service:{name}"


def fingerprint(alert: Alert) -> str:
    """Return what makes two alerts the same one at different times: its sender's own id for it."""
    return _hash("id", alert.source, alert.external_id)


def label_fingerprint(alert: Alert) -> str:
    """Return what makes alerts of two senders the same one: service, title and all labels; '' without labels."""
    if not alert.labels:
        return ""
    return _hash("labels", service_id(alert.service), alert.title, *map("=".join, sorted(alert.labels.items())))


@lru_cache(maxsize=4096)
def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]


def worse(one: Severity, other: Severity) -> Severity:
    """Return the worse of two severities."""
    return min(one, other, key=[*Severity].index)


@dataclass
class Episode:
    """One time that an alert fired: from its start until it was resolved, by the sender's clock.

    `incident` is the one that it was part of that time; None for none, and while only its end came. `came` and
    `end_came` are when its beginning and its end came here first, by our clock; None where that is not known.
    """

    alert: str
    start: datetime
    ended: datetime | None = None
    incident: str | None = None
    came: datetime | None = None
    end_came: datetime | None = None


@dataclass
class Known:
    """What is known of one fingerprint: its latest episodes by start.

    Where two senders tell of the same alert, both fingerprints know the same, by the `name` of the first.
    """

    name: str
    seen: datetime
    source: str = ""
    episodes: list[Episode] = field(default_factory=list)

    @property
    def latest(self) -> Episode | None:
        """The latest episode that is part of an incident."""
        return next((episode for episode in reversed(self.episodes) if episode.incident), None)

    @property
    def came(self) -> datetime | None:
        """When the first that is known of it came here."""
        return min((episode.came for episode in self.episodes if episode.came), default=None)

    def episode(self, alert: Alert) -> Episode | None:
        """Return the episode that an alert tells of: by its id, or of another sender by its start."""
        at = (e for e in self.episodes if e.alert == alert.id or e.start == alert.started_at)
        return next(at, None)

    def ended_by(self, alert: Alert) -> Episode | None:
        """Return the episode whose end an alert tells: its own, else the latest that is not over and began before.

        None when its sender tells of a beginning of its own, which is still to come. Senders that reopen an alert tell
        its first beginning with every end.
        """
        if own := self.episode(alert):
            ended = alert.ended_at if own.ended else None
            reopened = (e for e in self.episodes if ended and e.ended is None and own.start < e.start <= ended)
            return next(reopened, own)
        at = alert.started_at
        latest = next((e for e in reversed(self.episodes) if e.ended is None and e.start <= at), None)
        tells_beginning = alert.ended_at is not None and at < alert.ended_at
        if latest and tells_beginning and at - latest.start > timedelta(seconds=TOGETHER_SECONDS):
            return None
        return latest

    def starts_within(self, seconds: float, at: datetime) -> int:
        """Return how many episodes began within so many seconds up to a moment, the one that begins then included."""
        return 1 + sum(1 for e in self.episodes if timedelta(0) < at - e.start <= timedelta(seconds=seconds))

    def add(self, episode: Episode) -> None:
        """Remember an episode, and forget the oldest of too many."""
        insort(self.episodes, episode, key=lambda e: e.start)
        del self.episodes[:-_EPISODES]


@dataclass
class Place:
    """What alerts said of one component in one outage."""

    kinds: set[Kind] = field(default_factory=set)
    titles: set[str] = field(default_factory=set)
    starts: list[float] = field(default_factory=list)

    def gap(self, start: float) -> float:
        """Return how many seconds lie between a start and the nearest one here."""
        at = bisect_left(self.starts, start)
        return min(abs(start - near) for near in self.starts[max(0, at - 1) : at + 1])

    def add(self, kind: Kind, title: str, start: float) -> None:
        """Remember what one more alert said."""
        self.kinds.add(kind)
        if len(self.titles) < _TITLES:
            self.titles.add(title)
        if not self.starts or self.gap(start) > TOGETHER_SECONDS:
            insort(self.starts, start)
            if len(self.starts) > _STARTS:
                del self.starts[1]  # the first start stays: it says when the outage came here


@dataclass
class Outage:
    """One incident as correlation sees it: where, since when, what was said, and what still fires."""

    id: str
    root: str
    first: datetime
    last: datetime
    seen: datetime
    severity: Severity
    kind: Kind
    status: Status = Status.TRIAGING
    places: dict[EntityId, Place] = field(default_factory=dict)
    causes: frozenset[EntityId] | None = None
    marks: set[tuple[str, str]] = field(default_factory=set)
    firing: set[str] = field(default_factory=set)
    over_at: datetime | None = None
    ended: list[tuple[datetime, datetime]] = field(default_factory=list)
    """From when to when something of it fired that is over, without what overlaps."""
    alerts: int = 0
    flapping: bool = False

    @property
    def over(self) -> bool:
        """Whether it is settled, or everything that fired in it is resolved."""
        return self.status in OVER or not self.firing

    def went_on(self, at: datetime) -> bool:
        """Return whether it is not settled, and was not over at a moment, whenever that is told."""
        return self.status not in OVER and (bool(self.firing) or self.over_at is None or at <= self.over_at)

    def add(self, alert: Alert, area: Neighbourhood, marks: Iterable[tuple[str, str]]) -> None:
        """Learn from one more alert that belongs to it."""
        entity = service_id(alert.service)
        self.places.setdefault(entity, Place()).add(
            kind_of(alert), plain(alert.title, alert.service), alert.started_at.timestamp()
        )
        self.first, self.last = min(self.first, alert.started_at), max(self.last, alert.started_at)
        self.marks.update(marks)
        self.alerts += 1
        above = frozenset(area.upstream(entity))
        if above and self.causes is None:
            self.causes = above
        elif above and self.causes and (both := self.causes & above):  # the odd one out leaves the others' cause alone
            self.causes = both

    def fired(self, start: datetime, end: datetime) -> None:
        """Remember that something of it fired between two moments."""
        if self.ended and self.ended[0][0] <= start and end <= self.ended[0][1]:
            return
        whole: list[tuple[datetime, datetime]] = []
        for since, until in sorted([*self.ended, (start, max(start, end))]):
            if whole and since <= whole[-1][1]:
                whole[-1] = whole[-1][0], max(whole[-1][1], until)
            else:
                whole.append((since, until))
        self.ended = whole[-_EPISODES:]


@dataclass(frozen=True)
class ByHand:
    """What people decided about fingerprints, in pairs (an alert's, the one that opened an incident), and incidents."""

    skip: frozenset[str] = frozenset()
    apart: frozenset[tuple[str, str]] = frozenset()
    together: frozenset[tuple[str, str]] = frozenset()
    linked: frozenset[str] = frozenset()


@dataclass
class Ongoing:
    """All of it. Changed by `learn`, `resolve`, `join`, `settle` and `forget` alone; asked by `decide`."""

    outages: dict[str, Outage] = field(default_factory=dict)
    known: dict[str, Known] = field(default_factory=dict)
    linked: dict[str, str] = field(default_factory=dict)
    by_hand: ByHand = ByHand()

    def of(self, alert: Alert) -> Known | None:
        """Return what is known of an alert: by its sender's id, else by the labels that another sender told."""
        if by_id := self.known.get(fingerprint(alert)):
            return by_id
        by_labels = self.known.get(label_fingerprint(alert))
        return (
            by_labels if by_labels and by_labels.source != alert.source else None
        )  # one sender knows its alerts apart

    def outage(self, incident: str | None) -> Outage | None:
        """Return an incident's outage, or that of the incident it is linked to; None when it is forgotten."""
        return self.outages.get(self.target(incident)) if incident else None

    def target(self, incident: str) -> str:
        """Return the incident that one is part of by now; itself when it is linked to none."""
        for _ in range(len(self.linked) + 1):
            if incident not in self.linked:
                break
            incident = self.linked[incident]
        return incident

    def near(self, alert: Alert, seconds: float) -> Iterator[Outage]:
        """Yield the outages in whose time an alert began, give or take so many seconds."""
        around = timedelta(seconds=seconds)
        since, until = alert.started_at - around, alert.started_at + around
        for outage in self.outages.values():
            if outage.first <= until and outage.last >= since:
                yield outage

    def learn(
        self,
        alert: Alert,
        incident: str | None,
        area: Neighbourhood,
        marks: Collection[tuple[str, str]],
        now: datetime,
        *,
        root: str = "",
        joins: bool = True,
        again: bool = False,
    ) -> Outage | None:
        """Remember a firing alert, and what it says of its incident; `root` when that begins with it.

        One that does not join tells nothing new of the incident: it only is heard of. One that came `again` does not
        tell when it came first.
        """
        known = self._remember(alert, incident, now, None if again else now)
        if incident is None:
            return None
        outage = self.outage(incident)
        if outage is None:
            outage = self.outages[incident] = Outage(
                incident, root or known.name, alert.started_at, alert.started_at, now, alert.severity, kind_of(alert)
            )
        outage.seen = max(outage.seen, now)
        outage.severity = worse(outage.severity, alert.severity)
        if joins:
            outage.add(alert, area, marks)
        episode = known.episode(alert)
        if episode is None or episode.ended is None:
            outage.firing.add(known.name)
            return outage
        outage.fired(episode.start, episode.ended)
        if self._open_in(known, outage) is None:
            outage.firing.discard(known.name)
            outage.over_at = max(outage.over_at or episode.ended, episode.ended)
        return outage

    def resolve(self, alert: Alert, now: datetime) -> None:
        """Remember that an alert is over."""
        ended = alert.ended_at or now
        known = self._heard(alert, now)
        episode = known.ended_by(alert)
        if episode is None:
            known.add(Episode(alert.id, alert.started_at, ended, end_came=now))
            return
        episode.end_came = episode.end_came or (now if episode.ended is None else None)
        episode.ended = episode.ended or ended
        if outage := self.outage(episode.incident):
            outage.fired(episode.start, episode.ended)
            if self._open_in(known, outage) is None:
                outage.firing.discard(known.name)
                outage.over_at = max(outage.over_at or ended, ended)

    def parts_of(self, incident: str) -> list[str]:
        """Return an incident and those that are linked to it."""
        return [incident, *(name for name in self.linked if self.target(name) == incident)]

    def early_end(self, alert: Alert) -> str | None:
        """Return the id of an alert's end that came before its beginning; None when it did not."""
        known = self.of(alert)
        episode = known.episode(alert) if known else None
        return episode.alert if episode and episode.ended and episode.incident is None else None

    def quiet_since(self, incident: str | None, seconds: float) -> datetime | None:
        """Return since when an incident proves to have been over, before others of its alerts began; None if it wasn't.

        Nothing of it fired then for so many seconds, by what its alerts themselves say of their beginning and end.
        """
        outage = self.outage(incident)
        if outage is None or not outage.ended:
            return None
        quiet, around = outage.ended[0][1], timedelta(seconds=seconds)
        for since, until in outage.ended:
            quiet = max(quiet, until) if since <= quiet + around else quiet
        if outage.last <= quiet + around:
            return None
        still = (self._open_in(self.known[name], outage) for name in outage.firing if name in self.known)
        return None if any(episode and episode.start <= quiet + around for episode in still) else quiet

    def _open_in(self, known: Known, outage: Outage) -> Episode | None:
        """Return the first episode of an alert in an outage that is not over."""
        return next((e for e in known.episodes if e.ended is None and self.outage(e.incident) is outage), None)

    def settle(self, incident: str, status: Status, now: datetime, linked_to: str | None = None) -> None:
        """Remember how an incident stands."""
        if status is Status.LINKED and linked_to:
            self.join(incident, linked_to)
            return
        if self.linked.pop(incident, None):
            self.outages.pop(incident, None)
        if outage := self.outages.get(incident):
            if status in OVER and outage.status not in OVER:
                outage.over_at = outage.over_at if outage.over_at and not outage.firing else now
            outage.status = status

    def join(self, incident: str, into: str) -> None:
        """Make one incident part of another: what is known of it is known of that one from now on."""
        into = self.target(into)
        if into == incident:
            return
        self.linked[incident] = into
        one, other = self.outages.pop(incident, None), self.outages.get(into)
        if one is None or other is None:
            return
        for entity, place in one.places.items():
            there = other.places.setdefault(entity, Place())
            there.kinds |= place.kinds
            there.titles |= {*sorted(place.titles)[: _TITLES - len(there.titles)]}
            there.starts = sorted({*there.starts, *place.starts})[-_STARTS:]
        other.first, other.last = min(one.first, other.first), max(one.last, other.last)
        other.marks |= one.marks
        other.firing |= one.firing
        ends = [end for end in (one.over_at, other.over_at) if end]
        other.over_at = max(ends, default=None)
        for since, until in one.ended:
            other.fired(since, until)
        if incident in self.by_hand.linked:  # they are one, whatever their alerts say
            other.fired(other.first, other.last)
        other.alerts += one.alerts
        if one.causes and other.causes and (both := one.causes & other.causes):
            other.causes = both

    def forget(self, before: datetime, most: int) -> None:
        """Forget what was not heard of since a moment, and the longest unheard of beyond so many fingerprints."""
        self._drop([name for name, known in self.known.items() if known.seen < before])
        if len(self.known) > most:
            by_age = sorted(self.known, key=lambda name: self.known[name].seen)
            self._drop(by_age[: len(self.known) - most * 9 // 10])
        self.outages = {name: outage for name, outage in self.outages.items() if outage.seen >= before}
        self.linked = {name: into for name, into in self.linked.items() if self.target(into) in self.outages}

    def _drop(self, names: Iterable[str]) -> None:
        for name in names:
            known = self.known.pop(name)
            for episode in known.episodes:
                if outage := self.outage(episode.incident):
                    outage.firing.discard(known.name)

    def _remember(self, alert: Alert, incident: str | None, now: datetime, came: datetime | None) -> Known:
        known = self._heard(alert, now)
        if episode := known.episode(alert):
            episode.incident = incident
            episode.came = episode.came or (came if episode.end_came else None)  # its end was here before it
        else:
            known.add(Episode(alert.id, alert.started_at, incident=incident, came=came))
        return known

    def _heard(self, alert: Alert, now: datetime) -> Known:
        """Return what is known of an alert, by its sender's id and by its labels, and that it was heard of now."""
        print_of, labels = fingerprint(alert), label_fingerprint(alert)
        known = self.of(alert) or Known(print_of, now, alert.source)
        self.known[print_of] = known
        if labels:
            self.known.setdefault(labels, known)
        known.seen = max(known.seen, now)
        return known


def moment_key(alert: Alert, now: datetime) -> bytes:
    """Return the bits that make an incident's id its own: the same alert first seen at the same moment has the same."""
    return hashlib.sha256(f"{alert.id}|{rfc3339(now)}".encode()).digest()[:10]
