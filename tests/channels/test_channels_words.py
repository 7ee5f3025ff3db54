"""What is told and how: turning points, masking, and foreign text that is harmless in each medium."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from slack_sdk.models.blocks import Block
from tests.channels.conftest import DIGEST, Opened, Story, settings_of
from tests.channels.places import WHSEC

from midwatch.channels import escaping, slack_blocks, wording
from midwatch.channels.letters import Letter
from midwatch.channels.notices import Notice, Point, notice_of
from midwatch.channels.opening import open_channel
from midwatch.channels.origins import Origin
from midwatch.channels.slack_blocks import Block as Json
from midwatch.channels.webhook import TYPES
from midwatch.records import Action, Incident, Status
from midwatch.settings.channels import AnyChannel

EVIL = (
    "<!channel> @here <@U0BOSS> <https://evil.example|safe> *bold* _it_ `code` & <script>alert(1)</script> "
    "[click](javascript:alert(1)) # head ![x](http://e/x.png) https://evil.example @octocat #1 GH-1 [CODE]<b>[/code] "
    "\u202egnp.exe \x07"
)


def told(story: Story) -> Notice:
    notice = notice_of(story.journal, story.id)
    assert notice
    return notice


def letter(notice: Notice, *, said: bool = False) -> Letter:
    return Letter("0a" * 12, notice, notice.points if said else (), None)


def test_turning_points_are_each_there_once_and_in_order_however_often_it_is_read(story: Story) -> None:
    story.waits()
    story.is_cured()
    story.becomes(Status.INVESTIGATING, "the error rate rose again at 03:20")
    story.concludes(version=2, statement="it was the cache after all")
    story.becomes(Status.RESOLVED)
    points = told(story).points
    assert points == told(story).points
    assert [point.stage for point in points] == [
        "opened", "concluded", "waits", "decided", "acted", "recovered", "reopened", "concluded", "recovered",
    ]  # fmt: skip
    assert len({point.key for point in points}) == len(points)
    assert "the error rate rose again at 03:20" in points[6].text
    assert [point.at for point in points] == sorted(point.at for point in points)


def test_a_symptom_that_returns_while_it_is_watched_is_told_once(story: Story) -> None:
    story.waits()
    story.is_cured()
    story.becomes(Status.WATCHING, "9 % fail again since 03:20")
    story.becomes(Status.INVESTIGATING, "9 % fail again since 03:20, for three looks")
    story.concludes(version=2)
    story.becomes(Status.WATCHING)
    story.becomes(Status.INVESTIGATING, "12 % fail again since 04:10")
    said = [point.text for point in told(story).points if point.stage == "reopened"]
    assert said == ["It came back: 9 % fail again since 03:20", "It came back: 12 % fail again since 04:10"]
    story.becomes(Status.WATCHING)
    story.becomes(Status.INVESTIGATING)
    assert len([point for point in told(story).points if point.stage == "reopened"]) == 2, "a person asked for a look"


def test_a_look_that_changes_nothing_is_no_turning_point(story: Story) -> None:
    story.concludes()
    story.journal.note(
        story.id, "conclusion", "2", next(iter(story.journal.entries(story.id, kind="conclusion"))).value()
    )
    assert [point.stage for point in told(story).points] == ["opened", "concluded"]


@pytest.mark.parametrize(
    ("status", "stage", "says"),
    [
        (Status.FAILED, "failed", "The investigation failed: out of disk"),
        (Status.LINKED, "closed", "Closed, linked to another incident: out of disk"),
        (Status.SKIPPED, "closed", "Closed, skipped: out of disk"),
    ],
)
def test_an_incident_that_ends_otherwise_says_how(status: Status, stage: str, says: str, story: Story) -> None:
    story.becomes(status, "out of disk")
    point = told(story).points[-1]
    assert (point.stage, point.text) == (stage, says)


def test_what_was_undone_is_told_beside_what_was_done(story: Story) -> None:
    story.waits()
    for phase, outcome in (("apply", "begun"), ("apply", "done"), ("roll_back", "undone")):
        action = Action.model_validate({"step": "roll stock back", "phase": phase, "outcome": outcome, "detail": ""})
        story.journal.note(story.id, "action", f"{phase}:{outcome}", action)
    said = [point.text for point in told(story).points if point.stage == "acted"]
    assert said == ["done: roll stock back", "undone: roll stock back"]


SECRETS = ["AKIAIOSFODNN7EXAMPLE", "ghp_" + "a1" * 18, "4111 1111 1111 1111", "jane@example.com", "password=hunter22"]


@pytest.mark.parametrize("secret", SECRETS)
def test_no_secret_of_an_alert_or_of_telemetry_is_told_anywhere(secret: str, opens: Opened) -> None:
    story = opens(title=f"login failed with {secret} at web")
    story.waits()
    story.concludes(version=2, statement=f"requests with {secret} fail")
    story.plans("cafe" * 16, look=2, action=f"rotate {secret}")
    notice = told(story)
    assert secret.removeprefix("password=") not in notice.model_dump_json()
    origin = Origin(source="grafana", external_id="1", labels={"login": secret}, links=(f"https://w/?q={secret}",))
    notice = notice.model_copy(update={"origins": (origin,), "links": origin.links})
    everywhere = [json.dumps(_everything(notice), ensure_ascii=False)]
    assert not any(secret.removeprefix("password=") in text for text in everywhere)


def _everything(notice: Notice) -> list[Any]:
    whole, turn = letter(notice), letter(notice, said=True)
    jira = settings_of(kind="jira", url="https://j", token="t", projects=["A"])
    github = settings_of(kind="github", token="t", repositories=["a/b"])
    teams = settings_of(kind="teams", url="https://t?sig=1")
    hook = settings_of(kind="webhook", url="https://h", secret=WHSEC)
    made = [open_channel("x", each).content(turn) for each in (teams, hook)]
    made += [open_channel("x", each).content(whole) for each in (jira, github)]
    return [*made, slack_blocks.message(whole, buttons=True), slack_blocks.reply(turn), wording.plain_text(turn)]


def evil(story: Story) -> Notice:
    story.waits()
    story.concludes(version=2, statement=EVIL)
    story.plans("cafe" * 16, look=2, action=EVIL)
    return told(story)


def test_slack_shows_foreign_text_and_neither_links_nor_mentions(opens: Opened) -> None:
    notice = evil(opens(title=EVIL))
    for message in (slack_blocks.message(letter(notice), buttons=True), slack_blocks.reply(letter(notice, said=True))):
        texts = list(_mrkdwn(message))
        assert texts
        for text in texts:
            assert "<" not in text, "no link, no mention, no date is anywhere in our messages"
        assert "https://evil.example" in " ".join(texts)
        assert '"mrkdwn"' in json.dumps(message)
        assert all(each["verbatim"] for each in _nodes(message, "mrkdwn")), "else Slack makes links of addresses"
        for text in texts:
            assert not re.search(r"@\w", text)
        assert "&lt;!channel&gt;" in " ".join(texts)


def _nodes(node: Any, kind: str) -> list[Any]:
    if isinstance(node, dict):
        own = [node] if node.get("type") == kind else []
        return own + [each for value in node.values() for each in _nodes(value, kind)]
    return [each for value in node for each in _nodes(value, kind)] if isinstance(node, list) else []


def _mrkdwn(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["text"]] if node.get("type") == "mrkdwn" else []
        top = [node["text"]] if "blocks" in node else []
        return own + top + [text for value in node.values() for text in _mrkdwn(value)]
    return [text for value in node for text in _mrkdwn(value)] if isinstance(node, list) else []


def test_mail_shows_foreign_text_and_no_markup_of_it(opens: Opened) -> None:
    notice = evil(opens(title=f"{EVIL}\r\nBcc: everybody@example.com"))
    mail = open_channel("x", settings_of(kind="email", host="h", sender="m@example.com", to=["a@example.com"]))
    made = mail._mail(letter(notice, said=True))  # type: ignore[attr-defined]
    assert made["Bcc"] is None
    assert "\n" not in made["Subject"]
    tags: set[str] = set()

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: Any) -> None:
            tags.add(tag)

    Reader().feed(made.get_body(("html",)).get_content())
    assert tags <= {"html", "body", "h2", "h3", "p", "table", "tr", "td", "b", "ul", "li", "br", "code"}


def test_markdown_shows_foreign_text_and_neither_links_nor_mentions(opens: Opened) -> None:
    notice = evil(opens(title=EVIL))
    github = open_channel("x", settings_of(kind="github", token="t", repositories=["a/b"]))
    body = str(github.content(letter(notice)))
    assert not re.search(r"(?<!\\)\]\(|<script|(?<!\\)!\[|@\w|https?://|(?<![#\n])#\d|GH\\?-\d", body)
    assert "javascript" in body, "it is shown all the same"


def test_a_card_of_teams_shows_foreign_text_and_neither_links_nor_mentions_nor_backslashes(opens: Opened) -> None:
    teams = open_channel("x", settings_of(kind="teams", url="https://t?sig=1"))
    texts = [each["text"] for each in _nodes(teams.content(letter(evil(opens(title=EVIL)), said=True)), "TextBlock")]
    assert not [text for text in texts if re.search(r"[\\<>\[\]*`]|@\w|https?:", text)]
    assert any("javascript" in text for text in texts), "it is shown all the same"


def test_a_comment_of_jira_holds_foreign_text_in_text_nodes_alone(opens: Opened) -> None:
    jira = open_channel("x", settings_of(kind="jira", url="https://j", token="t", projects=["A"]))
    document: Any = jira.content(letter(evil(opens(title=EVIL))))

    def kinds(node: Any) -> set[str]:
        marks = {mark["type"] for mark in node.get("marks", [])}
        return {node["type"], *marks}.union(*(kinds(each) for each in node.get("content", [])))

    assert kinds(document) <= {
        "doc", "paragraph", "text", "strong", "heading", "bulletList", "listItem", "codeBlock",
    }  # fmt: skip


def test_a_work_note_holds_no_code_tag_of_a_foreign_text(opens: Opened) -> None:
    now = settings_of(kind="servicenow", url="https://n", token="t")
    assert not re.search(r"(?i)\[/?code\]", str(open_channel("x", now).content(letter(evil(opens(title=EVIL))))))


@settings(max_examples=40, deadline=None)
@given(text=st.text(max_size=400) | st.sampled_from(["<!here>", "@channel", "<@U1>"]).map(lambda t: f"a{t}b"))
def test_no_text_whatever_gets_markup_into_a_medium(text: str) -> None:
    assert not re.search(r"[<>]|@\w", escaping.slack(text))
    assert not re.search(r"[<>\"']", escaping.html(text))
    assert not re.search(r"(?<!\\)[*_`\[\]<>]|@\w", escaping.markdown(text))
    assert not re.search(r"[\\*_`\[\]<>~|]|@\w|^\s*([#+=-]|\d+[.)])", escaping.card(text))
    assert "\n" not in escaping.one_line(text)
    assert not re.search(r"[\x00-\x08\u202a-\u202e]", escaping.clean(text))


def notices() -> st.SearchStrategy[Notice]:
    return st.builds(_grown, st.text("a<&@é ", min_size=1, max_size=60), st.integers(0, 4000), st.integers(0, 70))


def _grown(word: str, length: int, count: int) -> Notice:
    at = "2026-11-22T02:48:00Z"
    text = (word * (length // len(word) + 1))[:length] or "x"
    plan = {
        "digest": DIGEST, "action": text, "reasoning": text, "risk": text, "touches": text,
        "steps": [text] * count, "waits": True,
    }  # fmt: skip
    cause = {"text": text, "path": text, "confidence": 0.5, "because": [text] * min(count, 6)}
    point = Point.model_validate({"key": "opened", "stage": "waits", "at": at, "text": text[:400]})
    return Notice.model_validate(
        {
            "incident": "01K",
            "title": text[:400],
            "service": f"service:{text[:100]}",
            "severity": "high",
            "status": "awaiting_approval",
            "started_at": at,
            "alerts": count,
            "conclusion": text,
            "outcome": "x",
            "causes": [cause] * min(count, 6),
            "ruled_out": [text] * min(count, 6),
            "plan": plan,
            "points": [point],
        }
    )


@settings(max_examples=25, deadline=None)
@given(notice=notices())
def test_a_message_is_within_the_limits_of_slack_and_what_can_be_approved_is_shown_whole(notice: Notice) -> None:
    message = slack_blocks.message(letter(notice), buttons=True)
    blocks: list[Json] = message["blocks"]
    assert len(blocks) <= 50
    assert len(json.dumps(blocks, ensure_ascii=False, separators=(",", ":")).encode()) <= 12_000
    for block in Block.parse_all(blocks):
        block.validate_json()
    assert all(1 <= len(text) <= 3000 for text in _mrkdwn(message))
    assert all(len(field["text"]) <= 2000 for block in blocks for field in block.get("fields", []))
    if any(block["type"] == "actions" for block in blocks):
        assert notice.plan
        shown = "\n".join(_mrkdwn(message))
        assert all(escaping.slack(step) in shown for step in notice.plan.steps)


def test_a_plan_that_does_not_fit_has_no_buttons(story: Story) -> None:
    story.waits()
    notice = told(story)
    assert notice.plan
    whole = slack_blocks.message(letter(notice), buttons=True)
    long = notice.model_copy(update={"plan": notice.plan.model_copy(update={"steps": ("a step",) * 30})})
    cut = slack_blocks.message(letter(long), buttons=True)
    assert [any(b["type"] == "actions" for b in m["blocks"]) for m in (whole, cut)] == [True, False]
    assert "cannot be approved here" in json.dumps(cut)


@pytest.mark.parametrize("words", ["long words ", "#<&@", "_*_", "😀"])
def test_what_is_told_is_small_enough_for_every_place(words: str) -> None:
    notice = _grown(words, 4000, 70)
    labels = {f"label{n}": words * 300 for n in range(3000)}
    notice = notice.model_copy(update={"origins": (Origin(source="a", external_id="b", labels=labels),) * 50})
    teams, hook, jira, github, *slack, _ = _everything(notice)
    measured = (teams, jira, hook["data"]["incident"]["origins"], *(each["blocks"] for each in slack))
    sizes = [len(json.dumps(each, ensure_ascii=False).encode()) for each in measured]
    limits = (28_000, 32_767, 200_000, 13_000, 13_000)
    assert [size for size, limit in zip(sizes, limits, strict=True) if size > limit] == []
    assert len(github) <= 65_536


def test_an_answer_that_is_too_long_for_slack_says_that_there_is_more() -> None:
    answer = slack_blocks.answer(["long words " * 200] * 20)
    assert len(json.dumps(answer["blocks"])) <= 12_000
    assert "does not fit here" in json.dumps(answer["blocks"][-1])


def test_an_incident_that_is_not_there_has_nothing_to_tell(story: Story) -> None:
    assert notice_of(story.journal, "01NOBODY") is None
    assert isinstance(story.incident, Incident)


def test_the_page_names_every_setting_of_every_channel_and_every_type_of_event() -> None:
    page = (Path(__file__).parents[2] / "docs" / "telling.md").read_text(encoding="utf-8")
    wanted = {name for kind in get_args(get_args(AnyChannel)[0]) for name in kind.model_fields} | set(TYPES)
    assert not [name for name in sorted(wanted) if not re.search(rf"\b{re.escape(name)}\b", page)]
