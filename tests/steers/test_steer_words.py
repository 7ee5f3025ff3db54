"""A person's words as a steer: the whole sentence is understood, or the answer says what can be said."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import JsonValue

from midwatch.correlation import new_incident
from midwatch.errors import NotUnderstood
from midwatch.intake import alerts_from
from midwatch.records import Incident, Scope, Steer
from midwatch.steering.steers import meaning
from midwatch.storage.journal import Journal
from midwatch.telling import Fields, steer_of
from midwatch_kit.errors import BadInput
from midwatch_kit.records import Entity, TopologyFragment, Window
from midwatch_topology import UnknownEntity

BEGAN = datetime(2026, 11, 20, 23, 50, tzinfo=UTC)
NOW = BEGAN + timedelta(minutes=40)


def at(clock: str, day: int = 20) -> datetime:
    return datetime.fromisoformat(f"2026-11-{day}T{clock}:00Z")


@pytest.fixture
def known(tmp_path: Path) -> tuple[Journal, Incident]:
    """An incident whose scope knows a few entities."""
    alert: JsonValue = {"title": "Error rate of gateway", "service": "gateway", "started_at": BEGAN.isoformat()}
    incident = new_incident(alerts_from(alert)[0], BEGAN)
    journal = Journal(None)
    names = ("service:gateway", "service:bot", "database:shop", "instance:bot-1")
    entities = tuple(Entity(id=name, kind=name.partition(":")[0], name=name.partition(":")[2]) for name in names)
    window = Window(start=BEGAN - timedelta(minutes=9), end=BEGAN)
    before = Window(start=window.start - timedelta(minutes=30), end=window.start)
    fragment = TopologyFragment(entities=entities)
    scope = Scope(symptom="service:gateway", window=window, baseline=before, onset=None, topology=fragment)
    journal.note(incident.id, "topology", "scope", scope)
    return journal, incident


@pytest.mark.parametrize(
    ("words", "fields"),
    [
        ("look only at the latest wave", {"wave": -1}),
        ("Please look at the last spike only.", {"wave": -1}),
        ("only the first wave", {"wave": 1}),
        ("focus on wave 2", {"wave": 2}),
        ("the second wave", {"wave": 2}),
        ("look at the whole window again", {"whole": True}),
        ("all waves", {"whole": True}),
        ("since 23:40", {"since": at("23:40")}),
        ("look at what happened after 00:10 UTC", {"since": at("00:10", 21)}),
        ("between 23:40 and 00:10", {"since": at("23:40"), "until": at("00:10", 21)}),
        ("from 2026-11-20T23:40:00Z to +5m", {"since": at("23:40"), "until": at("23:55")}),
        ("until 23:55", {"until": at("23:55")}),
        ("the last 10 minutes", {"since": at("00:20", 21), "until": at("00:30", 21)}),
        ("the 20 minutes before the alert", {"since": at("23:30"), "until": at("23:50")}),
        ("leave out bot", {"leave_out": "service:bot"}),
        ("ignore everything from bot-1", {"leave_out": "instance:bot-1"}),
        ("shop is just noise", {"leave_out": "database:shop"}),
        ('ignore lines that say "cache is warming"', {"ignore": "cache is warming"}),
        ("test resource at shop", {"kind": "resource", "entity": "database:shop"}),
        ("could it be a deploy of bot?", {"kind": "change", "entity": "service:bot"}),
        ("look only at the latest wave and leave out bot", {"wave": -1, "leave_out": "service:bot"}),
    ],
)
def test_plain_words_are_understood(known: tuple[Journal, Incident], words: str, fields: dict[str, Any]) -> None:
    steer = steer_of(*known, words, "ann", Fields(), NOW)
    assert steer == Steer.model_validate({"text": words, "by": "ann", "at": NOW, **fields})
    assert meaning(steer)


@pytest.mark.parametrize(
    "words",
    [
        "please hurry",
        "look at the latest wave of complaints",
        "roll back bot",
        "you may use the billing tools and 5000 calls",
        "leave out bot and roll back shop",
        "since 23:40 and since 23:45",
        "",
    ],
)
def test_words_that_are_none_of_it_are_answered_with_what_can_be_said(
    known: tuple[Journal, Incident], words: str
) -> None:
    with pytest.raises(NotUnderstood, match=r"look only at the latest wave.*leave out ENTITY"):
        steer_of(*known, words, "ann", Fields(), NOW)


def test_a_name_that_nobody_has_is_answered_with_near_ones(known: tuple[Journal, Incident]) -> None:
    with pytest.raises(UnknownEntity, match="bot"):
        steer_of(*known, "leave out bott", "ann", Fields(), NOW)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("between 23:50 and 23:40", "would be empty"),
        ("since 2026-10-20T23:40:00Z", "more than a day from the incident's start"),
    ],
)
def test_a_window_that_cannot_be_is_refused(known: tuple[Journal, Incident], words: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        steer_of(*known, words, "ann", Fields(), NOW)


@pytest.mark.parametrize(
    ("window", "fields"),
    [
        ("latest", {"wave": -1}),
        ("first wave", {"wave": 1}),
        ("2", {"wave": 2}),
        ("whole", {"whole": True}),
        ("23:40/", {"since": at("23:40")}),
        ("-10m/+5m", {"since": at("23:40"), "until": at("23:55")}),
    ],
)
def test_a_window_can_be_given_by_itself_and_then_the_words_are_but_words(
    known: tuple[Journal, Incident], window: str, fields: dict[str, Any]
) -> None:
    steer = steer_of(*known, "it came back", "ann", Fields(window=window), NOW)
    assert steer == Steer.model_validate({"text": "it came back", "by": "ann", "at": NOW, **fields})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (Fields(window="soon"), "none of latest"),
        (Fields(kind="resource"), "both kind and entity"),
        (Fields(kind="magic", entity="bot"), "no kind of cause"),
        (Fields(ignore="a"), "would leave out too much"),
    ],
)
def test_a_field_that_is_not_whole_is_refused(known: tuple[Journal, Incident], given: Fields, said: str) -> None:
    with pytest.raises((NotUnderstood, BadInput), match=said):
        steer_of(*known, "words", "ann", given, NOW)
