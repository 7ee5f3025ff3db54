"""What services say in their logs of a thing that they use, and whether that speaks of it or of themselves.

Who is told that there are no connections left, or that nothing may be written, quotes what he uses: that is where the
trouble is. Who is refused, or reaches nobody, may have a wrong address or a wrong password: that is so where others
use the same thing without complaint, and he is unwell himself. The words are those of the standard vocabularies:
SQLSTATE (ISO/IEC 9075) and errno with the texts of the common servers.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from midwatch.builtin.mismatches import is_certain, is_effect
from midwatch.builtin.observed import says_what_failed, words_of
from midwatch.builtin.vocabulary import speaks_of_name
from midwatch.records import Hypothesis, HypothesisKind
from midwatch_kit.records import EntityId, Observation
from midwatch_topology import Topology

USES = ("calls", "reads", "writes", "uses")


@dataclass(frozen=True)
class Family:
    """A sort of complaint: what is then wrong with what is used, what with who uses it (None: never with him)."""

    name: str
    says: re.Pattern[str]
    used: HypothesisKind
    user: HypothesisKind | None


def _family(name: str, says: str, used: HypothesisKind, user: HypothesisKind | None = None) -> Family:
    return Family(name, re.compile(says, re.IGNORECASE), used, user)


FAMILIES = (
    _family(
        "no_connections_left",
        r"too many (client )?connections|too many clients|remaining connection slots|\b53300\b|max number of clients",
        HypothesisKind.RESOURCE,
    ),
    _family(
        "read_only",
        r"read[- ]only (option|mode|transaction|replica)|--(super-)?read-only|\b25006\b|SQL Error: 1290|\bREADONLY\b",
        HypothesisKind.STATE,
    ),
    _family(
        "login_refused",
        r"access denied for user|password authentication failed|\b28P01\b|\b28000\b|WRONGPASS|login failed for user",
        HypothesisKind.ACCESS,
        HypothesisKind.ACCESS,
    ),
    _family(
        "not_reached",
        r"communications link failure|could not connect to (server|redis)|can't connect to \w+ server"
        r"|connection to server .* failed|\b08001\b",
        HypothesisKind.DEPENDENCY,
        HypothesisKind.CHANGE,
    ),
)


@dataclass(frozen=True)
class Complaint:
    """Who complains, how, of what; `place` is where the trouble is, and `unwell` shows that the users suffer."""

    family: Family
    place: EntityId
    kind: HypothesisKind
    users: frozenset[EntityId]
    seen: tuple[Observation, ...]
    unwell: tuple[Observation, ...]

    @property
    def says(self) -> str:
        """The words of the first of them."""
        words = words_of(self.seen[0])
        found = self.family.says.search(words)
        return words[max(0, found.start() - 40) : found.end() + 40] if found else words[:120]

    @property
    def telling(self) -> bool:
        """Whether it is beyond doubt of whom they speak: several quote the same thing, or one is unwell for it."""
        return len(self.users) > 1 if self.family.user is None else bool(self.unwell)

    def blames(self, hypothesis: Hypothesis) -> bool:
        """Whether a hypothesis is the one that this complaint speaks for."""
        return (hypothesis.entity, hypothesis.kind) == (self.place, self.kind) and hypothesis.trigger == self.seen[0]


@dataclass(frozen=True)
class Complaints:
    """Finds who complains of what, among anomalies and mismatches, strongest first, along the topology."""

    anomalies: tuple[Observation, ...]
    mismatches: tuple[Observation, ...]
    topology: Topology

    def find(self) -> tuple[Complaint, ...]:
        """Return what the new lines of logs, and the errors of traces, complain of; those of most users first."""
        found = [complaint for family in FAMILIES for complaint in self._of(family)]
        return tuple(sorted(found, key=lambda c: (-len(c.users), c.place, c.family.name)))

    def _of(self, family: Family) -> Iterator[Complaint]:
        seen = tuple(o for o in self.anomalies if says_what_failed(o) and family.says.search(words_of(o)))
        users = frozenset(user for o in seen for user in _writers(o))
        used = self._used_by_most(users, seen)
        if used is not None and (family.user is None or self._most_complain(used, users)):
            mine = frozenset(user for user in users if used in self._uses(user))
            yield self._complaint(family, used, family.used, mine, seen)
        elif family.user is not None:
            own = (self._complaint(family, user, family.user, frozenset({user}), seen) for user in sorted(users))
            yield from (complaint for complaint in own if complaint.unwell)

    def _complaint(
        self,
        family: Family,
        place: EntityId,
        kind: HypothesisKind,
        users: frozenset[EntityId],
        seen: tuple[Observation, ...],
    ) -> Complaint:
        own = tuple(o for o in seen if users & {*_writers(o)})
        unwell = tuple(o for o in self.mismatches if o.entity in users and is_certain(o) and is_effect(o))
        return Complaint(family, place, kind, users, own, unwell)

    def _uses(self, user: EntityId) -> frozenset[EntityId]:
        return frozenset(r.target for r in self.topology.relations if r.source == user and r.kind in USES)

    def _used_by_most(self, users: frozenset[EntityId], seen: tuple[Observation, ...]) -> EntityId | None:
        """What most of those who complain use, and first what their words speak of by its name or a part of it."""
        words = " ".join(map(words_of, seen))
        shared = Counter(used for user in sorted(users) for used in sorted(self._uses(user)))
        return max(shared, key=lambda used: (_is_named(used, words), shared[used], used), default=None)

    def _most_complain(self, used: EntityId, users: frozenset[EntityId]) -> bool:
        everybody = {r.source for r in self.topology.relations if r.target == used and r.kind in USES}
        return len(everybody) > 1 and 2 * len(everybody & users) > len(everybody)


def _writers(seen: Observation) -> tuple[EntityId, ...]:
    names = [name for name in seen.attributes.get("services", "").split(",") if name]
    return tuple(f"service:{name}" for name in names) or (seen.entity,)


def _is_named(entity: EntityId, words: str) -> bool:
    return any(len(part) > 2 and speaks_of_name(part, words) for part in re.split(r"[:\-_.]", entity)[1:])
