"""Which load each model is rated for: worked out anew when asked, beside the requests, one thread per model.

The threads have a low priority, so that whoever else needs the CPU gets it first.
"""

import asyncio
import logging
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from threading import Event

from opentelemetry import trace

from app.forge.planner import MODELS, torques

HEAVIEST_KG = 25.0
LIMIT_NM = 300.0
NICE = 10

logger = logging.getLogger("app.forge")
tracer = trace.get_tracer(__name__)


class Ratings:
    """Kilograms by model, as last worked out."""

    def __init__(self) -> None:
        self.kilograms: Mapping[str, float] = {}
        self._stopped = Event()

    async def renew(self, step_kg: float) -> None:
        """Work out every model's rating to a step in kilograms."""
        logger.info("rating %d models in steps of %g kg", len(MODELS), step_kg)
        loop, threads = asyncio.get_running_loop(), ThreadPoolExecutor(len(MODELS), "ratings", os.nice, (NICE,))
        try:
            with tracer.start_as_current_span("renew ratings"):
                rated = await asyncio.gather(
                    *(loop.run_in_executor(threads, self._rate, model, step_kg) for model in MODELS)
                )
        finally:
            threads.shutdown(wait=False, cancel_futures=True)
        self.kilograms = dict(zip(MODELS, rated, strict=True))
        logger.info("rated %s", self.kilograms)

    def stop(self) -> None:
        """Give up what is being worked out."""
        self._stopped.set()

    def _rate(self, model: str, step_kg: float) -> float:
        """Climb from step to step, until a joint would need more than its limit."""
        rated = 0.0
        while rated + step_kg <= HEAVIEST_KG and not self._stopped.is_set():
            if max(torques(model, rated + step_kg)) > LIMIT_NM:
                break
            rated += step_kg
        return round(rated, 3)
