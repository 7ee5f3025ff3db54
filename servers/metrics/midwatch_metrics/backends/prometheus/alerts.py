"""How alerts stood and changed, read out of the series that Prometheus itself keeps of them.

`ALERTS` has a sample at each evaluation at which an alert was pending or firing: where samples begin it became so,
where they end it was over. `ALERTS_FOR_STATE` says since when its condition held. What the rule asks and what it says
of itself come from the rules.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from midwatch_metrics.backend import AlarmState
from midwatch_metrics.backends.prometheus.labels import UNKNOWN, LabelMap

STATES: Final = {"firing": "alarm", "pending": "pending"}
OK: Final = "ok"
_OWN: Final = ("__name__", "alertname", "alertstate")
_THRESHOLD: Final = re.compile(r"[<>]=?\s*(?:bool\s+)?(-?\d+(?:\.\d+)?(?:e-?\d+)?)\s*\)*\s*$")
_MISSED: Final = 2.5
"""How many usual steps without a sample mean that an alert was over in between."""
_STUMBLE: Final = 15 * 10**9
"""And how many ns at least: an evaluation that comes late is no end of an alert."""
_LONGEST_REASON: Final = 300


@dataclass(frozen=True, slots=True)
class Rule:
    """An alerting rule: what it asks, for how long, and what is said of it."""

    name: str
    query: str
    seconds: float
    labels: Mapping[str, str]
    text: str

    @property
    def threshold(self) -> float | None:
        """The number that the rule compares with, if its last word is one."""
        found = _THRESHOLD.search(self.query)
        return float(found[1]) if found else None


@dataclass(frozen=True, slots=True)
class Active:
    """An alert that is pending or firing now."""

    name: str
    labels: Mapping[str, str]
    value: float | None
    text: str


@dataclass(frozen=True, slots=True)
class Stretch:
    """An alert in a state from `start` on, until `end` (ns); `begun` and `over` say whether either was seen."""

    labels: tuple[tuple[str, str], ...]
    name: str
    state: str
    start: int
    end: int
    begun: bool
    over: bool


def rules_of(answer: Any) -> list[Rule]:
    """Return the alerting rules of `/api/v1/rules`."""
    groups = answer.get("groups", []) if isinstance(answer, dict) else []
    return [
        Rule(
            str(rule["name"]),
            str(rule.get("query", "")),
            float(rule.get("duration", 0) or 0),
            dict(rule.get("labels") or {}),
            _said(rule.get("annotations") or {}),
        )
        for one in groups
        for rule in one.get("rules", [])
        if rule.get("type") == "alerting"
    ]


def active_of(answer: Any) -> list[Active]:
    """Return the alerts of `/api/v1/alerts`."""
    alerts = answer.get("alerts", []) if isinstance(answer, dict) else []
    return [
        Active(
            str(alert["labels"].get("alertname", "")),
            {name: value for name, value in alert["labels"].items() if name not in _OWN},
            _number(alert.get("value")),
            _said(alert.get("annotations") or {}),
        )
        for alert in alerts
    ]


def stretches(result: Sequence[Mapping[str, Any]], start: int, end: int) -> list[Stretch]:
    """Return how long each alert was in a state, from samples of `ALERTS` in `[start, end)` (ns)."""
    found = []
    parts = [(one["metric"], _times(one.get("values") or [])) for one in result]
    usual = _usual_step([times for _, times in parts])
    for labels, times in parts:
        if not len(times):
            continue
        step = _usual_step([times]) if len(times) > 1 else usual  # each group of rules has its own interval
        missed = max(_MISSED * step, _STUMBLE)
        own = tuple(sorted((name, value) for name, value in labels.items() if name not in _OWN))
        state = STATES.get(labels.get("alertstate", ""), labels.get("alertstate", ""))
        breaks = np.flatnonzero(np.diff(times) > missed) + 1
        for part in np.split(times, breaks):
            first, last = int(part[0]), int(part[-1])
            begun, over = first - start > missed, end - last > missed
            found.append(Stretch(own, labels.get("alertname", ""), state, first, last + step, begun, over))
    return found


def changes(
    found: Sequence[Stretch], rules: Sequence[Rule], active: Sequence[Active], mapping: LabelMap
) -> list[AlarmState]:
    """Return the changes of state that were seen, in order; from pending to firing no alert is ok."""
    moved = list(_moves(found))
    told = [_alarm(at, one, state, rules, active, mapping) for at, one, state in moved]
    told.sort(key=lambda alarm: (alarm.at, alarm.name, alarm.service, sorted(alarm.attributes.items()), alarm.state))
    return [replace(alarm, seq=i) for i, alarm in enumerate(told)]


def latest(
    found: Sequence[Stretch],
    rules: Sequence[Rule],
    active: Sequence[Active],
    mapping: LabelMap,
    since: int,
) -> list[AlarmState]:
    """Return how each alert stands at the end of what was looked at; a rule without any was not active `since`."""
    newest: dict[tuple[str, str], AlarmState] = {}
    for one in sorted(found, key=lambda stretch: (stretch.end, stretch.state == "pending")):
        at, state = (one.end, OK) if one.over else (one.start, one.state)
        alarm = _alarm(at, one, state, rules, active, mapping)
        newest[alarm.name, alarm.service] = alarm
    quiet = [rule for rule in rules if rule.name not in {name for name, _ in newest}]
    for rule in quiet:
        service = mapping.identity(rule.labels).service
        reason = f"not active in what was looked at; {_reason(rule, rule.text)}"
        named = "" if service == UNKNOWN else service
        newest[rule.name, named] = AlarmState(since, 0, rule.name, OK, named, reason, None, rule.threshold, rule.labels)
    return [newest[key] for key in sorted(newest)]


def _moves(found: Sequence[Stretch]) -> Iterator[tuple[int, Stretch, str]]:
    for one in found:
        if one.begun:
            yield one.start, one, one.state
        if one.over and not any(_follows(other, one) for other in found):
            yield one.end, one, OK


def _follows(other: Stretch, one: Stretch) -> bool:
    """Whether the same alert went from one state into another, as from pending to firing."""
    same = (other.name, other.labels) == (one.name, one.labels)
    return same and other.state != one.state and one.start < other.start <= one.end


def _alarm(
    at: int, one: Stretch, state: str, rules: Sequence[Rule], active: Sequence[Active], mapping: LabelMap
) -> AlarmState:
    labels = dict(one.labels)
    service = mapping.identity(labels).service
    rule = next((rule for rule in rules if rule.name == one.name), None)
    now = next((alert for alert in active if alert.name == one.name and alert.labels == labels), None)
    holds = now is not None and state != OK and not one.over
    text = _reason(rule, now.text if now and holds else rule.text if rule else "")
    value = now.value if now and holds else None
    threshold = rule.threshold if rule else None
    return AlarmState(at, 0, one.name, state, "" if service == UNKNOWN else service, text, value, threshold, labels)


def _reason(rule: Rule | None, text: str) -> str:
    said = text if text and "{{" not in text else ""
    asked = "" if rule is None else f"{rule.query}{f' for {rule.seconds:g} s' if rule.seconds else ''}"
    return " ".join("; ".join(part for part in (said, asked) if part).split())[:_LONGEST_REASON]


def _said(annotations: Mapping[str, Any]) -> str:
    return next((str(annotations[name]) for name in ("summary", "description", "message") if annotations.get(name)), "")


def _times(values: Iterable[Sequence[Any]]) -> Any:
    return np.array([round(float(point[0]) * 1000) * 1_000_000 for point in values], dtype=np.int64)


def _usual_step(times: Sequence[Any]) -> int:
    gaps = np.concatenate([np.diff(one) for one in times] or [np.zeros(0, np.int64)])
    return int(np.median(gaps)) if len(gaps) else 60 * 10**9


def _number(told: object) -> float | None:
    try:
        value = float(str(told))
    except ValueError:
        return None
    return value if np.isfinite(value) else None
