"""What intake answers to senders, in its own words, from what became of their alerts."""

from collections.abc import Sequence
from datetime import UTC, datetime

from midwatch.intake.routes import Receive, Taken
from midwatch.reception import Receipt, Reception
from midwatch.records import Alert

_BECAME = {
    "new": "new",
    "recurrence": "new",
    "linked": "joined",
    "late": "joined",
    "repeat": "repeat",
    "resolves": "resolved",
    "skipped": "ignored",
}


def taking(reception: Reception) -> Receive:
    """Return what takes alerts for the routes of intake: it answers once they are on disk."""

    async def receive(alerts: Sequence[Alert]) -> list[Taken]:
        return [_taken(receipt) for receipt in await reception.receive(alerts, datetime.now(UTC))]

    return receive


def _taken(receipt: Receipt) -> Taken:
    return Taken.model_validate(
        {
            "alert": receipt.alert,
            "external_id": receipt.external_id,
            "became": _BECAME[receipt.decision],
            "incident": receipt.incident,
            "why": receipt.why,
            "first_received_at": receipt.first,
        }
    )
