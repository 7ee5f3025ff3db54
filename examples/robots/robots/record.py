"""The runner's pen: changes and alarms into the telemetry store, by HTTP. It writes no telemetry."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

import anyio
import httpx
from pydantic import BaseModel, ConfigDict, JsonValue

from robots.events import Note

PAUSES_SECONDS = (0.0, 0.25, 0.75)  # before each try
TIMEOUT_SECONDS = 3.0


def http_client() -> httpx.AsyncClient:
    """Return a client for the machine's own addresses: no proxy is asked."""
    return httpx.AsyncClient(timeout=TIMEOUT_SECONDS, trust_env=False)


class StoreUnreachable(Exception):
    """Raised when there is no store at the URL that was given."""


class Change(BaseModel):
    """One change to the application or its machines; a later one with the same id replaces an earlier one."""

    model_config = ConfigDict(frozen=True)

    timestamp: datetime
    change_id: str
    kind: Literal["deploy", "config", "flag", "infrastructure", "session"]
    service_name: str
    title: str
    author: str
    instance: str = ""
    version: str = ""
    previous_version: str = ""
    repository: str = ""
    url: str = ""
    files: tuple[str, ...] = ()
    diff: str = ""
    end_time: datetime | None = None
    outcome: Literal["succeeded", "failed", "running"] = "running"
    attributes: dict[str, str] = {}


class AlarmState(BaseModel):
    """An alarm's change of state, with the figure that made it change."""

    model_config = ConfigDict(frozen=True)

    timestamp: datetime
    alarm_name: str
    state: Literal["ok", "alarm"]
    service_name: str
    reason: str
    value: float
    threshold: float
    attributes: dict[str, str] = {}


class Recorder:
    """Writes to one store."""

    def __init__(self, url: str, http: httpx.AsyncClient, note: Note) -> None:
        self.url = url.rstrip("/")
        self.http = http
        self.note = note

    async def check(self) -> None:
        """Raise StoreUnreachable unless the store answers."""
        try:
            (await self.http.get(f"{self.url}/healthz")).raise_for_status()
        except httpx.HTTPError as error:
            raise StoreUnreachable(
                f"no telemetry store at {self.url} ({type(error).__name__}): start one with"
                " `midwatch-store serve --dir DIR` and give its address as --store-url"
            ) from error

    async def change(self, change: Change) -> bool:
        """Write a change and return whether the store took it; a store that is away is noted, not raised."""
        return await self._post("changes", [change.model_dump(mode="json")])

    async def alarm(self, state: AlarmState) -> bool:
        """Write an alarm's new state and return whether the store took it."""
        return await self._post("alarms", [state.model_dump(mode="json")])

    async def _post(self, table: str, rows: Sequence[JsonValue]) -> bool:
        problem = await post_with_retries(self.http, f"{self.url}/v1/{table}", rows)
        if problem:
            self.note(f"the store didn't take a row of {table}: {problem}")
        return not problem


async def post_with_retries(http: httpx.AsyncClient, url: str, document: JsonValue | Sequence[JsonValue]) -> str:
    """Post JSON with a few tries, pausing longer each time; return '' or what the last try came to."""
    problem = ""
    for pause in PAUSES_SECONDS:
        await anyio.sleep(pause)
        try:
            response = await http.post(url, json=document)
            if response.is_success:
                return ""
            problem = f"{url} answered {response.status_code}: {response.text[:200]}"
            if response.is_client_error and response.status_code != httpx.codes.TOO_MANY_REQUESTS:
                return problem
        except httpx.HTTPError as error:
            problem = f"{url}: {type(error).__name__} {error}"
    return problem
