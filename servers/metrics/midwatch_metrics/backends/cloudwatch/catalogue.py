"""Which metrics CloudWatch keeps: listed page by page, up to a bound, and remembered for a short while."""

import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from midwatch_kit import BackendDown
from midwatch_kit.aws import in_words
from midwatch_metrics.backend import Meaning, Selection, Series
from midwatch_metrics.backends.cloudwatch.dimensions import UNKNOWN, DimensionMap, Dimensions
from midwatch_metrics.backends.cloudwatch.meanings import known_of

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_cloudwatch.type_defs import MetricOutputTypeDef

MOST_LISTED: Final = 20_000
"""Series that are listed at the most: 40 pages."""
PLACE: Final = "CloudWatch"
_FRESH_SECONDS: Final = 300.0


@dataclass(frozen=True, slots=True)
class Kept:
    """A metric as CloudWatch keeps it, what it is for the tools, and the statistic that a gauge is read by."""

    namespace: str
    name: str
    dimensions: Dimensions
    series: Series
    statistic: str


@dataclass(frozen=True, slots=True)
class Listed:
    """All that was listed, by name; `cut` says that there is more than may be listed."""

    kept: Sequence[Kept]
    cut: bool


class Catalogue:
    """The metrics of some namespaces, which may be patterns; any number of threads may ask."""

    def __init__(
        self, client: "CloudWatchClient", namespaces: Sequence[str], mapping: DimensionMap, counters: Sequence[str]
    ) -> None:
        self.namespaces = namespaces
        self._client, self._mapping, self._counters = client, mapping, counters
        self._listed: tuple[float, Listed] | None = None
        self._turn = threading.Lock()

    def listed(self) -> Listed:
        """Return what CloudWatch listed in the last five minutes; raises `KitError`."""
        with self._turn:
            if self._listed is None or time.monotonic() - self._listed[0] > _FRESH_SECONDS:
                self._listed = time.monotonic(), self._list()
            return self._listed[1]

    def _list(self) -> Listed:
        kept: list[Kept] = []
        for one in self._told():
            if len(kept) >= MOST_LISTED:
                return Listed(sorted(kept, key=_place), True)
            series = self._kept(one)
            if series is not None:
                kept.append(series)
        return Listed(sorted(kept, key=_place), False)

    def _told(self) -> Iterator["MetricOutputTypeDef"]:
        """Yield what ListMetrics tells: namespace by namespace, or all of them where one is a pattern."""
        pages = self._client.get_paginator("list_metrics")
        patterns = [name for name in self.namespaces if "*" in name]
        with in_words(PLACE, "cloudwatch:ListMetrics"):
            for page in pages.paginate() if patterns else ():
                hold_shape(page, "Metrics")
                yield from (one for one in page["Metrics"] if self._is_wanted(one.get("Namespace", "")))
            for namespace in () if patterns else self.namespaces:
                for page in pages.paginate(Namespace=namespace):
                    hold_shape(page, "Metrics")
                    yield from page["Metrics"]

    def _is_wanted(self, namespace: str) -> bool:
        return any(fnmatchcase(namespace, pattern) for pattern in self.namespaces)

    def _kept(self, one: "MetricOutputTypeDef") -> Kept | None:
        """A metric as it is kept; None for totals of an account or a region, which are nobody's."""
        namespace, name = one.get("Namespace", ""), one.get("MetricName", "")
        dimensions = tuple(sorted((part["Name"], part["Value"]) for part in one.get("Dimensions", [])))
        service, instance = self._mapping.identity(dimensions)
        if namespace.startswith("AWS/") and service == UNKNOWN and not instance:
            return None
        known = known_of(namespace, name, self._counters)
        attributes = self._mapping.attributes(dimensions)
        full = f"{namespace}/{name}"
        series = Series(full, known.form, known.unit, service, instance, attributes, meaning=known.meaning)
        return Kept(namespace, name, dimensions, series, known.statistic)


def selected(kept: Iterable[Kept], selection: Selection) -> list[Kept]:
    """Return what a selection is about, each thing once: of a metric kept by fewer and by more dimensions, the former.

    A metric goes by its full name, `AWS/Lambda/Errors`, or its own where the namespace need not be told.
    """
    found = [one for one in kept if _is_of(one, selection)]
    sets: dict[tuple[str, str], set[frozenset[str]]] = {}
    for one in found:
        sets.setdefault((one.series.metric, one.series.service), set()).add(_names(one))
    return [one for one in found if not any(s < _names(one) for s in sets[one.series.metric, one.series.service])]


def hold_shape(answer: Mapping[str, object], *parts: str) -> None:
    """Raise `BackendDown` for an answer that has none of its parts: botocore takes any text for an empty one."""
    if not any(part in answer for part in parts):
        raise BackendDown(f"what answers is not {PLACE}: see MIDWATCH_AWS_ENDPOINT_URL, and any proxy before it")


def most_telling(kept: Sequence[Kept], most: int) -> list[Kept]:
    """Return so many of them, by name: where that is not all, those that users feel before any other."""
    felt = (None, Meaning.OTHER)
    chosen = sorted(kept, key=lambda one: (one.series.meaning in felt, _place(one)))[:most]
    return sorted(chosen, key=_place)


def _is_of(one: Kept, selection: Selection) -> bool:
    series = one.series
    of_writers = series.service in selection.services or (series.instance and series.instance in selection.instances)
    told = {**dict(one.dimensions), **dict(series.attributes)}
    return (
        (not (selection.services or selection.instances) or bool(of_writers))
        and selection.metric in (None, series.metric, one.name)
        and all(told.get(name) == value for name, value in selection.attributes.items())
    )


def _names(one: Kept) -> frozenset[str]:
    return frozenset(name for name, _ in one.dimensions)


def _place(one: Kept) -> tuple[object, ...]:
    return one.series.metric, one.series.service, one.series.instance, one.dimensions
