"""Microsoft Teams, through a webhook of the Workflows app: an Adaptive Card for each turning point that matters.

Such a webhook can neither change what it posted nor say what is there. After a crash in between the same card may be
posted twice; both then end in the same id.
"""

from typing import Any, Final

from pydantic import JsonValue

from midwatch.channels import wording
from midwatch.channels.escaping import card, cut
from midwatch.channels.http import Client
from midwatch.channels.letters import CannotBeAsked, Letter, Style
from midwatch.channels.notices import Notice
from midwatch.settings.channels import TeamsSettings
from midwatch_kit.evidence import canonical

_SIZES: Final = ((12, 2000), (4, 500), (1, 200), (1, 60))
"""How many lines of each part are shown, and how much of each: less, until the message is small enough."""
_MOST_FACT: Final = 500
_MOST_BYTES: Final = 25_000
"""Teams takes 28 KB."""


class Teams:
    """One Teams channel or chat."""

    style = Style()

    def __init__(self, settings: TeamsSettings) -> None:
        self._http = Client(settings.url.get_secret_value(), settings.seconds)

    def has_place(self, notice: Notice) -> bool:
        """Return that any incident can be told."""
        return True

    def content(self, letter: Letter) -> JsonValue:
        """Return the message with its card, within what Teams takes."""
        sizes = [_message(letter, *size) for size in _SIZES]
        return next((each for each in sizes if len(canonical(each)) < _MOST_BYTES), sizes[-1])

    async def send(self, letter: Letter) -> str:
        """Post the card; the flow that it starts has no name for it."""
        await self._http.ask("POST", "", sent=self.content(letter))
        return ""

    async def change(self, place: str, letter: Letter) -> None:
        """Do nothing: what is posted stays as it is."""

    async def find(self, letter: Letter) -> str | None:
        """Raise `CannotBeAsked`."""
        raise CannotBeAsked("a webhook of Teams does not say what was posted")

    async def check(self) -> str:
        """Say that only a message tells."""
        return f"{self._http.place} cannot be asked without a message: midwatch notify test sends one"

    async def aclose(self) -> None:
        """Let go of connections."""
        await self._http.aclose()


def _message(letter: Letter, lines: int, most: int) -> dict[str, Any]:
    shown = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "msteams": {"width": "Full"},
        "body": [
            *_head(letter, min(most, _MOST_FACT)),
            *_body(letter, lines, most),
            _text(wording.signature(letter), isSubtle=True, size="Small"),
        ],
    }
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": shown}
    return {"type": "message", "attachments": [attachment]}


def _head(letter: Letter, most: int) -> list[dict[str, Any]]:
    notice = letter.notice
    mark = wording.MARKS[notice.stage]
    facts = [{"title": name, "value": card(cut(value, most))} for name, value in wording.facts(notice)]
    said = [_text(f"{point.at:%H:%M:%S} UTC  {cut(point.text, most)}") for point in letter.points[-8:]]
    return [
        _text(f"{mark} {wording.title(notice)}", weight="Bolder", size="Medium"),
        *said,
        {"type": "FactSet", "facts": facts},
    ]


def _body(letter: Letter, lines: int, most: int) -> list[dict[str, Any]]:
    elements = []
    for part in wording.parts(letter.notice):
        elements.append(_text(part.heading, weight="Bolder", separator=True))
        elements += [_text(cut(f"• {line}" if part.listed else line, most)) for line in part.lines[:lines]]
        if (rest := len(part.lines) - lines) > 0:
            elements.append(_text(f"… and {rest} more: midwatch report {letter.notice.incident}"))
    commands = [_text(line, fontType="Monospace") for line in wording.how_to_go_on(letter.notice)]
    return [*elements, *commands]


def _text(text: str, **more: Any) -> dict[str, Any]:
    return {"type": "TextBlock", "text": card(text), "wrap": True, **more}
