"""Which fields of an index hold what: the Elastic Common Schema's and OpenTelemetry's, as the mapping has them.

Of each role all fields that are mapped count, and in a document the first of them that it has: one pattern may match
indices of both layouts, and those of collectors that know pods and containers but no services.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from midwatch_kit import BackendDown
from midwatch_kit.logs import ns_of
from midwatch_kit.logs.lines import LogLine
from midwatch_logs.remote import clip, severity_in, trace_in, with_exception
from midwatch_logs.settings import ElasticsearchSettings

TIME: Final = "@timestamp"
FIELDS: Final[Mapping[str, Sequence[str]]] = {
    "service": ("service.name", "resource.attributes.service.name", "kubernetes.container.name", "container.name"),
    "instance": (
        "service.node.name",
        "service.instance.id",
        "resource.attributes.service.instance.id",
        "kubernetes.pod.name",
        "resource.attributes.k8s.pod.name",
        "host.name",
        "resource.attributes.host.name",
    ),
    "level": ("log.level", "severity_text", "level"),
    "trace": ("trace.id", "trace_id"),
    "message": ("message", "body.text", "body"),
    "kind": ("error.type", "attributes.exception.type"),
    "complaint": ("error.message", "attributes.exception.message"),
}
_TERMS: Final = {"keyword", "constant_keyword", "wildcard"}
_TEXTS: Final = {"text", "match_only_text", *_TERMS}


@dataclass(frozen=True)
class Layout:
    """Fields for each role, the first that a document has counts; none where the mapping has none."""

    service: Sequence[str]
    instance: Sequence[str]
    level: Sequence[str]
    trace: Sequence[str]
    message: Sequence[str]
    kind: Sequence[str]
    complaint: Sequence[str]
    whole: Mapping[str, str]
    """Of a text's field the one that has it as one term, to be searched for any part of it."""
    nanos: bool
    """Whether times may be finer than milliseconds."""

    @property
    def texts(self) -> list[str]:
        """All that a search looks into."""
        return [*self.message, *self.kind, *self.complaint]

    @property
    def told(self) -> str:
        """The layout for people."""
        roles = ("service", "instance", "level", "trace", "message")
        return "; ".join(f"{role}: {', '.join(getattr(self, role)) or 'no field'}" for role in roles)


def wanted_fields(settings: ElasticsearchSettings) -> list[str]:
    """Return the fields to ask the mapping for."""
    names = list(dict.fromkeys(name for candidates in _candidates(settings).values() for name in candidates))
    return [TIME, *names, *(f"{name}.keyword" for name in names), *(f"{name}.wildcard" for name in names)]


def layout_of(capabilities: Mapping[str, Any], settings: ElasticsearchSettings) -> Layout:
    """Return the layout that `_field_caps` tells of; raises `BackendDown` when there is no message or time."""
    types = {name: set(kinds) for name, kinds in capabilities.get("fields", {}).items()}
    candidates = _candidates(settings)
    texts = {role: [n for n in candidates[role] if types.get(n, set()) & _TEXTS] for role in _OF_TEXT}
    if not texts["message"] or TIME not in types:
        indices = len(capabilities.get("indices") or [])
        raise BackendDown(
            f"{indices} indices match, but none has {TIME} and one of {', '.join(candidates['message'])}: set "
            "MIDWATCH_ELASTICSEARCH_INDEX to where logs are, or MIDWATCH_ELASTICSEARCH_MESSAGE_FIELD"
        )
    forms = {name: (name, f"{name}.wildcard") for names in texts.values() for name in names}
    whole = {name: form for name, both in forms.items() for form in both if types.get(form) == {"wildcard"}}
    terms = {role: list(_terms(types, candidates[role])) for role in _OF_TERMS}
    return Layout(**terms, **texts, whole=whole, nanos="date_nanos" in types[TIME])


def line_of(hit: Mapping[str, Any], layout: Layout) -> LogLine:
    """Return a hit as a line; its place is what it was sorted by."""
    values = hit.get("fields", {})
    time, number = hit["sort"]
    roles = ("message", "kind", "complaint", "service", "instance", "level", "trace")
    told = {role: _first(values, getattr(layout, role)) for role in roles}
    message, cut = clip(with_exception(told["message"], told["kind"], told["complaint"]))
    return LogLine(
        ns_from(time),
        int(number),
        severity_in(told["level"]),
        told["service"] or "unknown_service",
        told["instance"],
        message,
        told["trace"] or trace_in(message),
        cut,
        {name: value for name, value in _attributes(hit.get("_source") or {}) if name not in _KNOWN},
    )


def first_of(key: Mapping[str, Any], role: str) -> str:
    """Return the first value of a role that a group of lines has, '' for none."""
    return next((str(value) for name, value in key.items() if name.startswith(role) and value), "")


def fetched(layout: Layout) -> list[str]:
    """Return the fields to fetch by their mapping: so those are found that a document has by another name, or not."""
    roles = ("service", "instance", "level", "trace", "message", "kind", "complaint")
    return list(dict.fromkeys(name for role in roles for name in getattr(layout, role)))


def ns_from(text: str) -> int:
    """Return a time that Elasticsearch wrote as `2026-11-20T02:48:00.123456789Z` in nanoseconds, exactly."""
    seconds, _, fraction = text.removesuffix("Z").partition(".")
    return ns_of(datetime.fromisoformat(f"{seconds}+00:00")) + int(fraction.ljust(9, "0")[:9] or 0)


_OF_TEXT: Final = ("message", "kind", "complaint")
_OF_TERMS: Final = ("service", "instance", "level", "trace")
_KNOWN: Final = {TIME, *(name for names in FIELDS.values() for name in names)} | {
    name.removeprefix("attributes.") for name in (*FIELDS["kind"], *FIELDS["complaint"])
}


def _candidates(settings: ElasticsearchSettings) -> dict[str, Sequence[str]]:
    own = {
        "service": settings.elasticsearch_service_field,
        "instance": settings.elasticsearch_instance_field,
        "level": settings.elasticsearch_level_field,
        "trace": settings.elasticsearch_trace_field,
        "message": settings.elasticsearch_message_field,
    }
    return {role: [own[role]] if own.get(role) else names for role, names in FIELDS.items()}


def _terms(types: Mapping[str, set[str]], candidates: Sequence[str]) -> Iterator[str]:
    """The candidates that are terms, or have terms beside their text."""
    for name in candidates:
        form = next((form for form in (name, f"{name}.keyword") if types.get(form, set()) & _TERMS), None)
        if form:
            yield form


def _first(values: Mapping[str, Sequence[Any]], names: Sequence[str]) -> str:
    return next((str(values[name][0]) for name in names if values.get(name)), "")


def _attributes(source: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """A document's leaves by their dotted names, however much of the dots are nesting; OpenTelemetry's own bare."""
    for name, value in source.items():
        if isinstance(value, Mapping):
            yield from _attributes(value, f"{prefix}{name}.")
        elif value is not None:
            yield f"{prefix}{name}".removeprefix("attributes."), value if isinstance(value, str) else str(value)
