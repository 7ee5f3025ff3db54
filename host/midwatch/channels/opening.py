"""From settings to channels: each kind's module is imported when the settings name one of it."""

import contextlib
import importlib
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import anyio
from ulid import ULID

from midwatch.channels.letters import Channel, Letter, Undelivered, letter_id
from midwatch.channels.notices import Notice, Point
from midwatch.errors import BadSettings
from midwatch.records import Severity, Status
from midwatch.settings.channels import ChannelSettings

_KINDS: Final = {
    "slack": ("slack", "Slack"),
    "teams": ("teams", "Teams"),
    "email": ("mail", "Email"),
    "pagerduty": ("pagerduty", "PagerDuty"),
    "pagerduty_events": ("pagerduty", "PagerDutyEvents"),
    "servicenow": ("servicenow", "ServiceNow"),
    "jira": ("jira", "Jira"),
    "github": ("github", "GitHub"),
    "webhook": ("webhook", "Webhook"),
}
"""Each kind's module and class."""
_TEST: Final = "A test of midwatch: nothing is wrong"


@dataclass(frozen=True)
class Checked:
    """What came of asking one channel whether it can be told."""

    channel: str
    ok: bool
    detail: str
    do: str = ""


def open_channel(name: str, settings: Any) -> Channel:
    """Return a channel of its settings; raises `BadSettings` when it cannot be made of them."""
    try:
        module, maker = _KINDS[settings.kind]
        made: Channel = getattr(importlib.import_module(f"midwatch.channels.{module}"), maker)(settings)
        return made
    except ImportError as error:
        raise BadSettings(
            f"channels.{name}: {settings.kind} needs {error.name}: "
            f"install midwatch's extra {settings.kind}, see docs/deploy.md"
        ) from None
    except (ValueError, TypeError, RuntimeError):  # what a client says of it may quote a secret
        raise BadSettings(f"channels.{name}: its secret cannot be used, is it whole?") from None


@asynccontextmanager
async def open_channels(settings: Mapping[str, ChannelSettings]) -> AsyncGenerator[dict[str, Channel]]:
    """Yield the channels of the settings, by name, and let go of them in the end."""
    opened: dict[str, Channel] = {}
    try:
        for name, each in settings.items():
            opened[name] = open_channel(name, each)
        yield opened
    finally:
        with anyio.CancelScope(shield=True), anyio.move_on_after(5):
            for channel in opened.values():
                with contextlib.suppress(Exception):
                    await channel.aclose()


async def check_channels(settings: Mapping[str, ChannelSettings]) -> list[Checked]:
    """Ask each channel whether it can be reached and lets us in, all at once; nothing is said to anybody."""
    found: dict[str, Checked] = {}

    async def check(name: str, channel: Channel) -> None:
        try:
            with anyio.fail_after(settings[name].seconds):
                found[name] = Checked(name, ok=True, detail=await channel.check())
        except TimeoutError:
            found[name] = Checked(name, ok=False, detail="no answer in time", do="is it reachable from here?")
        except Undelivered as error:
            detail, _, do = str(error).partition(": ") if error.refused else (str(error), "", "")
            found[name] = Checked(name, ok=False, detail=detail, do=do or "see docs/telling.md")

    async with open_channels(settings) as channels, anyio.create_task_group() as group:
        for name, channel in channels.items():
            group.start_soon(check, name, channel)
    return [found[name] for name in settings]


async def send_test(name: str, settings: ChannelSettings) -> str:
    """Say something harmless and return what came of it; raises `Undelivered`.

    A place that needs an issue or a record to write on is only asked whether it lets us in.
    """
    now = datetime.now(UTC)
    test = str(ULID())
    point = Point(key="concluded:1", stage="concluded", at=now, text=_TEST)
    notice = Notice(
        incident=test, title=_TEST, service="service:midwatch", severity=Severity.INFO, status=Status.SKIPPED,
        started_at=now, alerts=1, conclusion="Somebody wanted to see whether this arrives.", points=(point,),
    )  # fmt: skip
    async with open_channels({name: settings}) as channels:
        channel = channels[name]
        with anyio.fail_after(2 * settings.seconds):
            if not channel.has_place(notice):
                return f"{await channel.check()}. A test writes nothing there: it belongs to no issue or record."
            points = () if channel.style.edits else (point,)
            place = await channel.send(Letter(letter_id(test, name, "test"), notice, points))
    return f"sent{f', as {place}' if place else ''}"
