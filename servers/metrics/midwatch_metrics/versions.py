"""Versions of a service beside each other: what a canary is for. Pure, from figures to findings that cite them.

While a rollout is under way, instances at two versions answer the same callers at the same time: whatever else goes on
hurts both alike. So an instance at the new version is compared with those at other versions, not with what was before:
caller by caller and bucket by bucket, the greatest difference first (Schermann et al., "Continuous experimentation",
IEEE Software 35(2), 2018, call it the concurrent control). The score is Welch's: the difference over its standard
error, which never is below what matters to nobody.

A rollout goes in steps, and may be taken back. Where the number of instances at a version had three levels or more, and
requests fail, the rank correlation of their share with that of failing requests is told too (Spearman's): a dose and
its response.

Also told is which instances took requests at all, and when the last one came: an instance that is there and takes
none while its siblings do is one that never came up.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from pydantic import JsonValue

from midwatch_kit import CitedFinding, Finding, ObservationKind, rfc3339
from midwatch_metrics.backend import Floats, Form, Gathered
from midwatch_metrics.calls import peer_of
from midwatch_metrics.feelings import MOVED
from midwatch_metrics.figures import Figures
from midwatch_metrics.golden import Golden, Signal, is_of_users, signals_of, tells_of_requests
from midwatch_metrics.timeline import from_ns
from midwatch_metrics.words import amount

MOST_INSTANCES: Final = 200
"""Instances of a service that are named; where there are more, nothing is said of who took requests."""
_FLOORS: Final = {Signal.ERRORS: 0.5, Signal.LATENCY: 10.0, Signal.TAIL: 10.0}
_SCORE_LIMIT: Final = 100.0
_FEWEST_LEVELS: Final = 3


@dataclass(frozen=True, slots=True, eq=False)
class _Instance:
    """What one caller saw of one instance: a signal by bucket, and the version that it ran."""

    caller: str
    name: str
    version: str
    golden: Golden


@dataclass(frozen=True, slots=True)
class Compared:
    """One version of a service beside its other versions in the buckets in which both answered a caller."""

    service: str
    version: str
    caller: str
    signal: Signal
    unit: str
    level: float
    others: float
    score: float
    buckets: int
    follows: float | None = None

    @property
    def row(self) -> JsonValue:
        """The comparison as evidence."""
        return {
            "service": self.service,
            "version": self.version,
            "caller": self.caller,
            "signal": self.signal.value,
            "unit": self.unit,
            "level": float(f"{self.level:.6g}"),
            "other_versions": float(f"{self.others:.6g}"),
            "buckets": self.buckets,
            "follows": self.follows,
        }


def compare_versions(figures: Figures) -> list[Compared]:
    """Return each signal of each version that answered beside another one, as its worst caller saw it."""
    seen: dict[tuple[str, Signal], list[_Instance]] = {}
    for one in _instances(figures):
        seen.setdefault((one.golden.service, one.golden.signal), []).append(one)
    return [
        replace(worst, follows=_follows(version, told) if signal is Signal.ERRORS else None)
        for (_, signal), told in sorted(seen.items(), key=lambda item: item[0])
        for version in sorted({one.version for one in told})
        if signal in _FLOORS and (worst := _worst(version, told))
    ]


def findings_of(compared: Iterable[Compared], first_row: int) -> list[CitedFinding]:
    """Return a finding for each version that fails more than its siblings, or as much, and for each that is slower."""
    told = ((row, one) for row, one in enumerate(compared, first_row) if one.score > -MOVED)
    return [_finding(one, row) for row, one in told if one.signal is Signal.ERRORS or one.score >= MOVED]


def who_served(gathered: Gathered, figures: Figures, first_row: int) -> tuple[list[JsonValue], list[CitedFinding]]:
    """Return, for each service whose instances tell their versions, which of them took requests, and until when."""
    last = _last_requests(gathered, figures)
    rows: list[JsonValue] = []
    found = []
    for service in sorted({service for service, _ in last}):
        times = {instance: moment for (owner, instance), moment in last.items() if owner == service}
        if len(times) <= MOST_INSTANCES:
            newest = rfc3339(from_ns(max(times.values())))
            rows.append({"service": service, "instances": [*sorted(times)], "last": newest})
            found.append(_served(service, sorted(times), newest, first_row + len(rows) - 1))
    return rows, found


def _instances(figures: Figures) -> Iterator[_Instance]:
    rows: dict[tuple[str, str, str, str], list[int]] = {}
    for i, measured in enumerate(figures.measured):
        one = measured.series
        if one.version and one.instance and is_of_users(measured):
            rows.setdefault((one.service, peer_of(one), one.instance, one.version), []).append(i)
    many = {s for s, v in {(s, v) for s, _, _, v in rows} if len({w for t, _, _, w in rows if t == s}) > 1}
    for (service, caller, name, version), own in sorted(rows.items()):
        if service in many:
            yield from (_Instance(caller, name, version, golden) for golden in signals_of(service, own, figures))


def _worst(version: str, seen: Sequence[_Instance]) -> Compared | None:
    callers = sorted({one.caller for one in seen})
    compared = [c for caller in callers if (c := _compare(version, caller, [o for o in seen if o.caller == caller]))]
    return max(compared, key=lambda one: one.score, default=None)


def _compare(version: str, caller: str, seen: Sequence[_Instance]) -> Compared | None:
    new = [one.golden.values for one in seen if one.version == version]
    old = [one.golden.values for one in seen if one.version != version]
    if not new or not old:
        return None
    mine, others = np.array(new), np.array(old)
    both = np.isfinite(mine).any(axis=0) & np.isfinite(others).any(axis=0)
    if not both.any():
        return None
    a, b = _known(mine[:, both]), _known(others[:, both])
    golden = seen[0].golden
    error = np.hypot(_standard_error(a, b), _FLOORS[golden.signal])
    score = float(np.clip((a.mean() - b.mean()) / error, -_SCORE_LIMIT, _SCORE_LIMIT))
    levels = float(a.mean()), float(b.mean())
    return Compared(golden.service, version, caller, golden.signal, golden.unit, *levels, score, int(both.sum()))


def _standard_error(a: Floats, b: Floats) -> float:
    """That of the difference of two means; a single figure scatters as the others do."""
    spread = [float(part.var(ddof=1)) if len(part) > 1 else None for part in (a, b)]
    known = [v for v in spread if v is not None]
    variances = [v if v is not None else max(known, default=0.0) for v in spread]
    return float(np.sqrt(variances[0] / len(a) + variances[1] / len(b)))


def _known(values: Floats) -> Floats:
    return np.asarray(values[np.isfinite(values)])


def _follows(version: str, seen: Sequence[_Instance]) -> float | None:
    """Rank correlation of the share of instances at a version with that of failing requests; None for few levels."""
    values = np.array([one.golden.values for one in seen])
    told, mine = np.isfinite(values), np.array([one.version == version for one in seen])
    known = told.any(axis=0)
    running = {one.name: told[[other.name == one.name for other in seen]].any(axis=0) for one in seen}
    updated = np.sum([running[name] for name in {one.name for one in seen if one.version == version}], axis=0)[known]
    response = np.where(told, values, 0.0).sum(axis=0)[known] / told.sum(axis=0)[known]
    if len(np.unique(updated)) < _FEWEST_LEVELS or np.ptp(response) <= _FLOORS[Signal.ERRORS]:
        return None
    dose = (told & mine[:, None]).sum(axis=0)[known] / told.sum(axis=0)[known]
    return float(f"{np.corrcoef(_ranks(dose), _ranks(response))[0, 1]:.3g}")


def _ranks(values: Floats) -> Floats:
    """Ranks around their mean; equal values share theirs."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    ranks = (last - (count - 1) / 2)[place]
    return np.asarray(ranks - ranks.mean())


