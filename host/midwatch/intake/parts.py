"""What the functions of all sources share: how texts, times, labels and severities of foreign bodies are read.

`external_id` stays the same from an alert's beginning to its end, whatever its sender tells of it in between. `id`
stays the same as long as the sender also says the same beginning.
"""

import contextlib
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    JsonValue,
    ValidationError,
    WithJsonSchema,
)

from midwatch.errors import BadAlert
from midwatch.records import Alert, Severity
from midwatch.wording import in_words
from midwatch_kit.window import rfc3339

Action = Literal["created", "updated", "resolved"]
SERVICE_LABELS = ("service", "service_name", "service.name", "app", "job")
_WORDS: dict[Severity, str] = {
    Severity.CRITICAL: "critical crit fatal page emergency disaster blocker p0 p1 sev0 sev1 1",
    Severity.HIGH: "high error major urgent p2 sev2 2",
    Severity.MEDIUM: "medium moderate warning warn degraded p3 sev3 3",
    Severity.LOW: "low minor p4 sev4 4",
    Severity.INFO: "info information informational minimal planning none ok debug p5 sev5 5",
}
_SEVERITIES = {word: severity for severity, words in _WORDS.items() for word in words.split()}
_NUMBERED = re.compile(r"(p|sev|priority)?[\s_-]*([0-5])(?![0-9])")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_FIRST = datetime(2000, 1, 1, tzinfo=UTC)
_FAR_SECONDS = 100_000_000_000
_MOST_FAULTS = 5
_GROUP = "alerts"
_TITLE, _DESCRIPTION, _NAME, _ID, _VALUE, _LINK, _RUNBOOK = 400, 10_000, 200, 400, 1000, 2000, 400
_MOST_LABELS, _MOST_LINKS = 200, 20
BodyT = TypeVar("BodyT", bound=BaseModel)


class PartlyBad(BadAlert):
    """Raised when some alerts of a group cannot be used; `good` are those that can."""

    def __init__(self, why: str, good: Sequence[Alert]) -> None:
        super().__init__(why)
        self.good = tuple(good)


@dataclass(frozen=True)
class Told:
    """What is known of a request beside its body: when it came, its headers, and what the settings say of its source.

    Names of headers are in lower case. `labels` are those that name the service, the most telling first; `service` is
    what an alert is about that names none.
    """

    now: datetime
    headers: Mapping[str, str] = field(default_factory=dict)
    labels: tuple[str, ...] = ()
    service: str = ""


@dataclass(frozen=True, kw_only=True)
class Draft:
    """An alert as a body tells it, before its texts are cut to what a record holds.

    `once` tells one alert from another with the same `external`: its beginning, unless the sender has something better.
    `named` is the service that the sender names outright; `service` is what it comes to where no label says more.
    `stands_in` is what it is about where nothing names a service; its title, unless something is steadier than that.
    `place` is where in the body its labels are.
    """

    source: str
    external: str
    title: str
    started_at: datetime
    raw: JsonValue
    labels: Mapping[str, str] = field(default_factory=dict)
    action: Action = "created"
    description: str = ""
    severity: Severity = Severity.MEDIUM
    named: str = ""
    service: str = ""
    stands_in: str = ""
    links: tuple[str, ...] = ()
    runbook: str = ""
    once: str | None = None
    ended_at: datetime | None = None
    place: str = "labels"


def ended(said: object) -> datetime | None:
    """Return when an alert was over, in UTC; None for no such time: while it fires, senders fill in the year 1, or -1.

    Numbers are Unix time in seconds, milliseconds, microseconds or nanoseconds.
    """
    try:
        if isinstance(said, int | float):
            while said > _FAR_SECONDS:
                said /= 1000
            return usable(datetime.fromtimestamp(said, UTC))
        return usable(datetime.fromisoformat(said)) if isinstance(said, str) else None
    except (ValueError, OverflowError, OSError):
        return None


def usable(moment: datetime) -> datetime:
    """Return when something began, in UTC: a time without an offset is UTC, and one no telemetry has is refused."""
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if not _FIRST <= moment.replace(tzinfo=UTC) <= datetime.now(UTC) + timedelta(days=1):
        raise ValueError(f"{moment.isoformat()} is no time from the year 2000 until tomorrow")
    return moment.astimezone(UTC)


