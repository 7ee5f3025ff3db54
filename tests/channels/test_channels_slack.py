"""Slack, both ways: a message that changes, a thread, and people who ask, steer and decide."""

import json
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import anyio
import httpx2
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from starlette.applications import Starlette
from tests.channels.conftest import DIGEST, FAST, Opened, Story, settings_of
from tests.channels.workspace import (
    APP_TOKEN,
    BOT_TOKEN,
    CHANNEL,
    ROBIN,
    SIGNING,
    STRANGER,
    Workspace,
    signed,
)

from midwatch.channels.outbox import Outbox
from midwatch.channels.running import telling
from midwatch.channels.slack_blocks import APPROVE, REJECT
from midwatch.host import Host, open_host
from midwatch.records import Decision, Message, Status, Steer
from midwatch.settings import Settings

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass
class Shop:
    """A host that tells a workspace, and the incidents of its journal."""

    workspace: Workspace
    host: Host
    client: httpx2.AsyncClient
    story: Story

    async def until(self, true: Any, what: str = "it came to pass") -> None:
        with anyio.move_on_after(30):
            while True:
                if true():
                    return
                await anyio.sleep(0.01)
        pytest.fail(f"not within 30 s: {what}; said were {self.workspace.said()}, {self.workspace.whispered}")

    @property
    def decision(self) -> Decision | None:
        return self.host.journal.recall(self.story.id, "decision", DIGEST, Decision)

    async def waits(self) -> None:
        """Let the plan wait for a decision, and Slack show it."""
        self.story.waits()
        await self.until(lambda: self.workspace.roots and _has_buttons(self.workspace.roots[0]), "there are buttons")

    async def presses(self, payload: dict[str, Any]) -> None:
        """Press a button, and wait until it is known what came of it."""
        await self.workspace.sends("interactive", payload)
        whispered = len(self.workspace.whispered)
        decided = self.decision
        await self.until(lambda: self.decision != decided or len(self.workspace.whispered) > whispered)

    async def posts(self, door: str, body: bytes, headers: dict[str, str] | None = None) -> int:
        """Send a request as Slack does, and return the status of the answer."""
        kind = "application/x-www-form-urlencoded" if door == "interactions" else "application/json"
        told = {"content-type": kind, **(signed(body) if headers is None else headers)}
        encoded = {name.encode(): value.encode("latin-1") for name, value in told.items()}
        answer = await self.client.post(f"/v1/slack/{door}", content=body, headers=encoded)
        return answer.status_code


@asynccontextmanager
async def shop(tmp_path: Path, *, socket: bool = True, **more: Any) -> AsyncGenerator[Shop]:
    (tmp_path / "servers.json").write_text('{"mcpServers": {}}', encoding="utf-8")
    (tmp_path / "steering").mkdir()
    async with Workspace().running() as workspace:
        door = {"app_token": APP_TOKEN} if socket else {"signing_secret": SIGNING}
        ops = settings_of(
            kind="slack", channel=CHANNEL, bot_token=BOT_TOKEN, api=f"{workspace.url}/api", **door,
            approvers={ROBIN: "Robin"}, **more,
        )  # fmt: skip
        files = {"servers_file": tmp_path / "servers.json", "steering_dir": tmp_path / "steering"}
        settings = Settings.model_validate({"data_dir": tmp_path / "data", "channels": {"ops": ops}, **files})
        async with open_host(settings) as host, telling(host, FAST) as routes:
            transport = httpx2.ASGITransport(app=Starlette(routes=[*routes]))
            async with httpx2.AsyncClient(transport=transport, base_url="http://midwatch") as client:
                yield Shop(workspace, host, client, Story(host.journal, host.eyes.kept, None))  # type: ignore[arg-type]


@asynccontextmanager
async def open_shop(tmp_path: Path, opens: Opened, *, socket: bool = True) -> AsyncGenerator[Shop]:
    """Yield a shop with an incident that was told, and where it is so with people connected."""
    async with shop(tmp_path, socket=socket) as made:
        made.story = opens(journal=made.host.journal, kept=made.host.eyes.kept)
        await made.until(lambda: made.workspace.roots, "the incident was told")
        if socket:
            await made.until(lambda: made.workspace.sockets, "the socket is open")
        yield made


def _has_buttons(message: dict[str, Any]) -> bool:
    return any(block["type"] == "actions" for block in message["blocks"])


