"""The doors by which Slack comes in: how much may wait behind them, and what their log must not say."""

import importlib
import logging

import pytest

from midwatch.channels.outbox import Outbox
from midwatch.channels.slack_people import People
from midwatch.storage.journal import Journal


def test_slack_is_told_to_come_again_when_too_much_waits() -> None:
    people = People(None, Outbox(Journal(None).database), {})  # type: ignore[arg-type]
    mention = {"type": "app_mention", "user": "U1ANN", "text": "why?"}
    events = ({"type": "event_callback", "event_id": f"Ev{number}", "event": mention} for number in range(60))
    assert [people.heard(event) for event in events] == [True] * 50 + [False] * 10
    assert people.heard({"type": "event_callback", "event": {"type": "reaction_added"}}), "which takes no room"


def test_the_address_of_a_socket_which_lets_anybody_in_does_not_get_into_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    importlib.import_module("midwatch.channels.slack_doors")  # whose log it is
    address = "wss://wss-primary.slack.com/link/?ticket=12348&app_id=56789"
    try:
        raise ConnectionError(address)
    except ConnectionError:
        logging.getLogger("midwatch.channels.slack").exception("cannot connect to %s", address)
    assert "cannot connect to (a socket)" in caplog.text
    assert "ticket" not in caplog.text
