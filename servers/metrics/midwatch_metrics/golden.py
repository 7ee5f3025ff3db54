"""What a service's users feel, read out of its metrics: how long requests take, which share fails, how many there are.

Where a backend knows what its metrics mean, that counts. All others are known by their unit and by words that semantic
conventions and dashboards use, never by who sent them: server-side durations, availability or error ratios, and counts
of requests. Figures of calls that a service itself makes (`client`, or a mesh's `reporter` is `source`) are left out.
Nothing is compared here.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Final

import numpy as np

from midwatch_metrics.backend import Floats, Form, Meaning, Series
from midwatch_metrics.figures import Figures, Measured, Statistic

_TIMES: Final = re.compile(r"latency|duration|response[._ ]?time|requests?_seconds$")
_SOUND: Final = re.compile(r"availab|success")
_UNSOUND: Final = re.compile(r"(error|fail\w*)[._ ]?(rate|ratio|share|percent)")
_ARRIVALS: Final = re.compile(r"requests?|calls?|throughput|workload")
_NOT_OF_USERS: Final = re.compile(
    r"client|\b(gc|db)\b|_(gc|db)_|scrape|pause|queue|cpu|lock|connection|process|poll|retr|size|active"
)
_MEANS: Final = ("mean", "avg", "average")
_MEDIAN: Final = 0.5
_QUANTILES: Final = {"p50": _MEDIAN, "median": _MEDIAN, "p90": 0.9, "p95": 0.95, "p99": 0.99}
_STATISTICS: Final = (*_MEANS, *_QUANTILES)
_TOLD: Final = re.compile(rf"(?<![a-z0-9])({'|'.join(_STATISTICS)})(?![a-z0-9])")


class Signal(StrEnum):
    """A figure that users feel; values are the subjects of findings about it."""

    LATENCY = "latency_mean"
    TAIL = "latency_p95"
    ERRORS = "error_rate"
    REQUESTS = "request_rate"


@dataclass(frozen=True, slots=True, eq=False)
class Golden:
    """One signal of one service by bucket (NaN where nothing): ms, percent or requests per second.

    `requests` has the requests per second beside it, NaN where nobody counted them. `of_calls` says that it is of calls
    that the service makes, for want of figures of those that it answers.
    """

    service: str
    signal: Signal
    unit: str
    values: Floats
    requests: Floats
    of_calls: bool = False


def golden_signals(figures: Figures) -> list[Golden]:
    """Return the signals of every service that has any, in order of the services' names."""
    by_service: dict[str, list[int]] = {}
    for i, measured in enumerate(figures.measured):
        if is_of_users(measured) and not _of_own_calls(measured):
            by_service.setdefault(measured.series.service, []).append(i)
    return [one for service in sorted(by_service) for one in signals_of(service, by_service[service], figures)]


def is_of_users(measured: Measured) -> bool:
    """Whether a statistic may be of requests that a service answers, rather than of calls that it makes itself."""
    if measured.series.meaning is not None:
        return measured.series.meaning is not Meaning.OTHER
    return not _NOT_OF_USERS.search(measured.series.metric.lower()) and not _of_own_calls(measured)


def _of_own_calls(measured: Measured) -> bool:
    """Whether a service mesh reports it of the calls that a service makes, not of those that it serves."""
    return ("reporter", "source") in measured.series.attributes


def is_share_of_requests(measured: Measured) -> bool:
    """Whether a statistic says which share of requests succeeds or fails, rather than how full something is."""
    if measured.series.meaning is not None:
        return False
    name = measured.series.metric.lower()
    told = measured.statistic is Statistic.VALUE and measured.unit in ("%", "")
    return told and bool(_SOUND.search(name) or _UNSOUND.search(name))


def tells_of_requests(measured: Measured) -> bool:
    """Whether a statistic has figures only while a service answers requests: which share succeeds, or how many."""
    return is_of_users(measured) and (is_share_of_requests(measured) or _counts_requests(measured))


def signals_of(service: str, rows: Sequence[int], figures: Figures) -> list[Golden]:
    """Return the signals of a service that these rows of the figures tell of."""
    counts = _once([i for i in rows if _counts_requests(figures.measured[i])], figures)
    counts = counts or [i for i in rows if _counts(figures.measured[i], Meaning.LATENCY)]  # what was timed was counted
    nothing = np.full(figures.values.shape[1], np.nan)
    requests = _total(figures.values[counts]) if counts else nothing
    found = [Golden(service, Signal.REQUESTS, "1/s", requests, requests)] if counts else []
    times = [i for i in rows if _is_time(figures.measured[i])]
    if times:
        found.append(_latency(service, times, figures, requests))
    failing = _failing(rows, counts, figures, requests)
    if failing is not None:
        found.append(Golden(service, Signal.ERRORS, "%", failing, requests))
    return found


def _once(counts: Sequence[int], figures: Figures) -> Sequence[int]:
    """Those of the metrics that tell which requests failed, if any does: others count the same requests again."""
    series = {i: figures.measured[i].series for i in counts}
    telling = {one.metric for one in series.values() if _tells_errors(one)}
    return [i for i in counts if series[i].metric in telling] or counts


