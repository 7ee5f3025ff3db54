"""The way to the forge's instances: one after the other, from a list that the environment gives."""

from itertools import cycle
from typing import Any

import httpx

from app import upstream


class Forges:
    """Asks the forge's instances in turn; it neither skips an instance nor asks a second one."""

    def __init__(self, http: httpx.AsyncClient, urls: tuple[str, ...]) -> None:
        self.http = http
        self.turn = cycle(urls)

    async def blueprint(self, model: str, load_kg: int) -> dict[str, Any]:
        """Return how a model is rigged for a load; raises UpstreamFailed when the asked instance can't say."""
        url = f"{next(self.turn)}/blueprints/{model}"
        return await upstream.call(self.http, "forge", "GET", url, params={"load_kg": load_kg})
