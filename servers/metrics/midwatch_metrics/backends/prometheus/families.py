"""From Prometheus' flat series to metrics: which series are one histogram, what is a counter, and in which unit.

Type and help come from the metadata where there are any; back-filled, federated or remotely written series have none,
and are known by their names as Prometheus' conventions have them (`_total`, `_bucket` with `le`, `_sum` and `_count`
together, units as the last word).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from midwatch_metrics.backend import Form, Series
from midwatch_metrics.backends.prometheus.labels import LabelMap

Labels = Mapping[str, str]

_PARTS: Final = ("_bucket", "_sum", "_count")
_UNITS: Final = {
    "seconds": "s",
    "milliseconds": "ms",
    "ms": "ms",
    "microseconds": "us",
    "nanoseconds": "ns",
    "bytes": "By",
    "ratio": "1",
    "percent": "%",
    "celsius": "Cel",
    "volts": "V",
    "meters": "m",
    "joules": "J",
    "grams": "g",
}


@dataclass(frozen=True, slots=True)
class Metadata:
    """What a target says of a metric: `kind` is counter, gauge, histogram, summary or unknown."""

    kind: str = "unknown"
    unit: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """A raw series as part of a metric's: its number, and which part of a histogram (`bound` of a bucket) it is."""

    raw: int
    role: str
    bound: float = 0.0


@dataclass(slots=True)
class Family:
    """One series of a metric, and the raw series that it is made of."""

    series: Series
    labels: Labels
    parts: list[Part] = field(default_factory=list)

    @property
    def raws(self) -> list[int]:
        """The numbers of its raw series."""
        return [part.raw for part in self.parts]


class Families:
    """What metrics are, by metadata and by the names that there are."""

    def __init__(self, names: Iterable[str], metadata: Mapping[str, Metadata]) -> None:
        self._metadata = metadata
        known = set(names)
        self._histograms = {
            name.removesuffix("_count")
            for name in known
            if name.endswith("_count") and name.removesuffix("_count") + "_sum" in known
        } | {name.removesuffix("_bucket") for name in known if name.endswith("_bucket")}

    def metric(self, name: str) -> tuple[str, Form, str]:
        """Return the metric that a raw name belongs to, its form, and the role of this part of it."""
        for suffix in _PARTS:
            base = name.removesuffix(suffix)
            if base != name and (base in self._histograms or self._kind(base) in ("histogram", "summary")):
                return base, Form.HISTOGRAM, suffix[1:]
        kind = self._kind(name)
        counter = kind == "counter" or (kind == "unknown" and name.endswith("_total"))
        return name, Form.COUNTER if counter else Form.GAUGE, "value"

    def describe(self, metric: str) -> tuple[str, str]:
        """Return the unit and the description of a metric."""
        told = self._told(metric)
        words = metric.removesuffix("_total").split("_")
        unit = _UNITS.get(told.unit, told.unit) or (_UNITS.get(words[-1], "") if len(words) > 1 else "")
        return unit, told.description

    def _kind(self, name: str) -> str:
        return self._told(name).kind

    def _told(self, name: str) -> Metadata:
        return self._metadata.get(name) or self._metadata.get(name.removesuffix("_total")) or Metadata()


def group(raw: Sequence[Labels], mapping: LabelMap, metadata: Mapping[str, Metadata]) -> list[Family]:
    """Return the series that raw ones make up, by metric, then by who measured, then by attributes."""
    families = Families((labels["__name__"] for labels in raw if "__name__" in labels), metadata)
    found: dict[tuple[object, ...], Family] = {}
    versions = _versions(raw, mapping)
    for i, labels in enumerate(raw):
        metric, form, role = families.metric(labels.get("__name__", ""))
        own = {name: value for name, value in labels.items() if name not in ("__name__", "le")}
        key = (metric, form, frozenset(own.items()))
        if key not in found:
            who = mapping.identity(labels)
            version = who.version or versions.get((who.service, who.instance), "")
            unit = families.describe(metric)[0]
            attributes = mapping.attributes(labels)
            found[key] = Family(Series(metric, form, unit, who.service, who.instance, attributes, version=version), own)
        found[key].parts.append(Part(i, role, _bound(labels) if role == "bucket" else 0.0))
    return sorted((_with_bounds(family) for family in found.values()), key=_place)


def _with_bounds(family: Family) -> Family:
    bounds = tuple(sorted({part.bound for part in family.parts if part.role == "bucket" and part.bound < float("inf")}))
    if not bounds:
        return family
    one = family.series
    series = Series(one.metric, one.form, one.unit, one.service, one.instance, one.attributes, bounds, one.version)
    return Family(series, family.labels, family.parts)


def _place(family: Family) -> tuple[object, ...]:
    one = family.series
    return one.metric, one.form is not Form.HISTOGRAM, one.service, one.instance, one.attributes


def _bound(labels: Labels) -> float:
    try:
        return float(labels.get("le", "+Inf"))
    except ValueError:
        return float("inf")


def _versions(raw: Sequence[Labels], mapping: LabelMap) -> dict[tuple[str, str], str]:
    """The version of each (service, instance) whose target says it once for all its series."""
    told = {}
    for labels in raw:
        name = labels.get("__name__", "")
        if name == "target_info" or name.endswith("_build_info"):
            who = mapping.identity(labels)
            if who.version:
                told[who.service, who.instance] = who.version
    return told


def metadata_of(answer: object) -> dict[str, Metadata]:
    """Return what `/api/v1/metadata` tells, the first word on each metric."""
    if not isinstance(answer, dict):
        return {}
    return {
        name: Metadata(str(told[0].get("type", "unknown")), str(told[0].get("unit", "")), str(told[0].get("help", "")))
        for name, told in answer.items()
        if isinstance(told, list) and told and isinstance(told[0], dict)
    }
