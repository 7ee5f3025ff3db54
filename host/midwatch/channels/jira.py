"""Jira: one comment on the issue that an alert names, kept up to date. REST API v3, in Atlassian's document format.

Foreign text stands in text nodes only, in which nothing is markup.
"""

import base64
import re
from typing import Any, Final

from pydantic import JsonValue

from midwatch.channels import wording
from midwatch.channels.escaping import clean, cut
from midwatch.channels.http import Client
from midwatch.channels.letters import Letter, Style
from midwatch.channels.notices import Notice
from midwatch.settings.channels import JiraSettings
from midwatch_kit.evidence import canonical

_KEY: Final = re.compile(r"[A-Z][A-Z0-9_]{1,20}-\d{1,10}")
_BROWSE: Final = re.compile(r"/browse/([A-Z][A-Z0-9_]{1,20}-\d{1,10})(?:[?#/]|$)")
_MOST: Final = 1500
_SIZES: Final = ((100, _MOST), (12, 400), (4, 200), (1, 100))
"""How many lines of each part are shown, and how much of each: less, until the comment is small enough."""
_MOST_COMMENT: Final = 32_000
"""Jira takes 32,767 characters."""
_A_PAGE: Final = 100
Node = dict[str, Any]


class Jira:
    """The issues of some projects of one site."""

    style = Style(edits=True, stages=frozenset())

    def __init__(self, settings: JiraSettings) -> None:
        s = self._settings = settings
        token = s.token.get_secret_value()
        login = "Basic " + base64.b64encode(f"{s.email}:{token}".encode()).decode() if s.email else f"Bearer {token}"
        self._http = Client(s.url, s.seconds, {"Authorization": login, "Accept": "application/json"})

    def has_place(self, notice: Notice) -> bool:
        """Return whether there is an issue that may be written to."""
        return self._issue(notice) is not None

    def content(self, letter: Letter) -> JsonValue:
        """Return the comment as a document."""
        return _document(letter)

    async def send(self, letter: Letter) -> str:
        """Write the comment; returns issue and comment."""
        issue = self._issue(letter.notice)
        told = await self._http.ask("POST", f"/rest/api/3/issue/{issue}/comment", sent={"body": _document(letter)})
        return f"{issue}/{(told or {}).get('id', '')}"

    async def change(self, place: str, letter: Letter) -> None:
        """Change the comment, telling nobody by mail that it did."""
        issue, _, comment = place.partition("/")
        path = f"/rest/api/3/issue/{issue}/comment/{comment}"
        await self._http.ask("PUT", path, sent={"body": _document(letter)}, parameters={"notifyUsers": "false"})

    async def find(self, letter: Letter) -> str | None:
        """Look for a comment that holds this id among the latest."""
        issue = self._issue(letter.notice)
        asked = {"orderBy": "-created", "maxResults": str(_A_PAGE)}
        told = await self._http.ask("GET", f"/rest/api/3/issue/{issue}/comment", parameters=asked)
        comments = (told or {}).get("comments") or []
        return next((f"{issue}/{each['id']}" for each in comments if letter.id in str(each.get("body"))), None)

    async def check(self) -> str:
        """Ask who we are."""
        told = await self._http.ask("GET", "/rest/api/3/myself") or {}
        return f"{self._http.place} knows us as {told.get('displayName', 'a user')}"

    async def aclose(self) -> None:
        """Let go of connections."""
        await self._http.aclose()

    def _issue(self, notice: Notice) -> str | None:
        """Return the issue that an alert names, or the settings do, in a project that may be written to."""
        named = [origin.external_id for origin in notice.origins if origin.source == "jira"]
        named += [origin.labels.get(name, "") for origin in notice.origins for name in ("jira", "jira_issue")]
        links = [*(link for origin in notice.origins for link in origin.links), *notice.links]
        ours = [link for link in links if link.startswith(f"{self._settings.url}/")]
        named += [found[1] for link in ours if (found := _BROWSE.search(link))]
        named += [self._settings.issue or ""]
        may = (name for name in named if _KEY.fullmatch(name) and name.rpartition("-")[0] in self._settings.projects)
        return next(may, None)


def _document(letter: Letter) -> Node:
    sizes = (_document_of(letter, lines, longest) for lines, longest in _SIZES)
    return next((each for each in sizes if len(canonical(each)) <= _MOST_COMMENT), _document_of(letter, *_SIZES[-1]))


def _document_of(letter: Letter, most: int, longest: int) -> Node:
    notice = letter.notice
    blocks: list[Node] = [_paragraph([_text(wording.title(notice), strong=True)])]
    lines = [[_text(f"{name}: ", strong=True), _text(value)] for name, value in wording.facts(notice)]
    blocks.append(_list(lines))
    for part in (each.shortened(most, longest) for each in wording.parts(notice)):
        blocks.append({"type": "heading", "attrs": {"level": 4}, "content": [_text(part.heading)]})
        if part.listed:
            blocks.append(_list([[_text(line)] for line in part.lines]))
        else:
            blocks += [_paragraph([_text(line)]) for line in part.lines]
    if notice.points:
        said = [[_text(f"{point.at:%H:%M:%S} UTC  {point.text}")] for point in notice.points[-12:]]
        blocks += [{"type": "heading", "attrs": {"level": 4}, "content": [_text("So far")]}, _list(said)]
    commands = "\n".join(wording.how_to_go_on(notice))
    blocks += [{"type": "codeBlock", "content": [{"type": "text", "text": commands}]}]
    return {"type": "doc", "version": 1, "content": [*blocks, _paragraph([_text(wording.signature(letter))])]}


def _list(items: list[list[Node]]) -> Node:
    return {"type": "bulletList", "content": [{"type": "listItem", "content": [_paragraph(item)]} for item in items]}


def _paragraph(content: list[Node]) -> Node:
    return {"type": "paragraph", "content": content}


def _text(text: str, *, strong: bool = False) -> Node:
    """Return a text node, which must not be empty."""
    node: Node = {"type": "text", "text": cut(clean(text), _MOST) or " "}
    return {**node, "marks": [{"type": "strong"}]} if strong else node