def _text(value: object) -> object:
    """Numbers are texts as well: templates write them with quotes or without."""
    if value is None:
        return ""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _labels(value: object) -> object:
    """Keep what is one text each; senders put lists and objects between labels, and those stay in the raw body."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        return value
    return {str(key): str(each) for key, each in value.items() if isinstance(each, str | int | float)}


def _nothing(value: object) -> object:
    return None if value in ("", 0, "0", "null", "None") else value


_SINCE_2000: Mapping[str, JsonValue] = {"type": "number", "minimum": 946684800, "maximum": 4102444800000}
Moment = Annotated[datetime, WithJsonSchema({"anyOf": [{"type": "string", "format": "date-time"}, {"type": "number"}]})]
"""RFC 3339, or Unix time in seconds or milliseconds."""
Began = Annotated[
    datetime,
    AfterValidator(usable),
    WithJsonSchema({"anyOf": [{"type": "string", "format": "date-time"}, {**_SINCE_2000}]}),
]
"""When something began: RFC 3339, or Unix time in seconds or milliseconds, from the year 2000 on until tomorrow."""
MaybeBegan = Annotated[Began | None, BeforeValidator(_nothing)]
Text = Annotated[str, BeforeValidator(_text)]
Labels = Annotated[dict[str, str], BeforeValidator(_labels), WithJsonSchema({"type": ["object", "null"]})]


class Shape(BaseModel):
    """A foreign body: what is not named here is left to the raw body."""

    model_config = ConfigDict(extra="ignore", populate_by_name=True, defer_build=True)


def finished(draft: Draft, told: Told) -> Alert:
    """Return the alert that a draft comes to; raises `BadAlert` when nothing says what it is about.

    Long texts are cut, what a terminal would obey is taken out, and links are addresses of the web. `raw` is whole.
    """
    labels = {_clean(key, _NAME): _clean(value, _VALUE) for key, value in [*draft.labels.items()][:_MOST_LABELS]}
    service = _service(draft, told)
    external = _clean(draft.external, _ID) or f"{service}:{_clean(draft.title, _TITLE)}"
    links = tuple(dict.fromkeys(link[:_LINK] for link in draft.links if link.startswith(("http://", "https://"))))
    return Alert(
        id=_digest(draft.source, external, rfc3339(draft.started_at) if draft.once is None else draft.once),
        source=draft.source,
        external_id=external,
        action=draft.action,
        title=_clean(draft.title, _TITLE) or "alert",
        description=_clean(draft.description, _DESCRIPTION),
        severity=draft.severity,
        service=service,
        started_at=draft.started_at,
        ended_at=draft.ended_at if draft.action == "resolved" else None,
        labels=labels,
        links=links[:_MOST_LINKS],
        runbook=_clean(draft.runbook, _RUNBOOK),
        raw=draft.raw,
    )


def each_finished(drafts: Iterable[Draft], told: Told, known: Sequence[str] = ()) -> list[Alert]:
    """Return the alerts of a group; raises `PartlyBad` where some cannot be used, with the faults `known` already."""
    good: list[Alert] = []
    faults = [*known]
    for draft in drafts:
        try:
            good.append(finished(draft, told))
        except BadAlert as error:
            faults.append(str(error))
    if faults:
        raise PartlyBad(_some(faults), good)
    return good


def validated(shape: type[BodyT], body: JsonValue) -> BodyT:
    """Return a body in a known shape; raises `BadAlert` that names each field at fault."""
    _fit_to_be_kept(body)
    try:
        return _shaped(shape, body)
    except ValidationError as error:
        raise BadAlert(in_words(error.errors(include_url=False), body)) from None


def validated_group(shape: type[BodyT], body: JsonValue) -> tuple[BodyT, list[int], list[str]]:
    """Return a group in a known shape, the numbers of those of its alerts that can be used, and faults of the others.

    Raises `BadAlert` where something beside them is wrong, or none of them can be used.
    """
    _fit_to_be_kept(body)
    alerts = body.get(_GROUP) if isinstance(body, dict) else None
    numbers = [*range(len(alerts))] if isinstance(alerts, list) else []
    try:
        return _shaped(shape, body), numbers, []
    except ValidationError as error:
        errors = error.errors(include_url=False)
        bad = {each["loc"][1] if each["loc"][:1] == (_GROUP,) and len(each["loc"]) > 1 else None for each in errors}
        good = [number for number in numbers if number not in bad]
        if None in bad or not good or not isinstance(body, dict) or not isinstance(alerts, list):
            raise BadAlert(in_words(errors, body)) from None
    return _shaped(shape, {**body, _GROUP: [alerts[number] for number in good]}), good, [in_words(errors, body)]


def alone(body: JsonValue, number: int) -> JsonValue:
    """Return a group's body with one of its alerts only: a thousand alerts must not keep the whole group each."""
    alerts = body.get(_GROUP) if isinstance(body, dict) else None
    return {**body, _GROUP: [alerts[number]]} if isinstance(body, dict) and isinstance(alerts, list) else body


