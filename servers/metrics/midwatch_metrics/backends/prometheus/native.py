"""PromQL as somebody wrote it: evaluated at the moments asked for, bounded in time and series, its answer as rows."""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from pydantic import JsonValue

from midwatch_kit import BadInput, KitError, Window, rfc3339
from midwatch_kit.text import near
from midwatch_metrics.backends.prometheus.api import PrometheusApi
from midwatch_metrics.backends.prometheus.expression import Selector, selectors_of
from midwatch_metrics.backends.prometheus.labels import one_of_names
from midwatch_metrics.native import MOST_SERIES, Found, Moments, Row
from midwatch_metrics.timeline import SECOND, from_ns, to_ns

_MOST_SAMPLES: Final = 500_000
_SHARE: Final = 0.95
"""How much of the time for an answer Prometheus may evaluate, so that it is the one who gives a query up."""
_MS: Final = SECOND // 1000
_DAY: Final = 24 * 3600 * SECOND
_ADVICE: Final = "aggregate (sum by (label) (…)), choose (topk(10, …)), or match more labels"


class PromQlQueries:
    """Expressions for one Prometheus, or whatever answers as it does."""

    language = "PromQL"

    def __init__(self, api: PrometheusApi) -> None:
        self._api = api

    def evaluate(self, expression: str, moments: Moments, window: Window) -> Found:
        """Return the series at the moments, or, of a range such as `x[5m]`, its samples up to the only moment.

        Raises `BadInput` with Prometheus' own complaint and its place, or for more than `MOST_SERIES` series or
        500,000 samples; `BackendDown`.
        """
        began = time.monotonic()
        bounds = {"query": expression, "timeout": f"{self._api.seconds * _SHARE:.3f}", "limit": str(MOST_SERIES + 1)}
        last = f"{to_ns(moments.last) / SECOND:.3f}"
        if moments.count == 1:
            told = self._api.tell("query", {**bounds, "time": last})
            typed = f"{expression} at {rfc3339(moments.last)}"
        else:
            first, step = f"{to_ns(moments.first) / SECOND:.3f}", f"{moments.step.total_seconds():.3f}"
            # VictoriaMetrics moves the moments where it may keep them for later
            span = {"start": first, "end": last, "step": step, "nocache": "1"}
            told = self._ranged({**bounds, **span})
            every = f"step {moments.step.total_seconds():g}s"
            typed = f"{expression} from {rfc3339(moments.first)} to {rfc3339(moments.last)} {every}"
        rows = list(_rows(str(told.data.get("resultType", "")), told.data["result"], moments))
        hint = None if rows else _Missing(self._api, window, began + self._api.seconds * _SHARE).hint(expression)
        return Found(rows, typed, told.remarks, hint)

    def _ranged(self, parameters: Mapping[str, str]) -> Any:
        try:
            return self._api.tell("query_range", parameters)
        except BadInput as error:
            if "for range query" in str(error):
                raise BadInput(f"{error} -- with points=1 it is evaluated once, at end") from None
            raise


def _rows(kind: str, result: Any, moments: Moments) -> Iterator[Row]:
    if kind in ("scalar", "string"):
        yield {"metric": {}, "time": _clock(result[0]), "value": _number(result[1])}
        return
    _refuse_too_much(result)
    if kind == "vector":
        for one in result:
            at, value = next(_points(one))
            yield {"metric": one["metric"], "time": _clock(at), "value": value}
    elif moments.count == 1:
        for one in result:
            points: list[JsonValue] = [[_clock(at), value] for at, value in _points(one)]
            yield {"metric": one["metric"], "points": points}
    else:
        yield from _evenly(result, moments)