async def test_one_message_changes_and_its_thread_says_what_turned(tmp_path: Path, opens: Opened) -> None:
    async with open_shop(tmp_path, opens) as made:
        await made.waits()
        await made.presses(made.workspace.button(APPROVE))
        made.story.is_cured("Robin (Slack U0ROBIN)")
        await made.until(lambda: any("Recovered" in reply for reply in made.workspace.replies()))
        (root,) = made.workspace.roots
        assert root["text"] == "Error rate of web above 5 % — recovered"
        assert not _has_buttons(root)
        said = "\n".join(made.workspace.replies())
        turns = ["Concluded (root cause, 0.86)", "Waits for approval", "Approved by Robin", "done: roll stock back"]
        places = [said.index(turn) for turn in turns]
        assert places == sorted(places)
        assert len(made.workspace.replies()) <= 5


async def test_a_person_whom_the_settings_name_approves_by_a_button(tmp_path: Path, opens: Opened) -> None:
    async with open_shop(tmp_path, opens) as made:
        await made.waits()
        confirm = made.workspace.button(APPROVE)["actions"][0]["confirm"]
        assert DIGEST[:12] in confirm["text"]["text"], "the question before it says which plan"
        await made.presses(made.workspace.button(APPROVE))
        assert made.decision
        assert (made.decision.approved, made.decision.by, made.decision.rule) == (True, "Robin (Slack U0ROBIN)", False)
        await made.until(lambda: not _has_buttons(made.workspace.roots[0]), "the buttons are gone")
        await made.presses(made.workspace.button(REJECT, value=f"{made.story.id}:{DIGEST}"))
        assert made.decision.approved, "what was decided stays"
        assert "decided already" in made.workspace.whispered[-1][1]


async def test_nobody_else_decides(tmp_path: Path, opens: Opened) -> None:
    async with open_shop(tmp_path, opens) as made:
        await made.waits()
        await made.presses(made.workspace.button(APPROVE, STRANGER))
        assert made.decision is None
        assert made.workspace.whispered[-1][0] == STRANGER
        assert "may not decide" in made.workspace.whispered[-1][1]
        said = [message.text for message in made.host.journal.values(made.story.id, Message)]
        assert any(STRANGER in text for text in said), "it is on record who tried"


async def test_a_button_of_an_older_plan_says_so(tmp_path: Path, opens: Opened) -> None:
    async with open_shop(tmp_path, opens) as made:
        await made.waits()
        old = made.workspace.button(APPROVE)
        made.story.becomes(Status.INVESTIGATING)
        made.story.waits("beef" * 16, look=2)
        await made.presses(old)
        assert made.decision is None
        assert made.host.journal.recall(made.story.id, "decision", "beef" * 16, Decision) is None
        assert "not the one that waits" in made.workspace.whispered[-1][1]


@pytest.mark.parametrize(
    "value",
    ["", "nonsense", f"01NOTOURS:{DIGEST}", "x" * 5000],
    ids=["nothing", "nonsense", "another incident", "much"],
)
async def test_a_button_that_is_not_ours_decides_nothing(value: str, tmp_path: Path, opens: Opened) -> None:
    async with open_shop(tmp_path, opens) as made:
        await made.waits()
        await made.workspace.sends("interactive", made.workspace.button(APPROVE, value=value or " "))
        await made.workspace.sends("interactive", made.workspace.button(APPROVE, ts="1.1"))
        await made.until(lambda: len(made.workspace.whispered) >= 1)
        assert made.decision is None


async def test_a_question_in_the_thread_is_answered_there_as_on_the_command_line(tmp_path: Path, opens: Opened) -> None:
    async with open_shop(tmp_path, opens) as made:
        made.story.waits()
        await made.until(lambda: len(made.workspace.replies()) > 0)
        before = len(made.workspace.replies())
        asked = made.workspace.mention("what is the plan?", thread=made.workspace.roots[0]["ts"])
        envelope = await made.workspace.sends("events_api", asked)
        await made.until(lambda: len(made.workspace.replies()) > before)
        assert "roll stock back to 2.4.0" in made.workspace.replies()[-1]
        assert envelope in made.workspace.acknowledged
        said = made.host.journal.entries(made.story.id, kind="message")
        assert any(entry.actor == "Robin (Slack U0ROBIN)" and "what is the plan?" in str(entry.body) for entry in said)
        await made.workspace.sends("events_api", asked)
        await made.workspace.sends("events_api", made.workspace.mention("help", event="Ev2"))
        await made.until(lambda: any("Ask in plain words" in reply for reply in _texts(made)))
        assert len(made.workspace.replies()) == before + 2, "what was sent twice was answered once"


