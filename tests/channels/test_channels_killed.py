"""Killed at any moment, a host that comes back tells each thing once: in this process step by step, and by SIGKILL."""

import json
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio
import pytest
from tests.channels.conftest import Opened, Story, telling
from tests.channels.places import PLACES
from tests.channels.workspace import BOT_TOKEN, CHANNEL, Workspace

from midwatch.channels.notifier import Pace
from midwatch.channels.outbox import Outbox
from midwatch.storage.database import Database
from midwatch.storage.journal import Journal
from midwatch_kit.evidence import EvidenceStore

pytestmark = pytest.mark.anyio
SHORT = Pace(gather=0.0, sweep=0.02, pause=0.004, margin=0.0)
"""A lease runs out as soon as a request has taken too long: here after 0.3 s."""
SECONDS = 0.3


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Killed(BaseException):
    """Raised where a process is killed; nothing that it does afterwards has any effect."""


class Mortal(Outbox):
    """An outbox whose process is killed just before one of its writes: not even a lease is given back."""

    def __init__(self, database: Database, writes: int) -> None:
        super().__init__(database)
        self._left = writes

    def release(self, investigation: str, channel: str, seen: int | None = None) -> None:
        self._live()
        super().release(investigation, channel, seen)

    def take(self, investigation: str, channel: str, seconds: float) -> bool:
        self._live()
        return super().take(investigation, channel, seconds)

    def _put(self, investigation: str, channel: str, parts: Mapping[str, Mapping[str, str]]) -> None:
        self._live()
        super()._put(investigation, channel, parts)

    def _live(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise Killed


@pytest.mark.parametrize("kind", ["slack"])
async def test_killed_before_any_of_its_writes_it_tells_each_thing_once(
    kind: str, opens: Opened, journal: Journal, kept: EvidenceStore
) -> None:
    place = next(each for each in PLACES if each.kind == kind)
    deaths = 0
    async with place.vendor().running() as vendor:
        ops = place.told(vendor.url, seconds=SECONDS)
        for writes in range(20):
            vendor.__init__()  # type: ignore[misc]  # a place where nothing was said yet
            story = opens(**place.alert_at(ops.api.removesuffix("/api")), external_id=f"a{writes}")
            story.waits()
            if not await _dies(journal, kept, writes, ops, story):
                break
            deaths += 1
            async with telling(journal, kept, pace=SHORT, ops=ops) as again:
                await again.settles(story)
                story.is_cured()
                await again.settles(story)
            texts = list(map(_without_place, vendor.said()))
            assert len(texts) == len(set(texts)), f"killed before write {writes + 1}, it said twice: {texts}"
            assert len(texts) == (1 if kind == "github" else 2)
    assert deaths >= 4, "and there were that many moments at which it was killed"


async def _dies(journal: Journal, kept: EvidenceStore, writes: int, ops: Any, story: Story) -> bool:
    """Tell with an outbox that lives for some writes; returns whether it died before all was told."""
    died = False
    try:
        async with telling(journal, kept, pace=SHORT, outbox=Mortal(journal.database, writes), ops=ops) as now:
            await now.settles(story)
    except* Killed:
        died = True
    return died


def _without_place(text: str) -> str:
    return text.partition(": ")[2]


SCRIPT = """
import anyio, json, sys
from pathlib import Path
from midwatch.channels.notifier import Line, Notifier, Pace
from midwatch.channels.opening import open_channel
from midwatch.channels.outbox import Outbox
from midwatch.settings.channels import SlackSettings
from midwatch.storage.journal import Journal
from midwatch_kit.evidence import EvidenceStore
settings = SlackSettings.model_validate_json(sys.argv[2])
folder = Path(sys.argv[1])
journal = Journal(folder / "journal.db")
async def main():
    lines = {"ops": Line("ops", open_channel("ops", settings), settings)}
    pace = Pace(gather=0.0, sweep=0.05, margin=0.0)
    await Notifier(journal, EvidenceStore(folder / "evidence", 2**30), Outbox(journal.database), lines, pace).run()
anyio.run(main)
"""


async def test_killed_by_the_system_after_slack_took_the_message_it_is_not_posted_again(
    story: Story, journal: Journal, kept: EvidenceStore, tmp_path: Path
) -> None:
    slack = next(each for each in PLACES if each.kind == "slack")
    story.waits()
    async with Workspace().running() as workspace:
        workspace.hold_next()
        told = {
            "kind": "slack",
            "channel": CHANNEL,
            "bot_token": BOT_TOKEN,
            "api": f"{workspace.url}/api",
            "seconds": 1,
        }
        command = [sys.executable, "-c", SCRIPT, str(tmp_path), json.dumps(told)]
        async with await anyio.open_process(command, stdout=None, stderr=None) as process:
            with anyio.fail_after(60):
                await workspace.held.wait()
            process.send_signal(signal.SIGKILL)
            await process.wait()
        async with telling(journal, kept, pace=SHORT, ops=slack.told(workspace.url, seconds=1)) as again:
            await again.settles(story)
        assert len(workspace.roots) == 1
        assert len(story.told()) == 1


@pytest.mark.xdist_group("postgresql")
async def test_two_hosts_on_one_postgresql_tell_it_once(postgresql: str, opens: Opened, kept: EvidenceStore) -> None:
    hook = next(place for place in PLACES if place.kind == "webhook")
    one, two = Journal(Database(postgresql)), Journal(Database(postgresql))
    try:
        async with hook.vendor().running() as sink:
            settings = hook.told(sink.url)
            async with telling(one, kept, hook=settings) as first, telling(two, kept, hook=settings) as second:
                stories = [opens(journal=one, external_id=f"a{n}") for n in range(4)]
                for story in stories:
                    story.waits()
                    await first.settles(story)
                    await second.settles(story)
            assert len(sink.said()) == len(set(sink.said())) == 3 * len(stories)
    finally:
        one.close()
        two.close()