def _refuse_too_much(result: Sequence[Mapping[str, Any]]) -> None:
    if (many := len(result)) > MOST_SERIES:  # a server that knows the limit leaves out those beyond
        counted = f"more than {MOST_SERIES}" if many == MOST_SERIES + 1 else str(many)
        raise BadInput(f"the expression gives {counted} series, and {MOST_SERIES} is the most: {_ADVICE}")
    samples = sum(len(one.get("values", ())) + len(one.get("histograms", ())) for one in result)
    if samples > _MOST_SAMPLES:
        raise BadInput(f"the expression gives {samples} samples, and {_MOST_SAMPLES} is the most: shorten its range")


def _evenly(result: Sequence[Mapping[str, Any]], moments: Moments) -> Iterator[Row]:
    """Series with a value, or None, for each moment: the backend's own, where it moved them all by less than a step."""
    first, last, step = (
        to_ns(moments.first) // _MS,
        to_ns(moments.last) // _MS,
        round(moments.step.total_seconds() * 1e3),
    )
    found = [{round(float(at) * 1000): value for at, value in _points(one)} for one in result]
    if not found:
        return
    first += (min(min(values) for values in found) - first) % step
    at = range(first, last + 1, step)
    begins: Row = {"first": rfc3339(from_ns(first * _MS)), "every_seconds": step / 1000}
    for one, values in zip(result, found, strict=True):
        yield {"metric": one["metric"], **begins, "values": [values.get(moment) for moment in at]}


def _points(one: Mapping[str, Any]) -> Iterator[tuple[float, JsonValue]]:
    """The points of a series in order of time; a native histogram's value is its count, sum and buckets."""
    numbers = [*([one["value"]] if "value" in one else []), *one.get("values", ())]
    shapes = [*([one["histogram"]] if "histogram" in one else []), *one.get("histograms", ())]
    told = [*((at, _number(value)) for at, value in numbers), *((at, _shape(value)) for at, value in shapes)]
    yield from sorted(told, key=lambda point: float(point[0]))


def _shape(histogram: Mapping[str, Any]) -> JsonValue:
    counted = {name: _number(str(histogram[name])) for name in ("count", "sum") if name in histogram}
    return {**counted, "buckets": histogram.get("buckets") or []}


def _number(text: str) -> float | str:
    """A value; what JSON has no number for (NaN, +Inf), and a text, stay as Prometheus writes them."""
    try:
        return value if math.isfinite(value := float(text)) else text
    except ValueError:
        return text


def _clock(at: float | str) -> str:
    return rfc3339(from_ns(round(float(at) * 1000) * _MS))


@dataclass(frozen=True)
class _Missing:
    """What of an expression is not there, with what is near; looked for in the window and the day before it."""

    api: PrometheusApi
    window: Window
    until: float

    def hint(self, expression: str) -> str | None:
        """Return what the first selector at fault asks in vain; None when nothing can be told."""
        with suppress(KitError):  # it is only a hint
            selectors = selectors_of(expression)
            names = self._told("label/__name__/values") if selectors else []
            for one in selectors:
                if names and one.name and one.name not in names:
                    return f"There is no metric {one.name!r}; near: {', '.join(near(one.name, names))}."
                if wrong := self._wrong_label(one):
                    return wrong
        return None

    def _wrong_label(self, selector: Selector) -> str | None:
        of = f" of {selector.name}" if selector.name else ""
        known = self._told("labels", selector.name) if selector.equal else []
        for label, value in selector.equal:
            if known and label not in known:
                return f"No series{of} has a label {label!r}; near: {', '.join(near(label, known))}."
            values = self._told(f"label/{label}/values", selector.name)
            if values and value not in values:
                return f"No series{of} has {label}={value!r}; near: {', '.join(near(value, values))}."
        return None

    def _told(self, path: str, metric: str = "") -> list[str]:
        if time.monotonic() > self.until:
            return []
        start, end = to_ns(self.window.start) - _DAY, to_ns(self.window.end)
        span = {"start": f"{start / SECOND:.3f}", "end": f"{end / SECOND:.3f}"}
        told = self.api.ask(path, {**span, **({"match[]": f"{{{one_of_names([metric])}}}"} if metric else {})})
        return [str(name) for name in told if name != "__name__"]
