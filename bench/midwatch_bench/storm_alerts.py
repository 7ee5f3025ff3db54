"""Storms of alerts whose truth is known: outages in an application, and everything its monitoring sends about them.

The truth stays here. What is sent has names by chance, and nothing in it says which outage it is of.
"""

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import Literal

from pydantic import JsonValue

from midwatch_kit.window import rfc3339

Set = Literal["apart", "shared", "hard"]
"""`apart`: outages at the same time hit parts that have nothing in common. `shared`: a gateway calls all parts, and an
identity service is called by all. `hard`: besides, outages in connected services ten minutes apart, and two faults on
one service at once."""

_AREAS, _AREA = 6, 10
_SYLLABLES = ("ka", "lo", "mi", "ren", "sta", "vo", "ber", "du", "fen", "gra", "hul", "jor", "nim", "pel", "quo", "tir")
_FAULTS = (
    ("{s} disk usage above 95%", "FilesystemAlmostFull"),
    ("{s} container out of memory", "ContainerOomKilled"),
    ("Connection pool of {s} exhausted", "PoolExhausted"),
    ("Error rate of {s} above 5%", "HighErrorRate"),
    ("{s} is down", "TargetDown"),
    ("TLS certificate of {s} has expired", "CertificateExpired"),
    ("p99 latency of {s} above 2s", "HighLatency"),
)
_SYMPTOMS = (
    ("Error rate of {s} above 5%", "HighErrorRate"),
    ("p99 latency of {s} above 2s", "HighLatency"),
    ("Requests of {s} time out", "UpstreamTimeouts"),
    ("{s} fails its health checks", "HealthCheckFailing"),
)


@dataclass(frozen=True)
class Fired:
    """One alert as its sender tells it once: when it is sent, what it says, and (kept here) which outage it is of."""

    sent: datetime
    outage: int
    labels: dict[str, str]
    title: str
    start: datetime
    end: datetime | None

    @property
    def name(self) -> str:
        """What the sender calls the alert, at all times that it fires."""
        return ":".join(f"{key}={value}" for key, value in sorted(self.labels.items()))


@dataclass
class Storm:
    """An application, its outages, and what is sent about them, in the order in which it arrives."""

    calls: list[tuple[str, str]] = field(default_factory=list)
    outages: int = 0
    sent: list[Fired] = field(default_factory=list)

    @property
    def topology(self) -> JsonValue:
        """The application as a file of declared relations says it."""
        return {
            "relations": [
                {"source": f"service:{one}", "kind": "calls", "target": f"service:{other}"} for one, other in self.calls
            ]
        }


