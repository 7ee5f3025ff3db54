"""The way to the schedule: a slot for a robot's task, within the time that this task may wait for one."""

from typing import Any

import httpx
from opentelemetry import trace

from app import upstream
from app.bot.fleet import Robot
from app.settings import Settings


class Slots:
    """Asks the schedule; `deadline_seconds` in the settings says how long for each task."""

    def __init__(self, http: httpx.AsyncClient, url: str, settings: Settings) -> None:
        self.http = http
        self.url = url
        self.settings = settings

    async def take(self, robot: Robot, task: str) -> dict[str, Any]:
        """Return the slot and the job of a robot's task; raises UpstreamFailed when there is none in time."""
        trace.get_current_span().set_attribute("mission.task", task)
        slot = {"robot": robot.id, "depot": robot.depot, "task": task}
        seconds = float(self.settings.table("deadline_seconds").get(task, upstream.TIMEOUT_SECONDS))
        return await upstream.call(self.http, "schedule", "POST", f"{self.url}/slots", json=slot, timeout=seconds)
