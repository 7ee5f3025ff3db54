"""What a plan expects of a version: told by records of changes, as far as they reach."""

import sys
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from tests.host.conftest import Reach
from tests.host.scenes import ONSET, a_scene

from midwatch.inquiry import Inquiry, Limits
from midwatch.mitigation.conditions import look_up
from midwatch.records import Condition
from midwatch.settings import ServerSpec
from midwatch.storage.journal import Journal
from midwatch_kit.records import Signal, Window

SERVER = Path(__file__).parent / "versions_server.py"
NOW = Window(start=ONSET, end=ONSET + timedelta(seconds=60))


@pytest.mark.parametrize(
    ("version", "acted", "met"),
    [
        ("v7", None, True),
        ("v6", None, False),
        ("v6", ONSET - timedelta(minutes=5), False),
        ("v6", ONSET + timedelta(minutes=5), None),
        ("v7", ONSET + timedelta(minutes=5), True),
    ],
    ids=["it runs", "another runs", "another came since", "nothing is on record since", "it ran already"],
)
async def test_a_record_of_before_something_was_done_does_not_say_that_it_failed(
    reach: Reach, journal: Journal, version: str, acted: datetime | None, met: bool | None
) -> None:
    wanted = Condition(
        entity="service:forge", signal=Signal.CHANGES, subject="version", comparison="equals", value=version
    )
    async with reach(deploys=ServerSpec(command=sys.executable, args=["-S", str(SERVER)], suite=True)) as host:
        inquiry = Inquiry("one", journal, host.eyes, host.eyes.kept, Limits(30, 30, 10))
        held = await look_up(inquiry, a_scene().scope, wanted, NOW, acted)
    assert held.met is met