def storm(alerts: int, seed: int, end: datetime, kind: Set = "apart", outages: int = 20) -> Storm:
    """Return a storm of about so many alerts, the last of them sent at `end`."""
    chance = random.Random(seed)
    calls, areas = _application(chance, joined=kind != "apart")
    made, hits = Storm(calls, outages), list[_Hit]()
    starts = _starts(chance, outages, kind)
    last = max(start for start, _ in starts) + 45
    for number, (minute, area) in enumerate(starts):
        began = end - timedelta(minutes=last - minute)
        root = chance.choice([name for name in areas[area] if _dependents(calls, name)])
        faults = _FAULTS if kind != "hard" or number % 5 != 2 else _FAULTS[:3]
        hit = _hit(chance, calls, root, began, chance.choice(faults), edge=kind != "apart")
        if kind == "hard" and number % 5 == 3:  # a second fault of what is hit already, at the same time
            service, start, _ = hits[-1][0]
            hit = [(service, start, ("Backup of {s} is corrupt", "BackupBroken"))]
        hits.append(hit)
        made.sent += _told(chance, number, hit, alerts // outages)
    made.sent.sort(key=lambda fired: fired.sent)
    del made.sent[alerts:]
    return made


def alertmanager_body(alerts: list[Fired]) -> dict[str, JsonValue]:
    """Return alerts as one body of Alertmanager's webhook."""
    return {"version": "4", "alerts": [_alertmanager(fired) for fired in alerts]}


def _alertmanager(fired: Fired) -> dict[str, JsonValue]:
    return {
        "status": "resolved" if fired.end else "firing",
        "labels": {**fired.labels},
        "annotations": {"summary": fired.title, "description": f"{fired.title} since a while, see the dashboard"},
        "startsAt": rfc3339(fired.start),
        "endsAt": rfc3339(fired.end) if fired.end else "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus.example/graph",
        "fingerprint": alertmanager_fingerprint(fired),
    }


def alertmanager_fingerprint(fired: Fired) -> str:
    """Return what Alertmanager calls an alert, at all times that it fires."""
    return hashlib.sha256(fired.name.encode()).hexdigest()[:16]


def generic_body(fired: Fired) -> dict[str, JsonValue]:
    """Return one alert in the plain form."""
    said: dict[str, JsonValue] = {
        "title": fired.title,
        "service": fired.labels["service"],
        "started_at": rfc3339(fired.start),
        "severity": fired.labels["severity"],
        "action": "resolved" if fired.end else "created",
        "external_id": fired.name,
        "labels": {**fired.labels},
    }
    return said | ({"ended_at": rfc3339(fired.end)} if fired.end else {})


def _application(chance: random.Random, *, joined: bool) -> tuple[list[tuple[str, str]], list[list[str]]]:
    """Return who calls whom, and the services by area: each a tree with a few more calls in it."""
    names: list[str] = []
    while len(names) < _AREAS * _AREA:
        name = "".join(chance.sample(_SYLLABLES, 2))
        if name not in names:
            names.append(name)
    areas = [names[first : first + _AREA] for first in range(0, len(names), _AREA)]
    calls: list[tuple[str, str]] = []
    for area in areas:
        calls += [(area[chance.randrange(max(0, at - 4), at)], area[at]) for at in range(1, _AREA)]
        calls += [(area[low], area[high]) for low, high in [sorted(chance.sample(range(_AREA), 2)) for _ in range(3)]]
    if joined:
        calls += [("edge", area[0]) for area in areas]
        calls += [(area[at], "identity") for area in areas for at in chance.sample(range(_AREA), 4)]
    return sorted(set(calls)), areas


def _starts(chance: random.Random, outages: int, kind: Set) -> list[tuple[float, int]]:
    """Return when (minutes) and in which area each outage begins; those of one area are 70 to 100 minutes apart."""
    at = [chance.uniform(0, 30) for _ in range(_AREAS)]
    found: list[tuple[float, int]] = []
    for number in range(outages):
        area = number % _AREAS
        if kind == "hard" and number % 5 == 1:  # close upon another one, in the same area
            area = found[-1][1]
            found.append((found[-1][0] + 10, area))
            continue
        found.append((at[area], area))
        at[area] += chance.uniform(70, 100)
    return found


def _dependents(calls: list[tuple[str, str]], name: str) -> list[str]:
    return sorted(one for one, other in calls if other == name)


_Hit = list[tuple[str, datetime, tuple[str, str]]]


def _hit(
    chance: random.Random,
    calls: list[tuple[str, str]],
    root: str,
    began: datetime,
    fault: tuple[str, str],
    *,
    edge: bool,
) -> _Hit:
    """Return what alerts, since when: the root, and what depends on it, up to three hops, most of it, with a delay."""
    hit: _Hit = [(root, began, fault)]
    waiting, reached = [(root, began, 0)], {root}
    while waiting:
        name, since, hops = waiting.pop(0)
        for victim in _dependents(calls, name):
            if hops == 3 or victim in reached or (victim == "edge" and not edge) or chance.random() < 0.15:
                continue
            reached.add(victim)
            felt = since + timedelta(seconds=chance.uniform(10, 150))
            hit += [(victim, felt, symptom) for symptom in chance.sample(_SYMPTOMS, chance.choice((1, 1, 2)))]
            waiting.append((victim, felt, hops + 1))
    return hit


def _told(chance: random.Random, number: int, hit: _Hit, alerts: int) -> Iterator[Fired]:
    """Yield what is sent about one outage: each alert of several instances, again and again, until it is resolved."""
    length = timedelta(minutes=chance.uniform(15, 30))
    end = min(start for _, start, _ in hit) + length
    instances = [(at, pod) for at in hit for pod in range(chance.choice((1, 2, 3, 6)))]
    repeats = max(1, alerts // len(instances) - 1)
    left = count(alerts - len(instances) * (repeats + 1))
    extra = max(0, next(left))
    for place, ((service, start, (title, rule)), pod) in enumerate(instances):
        since = start + timedelta(seconds=chance.uniform(0, 30) if pod else 0)
        labels = {
            "alertname": rule,
            "service": service,
            "severity": chance.choice(("critical", "warning", "high")),
            "instance": f"{service}-{pod}",
        }
        times = repeats + (place < extra)
        told = [since + (end - since) * n / times for n in range(times)]
        for at in told:
            yield Fired(at + _delay(chance), number, labels, title.format(s=service), since, None)
        yield Fired(end + _delay(chance), number, labels, title.format(s=service), since, end)


def _delay(chance: random.Random) -> timedelta:
    """Return how long an alert is under way: mostly seconds, for one in thirty minutes, so that it is overtaken."""
    return timedelta(seconds=chance.uniform(60, 400) if chance.random() < 1 / 30 else chance.uniform(0, 5))