def _finding(one: Compared, row: int) -> CitedFinding:
    worse = one.score >= MOVED
    what = "share of failing requests" if one.signal is Signal.ERRORS else "time of requests"
    at = f" from {one.caller[:40]}" if one.caller else ""
    levels = f"{amount(one.level, one.unit)}, at other versions {amount(one.others, one.unit)}"
    finding = Finding(
        entity=f"service:{one.service}",
        kind=ObservationKind.SPIKE if worse else ObservationKind.NORMAL,
        subject=one.signal.value,
        statement=f"{what}{at} of {one.service[:60]} at version {one.version[:30]} is {levels}"[:200],
        magnitude=float(f"{one.level:.6g}"),
        baseline=float(f"{one.others:.6g}"),
        unit=one.unit,
        direction="up" if worse else "none",
        score=round(max(one.score, 0.0), 2),
        attributes={"version": one.version, **({} if one.follows is None else {"follows": f"{one.follows:g}"})},
    )
    told = ("level", "other_versions", *(["follows"] if one.follows is not None else []))
    return CitedFinding(finding, [f"/rows/{row}/{name}" for name in told])


def _last_requests(gathered: Gathered, figures: Figures) -> dict[tuple[str, str], int]:
    """When each (service, instance) whose version is known took its last request, in ns."""
    cells, last = gathered.cells, dict[tuple[str, str], int]()
    telling = {measured.series for measured in figures.measured if tells_of_requests(measured)}
    for number, one in enumerate(gathered.series):
        if one in telling and one.version and one.instance:
            amounts = cells.value if one.form is Form.COUNTER else cells.count
            times = cells.last[(cells.series == number) & (amounts > 0)]
            if len(times):
                last[one.service, one.instance] = max(last.get((one.service, one.instance), 0), int(times.max()))
    return last


def _served(service: str, instances: Sequence[str], newest: str, row: int) -> CitedFinding:
    finding = Finding(
        entity=f"service:{service}",
        kind=ObservationKind.NORMAL,
        subject="served_by",
        statement=f"{len(instances)} instances of {service[:80]} took requests, the last at {newest}",
        magnitude=float(len(instances)),
        unit="instances",
        attributes={"instances": ",".join(instances), "last": newest},
    )
    return CitedFinding(finding, [f"/rows/{row}/instances", f"/rows/{row}/last"])
