"""Changes, alarms and objects of a cluster as JSON: what deployers, alarm evaluators and recorders post, as rows.

OTLP has no signal for any of them, so the shape is the store's own: an array of objects, columns in snake_case.
"""

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from midwatch_store.arrow import Row
from midwatch_store.clock import to_ns
from midwatch_store.otlp.values import Converted, event_time
from midwatch_store.text import MAX_CHARACTERS, clean

MAX_REASONS: Final = 5


def _cleaned(value: object) -> object:
    return clean(value) if isinstance(value, str) else value


Text = Annotated[str, BeforeValidator(_cleaned)]
ShortText = Annotated[Text, Field(max_length=MAX_CHARACTERS)]
Name = Annotated[Text, Field(min_length=1, max_length=1024)]
Labels = dict[ShortText, ShortText]


class _Event(BaseModel):
    """What both kinds share: closed, so that a misspelt field is an error and not a silence."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    timestamp: AwareDatetime
    attributes: Labels = {}


class Change(_Event):
    """Something that was changed on purpose; a later one with the same `change_id` supersedes it."""

    change_id: Name
    kind: Literal["deploy", "config", "flag", "infrastructure", "session"]
    service_name: ShortText = ""
    instance: ShortText = ""
    title: ShortText = ""
    author: ShortText = ""
    version: ShortText = ""
    previous_version: ShortText = ""
    repository: ShortText = ""
    url: ShortText = ""
    files: tuple[ShortText, ...] = ()
    diff: Text = ""
    end_time: AwareDatetime | None = None
    outcome: Literal["succeeded", "failed", "running"] = "succeeded"


class Alarm(_Event):
    """An alarm that changed its state."""

    alarm_name: Name
    state: Literal["ok", "alarm"]
    service_name: ShortText = ""
    reason: ShortText = ""
    value: float | None = None
    threshold: float | None = None


class Metadata(BaseModel):
    """What names an object of a Kubernetes API; the rest of its metadata is kept as it is."""

    model_config = ConfigDict(frozen=True, extra="allow")

    namespace: ShortText = ""
    name: ShortText = ""
    uid: ShortText = ""


class KubernetesObject(BaseModel):
    """An object as the Kubernetes API gives it, or the head of a list of them (`PodList`), which has no name."""

    model_config = ConfigDict(frozen=True, extra="allow")

    apiVersion: Name  # noqa: N815, as the API writes it
    kind: Name
    metadata: Metadata


class RecordedObject(_Event):
    """An object of a cluster as it was seen; `listed` with all others of its kind, after a row for the list itself.

    Between two lists of a kind, `added`, `modified` and `deleted` are what a watch told.
    """

    event: Literal["listed", "added", "modified", "deleted"]
    object: KubernetesObject


def change_rows(document: Any, arrival: int) -> Converted:
    """The changes of a JSON array as rows; `arrival` (ns) dates those whose time cannot be."""
    return _rows("changes", Change, _change_columns, document, arrival)


def alarm_rows(document: Any, arrival: int) -> Converted:
    """The alarms of a JSON array as rows; `arrival` (ns) dates those whose time cannot be."""
    return _rows("alarms", Alarm, _alarm_columns, document, arrival)


def object_rows(document: Any, arrival: int) -> Converted:
    """The recorded objects of a JSON array as rows; `arrival` (ns) dates those whose time cannot be."""
    return _rows("objects", RecordedObject, _object_columns, document, arrival)


_Kind = TypeVar("_Kind", bound=_Event)


def _rows(table: str, model: type[_Kind], columns: Callable[[_Kind], Row], document: Any, arrival: int) -> Converted:
    """Every entry that validates as a row; raises ValueError when the document is no array."""
    if not isinstance(document, list):
        raise ValueError(f"the body must be a JSON array of {table}, not {type(document).__name__}")
    rows: list[Row] = []
    reasons: list[str] = []
    for index, entry in enumerate(document):
        try:
            event = model.model_validate(entry)
        except ValidationError as error:
            reasons.append(f"{table}[{index}]: {_first(error)}")
        else:
            marks = dict(event.attributes)
            time = event_time(max(to_ns(event.timestamp), 1), arrival, marks)
            rows.append({**columns(event), "Timestamp": time, "Attributes": marks})
    return Converted({table: rows}, len(reasons), "; ".join(reasons[:MAX_REASONS]))


def _change_columns(change: Change) -> Row:
    return {
        "ChangeId": change.change_id,
        "Kind": change.kind,
        "ServiceName": change.service_name,
        "Instance": change.instance,
        "Title": change.title,
        "Author": change.author,
        "Version": change.version,
        "PreviousVersion": change.previous_version,
        "Repository": change.repository,
        "Url": change.url,
        "Files": change.files,
        "Diff": change.diff,
        "EndTime": _instant(change.end_time),
        "Outcome": change.outcome,
    }


def _alarm_columns(alarm: Alarm) -> Row:
    return {
        "AlarmName": alarm.alarm_name,
        "State": alarm.state,
        "ServiceName": alarm.service_name,
        "Reason": alarm.reason,
        "Value": alarm.value,
        "Threshold": alarm.threshold,
    }


def _object_columns(recorded: RecordedObject) -> Row:
    found = recorded.object
    return {
        "Event": recorded.event,
        "ApiVersion": found.apiVersion,
        "Kind": found.kind,
        "Namespace": found.metadata.namespace,
        "Name": found.metadata.name,
        "Uid": found.metadata.uid,
        "Object": clean(json.dumps(found.model_dump(mode="json", exclude_unset=True), sort_keys=True)),
    }


def _instant(moment: datetime | None) -> int | None:
    return None if moment is None else max(to_ns(moment), 0)


def _first(error: ValidationError) -> str:
    """The first thing wrong, with where it is; never the value, which may be long or private."""
    first: Sequence[Any] = error.errors(include_url=False, include_context=False, include_input=False)
    return f"{'.'.join(str(part) for part in first[0]['loc']) or 'entry'}: {first[0]['msg']}"
