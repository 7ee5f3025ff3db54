"""The way to the forge's instances: one after the other, from a list that the environment gives."""

import logging
from itertools import cycle
from typing import Any

import httpx

from app import upstream
from app.errors import UpstreamBusy
from app.settings import Settings

logger = logging.getLogger("app.bot")


class Forges:
    """Asks the forge's instances in turn.

    An instance that is silent or overloaded makes way for the next one at once, until `forge_tries` have been made (one
    without that setting); what an instance answers otherwise, an error too, is final.
    """

    def __init__(self, http: httpx.AsyncClient, urls: tuple[str, ...], told: Settings) -> None:
        self.http = http
        self.turn = cycle(urls)
        self.settings = told

    async def blueprint(self, model: str, load_kg: int) -> dict[str, Any]:
        """Return how a model is rigged for a load; raises UpstreamFailed when none of the asked instances says."""
        tries = int(self.settings.number("forge_tries", 1))
        for number in range(1, tries):
            try:
                return await self._ask(model, load_kg)
            except UpstreamBusy as error:
                logger.warning("%s; asking again, try %d of %d", error, number + 1, tries)
        return await self._ask(model, load_kg)

    async def _ask(self, model: str, load_kg: int) -> dict[str, Any]:
        seconds = self.settings.number("forge_timeout_seconds", upstream.TIMEOUT_SECONDS)
        url = f"{next(self.turn)}/blueprints/{model}"
        return await upstream.call(self.http, "forge", "GET", url, params={"load_kg": load_kg}, timeout=seconds)
