"""Telling people, for a host that runs: the notifier listens to its journal, and what people say comes back to it."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import anyio
from starlette.routing import BaseRoute

from midwatch.channels.letters import Channel
from midwatch.channels.notifier import Line, Notifier, Pace
from midwatch.channels.opening import open_channels
from midwatch.channels.outbox import Outbox
from midwatch.host import Host


@asynccontextmanager
async def telling(host: Host, pace: Pace | None = None) -> AsyncGenerator[Sequence[BaseRoute]]:
    """Tell people of what a host does, while the block runs; yields the routes for what they say over HTTP.

    What happened before is told first, as far as it is recent. Raises `BadSettings` for a channel that cannot be made.
    """
    settings = host.settings.channels
    if not settings:
        yield []
        return
    outbox = Outbox(host.journal.database)
    async with AsyncExitStack() as parts:
        channels = await parts.enter_async_context(open_channels(settings))
        lines = {name: Line(name, channel, settings[name]) for name, channel in channels.items()}
        notifier = Notifier(host.journal, host.eyes.kept, outbox, lines, pace or Pace())
        host.journal.listeners.append(notifier.hear)
        parts.callback(host.journal.listeners.remove, notifier.hear)
        group = await parts.enter_async_context(anyio.create_task_group())
        group.start_soon(notifier.run)
        yield await _listening(host, outbox, channels, parts, group)
        group.cancel_scope.cancel()


async def _listening(
    host: Host, outbox: Outbox, channels: Mapping[str, Channel], parts: AsyncExitStack, group: Any
) -> Sequence[BaseRoute]:
    """Listen to people where they can answer, and return the routes by which they do."""
    if not any(host.settings.channels[name].kind == "slack" for name in channels):
        return []
    from midwatch.channels.slack import Slack  # noqa: PLC0415 - an extra, and heavy
    from midwatch.channels.slack_doors import slack_routes, sockets  # noqa: PLC0415
    from midwatch.channels.slack_people import People  # noqa: PLC0415

    slacks = {name: channel for name, channel in channels.items() if isinstance(channel, Slack)}
    people = People(host, outbox, slacks)
    group.start_soon(people.run)
    await parts.enter_async_context(sockets(slacks.values(), people))
    return slack_routes(slacks.values(), people)