def without(placeholder: re.Pattern[str], body: JsonValue) -> JsonValue:
    """Return a body from a template without the values that its sender had nothing to put in the place of."""
    if not isinstance(body, dict):
        return body
    return {key: "" if isinstance(each, str) and placeholder.fullmatch(each) else each for key, each in body.items()}


def severity(text: str) -> Severity:
    """Return how bad a word says that it is: `P1`, `SEV-2`, `3 - Moderate`, `warning`; medium when it says nothing."""
    word = text.strip().casefold()
    if known := _SEVERITIES.get(word):
        return known
    numbered = _NUMBERED.match(word)
    return _SEVERITIES.get(f"p{numbered[2]}", Severity.MEDIUM) if numbered else Severity.MEDIUM


def runbook(*said: Mapping[str, str]) -> str:
    """Return the runbook that labels or annotations name, as rules of Prometheus do it by custom."""
    known = {key: value for each in said for key, value in each.items()}
    return known.get("runbook_url") or known.get("runbook") or known.get("runbookUrl") or ""


def tags(given: str | list[str]) -> dict[str, str]:
    """Return tags such as `service:web,team:shop` as labels; a tag without a value is a label with an empty one."""
    listed = given.split(",") if isinstance(given, str) else given
    pairs = (each.strip().partition(":") for each in listed)
    return {key.strip(): value.strip() for key, _, value in pairs if key.strip()}


def _shaped(shape: type[BodyT], body: JsonValue) -> BodyT:
    """Return a body in a known shape, where null says as little as a field that is not there."""
    try:
        return shape.model_validate(body)
    except ValidationError:
        with contextlib.suppress(ValidationError, RecursionError):
            return shape.model_validate(_without_nulls(body))
        raise


def _without_nulls(body: JsonValue) -> JsonValue:
    if isinstance(body, dict):
        return {key: _without_nulls(each) for key, each in body.items() if each is not None}
    return [_without_nulls(each) for each in body] if isinstance(body, list) else body


def _some(faults: Sequence[str]) -> str:
    """Return the first few faults, and how many there are beside them."""
    more = [f"and {len(faults) - _MOST_FAULTS} more"] if len(faults) > _MOST_FAULTS else []
    return "; ".join([*faults[:_MOST_FAULTS], *more]).encode("utf-8", "replace").decode()


def _fit_to_be_kept(body: JsonValue) -> None:
    """Raise `BadAlert` for what cannot be written down as JSON again: `raw` keeps all of a body."""
    try:
        json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, TypeError, RecursionError):
        raise BadAlert(f"{_unfit(body)[:300]}: it cannot be written as JSON in UTF-8") from None


def _unfit(body: JsonValue) -> str:
    """Return the place of what cannot be written down, for people."""
    waiting: list[tuple[str, JsonValue]] = [("", body)]
    while waiting:
        place, value = waiting.pop()
        if isinstance(value, dict):
            names = [f"{place}{name}".encode("utf-8", "replace").decode() for name in value]
            if odd := next((each for each, name in zip(names, value, strict=True) if not each.endswith(name)), ""):
                return odd
            waiting += [(f"{each}.", inner) for each, inner in zip(names, value.values(), strict=True)]
        elif isinstance(value, list):
            waiting += [(f"{place}{number}.", inner) for number, inner in enumerate(value)]
        elif not _writable(value):
            return place.rstrip(".") or "body"
    return "body"


def _writable(value: str | float | bool | None) -> bool:
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except ValueError:
        return False
    return True


def _service(draft: Draft, told: Told) -> str:
    looked = told.labels or SERVICE_LABELS
    said = (draft.labels.get(name, "") for name in looked)
    known = (draft.named, *said, draft.service, told.service, draft.stands_in, draft.title)
    if found := next((name for each in known if (name := _clean(each, _NAME))), ""):
        return found
    raise BadAlert(f"{draft.place}: no label {_listed(looked)} says which service this is about")


def _listed(names: tuple[str, ...]) -> str:
    *first, last = names
    return f"{', '.join(first)} or {last}" if first else last


def _clean(text: str, longest: int) -> str:
    return _CONTROLS.sub(" ", text).strip()[:longest]


def _digest(source: str, external: str, once: str) -> str:
    return hashlib.sha256(f"{source}|{external}|{once}".encode()).hexdigest()[:20]
