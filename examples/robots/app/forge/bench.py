"""The bench on which a rigging is proven before a robot leaves with it: one place, one rigging after the other.

Whoever waits is served in turn. Sites without a bench have a `bench_seconds` of 0 and send every robot out as rigged.
"""

import asyncio
from collections.abc import Iterable

from opentelemetry import metrics, trace
from opentelemetry.metrics import CallbackOptions, Observation

from app.errors import Overloaded
from app.settings import Settings

MOST_WAITING = 40

tracer = trace.get_tracer(__name__)


class Bench:
    """The place and those who wait for it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.waiting = 0
        self._place = asyncio.Lock()

    async def prove(self) -> None:
        """Wait for the place and keep it for a proof; raises Overloaded when too many wait already."""
        seconds = self.settings.number("bench_seconds", 0)
        if not seconds:
            return
        if self.waiting >= self.settings.number("bench_queue", MOST_WAITING):
            raise Overloaded(f"{self.waiting} riggings wait for the bench already")
        self.waiting += 1
        try:
            with tracer.start_as_current_span("wait for the bench"):
                await self._place.acquire()
        finally:
            self.waiting -= 1
        try:
            await asyncio.sleep(seconds)
        finally:
            self._place.release()

    def measure(self) -> None:
        """Tell how many riggings wait, as long as the process runs."""

        def depth(_: CallbackOptions) -> Iterable[Observation]:
            return [Observation(self.waiting)]

        meter = metrics.get_meter(__name__)
        meter.create_observable_gauge("bench.queue.depth", [depth], "{rigging}", "Riggings that wait for the bench")
