"""One hour of a small shop, for every place of metrics: what the tests' questions are about.

`checkout` (two instances) answers 10 requests a second each within 10 ms. Five minutes before the end a third of them
begin to fail and its latency grows; `stock-2` dies at that moment. `jobs_queue_depth` of `stock-1` rises from 4 to 40.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

STEP = 15
LENGTH = 3600
FAULT = LENGTH - 300
BOUNDS = (0.005, 0.02, 0.1, 0.5)
"""Buckets of latencies: well requests lie in the second, slow ones in the last."""


@dataclass(frozen=True)
class Point:
    """One sample: the metric's raw name, its labels, seconds since the story began, and the value."""

    name: str
    labels: tuple[tuple[str, str], ...]
    at: int
    value: float


@dataclass(frozen=True)
class Told:
    """When the story ends, and what its times are."""

    end: datetime

    @property
    def start(self) -> datetime:
        return self.end - timedelta(seconds=LENGTH)

    @property
    def fault(self) -> datetime:
        return self.start + timedelta(seconds=FAULT)

    @property
    def window(self) -> dict[str, str]:
        """The last fifteen minutes."""
        return {"start": text(self.end - timedelta(minutes=15)), "end": text(self.end)}


def ending_now() -> Told:
    now = int(datetime.now(UTC).timestamp())
    return Told(datetime.fromtimestamp(now - now % 60, UTC))  # CloudWatch keeps whole minutes


def text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def points() -> Iterator[Point]:
    """All samples, metric by metric and series by series, each in order of time."""
    times = range(0, LENGTH, STEP)
    for pod in ("checkout-1", "checkout-2"):
        yield from _requests(pod, times)
    for pod in ("checkout-1", "checkout-2"):
        yield from _latencies(pod, times)
    for pod, level in (("stock-1", 4.0), ("stock-2", 5.0)):
        labels = _who(pod)
        for at in times:
            if not (pod == "stock-2" and at >= FAULT):
                depth = 40.0 if pod == "stock-1" and at >= FAULT else level
                yield Point("jobs_queue_depth", labels, at, depth + at % 2)
    for pod in ("checkout-1", "checkout-2", "stock-1", "stock-2"):
        for at in times:
            yield Point("up", _who(pod), at, 0.0 if pod == "stock-2" and at >= FAULT else 1.0)


def _who(pod: str, **more: str) -> tuple[tuple[str, str], ...]:
    service, number = pod.rsplit("-", 1)
    known = {"service": service, "pod": pod, "instance": f"10.0.0.{number}:8080", "job": f"shop/{service}", **more}
    return tuple(sorted(known.items()))


def _requests(pod: str, times: range) -> Iterator[Point]:
    for at in times:
        failed = max(at - FAULT, 0) * 3
        yield Point("http_requests_total", _who(pod, code="200"), at, 10.0 * at - failed)
    for at in times:
        if at > FAULT:
            yield Point("http_requests_total", _who(pod, code="500"), at, (at - FAULT) * 3.0)


def _latencies(pod: str, times: range) -> Iterator[Point]:
    for place, bound in enumerate((*BOUNDS, float("inf"))):
        le = "+Inf" if bound == float("inf") else f"{bound:g}"
        for at in times:
            well, slow = 10.0 * min(at, FAULT), 10.0 * max(at - FAULT, 0)
            value = (well if place >= 1 else 0.0) + (slow if place >= 3 else 0.0)
            yield Point("http_request_duration_seconds_bucket", _who(pod, le=le), at, value)
    for at in times:
        yield Point("http_request_duration_seconds_count", _who(pod), at, 10.0 * at)
    for at in times:
        value = 0.1 * min(at, FAULT) + 3.0 * max(at - FAULT, 0)
        yield Point("http_request_duration_seconds_sum", _who(pod), at, value)
