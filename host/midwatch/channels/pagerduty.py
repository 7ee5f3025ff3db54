"""PagerDuty: notes on the incidents that alerts came from, or an alert of our own for each incident.

Notes cannot be changed, so they are written at turning points only; one that may be there is looked for by the id at
its end. An alert of our own has a dedup key, under which PagerDuty keeps it once however often it is sent.
"""

import re
from typing import Any, Final

from pydantic import JsonValue

from midwatch.channels import wording
from midwatch.channels.escaping import cut, plain
from midwatch.channels.http import Client
from midwatch.channels.letters import CannotBeAsked, Letter, Style
from midwatch.channels.notices import Notice
from midwatch.records import Severity
from midwatch.settings.channels import PagerDutyEventsSettings, PagerDutySettings
from midwatch_kit.window import rfc3339

_INCIDENT: Final = re.compile(r"https://[\w-]+(?:\.eu)?\.pagerduty\.com/incidents/([A-Z0-9]{6,40})(?:[/?#]|$)")
_ID: Final = re.compile(r"[A-Z0-9]{6,40}")
_MOST_NOTE: Final = 20_000
_MOST_SUMMARY: Final = 1024
_SEVERITIES: Final = {
    Severity.CRITICAL: "critical", Severity.HIGH: "error", Severity.MEDIUM: "warning",
    Severity.LOW: "warning", Severity.INFO: "info",
}  # fmt: skip


class PagerDuty:
    """The notes of one account's incidents."""

    style = Style()

    def __init__(self, settings: PagerDutySettings) -> None:
        headers = {
            "Authorization": f"Token token={settings.token.get_secret_value()}",
            "Accept": "application/vnd.pagerduty+json;version=2",
            "From": settings.sender,
        }
        self._http = Client(settings.api, settings.seconds, headers)

    def has_place(self, notice: Notice) -> bool:
        """Return whether an alert came from PagerDuty."""
        return _incident_of(notice) is not None

    def content(self, letter: Letter) -> JsonValue:
        """Return the note."""
        return cut(plain(wording.plain_text(letter)), _MOST_NOTE)

    async def send(self, letter: Letter) -> str:
        """Write the note; returns incident and note."""
        where = _incident_of(letter.notice)
        told = await self._http.ask("POST", f"/incidents/{where}/notes", sent={"note": {"content": _signed(letter)}})
        note = (told or {}).get("note") or {}
        return f"{where}/{note.get('id', '')}"

    async def change(self, place: str, letter: Letter) -> None:
        """Do nothing: a note stays as it is."""

    async def find(self, letter: Letter) -> str | None:
        """Look for a note that ends in this id."""
        where = _incident_of(letter.notice)
        told = await self._http.ask("GET", f"/incidents/{where}/notes")
        notes = (told or {}).get("notes") or []
        return next((f"{where}/{n.get('id', '')}" for n in notes if letter.id in str(n.get("content", ""))), None)

    async def check(self) -> str:
        """Ask what the account can do."""
        await self._http.ask("GET", "/abilities")
        return f"{self._http.place} takes the token"

    async def aclose(self) -> None:
        """Let go of connections."""
        await self._http.aclose()


class PagerDutyEvents:
    """One integration of Events API v2: an incident triggers an alert, and its end resolves it."""

    style = Style(stages=frozenset({"opened", "concluded", "recovered", "reopened", "closed"}))

    def __init__(self, settings: PagerDutyEventsSettings) -> None:
        self._settings = settings
        self._http = Client(settings.api, settings.seconds)

    def has_place(self, notice: Notice) -> bool:
        """Return whether this is news for PagerDuty: what came from there is there already."""
        return _incident_of(notice) is None

    def content(self, letter: Letter) -> JsonValue:
        """Return the event, without its key."""
        notice = letter.notice
        event: dict[str, Any] = {"dedup_key": f"midwatch-{notice.incident}", "client": "midwatch"}
        if notice.over:
            return {**event, "event_action": "resolve"}
        said = {
            "summary": cut(plain(wording.title(notice)), _MOST_SUMMARY),
            "source": notice.service,
            "severity": _SEVERITIES[notice.severity],
            "timestamp": rfc3339(notice.started_at),
            "custom_details": {name: plain(value) for name, value in wording.facts(notice)}
            | {"conclusion": plain(notice.conclusion)},
        }
        return {**event, "event_action": "trigger", "payload": said}

    async def send(self, letter: Letter) -> str:
        """Send the event; returns its dedup key."""
        content: Any = self.content(letter)
        key = self._settings.routing_key.get_secret_value()
        await self._http.ask("POST", "/v2/enqueue", sent={"routing_key": key, **content})
        return str(content["dedup_key"])

    async def change(self, place: str, letter: Letter) -> None:
        """Do nothing: the next event changes the alert."""

    async def find(self, letter: Letter) -> str | None:
        """Raise `CannotBeAsked`: the same event again changes nothing."""
        raise CannotBeAsked("the same dedup key again is the same alert")

    async def check(self) -> str:
        """Say that only an event tells."""
        return f"{self._http.place} cannot be asked without an event: midwatch notify test sends one"

    async def aclose(self) -> None:
        """Let go of connections."""
        await self._http.aclose()


def _incident_of(notice: Notice) -> str | None:
    """Return the id of the PagerDuty incident that an alert came from; of several, the first."""
    for origin in notice.origins:
        if origin.source == "pagerduty" and _ID.fullmatch(origin.external_id):
            return origin.external_id
    links = [link for origin in notice.origins for link in origin.links]
    return next((found[1] for link in (*links, *notice.links) if (found := _INCIDENT.match(link))), None)


def _signed(letter: Letter) -> str:
    """Return the note with its id, however much of it has to go."""
    text = plain(wording.plain_text(letter))
    end = f"\n{wording.signature(letter)}"
    return text if len(text) <= _MOST_NOTE else cut(text, _MOST_NOTE - len(end)) + end
