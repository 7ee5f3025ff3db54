"""CloudWatch's alarms, of metrics and composite ones: how they stand, how they changed, and whose they are.

DescribeAlarms tells of now, DescribeAlarmHistory of the last thirty days. What an alarm was in before a moment is the
state that its last change before that left it in.
"""

import json
import re
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from midwatch_kit import BadInput, Window, rfc3339
from midwatch_kit.aws import in_words
from midwatch_kit.parallel import at_once
from midwatch_metrics.backend import AlarmState
from midwatch_metrics.backends.cloudwatch.catalogue import PLACE, hold_shape
from midwatch_metrics.backends.cloudwatch.dimensions import UNKNOWN, DimensionMap
from midwatch_metrics.timeline import from_ns, to_ns

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_cloudwatch.type_defs import AlarmHistoryItemTypeDef, CompositeAlarmTypeDef, MetricAlarmTypeDef

MOST_ALARMS: Final = 5_000
MOST_CHANGES: Final = 5_000
_FRESH_SECONDS: Final = 30.0
_KINDS: Final = ("MetricAlarm", "CompositeAlarm")
"""Left out, AWS tells of alarms of metrics alone."""
_CHILD: Final = re.compile(r"\b(?:ALARM|OK|INSUFFICIENT_DATA)\(\s*[\"']?([^\"')]+?)[\"']?\s*\)")
_LONGEST_REASON: Final = 300
_THREADS: Final = 4
_MILLISECOND: Final = 1_000_000
_DAY: Final = 24 * 3600 * 10**9
_MOST_LOOKED_UP: Final = 20
"""Alarms whose last change before a moment is asked for one by one."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """An alarm: its name, whose it is ('' for nobody's), its threshold, and how it stands since when (ns)."""

    name: str
    service: str
    state: str
    since: int
    reason: str
    threshold: float | None
    attributes: Mapping[str, str]


class Alarms:
    """The alarms of an account in a region; any number of threads may ask."""

    def __init__(self, client: "CloudWatchClient", mapping: DimensionMap) -> None:
        self._client, self._mapping = client, mapping
        self._known: tuple[float, Mapping[str, Alarm]] | None = None
        self._turn = threading.Lock()

    def changes(self, services: Sequence[str], names: Sequence[str], window: Window) -> tuple[list[AlarmState], str]:
        """Return the changes of state in a window in order of time, each with its number for `seq`; and the question.

        Raises `BadInput` where there are more than may be read.
        """
        known = self.known()
        name = names[0] if len(names) == 1 and not services else None
        told = [state for item in self._history(name, window) if (state := _changed(item, known))]
        all_of_them = not (services or names)
        inside = [one for one in told if all_of_them or one.service in services or one.name in names]
        inside.sort(key=lambda state: (state.at, state.name, state.state))
        of = f" of {name}" if name else ""
        text = f"DescribeAlarmHistory{of} StateUpdate from {rfc3339(window.start)} to {rfc3339(window.end)}"
        return [replace(state, seq=i) for i, state in enumerate(inside)], text

    def standing(self, before: int) -> list[AlarmState]:
        """Return how each alarm stood just before a moment (ns); those not known to have stood in any are left out."""
        alarms = list(self.known().values())
        now = [_state(alarm) for alarm in alarms if alarm.since < before]
        later = [alarm for alarm in alarms if alarm.since >= before]
        if len(later) > _MOST_LOOKED_UP:
            earlier = self._changed_from(later, before)
        else:
            found = at_once([partial(self._last_before, alarm, before) for alarm in later], _THREADS)
            earlier = [state for state in found if state]
        return sorted([*now, *earlier], key=lambda state: state.name)

    def known(self) -> Mapping[str, Alarm]:
        """Return all alarms by name, as they stood within the last half minute; raises `KitError`."""
        with self._turn:
            if self._known is None or time.monotonic() - self._known[0] > _FRESH_SECONDS:
                self._known = time.monotonic(), self._describe()
            return self._known[1]

    def _describe(self) -> Mapping[str, Alarm]:
        found: dict[str, Alarm] = {}
        composite: list[CompositeAlarmTypeDef] = []
        pages = self._client.get_paginator("describe_alarms")
        with in_words(PLACE, "cloudwatch:DescribeAlarms"):
            for page in pages.paginate(AlarmTypes=list(_KINDS), PaginationConfig={"MaxItems": MOST_ALARMS}):
                hold_shape(page, "MetricAlarms", "CompositeAlarms")
                for alarm in page.get("MetricAlarms", []):
                    found[alarm.get("AlarmName", "")] = self._of_metric(alarm)
                composite += page.get("CompositeAlarms", [])
        waiting = {alarm.get("AlarmName", ""): alarm for alarm in composite}
        while waiting:  # one that rests on others comes after them
            ready = [name for name, alarm in waiting.items() if not waiting.keys() & set(_children(alarm)) - {name}]
            for name in ready or list(waiting):
                found[name] = _composed(waiting.pop(name), found)
        return found

    def _of_metric(self, alarm: "MetricAlarmTypeDef") -> Alarm:
        stats = [one["MetricStat"]["Metric"] for one in alarm.get("Metrics", []) if "MetricStat" in one]
        sets = [alarm.get("Dimensions", []), *(metric.get("Dimensions", []) for metric in stats)]
        told = [tuple(sorted((part["Name"], part["Value"]) for part in one)) for one in sets if one]
        services = {self._mapping.identity(one)[0] for one in told} - {UNKNOWN}
        metrics = [alarm.get("MetricName", ""), *(metric.get("MetricName", "") for metric in stats)]
        spaces = [alarm.get("Namespace", ""), *(metric.get("Namespace", "") for metric in stats)]
        named = [f"{space}/{name}" for space, name in zip(spaces, metrics, strict=True) if name]
        attributes = {"metric": ", ".join(dict.fromkeys(named))[:200], **dict(told[0] if told else ())}
        return _alarm(alarm, services, alarm.get("Threshold"), attributes)

    def _history(self, name: str | None, window: Window) -> "list[AlarmHistoryItemTypeDef]":
        pages = self._client.get_paginator("describe_alarm_history")
        with in_words(PLACE, "cloudwatch:DescribeAlarmHistory"):
            told = pages.paginate(
                **({"AlarmName": name} if name else {}),
                AlarmTypes=list(_KINDS),
                HistoryItemType="StateUpdate",
                StartDate=window.start,
                EndDate=window.end,
                ScanBy="TimestampDescending",
                PaginationConfig={"MaxItems": MOST_CHANGES + 1, "PageSize": 100},
            )
            found: list[AlarmHistoryItemTypeDef] = []
            for page in told:
                hold_shape(page, "AlarmHistoryItems")
                found += page["AlarmHistoryItems"]
        if len(found) > MOST_CHANGES:
            raise BadInput(f"alarms changed more than {MOST_CHANGES:,} times in the window: name one, or narrow it")
        return [item for item in found if window.start <= item["Timestamp"] < window.end]

    def _changed_from(self, alarms: Sequence[Alarm], before: int) -> list[AlarmState]:
        """How many alarms stood that changed since: as their first change tells, which does not say since when.

        So a day before is told, and the history is asked once, not for each of them.
        """
        first: dict[str, AlarmHistoryItemTypeDef] = {}
        for item in self._history(None, Window(start=from_ns(before), end=datetime.now(UTC) + timedelta(seconds=1))):
            first[item.get("AlarmName", "")] = item  # the newest comes first
        found = []
        for alarm in alarms:
            old = _part(_read(first.get(alarm.name, {}).get("HistoryData", "")), "oldState")
            if state := _word(str(old.get("stateValue", ""))):
                told = alarm.name, state, alarm.service, _reason(str(old.get("stateReason", "")))
                found.append(AlarmState(before - _DAY, 0, *told, None, alarm.threshold, alarm.attributes))
        return found

    def _last_before(self, alarm: Alarm, before: int) -> AlarmState | None:
        """How an alarm stood that changed since."""
        with in_words(PLACE, "cloudwatch:DescribeAlarmHistory"):
            told = self._client.describe_alarm_history(
                AlarmName=alarm.name,
                AlarmTypes=list(_KINDS),
                HistoryItemType="StateUpdate",
                EndDate=from_ns(before),
                ScanBy="TimestampDescending",
                MaxRecords=1,
            )
        states = [_changed(item, {alarm.name: alarm}) for item in told.get("AlarmHistoryItems", [])]
        return next((state for state in states if state and state.at < before), None)


def _composed(alarm: "CompositeAlarmTypeDef", known: Mapping[str, Alarm]) -> Alarm:
    """A composite alarm is its children's service's, where they have one in common."""
    services = {known[name].service for name in _children(alarm) if name in known}
    return _alarm(alarm, services, None, {"rule": alarm.get("AlarmRule", "")[:200]})


def _children(alarm: "CompositeAlarmTypeDef") -> list[str]:
    names = [str(name) for name in _CHILD.findall(alarm.get("AlarmRule", ""))]
    return [name.split(":alarm:", 1)[-1] for name in names]


def _alarm(
    alarm: "MetricAlarmTypeDef | CompositeAlarmTypeDef",
    services: set[str],
    threshold: float | None,
    attributes: Mapping[str, str],
) -> Alarm:
    moments = (alarm.get("StateTransitionedTimestamp"), alarm.get("StateUpdatedTimestamp"))
    since = next((moment for moment in moments if moment), None)
    return Alarm(
        alarm.get("AlarmName", ""),
        services.pop() if len(services) == 1 else "",
        _word(alarm.get("StateValue", "")),
        _moment(since) if since else 0,
        _reason(alarm.get("StateReason", ""), alarm.get("AlarmDescription", "")),
        threshold,
        {name: value for name, value in attributes.items() if value},
    )


def _state(alarm: Alarm) -> AlarmState:
    told = alarm.name, alarm.state, alarm.service, alarm.reason
    return AlarmState(alarm.since, 0, *told, None, alarm.threshold, alarm.attributes)


def _changed(item: "AlarmHistoryItemTypeDef", known: Mapping[str, Alarm]) -> AlarmState | None:
    """A change out of history; None for one that is no change, or cannot be read."""
    data = _read(item.get("HistoryData", ""))
    new, old = _part(data, "newState"), _part(data, "oldState")
    state = _word(str(new.get("stateValue", "")))
    if not state or state == _word(str(old.get("stateValue", ""))):
        return None
    alarm = known.get(item.get("AlarmName", ""))
    why = _part(new, "stateReasonData")
    points = [float(value) for value in why.get("recentDatapoints") or [] if isinstance(value, int | float)]
    threshold = why.get("threshold", alarm.threshold if alarm else None)
    return AlarmState(
        _moment(item["Timestamp"]),
        0,
        item.get("AlarmName", ""),
        state,
        alarm.service if alarm else "",
        _reason(str(new.get("stateReason", ""))),
        points[-1] if points else None,
        float(threshold) if isinstance(threshold, int | float) else None,
        alarm.attributes if alarm else {},
    )


def _read(text: str) -> Mapping[str, Any]:
    try:
        told = json.loads(text)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _part(data: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A part of history's JSON, which may itself be JSON in a text."""
    part = data.get(name)
    return _read(part) if isinstance(part, str) else part if isinstance(part, dict) else {}


def _moment(told: datetime) -> int:
    """A moment in ns, to the millisecond as AWS tells it: a float of seconds has noise behind that."""
    return (to_ns(told) + _MILLISECOND // 2) // _MILLISECOND * _MILLISECOND


def _word(state: str) -> str:
    return state.lower()


def _reason(*parts: str) -> str:
    return "; ".join(_spaced(parts))[:_LONGEST_REASON]


def _spaced(parts: Iterable[str]) -> list[str]:
    return [" ".join(part.split()) for part in parts if part]
