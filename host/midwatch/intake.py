"""Intake: every trigger becomes the same thing. One function for each kind of body.

Nothing here is stored or decided; the clock is asked only to refuse what would begin in the future. `BadAlert` says
which field could not be used.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, TypeAdapter, ValidationError

from midwatch.errors import BadAlert
from midwatch.records import Alert, Severity
from midwatch_kit.errors import BadInput
from midwatch_kit.window import parse_time, rfc3339

_SEVERITIES = {
    "page": Severity.CRITICAL,
    "error": Severity.HIGH,
    "warning": Severity.MEDIUM,
    "warn": Severity.MEDIUM,
    "none": Severity.INFO,
    **{severity.value: severity for severity in Severity},
}
_JSON: TypeAdapter[JsonValue] = TypeAdapter(JsonValue)
_SINCE = re.compile(r"\bsince\s+(\S+)", re.IGNORECASE)
_MOST_FAULTS = 5
_FIRST = datetime(2000, 1, 1, tzinfo=UTC)
BodyT = TypeVar("BodyT", bound=BaseModel)


def _usable(moment: datetime) -> datetime:
    """Return when something began, in UTC: a time without an offset is UTC, and one no telemetry has is refused."""
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if not _FIRST <= moment.replace(tzinfo=UTC) <= datetime.now(UTC) + timedelta(days=1):
        raise ValueError(f"{moment.isoformat()} is not a time at which an incident can have begun")
    return moment.astimezone(UTC)


_Began = Annotated[datetime, AfterValidator(_usable)]


class _AlertmanagerAlert(BaseModel):
    model_config = ConfigDict(extra="ignore", populate_by_name=True)

    status: Literal["firing", "resolved"]
    labels: dict[str, str]
    annotations: dict[str, str] = {}
    starts_at: _Began = Field(alias="startsAt")
    generator_url: str = Field("", alias="generatorURL")
    fingerprint: str = ""


class _Alertmanager(BaseModel):
    """Alertmanager's webhook body, version 4 (prometheus.io/docs/alerting/latest/configuration/#webhook_config)."""

    model_config = ConfigDict(extra="ignore", populate_by_name=True)

    version: Literal["4"]
    common_labels: dict[str, str] = Field({}, alias="commonLabels")
    alerts: list[_AlertmanagerAlert] = Field(min_length=1, max_length=1000)


class _Generic(BaseModel):
    """The plain form, for senders that can be told what to send."""

    model_config = ConfigDict(extra="forbid")

    title: str = Field(min_length=1, max_length=400)
    service: str = Field(min_length=1, max_length=200)
    started_at: _Began
    description: str = Field("", max_length=10_000)
    severity: str = "medium"
    action: Literal["created", "updated", "resolved"] = "created"
    external_id: str = ""
    labels: dict[str, str] = {}
    links: list[str] = []
    seen_at: datetime | None = Field(None, description="when it was first seen; for snapshots, where time has ended")


def alerts_from(body: JsonValue) -> list[Alert]:
    """Return the alerts in a body, whichever of the known forms it has; raises `BadAlert`."""
    if isinstance(body, dict) and "alerts" in body:
        return from_alertmanager(body)
    return [from_generic(body)]


def from_alertmanager(body: JsonValue) -> list[Alert]:
    """Return the alerts of an Alertmanager webhook body; raises `BadAlert`."""
    message = _validated(_Alertmanager, body)
    return [_from_one(alert, message.common_labels, body) for alert in message.alerts]


def from_generic(body: JsonValue) -> Alert:
    """Return the alert of a plain JSON body: title, service, started_at, and what else is known."""
    alert = _validated(_Generic, body)
    external = alert.external_id or f"{alert.service}:{alert.title}"
    return Alert(
        id=_id("generic", external, alert.started_at),
        source="generic",
        external_id=external,
        action=alert.action,
        title=alert.title,
        description=alert.description,
        severity=_severity(alert.severity),
        service=alert.service,
        started_at=alert.started_at,
        labels=alert.labels,
        links=tuple(alert.links),
        runbook=_runbook(alert.labels),
        raw=body,
    )


def from_sentence(text: str, services: Iterable[str], now: datetime) -> Alert:
    """Return the alert that a sentence describes: it must name a known service, and may say `since TIME`.

    Of several services the first one named counts. Raises `BadAlert` when it names none, with the known names.
    """
    known = sorted(services)
    places = {name: place for name in known if (place := _place_of(name, text)) is not None}
    if not places:
        there = f"known are: {', '.join(known)}" if known else "no server knows any service yet, see midwatch doctor"
        raise BadAlert(f"the sentence names no service that is known here; {there}")
    since = _SINCE.search(text)
    try:
        started = _usable(parse_time(since[1].rstrip(".,;!?"), now)) if since else now
    except (BadInput, ValueError) as error:
        raise BadAlert(str(error)) from None
    return Alert(
        id=_id("sentence", text, started),
        source="sentence",
        external_id=text[:200],
        title=text[:400],
        service=min(places, key=lambda name: places[name]),
        started_at=started,
        raw=text,
    )


def _from_one(alert: _AlertmanagerAlert, common: dict[str, str], body: JsonValue) -> Alert:
    labels = {**common, **alert.labels}
    service = labels.get("service") or labels.get("service_name") or labels.get("job")
    if not service:
        raise BadAlert("alerts.labels: no label service, service_name or job says which service this is about")
    title = alert.annotations.get("summary") or labels.get("alertname") or "alert"
    external = alert.fingerprint or f"{labels.get('alertname', '')}:{service}"
    return Alert(
        id=_id("alertmanager", external, alert.starts_at),
        source="alertmanager",
        external_id=external,
        action="resolved" if alert.status == "resolved" else "created",
        title=title[:400],
        description=alert.annotations.get("description", "")[:10_000],
        severity=_severity(labels.get("severity", "")),
        service=service,
        started_at=alert.starts_at,
        labels=labels,
        links=(alert.generator_url,) if alert.generator_url else (),
        runbook=_runbook({**labels, **alert.annotations}),
        raw=body,
    )


def _place_of(name: str, text: str) -> int | None:
    found = re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text, re.IGNORECASE)
    return found.start() if found else None


def _validated(shape: type[BodyT], body: JsonValue) -> BodyT:
    try:
        _JSON.validate_python(body)  # `raw` keeps all of it, so all of it must be fit to be kept
        return shape.model_validate(body)
    except ValidationError as error:
        told = error.errors(include_url=False)
        faults = [f"{'.'.join(map(str, fault['loc'])) or 'body'}: {fault['msg']}" for fault in told[:_MOST_FAULTS]]
        more = [f"and {len(told) - _MOST_FAULTS} more"] if len(told) > _MOST_FAULTS else []
        raise BadAlert("; ".join([*faults, *more])) from None


def _runbook(said: Mapping[str, str]) -> str:
    """Return the runbook that labels or annotations name, as rules of Prometheus do it by custom."""
    return (said.get("runbook_url") or said.get("runbook") or "")[:400]


def _severity(text: str) -> Severity:
    return _SEVERITIES.get(text.casefold(), Severity.MEDIUM)


def _id(source: str, external: str, started: datetime) -> str:
    return hashlib.sha256(f"{source}|{external}|{rfc3339(started)}".encode()).hexdigest()[:20]