def _latency(service: str, times: Sequence[int], figures: Figures, requests: Floats) -> Golden:
    """How long requests take: their mean as it was told, or by their quantiles; a tail alone tells no mean."""
    by_statistic: dict[str, list[int]] = {}
    for i in times:
        by_statistic.setdefault(_statistic(figures.measured[i]), []).append(i)
    levels = {name: _level(figures, by_statistic[name]) for name in _STATISTICS if name in by_statistic}
    best = next(iter(levels))
    if _QUANTILES.get(best) == _MEDIAN:
        return Golden(service, Signal.LATENCY, "ms", _mean_of_quantiles(levels), requests)
    return Golden(service, Signal.LATENCY if best in _MEANS else Signal.TAIL, "ms", levels[best], requests)


def _level(figures: Figures, rows: Sequence[int]) -> Floats:
    return _weighted(figures.values[rows], np.array([_weights(figures, i) for i in rows]))


def _mean_of_quantiles(levels: Mapping[str, Floats]) -> Floats:
    """The mean if requests lie evenly between their quantiles: a median alone hides what a few of them lose."""
    shares = [_QUANTILES[name] for name in levels]
    borders = [0.0, *((one + other) / 2 for one, other in pairwise(shares)), 1.0]
    return _weighted(np.array(list(levels.values())), np.diff(borders)[:, None])


def _failing(rows: Sequence[int], counts: Sequence[int], figures: Figures, requests: Floats) -> Floats | None:
    """The share of requests that fail, in percent: as it was told, or counted by attributes; None when unknown."""
    told = [i for i in rows if is_share_of_requests(figures.measured[i])]
    if told:
        return _weighted(np.array([_failing_percent(figures, i) for i in told]), np.ones((len(told), 1)))
    failed = [i for i in rows if _counts(figures.measured[i], Meaning.ERRORS)]
    if not failed and not any(_tells_errors(figures.measured[i].series) for i in counts):
        return None
    failed += [i for i in counts if _failed(figures.measured[i].series)]
    share = np.divide(_total(figures.values[failed]), requests, out=np.zeros_like(requests), where=requests > 0)
    return np.where(np.isfinite(requests), 100 * np.minimum(np.nan_to_num(share), 1.0), np.nan)


def _failing_percent(figures: Figures, row: int) -> Floats:
    measured = figures.measured[row]
    percent = figures.values[row] * (1 if measured.unit == "%" else 100)
    return np.asarray(100 - percent if _SOUND.search(measured.series.metric.lower()) else percent)


def _is_time(measured: Measured) -> bool:
    whole = measured.statistic in (Statistic.VALUE, Statistic.MEAN)
    if measured.series.meaning is not None:
        return whole and measured.unit == "ms" and measured.series.meaning is Meaning.LATENCY
    return whole and measured.unit == "ms" and bool(_TIMES.search(measured.series.metric.lower()))


def _counts(measured: Measured, meaning: Meaning) -> bool:
    """Whether a statistic counts what its metric is known to mean."""
    counted = measured.statistic is Statistic.RATE or measured.series.unit == "1/s"
    return measured.series.meaning is meaning and counted


def _counts_requests(measured: Measured) -> bool:
    if measured.series.meaning is not None:
        return _counts(measured, Meaning.REQUESTS)
    name, unit = measured.series.metric.lower(), measured.series.unit.strip()
    if measured.series.form is Form.HISTOGRAM:
        return measured.statistic is Statistic.RATE and unit in ("s", "ms", "us", "ns") and bool(_TIMES.search(name))
    counted = measured.statistic is Statistic.RATE and unit in ("", "1", "{request}", "{call}")
    paced = measured.statistic is Statistic.VALUE and unit in ("1/s", "{request}/s", "{call}/s", "Ops")
    return (counted or paced) and bool(_ARRIVALS.search(name)) and not _UNSOUND.search(name)


def _tells_errors(series: Series) -> bool:
    return any(name in ("error.type", "http.response.status_code", "http.status_code") for name, _ in series.attributes)


def _failed(series: Series) -> bool:
    attributes = dict(series.attributes)
    status = attributes.get("http.response.status_code") or attributes.get("http.status_code") or ""
    return status.startswith("5") if status else bool(attributes.get("error.type"))


def _statistic(measured: Measured) -> str:
    """Return the statistic that a series is of; the mean where it does not say."""
    said = " ".join([measured.series.metric, *(value for _, value in measured.series.attributes)]).lower()
    told = _TOLD.search(said)
    return told[1] if told else _MEANS[0]


def _weights(figures: Figures, row: int) -> Floats:
    """How many requests stand behind each figure of a histogram's mean; one for any other series."""
    series = figures.measured[row].series
    rates = (i for i, m in enumerate(figures.measured) if m.series is series and m.statistic is Statistic.RATE)
    rate = next(rates, None)
    return np.ones(figures.values.shape[1]) if rate is None else np.nan_to_num(figures.values[rate])


def _weighted(values: Floats, weights: Floats) -> Floats:
    weight = np.where(np.isfinite(values), weights, 0.0).sum(axis=0)
    total = np.where(np.isfinite(values), values * weights, 0.0).sum(axis=0)
    return np.asarray(np.divide(total, weight, out=np.full(values.shape[1], np.nan), where=weight > 0))


def _total(values: Floats) -> Floats:
    known = np.isfinite(values)
    return np.where(known.any(axis=0), np.where(known, values, 0.0).sum(axis=0), np.nan)