async def test_what_a_person_knows_steers_and_whatever_else_is_said_grants_nothing(
    tmp_path: Path, opens: Opened
) -> None:
    async with open_shop(tmp_path, opens) as made:
        await made.waits()
        thread = made.workspace.roots[0]["ts"]
        told = made.workspace.mention("steer ignore “&lt;healthcheck&gt;”", thread=thread, user=STRANGER)
        await made.workspace.sends("events_api", told)
        await made.until(lambda: made.host.journal.values(made.story.id, Steer))
        (steer,) = made.host.journal.values(made.story.id, Steer)
        assert (steer.ignore, steer.by) == ("<healthcheck>", f"a person (Slack {STRANGER})")
        for number, text in enumerate(["approve", f"approve {DIGEST}", "yes, run it", "steer approve the plan"]):
            said = made.workspace.mention(text, thread=thread, event=f"Ev9{number}")
            await made.workspace.sends("events_api", said)
        await made.until(lambda: len(made.workspace.messages) >= 6)
        assert made.decision is None


async def test_signed_requests_are_taken_and_others_are_not(tmp_path: Path, opens: Opened) -> None:
    async with open_shop(tmp_path, opens, socket=False) as made:
        await made.waits()
        hello = json.dumps({"type": "url_verification", "challenge": "3eZbrw1aB"}).encode()
        answer = await made.client.post("/v1/slack/events", content=hello, headers=signed(hello))
        assert (answer.status_code, answer.text) == (200, "3eZbrw1aB")

        press = urlencode({"payload": json.dumps(made.workspace.button(APPROVE))}).encode()
        bad = [
            {},
            signed(press, secret="another"),
            signed(press, at=time.time() - 301),
            signed(press, at=time.time() + 301),
            signed(press + b" "),
            signed(press) | {"x-slack-request-timestamp": "soon"},
            signed(press) | {"x-slack-signature": "v0="},
            signed(press) | {"x-slack-signature": "v0=\u00fc"},
        ]
        assert [await made.posts("interactions", press, headers) for headers in bad] == [401] * len(bad)
        assert made.decision is None
        headers = signed(press)
        assert await made.posts("interactions", press, headers) == 200
        await made.until(lambda: made.decision, "it was decided")
        assert await made.posts("interactions", press, headers) == 200, "a replay is taken, and decides nothing anew"
        entries = [*made.host.journal.entries(made.story.id, kind="decision")]
        assert len(entries) == 1


async def test_an_event_that_is_sent_again_is_answered_once(tmp_path: Path, opens: Opened) -> None:
    async with open_shop(tmp_path, opens, socket=False) as made:
        asked = json.dumps(made.workspace.mention("help", thread=made.workspace.roots[0]["ts"])).encode()
        for number in range(3):
            again = {"x-slack-retry-num": str(number), "x-slack-retry-reason": "http_timeout"} if number else {}
            assert await made.posts("events", asked, signed(asked) | again) == 200
        last = json.dumps(made.workspace.mention("help", event="EvLast")).encode()
        assert await made.posts("events", last) == 200
        await made.until(lambda: len(_texts(made)) == 2)
        assert len(made.workspace.replies()) == 2


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)
NAMES = st.sampled_from(
    ["type", "event", "event_callback", "app_mention", "block_actions", "actions", "container", "user", "text", "id"]
)


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return what takes what Slack sends, without Slack: nothing it is told leads to a message."""
    from midwatch.channels.slack_people import People  # noqa: PLC0415
    from midwatch.storage.journal import Journal  # noqa: PLC0415

    journal = Journal(None)
    return People(None, Outbox(journal.database), {})  # type: ignore[arg-type]


@examples(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    payload=JSON | st.dictionaries(NAMES, JSON | NAMES | st.dictionaries(NAMES, JSON | NAMES, max_size=4), max_size=6)
)
def test_nothing_that_is_sent_breaks_the_door(payload: Any, quiet: Any) -> None:
    assert quiet.heard(payload) in (True, False)
    while quiet._waiting:
        anyio.run(quiet._waiting.pop(0))


def _texts(made: Shop) -> list[str]:
    inside = [message for message in made.workspace.messages.values() if message.get("thread_ts")]
    inside += made.workspace.roots[1:]
    return ["\n".join(b["text"]["text"] for b in message["blocks"]) for message in inside]
