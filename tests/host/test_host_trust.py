"""Trust: a server that the settings name is used tool by tool, as they say, and never because of its own word."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from mcp import types

from midwatch.doctor import trust
from midwatch.errors import BadSettings
from midwatch.inquiry import Inquiry, Limits
from midwatch.mcp_client.links import Unanswered
from midwatch.mcp_client.servers import server_specs
from midwatch.mcp_client.trust import Use, pin_of, use_of
from midwatch.records import Gap
from midwatch.settings import ServerSpec, Settings
from midwatch.storage.journal import Journal
from midwatch_kit.server import Role

if TYPE_CHECKING:
    from tests.host.conftest import Reach

ODD = ["-S", str(Path(__file__).parent / "odd_server.py")]


def odd(**settings: object) -> ServerSpec:
    return ServerSpec.model_validate({"command": sys.executable, "args": ODD, **settings})


def offered(name: str = "look", *, words: str = "looks", **hints: bool) -> types.Tool:
    annotations = types.ToolAnnotations.model_validate(hints) if hints else None
    return types.Tool(name=name, description=words, input_schema={"type": "object"}, annotations=annotations)


READS = offered(readOnlyHint=True)


@pytest.mark.parametrize(
    ("tool", "settings", "use"),
    [
        (READS, {}, Use.NOTHING),
        (READS, {"allow": ["other"]}, Use.NOTHING),
        (READS, {"allow": ["look"]}, Use.EYES),
        (READS, {"hands": ["look"]}, Use.HANDS),
        (offered(), {}, Use.NOTHING),
        (offered(), {"allow": ["look"]}, Use.EYES),
        (offered(readOnlyHint=False), {"allow": ["look"]}, Use.NOTHING),
        (offered(destructiveHint=True), {"allow": ["look"]}, Use.NOTHING),
        (offered(readOnlyHint=True, destructiveHint=True), {"allow": ["look"]}, Use.NOTHING),
        (offered(destructiveHint=True), {"hands": ["look"]}, Use.HANDS),
        (READS, {"suite": True}, Use.EYES),
        (offered(), {"suite": True}, Use.HANDS),
        (offered(readOnlyHint=True, destructiveHint=True), {"suite": True}, Use.HANDS),
        (READS, {"allow": [f"look@{pin_of(READS)}"]}, Use.EYES),
        (READS, {"allow": ["look@0123456789abcdef"]}, Use.NOTHING),
    ],
)
def test_a_tool_is_what_the_settings_and_its_declaration_together_make_of_it(
    tool: types.Tool, settings: dict[str, object], use: Use
) -> None:
    used, why = use_of(tool, odd(**settings))
    assert used is use
    assert bool(why) == (use is Use.NOTHING)


def test_a_tool_that_is_said_to_act_is_no_eye_whatever_its_annotations_say() -> None:
    acting = READS.model_copy(update={"meta": {"midwatch/role": "act"}})
    assert use_of(acting, odd(suite=True))[0] is Use.HANDS
    assert use_of(acting, odd(allow=["look"])) == (
        Use.NOTHING,
        "look declares that it writes: it can be named in hands, not in allow",
    )


@pytest.mark.parametrize(
    "changed",
    [
        offered(words="looks, and sends what it sees elsewhere", readOnlyHint=True),
        offered(readOnlyHint=True, openWorldHint=True),
        READS.model_copy(update={"input_schema": {"type": "object", "properties": {"secret": {"type": "string"}}}}),
        READS.model_copy(update={"output_schema": {"type": "object"}}),
        READS.model_copy(update={"meta": {"midwatch/role": "survey"}}),
    ],
)
def test_a_pinned_tool_that_changed_is_not_used_until_it_is_allowed_anew(changed: types.Tool) -> None:
    use, why = use_of(changed, odd(allow=[f"look@{pin_of(READS)}"]))
    assert use is Use.NOTHING
    assert use_of(changed, odd(allow=[why.split()[-1]]))[0] is Use.EYES


async def test_of_a_server_that_the_settings_name_no_tool_is_used_until_they_name_it(reach: Reach) -> None:
    async with reach(odd=odd()) as host:
        assert [tool for role in Role for tool in host.eyes.tools(role)] == []
        assert host.hands.tools() == []
        assert host.eyes.missing() == {"odd": "the settings allow none of its tools: see midwatch doctor"}
        with pytest.raises(Unanswered, match="touch is not allowed by the settings") as caught:
            await host.hands.act("odd", "touch", {}, 5)
        assert not caught.value.asked
        with pytest.raises(Unanswered, match="odd offers no tool secret"):
            await host.hands.act("odd", "secret", {}, 5)


async def test_a_named_tool_can_be_used_and_the_others_still_cannot(reach: Reach) -> None:
    async with reach(odd=odd(allow=["look"], hands=["touch"])) as host:
        (look,) = host.eyes.tools(Role.SURVEY)
        assert (await host.eyes.ask(look, {"n": 7}, 5)).rows[0] == 7
        assert [tool.name for tool in host.hands.tools()] == ["touch"]
        assert (await host.hands.act("odd", "touch", {}, 5)).rows == [1]
        with pytest.raises(Unanswered, match="strange is not allowed"):
            await host.hands.act("odd", "strange", {}, 5)
        assert host.eyes.missing() == {}


async def test_the_doctor_lists_what_is_used_and_every_name_that_does_not_hold(reach: Reach) -> None:
    named = odd(allow=["look", "touch", "gone"], hands=["strange@0123456789abcdef"])
    async with reach(odd=named, own=odd(suite=True), shy=odd()) as host:
        found = {(finding.server, finding.what): finding for finding in trust(host.eyes.standings())}
    used = found["odd", "tools"]
    assert (used.ok, used.detail) == (True, "asked: look; not used: strange, touch")
    assert found["odd", "touch"].detail == "touch declares that it writes"
    assert found["odd", "gone"].detail == "odd offers no tool gone"
    assert "if it is well name strange@" in found["odd", "strange"].do
    assert not found["shy", "tools"].ok
    assert "allow" in found["shy", "tools"].do
    assert not any(server == "own" for server, _ in found)


def test_a_servers_file_cannot_name_a_tool_as_both_reading_and_writing(tmp_path: Path) -> None:
    spec = {"command": "fish", "allow": ["feed"], "hands": ["feed@0123456789abcdef"]}
    (tmp_path / "servers.json").write_text(json.dumps({"mcpServers": {"fish": spec}}))
    with pytest.raises(BadSettings, match="allow and hands name feed twice"):
        server_specs(Settings(servers_file=tmp_path / "servers.json"))


def test_a_servers_file_leaves_a_model_nothing_that_nobody_may_ask(tmp_path: Path) -> None:
    spec = {"command": "fish", "allow": ["look@0123456789abcdef"], "models": ["look", "feed"]}
    (tmp_path / "servers.json").write_text(json.dumps({"mcpServers": {"fish": spec}}))
    with pytest.raises(BadSettings, match="models names the tool feed, and allow does not"):
        server_specs(Settings(servers_file=tmp_path / "servers.json"))


def test_a_servers_file_may_add_to_the_suite_and_replace_a_part_of_it(tmp_path: Path) -> None:
    mine = {"fish": {"command": "fish", "allow": ["survey_ponds"]}, "metrics": {"url": "http://127.0.0.1:9/mcp"}}
    (tmp_path / "servers.json").write_text(json.dumps({"suite": True, "mcpServers": mine}))
    found = server_specs(Settings(servers_file=tmp_path / "servers.json"))
    assert set(found) == {"logs", "metrics", "traces", "deploys", "fish"}
    assert {name for name, spec in found.items() if spec.suite} == {"logs", "traces", "deploys"}


TURNS = {
    "turn destructive": "look declares that it writes",
    "turn words": "look is not what it was when midwatch first saw it: read it again, and if it is well name look@",
    "turn away": "odd offers no tool look",
}


@pytest.mark.parametrize(("turn", "why"), TURNS.items())
async def test_a_tool_that_turns_into_another_is_used_no_more(
    reach: Reach, journal: Journal, turn: str, why: str
) -> None:
    async with reach(odd=odd(allow=["look"])) as host:
        inquiry = Inquiry("one", journal, host.eyes, host.eyes.kept, Limits(60, 50, 5))
        (look,) = host.eyes.all()
        assert await inquiry.ask(look, {"do": turn}, "somebody")
        assert await inquiry.ask(look, {"n": 1}, "somebody") is None
        assert why in inquiry.why_not(look, {"n": 1})
        assert host.eyes.all() == []
        with pytest.raises(Unanswered, match=re.escape(why)):
            await host.hands.act("odd", "look", {}, 5)
    assert [gap.what for gap in journal.values("one", Gap)] == ["odd: look"]


async def test_a_tool_that_turns_silently_is_found_out_once_its_list_is_old(
    reach: Reach, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with reach(odd=odd(allow=["look"])) as host:
        (look,) = host.eyes.all()
        await host.eyes.ask(look, {"do": "turn silently"}, 5)
        assert (await host.eyes.ask(look, {}, 5)).rows
        monkeypatch.setattr("midwatch.mcp_client.links._FRESH_SECONDS", 0.0)
        with pytest.raises(Unanswered, match="is not what it was"):
            await host.eyes.ask(look, {}, 5)


async def test_what_cannot_be_looked_over_again_is_not_done(reach: Reach, monkeypatch: pytest.MonkeyPatch) -> None:
    async with reach(odd=odd(allow=["look"], hands=["touch"])) as host:
        (look,) = host.eyes.all()
        pid = int(str((await host.eyes.ask(look, {}, 5)).rows[1]))
        monkeypatch.setattr("midwatch.mcp_client.links._FRESH_SECONDS", 0.0)
        os.kill(pid, signal.SIGSTOP)
        with pytest.raises(Unanswered, match=r"within 0\.5 s") as late:
            await host.hands.act("odd", "touch", {}, 0.5)
        os.kill(pid, signal.SIGCONT)
        assert (late.value.down, late.value.asked) == (True, False)
        assert (await host.hands.act("odd", "touch", {}, 5)).rows == [1]


async def test_a_tool_of_the_suite_may_change_its_words_and_one_that_is_pinned_may_become_what_was_allowed(
    reach: Reach,
) -> None:
    async with reach(odd=odd(suite=True)) as host:
        (look,) = host.eyes.all()
        await host.eyes.ask(look, {"do": "turn words"}, 5)
        assert (await host.eyes.ask(look, {}, 5)).rows
    async with reach(odd=odd(allow=["look"])) as host:
        (look,) = host.eyes.all()
        await host.eyes.ask(look, {"do": "turn words"}, 5)
        with pytest.raises(Unanswered) as refused:
            await host.eyes.ask(look, {}, 5)
        host.links["odd"].spec = odd(allow=[str(refused.value).split()[-1]])
        assert (await host.eyes.ask(look, {}, 5)).rows
