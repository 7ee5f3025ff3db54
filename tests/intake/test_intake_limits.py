"""What intake takes at once, how long it waits for its receiver, and for how long it knows a signature again."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import anyio
import pytest
from tests.intake.conftest import asking

from midwatch.errors import Busy, NotKept
from midwatch.intake import routes
from midwatch.intake.limits import Bucket
from midwatch.intake.routes import Taken
from midwatch.intake.verify import Proof, Repeats
from midwatch.records import Alert
from midwatch.settings.intake import IntakeSettings

PLAIN = {"title": "gateway fails", "service": "gateway", "started_at": "2026-11-20T02:47:03Z"}
NOW = datetime(2026, 11, 20, 2, 48, tzinfo=UTC)


@dataclass
class Unable:
    """A receiver that takes nothing, and says why; without a reason it never says anything."""

    why: Exception | None = None

    async def __call__(self, alerts: Sequence[Alert]) -> Sequence[Taken]:
        if self.why:
            raise self.why
        await anyio.sleep_forever()
        raise AssertionError


@pytest.mark.parametrize(
    ("why", "status"), [(NotKept("the disk is full"), 503), (Busy("20000 alerts wait"), 429)], ids=["not kept", "busy"]
)
async def test_what_is_not_on_disk_is_not_answered_as_taken_and_the_sender_is_told_when_to_come_again(
    why: NotKept | Busy, status: int
) -> None:
    async with asking(Unable(why)) as client:
        answer = await client.post("/alerts", json=PLAIN)
    assert (answer.status_code, answer.headers["retry-after"]) == (status, str(why.retry_after))
    assert str(why) in answer.json()["error"]


async def test_a_receiver_that_says_nothing_is_not_waited_for_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "RECEIVE_SECONDS", 0.05)
    with anyio.fail_after(10):
        async with asking(Unable()) as client:
            assert (await client.post("/alerts", json=PLAIN)).status_code == 503


async def test_a_request_that_has_its_answer_makes_room_for_another() -> None:
    settings = IntakeSettings.model_validate({"waiting": 2})
    async with asking(Unable(NotKept("the disk is full")), settings) as client:
        statuses = [(await client.post("/alerts", json=PLAIN)).status_code for _ in range(5)]
    assert statuses == [503] * 5


def test_whoever_was_silent_for_long_may_not_send_more_at_once_for_that() -> None:
    time = 0.0
    bucket = Bucket(per_second=2, burst=3, clock=lambda: time)
    time = 3600.0
    assert [bucket.take() for _ in range(5)] == [0, 0, 0, 1, 1]
    time += 0.5
    assert [bucket.take(), bucket.take()] == [0, 1]


def test_a_signature_of_a_clock_that_is_ahead_is_known_again_for_as_long_as_it_is_taken() -> None:
    repeats, window = Repeats(), timedelta(minutes=5)
    proof = Proof("x-amzn-event-signature", NOW + timedelta(minutes=4), "signed")
    repeats.keep("devops-agent", proof, NOW, window, "taken")
    assert repeats.answer_to("devops-agent", proof, NOW + timedelta(minutes=9)) == (NOW, "taken")
    assert repeats.answer_to("generic", proof, NOW) is None, "the same of another source is not the same"
