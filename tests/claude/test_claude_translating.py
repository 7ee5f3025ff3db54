"""Words that code does not understand: a model puts them into fields, and code checks those; else nothing is told."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.claude.messages_api import KEY, Fails, Player, Says, script, serving, use

from midwatch.errors import NotUnderstood
from midwatch.records import Incident, ModelCall, Scope, Steer
from midwatch.settings import Settings
from midwatch.storage.journal import Journal
from midwatch.telling import Fields
from midwatch.understanding import understand
from midwatch_kit.records import Entity, TopologyFragment, Window

WORDS = "that second outburst is what worries us, and the bot is being drained"


@pytest.fixture
def known(journal: Journal, incident: Incident) -> Incident:
    """An incident whose scope knows a service `bot`."""
    window = Window(start=incident.started_at - timedelta(minutes=9), end=incident.started_at)
    before = Window(start=window.start - timedelta(minutes=30), end=window.start)
    bot = TopologyFragment(entities=(Entity(id="service:bot", kind="service", name="bot"),))
    scope = Scope(symptom=incident.service, window=window, baseline=before, onset=None, topology=bot)
    journal.note(incident.id, "topology", "scope", scope)
    return incident


async def said(journal: Journal, incident: Incident, play: Player, **settings: Any) -> tuple[Steer, list[Any]]:
    with serving(play) as (url, api):
        known = {"reasoner": "claude", "model_base_url": url, "model_api_key": KEY, "model_call_seconds": 10}
        wanted = Settings.model_validate({**known, **settings})
        steer = await understand(journal, wanted, incident, WORDS, "ann", Fields(), datetime.now(UTC))
    return steer, api.bodies


async def test_a_models_fields_become_a_steer_with_the_persons_own_words(journal: Journal, known: Incident) -> None:
    play = script(Says([use("steer", window="2", leave_out="bot")]))
    steer, bodies = await said(journal, known, play)
    assert (steer.text, steer.by, steer.wave, steer.leave_out) == (WORDS, "ann", 2, "service:bot")
    assert WORDS in str(bodies[0]["messages"])
    assert [tool["name"] for tool in bodies[0]["tools"]] == ["steer", "cannot"]
    (call,) = journal.values(known.id, ModelCall)
    assert call.model == "claude-haiku-5-5"
    assert call.usd > 0


async def test_what_is_wrong_is_refused_once_and_can_be_put_right(journal: Journal, known: Incident) -> None:
    wrong = Says([use("steer", leave_out="bott", grant="everything")])
    steer, bodies = await said(journal, known, script(wrong, Says([use("steer", 2, leave_out="bot")])))
    assert steer.leave_out == "service:bot"
    assert "did you mean service:bot?" in str(bodies[1]["messages"])


@pytest.mark.parametrize(
    ("play", "why"),
    [
        (script(Says([use("cannot")])), "the model: it makes nothing of it either"),
        (script(*[Says([use("steer", n, leave_out="ledger")]) for n in (1, 2)]), "the model: spent"),
        (lambda _: Fails(401), "the model: down"),
    ],
)
async def test_where_a_model_makes_nothing_of_it_the_answer_says_what_can_be_said(
    journal: Journal, known: Incident, play: Player, why: str
) -> None:
    with pytest.raises(NotUnderstood) as caught:
        await said(journal, known, play)
    assert why in str(caught.value)
    assert "look only at the latest wave" in str(caught.value)
    assert journal.values(known.id, Steer) == []


async def test_it_is_paid_from_the_incidents_purse(journal: Journal, known: Incident, tmp_path: Path) -> None:
    with pytest.raises(NotUnderstood, match="spent"):
        await said(journal, known, script(), model_incident_usd=0.000001)
