"""How far it is from a robot's depot to where its task is: asked of atlas, whose maps they are.

Atlas is outside: it's reached through the egress proxy, which goes by the host's name. An answer is kept for some
seconds, since doors open and close; an older one isn't used.
"""

import json
import time
from pathlib import Path

import httpx

from app import upstream
from app.errors import Refused, UpstreamFailed
from app.settings import Settings

DESTINATIONS = {"fetch": 3, "carry": 61, "sort": 102}  # a patrol begins where the robot stands
TIMEOUT_SECONDS = 2.0
KEPT_SECONDS = 6.0
URL = "http://api.atlas.example"


class Ways:
    """Metres by depot and task; `token` is the file with what atlas knows us by, read at every call."""

    def __init__(self, http: httpx.AsyncClient, settings: Settings, token: Path) -> None:
        self.http = http
        self.settings = settings
        self.token = token
        self._kept: dict[tuple[int, str], tuple[float, float]] = {}

    async def metres(self, depot: int, task: str) -> float:
        """Return how far the robot has to go to its task; raises UpstreamFailed when atlas can't or won't say."""
        if task not in DESTINATIONS:
            return 0.0
        until, metres = self._kept.get((depot, task), (0.0, 0.0))
        if until < time.monotonic():
            metres = await self._ask(depot, DESTINATIONS[task])
            self._kept[depot, task] = time.monotonic() + KEPT_SECONDS, metres
        return metres

    async def _ask(self, start: int, end: int) -> float:
        url = str(self.settings.table("atlas").get("url", URL))
        try:
            answer = await upstream.call(
                self.http,
                "atlas",
                "GET",
                f"{url}/v1/ways",
                params={"from": start, "to": end},
                headers={"authorization": f"Bearer {self._bearer()}"},
            )
        except Refused as error:  # what the customer wants is right: it's us that atlas refuses
            raise UpstreamFailed("atlas", f"{error.status} {error}") from error
        return float(answer["metres"])

    def _bearer(self) -> str:
        return str(json.loads(self.token.read_text(encoding="utf-8"))["token"])
