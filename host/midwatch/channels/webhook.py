"""Programs: each turning point as a CloudEvent 1.0 (structured JSON), signed by Standard Webhooks.

A receiver knows a repeat by its `webhook-id`, which is the event's `id`: what may have been taken is sent again as
the same.
"""

import json
from datetime import UTC, datetime
from typing import Final, Literal

import standardwebhooks
from pydantic import Field, JsonValue

from midwatch.channels.escaping import cut
from midwatch.channels.http import Client
from midwatch.channels.letters import EVERY, CannotBeAsked, Letter, Style
from midwatch.channels.notices import Notice
from midwatch.channels.origins import Origin
from midwatch.settings.channels import Stage, WebhookSettings
from midwatch.storage.privacy import hidden
from midwatch_kit.records import Moment, Record

_TYPES: Final[dict[Stage, str]] = {
    "opened": "dev.midwatch.incident.opened.v1",
    "concluded": "dev.midwatch.incident.concluded.v1",
    "waits": "dev.midwatch.incident.approval_requested.v1",
    "decided": "dev.midwatch.incident.decided.v1",
    "acted": "dev.midwatch.incident.acted.v1",
    "recovered": "dev.midwatch.incident.recovered.v1",
    "reopened": "dev.midwatch.incident.reopened.v1",
    "failed": "dev.midwatch.incident.failed.v1",
    "closed": "dev.midwatch.incident.closed.v1",
}
_MOST_ORIGINS, _MOST_LABELS, _MOST_LABEL = 10, 20, 200
TYPES: Final = tuple(_TYPES.values())
"""The types of event that there are; a change that breaks receivers is another version."""


class Told(Record):
    """What an event is about: the turning point in a line, and the incident as it stands now."""

    stage: Stage
    text: str
    incident: Notice


class Event(Record):
    """A CloudEvent in structured mode (github.com/cloudevents/spec, v1.0.2)."""

    specversion: Literal["1.0"] = "1.0"
    id: str = Field(description="the same whenever it is sent again, and the same as the header webhook-id")
    source: str
    type: str = Field(description=f"one of {', '.join(TYPES)}")
    subject: str = Field(description="the incident's id")
    time: Moment = Field(description="when it happened, by the journal")
    datacontenttype: Literal["application/json"] = "application/json"
    data: Told


class Webhook:
    """One receiver."""

    style = Style(stages=EVERY, each=True)

    def __init__(self, settings: WebhookSettings) -> None:
        self._settings = settings
        self._http = Client(settings.url, settings.seconds)
        self._signer = standardwebhooks.Webhook(settings.secret.get_secret_value())

    def has_place(self, notice: Notice) -> bool:
        """Return that any incident can be told."""
        return True

    def content(self, letter: Letter) -> JsonValue:
        """Return the event."""
        return event_of(letter, self._settings.source).model_dump(mode="json")

    async def send(self, letter: Letter) -> str:
        """Post the event, signed at this moment; any 2xx is a receipt."""
        body = json.dumps(self.content(letter), ensure_ascii=False)
        now = datetime.now(UTC)
        headers = {
            "content-type": "application/cloudevents+json; charset=utf-8",
            "webhook-id": letter.id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self._signer.sign(letter.id, now, body),
        }
        await self._http.ask("POST", "", raw=body.encode(), headers=headers)
        return letter.id

    async def change(self, place: str, letter: Letter) -> None:
        """Do nothing: an event stays as it is."""

    async def find(self, letter: Letter) -> str | None:
        """Raise `CannotBeAsked`: the receiver knows a repeat by its id."""
        raise CannotBeAsked("a receiver of webhooks does not say what it took")

    async def check(self) -> str:
        """Say that only an event tells."""
        return f"{self._http.place} cannot be asked without an event: midwatch notify test sends one"

    async def aclose(self) -> None:
        """Let go of connections."""
        await self._http.aclose()


def event_of(letter: Letter, source: str) -> Event:
    """Return the event of a letter about one turning point."""
    point, notice = letter.points[-1], letter.notice
    origins = tuple(_passed_on(origin) for origin in notice.origins[:_MOST_ORIGINS])
    shown = notice.model_copy(update={"origins": origins, "links": tuple(map(hidden, notice.links))})
    told = Told(stage=point.stage, text=point.text, incident=shown)
    kind = _TYPES[point.stage]
    return Event(id=letter.id, source=source, type=kind, subject=notice.incident, time=point.at, data=told)


def _passed_on(origin: Origin) -> Origin:
    """Return where an alert came from without what opens doors, and no more of it than receivers take."""
    labels = {name: cut(hidden(value), _MOST_LABEL) for name, value in [*origin.labels.items()][:_MOST_LABELS]}
    return origin.model_copy(update={"labels": labels, "links": tuple(map(hidden, origin.links))})
