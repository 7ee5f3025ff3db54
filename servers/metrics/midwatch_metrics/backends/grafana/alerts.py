"""Grafana's own alert rules: how they stand, and how they changed, out of the annotations that Grafana keeps of it."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from midwatch_kit import BadInput
from midwatch_metrics.backend import AlarmState
from midwatch_metrics.backends.grafana.api import GrafanaApi
from midwatch_metrics.backends.prometheus.alerts import OK
from midwatch_metrics.backends.prometheus.api import Absent
from midwatch_metrics.backends.prometheus.labels import UNKNOWN, LabelMap
from midwatch_metrics.timeline import from_rfc3339, to_ns

MOST_CHANGES: Final = 5_000
_MILLISECOND: Final = 1_000_000
_DAY: Final = 24 * 3600 * 10**9
_STATES: Final = {"alerting": "alarm", "normal": OK, "nodata": "no_data"}
_TEXT: Final = re.compile(r"^(?P<title>.*?) \{(?P<labels>.*)\} - (?P<value>.*)$", re.DOTALL)
_LONGEST_REASON: Final = 300


@dataclass(frozen=True, slots=True)
class Standing:
    """An alert of a rule as it is now; `since` is in ns."""

    name: str
    service: str
    state: str
    since: int
    reason: str
    labels: Mapping[str, str]


class GrafanaAlerts:
    """The rules that Grafana itself evaluates, whatever data source they ask."""

    def __init__(self, api: GrafanaApi, mapping: LabelMap) -> None:
        self._api, self._mapping = api, mapping

    def changes(self, start: int, end: int) -> list[AlarmState]:
        """Return the changes of state in `[start, end)` (ns), in order of time.

        Raises `BadInput` where there are more than may be read.
        """
        asked: dict[str, str | int] = {"type": "alert", "limit": MOST_CHANGES + 1}
        asked |= {"from": start // _MILLISECOND, "to": -(-end // _MILLISECOND)}
        told = self._api.get("annotations", "annotations:read", asked)
        if len(told) > MOST_CHANGES:
            raise BadInput(f"Grafana's alerts changed more than {MOST_CHANGES:,} times in the window: narrow it")
        found = [one for item in told if isinstance(item, dict) and (one := self._changed(item))]
        return sorted((one for one in found if start <= one.at < end), key=_place)

    def standing(self, before: int) -> list[AlarmState]:
        """Return how each alert stood before a moment (ns), looking back for a day; a rule without any change is ok."""
        latest = {(one.name, one.service): one for one in self.changes(before - _DAY, before)}
        for one in self._now():
            key, since = (one.name, one.service), one.since if 0 < one.since < before else before - _DAY
            if key not in latest:
                state = one.state if since == one.since else OK
                latest[key] = AlarmState(since, 0, one.name, state, one.service, one.reason, None, None, one.labels)
        return [latest[key] for key in sorted(latest)]

    def _now(self) -> list[Standing]:
        """Return the alerts of all rules as they are, and each rule that has none."""
        try:
            told = self._api.get("prometheus/grafana/api/v1/rules", "alert.rules:read")
        except Absent:
            return []  # unified alerting is switched off
        groups = (told.get("data") or {}).get("groups") or []
        rules = [rule for group in groups for rule in group.get("rules") or [] if rule.get("type") == "alerting"]
        return [one for rule in rules for one in self._of_rule(rule)]

    def _of_rule(self, rule: Mapping[str, Any]) -> Iterable[Standing]:
        name, said = str(rule.get("name", "")), _said(rule.get("annotations") or {})
        alerts = rule.get("alerts") or [{"labels": rule.get("labels") or {}, "state": "Normal"}]
        found: dict[str, Standing] = {}
        for alert in alerts:
            labels = _plain(alert.get("labels") or {})
            state, why = _state(str(alert.get("state", "")))
            text = "; ".join(part for part in (_said(alert.get("annotations") or {}) or said, why) if part)
            service = self._service(labels)
            one = Standing(name, service, state, _moment(alert.get("activeAt")), text[:_LONGEST_REASON], labels)
            known = found.get(service)  # several alerts of a rule on a service stand as the worst of them
            if known is None or (known.state == OK and one.state != OK):
                found[service] = one
        return found.values()

    def _changed(self, item: Mapping[str, Any]) -> AlarmState | None:
        """A change out of an annotation: `Title {service=checkout} - B=1.2`; None for what is no change."""
        text = _TEXT.match(str(item.get("text", "")))
        state, why = _state(str(item.get("newState", "")))
        if not state or state == _state(str(item.get("prevState", "")))[0]:
            return None
        labels = _plain(_pairs(text["labels"]) if text else {})
        name = str(item.get("alertName") or (text["title"] if text else ""))
        values = (item.get("data") or {}).get("values") or {}
        numbers = [float(value) for value in values.values() if isinstance(value, int | float)]
        value = numbers[0] if len(numbers) == 1 else None
        told = "; ".join(part for part in (why, text["value"] if text else "") if part)
        at = int(item.get("time") or 0) * _MILLISECOND
        return AlarmState(at, 0, name, state, self._service(labels), told[:_LONGEST_REASON], value, None, labels)

    def _service(self, labels: Mapping[str, str]) -> str:
        service = self._mapping.identity(labels).service
        return "" if service == UNKNOWN else service


def _place(one: AlarmState) -> tuple[object, ...]:
    return one.at, one.name, one.service, sorted(one.attributes.items()), one.state


def _state(told: str) -> tuple[str, str]:
    """Return a state in the words of all backends, and what Grafana has in brackets behind it: `Normal (NoData)`."""
    word, _, why = told.partition(" (")
    return _STATES.get(word.lower(), word.lower()), why.rstrip(")")


def _pairs(text: str) -> dict[str, str]:
    """Labels out of `a=b, c=d`; a value may hold a comma, so a pair begins only where a name stands before `=`."""
    parts = re.split(r", (?=[a-zA-Z_][a-zA-Z0-9_.]*=)", text)
    return {name: value for name, _, value in (part.partition("=") for part in parts) if name}


def _plain(labels: Mapping[str, Any]) -> dict[str, str]:
    return {str(name): str(value) for name, value in labels.items() if not str(name).startswith("__")}


def _said(annotations: Mapping[str, Any]) -> str:
    said: Sequence[str] = [str(annotations[name]) for name in ("summary", "description") if annotations.get(name)]
    return " ".join(said[0].split()) if said and "{{" not in said[0] else ""


def _moment(told: object) -> int:
    """A moment in ns; 0 for none."""
    moment = from_rfc3339(str(told or ""))
    return to_ns(moment) if moment else 0
