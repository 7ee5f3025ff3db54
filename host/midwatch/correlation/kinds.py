"""What kind of trouble an alert tells of, from its own words, and which kinds can be of one outage.

Errors, latency, traffic and absence are what an outage looks like from outside: any of them go together. A full disk, a
certificate, a permission or bad data are faults: two different ones on one component are two troubles.
"""

import re
from functools import lru_cache
from typing import NamedTuple

from midwatch.records import Alert
from midwatch.records.incident import Category


class Kind(NamedTuple):
    """A category, what of it (`disk`), and whether it hurts nobody yet (`expires in 14 days`, `backup failed`)."""

    category: Category
    aspect: str = ""
    ahead: bool = False

    @property
    def is_fault(self) -> bool:
        """Whether it says what is broken, and not only how that looks from outside."""
        return self.category in _FAULTS

    def __str__(self) -> str:
        said = f"{self.category} ({self.aspect})" if self.aspect else str(self.category)
        return f"{said}, which hurts nobody yet" if self.ahead else said


_FAULTS = frozenset({Category.SATURATION, Category.CERTIFICATE, Category.ACCESS, Category.DATA})
_AHEAD = re.compile(
    r"expir\w* (in|soon|within)|\bwill (fill|expire|run out|exhaust)|predict|forecast|days? left|\bbackups?\b"
)
_WORDS: tuple[tuple[Category, str, re.Pattern[str]], ...] = tuple(
    (category, aspect, re.compile(words))
    for category, aspect, words in (
        (Category.CERTIFICATE, "", r"\b(certificates?|certs?|tls|ssl|x509)\b"),
        (Category.SATURATION, "disk", r"\b(disks?|file ?systems?|inodes?|volumes?)\b|no space|storage (full|space)"),
        (Category.SATURATION, "compute", r"\b(memory|oom|heap|swap|cpu|load average|throttl\w+|gc)\b|out of memory"),
        (Category.SATURATION, "connections", r"\b(pools?|too many connections|descriptors?|sockets?|threads?)\b"),
        (Category.SATURATION, "quota", r"\b(quotas?|rate limit\w*|limit exceeded|429)\b"),
        (Category.ACCESS, "", r"\b(unauthori[sz]ed|forbidden|permissions?|denied|credentials?|tokens?|401|403)\b"),
        (Category.DATA, "replication", r"\breplica(tion|s)?\b"),
        (Category.DATA, "", r"\b(corrupt\w*|checksums?|backups?|schema|migrations?|stale|inconsisten\w+|deadlocks?)\b"),
        (
            Category.LATENCY,
            "",
            r"\b(latency|slow\w*|duration|response times?|p9\d\w*|timed? ?outs?|apdex)\b",
        ),
        (Category.ERRORS, "", r"\b(errors?|5xx|50\d|fail\w*|exceptions?|panics?|refused)\b|error ?rate"),
        (Category.AVAILABILITY, "", r"\b(down|unavailable|unreachable|absent|not ready|crash\w*|restart\w*|offline)\b"),
        (Category.AVAILABILITY, "", r"\b(health ?checks?|probes?|no data|heartbeats?|missing|availability|dead)\b"),
        (Category.TRAFFIC, "", r"\b(traffic|request rate|requests per|rps|throughput|queues?|backlogs?|lag\w*)\b"),
        (Category.CHANGE, "", r"\b(deploy\w*|rollouts?|releases?|configuration|workflows?|pipelines?)\b"),
    )
)
_NAMED = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[_\-./:]+")

_SAME, _SYMPTOMS, _FAULT_AND_SYMPTOM, _OTHER_FAULT, _NOT_YET = 1.0, 0.8, 0.6, 0.2, 0.0


def kind_of(alert: Alert) -> Kind:
    """Return the kind of an alert: as its label `category` names one, else by its name, title and description."""
    named = alert.labels.get("category", "").casefold()
    if named in {category.value for category in Category}:
        return Kind(Category(named))
    return _by_words(f"{alert.labels.get('alertname', '')} {alert.title}", alert.description[:500])


def likeness(one: Kind, other: Kind) -> float:
    """Return how well two kinds go together in one outage, from 0 to 1."""
    if one == other:
        return _SAME
    if one.ahead or other.ahead:
        return _NOT_YET
    if one.is_fault and other.is_fault:
        return _OTHER_FAULT
    return _FAULT_AND_SYMPTOM if one.is_fault or other.is_fault else _SYMPTOMS


def apart(one: Kind, other: Kind) -> bool:
    """Return whether two kinds on one component are two different troubles."""
    return one != other and (one.ahead or other.ahead or (one.is_fault and other.is_fault))


@lru_cache(maxsize=2048)
def _by_words(name: str, description: str) -> Kind:
    for text in (name, description):
        said = _NAMED.sub(" ", text).casefold()
        for category, aspect, words in _WORDS:
            if words.search(said):
                return Kind(category, aspect, bool(_AHEAD.search(said)) and category in _FAULTS)
    return Kind(Category.OTHER)
