"""Alerts over HTTP: `POST /v1/alerts/{source}` for each source, and `POST /alerts` for the two plain forms.

What was taken is answered only once the receiver says that it is on disk. Whatever comes, the answer says what is wrong
with it; only the host's own troubles are a 503, so that senders try again.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal
from urllib.parse import parse_qs

import anyio
from pydantic import BaseModel, ConfigDict, Field, JsonValue
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route

from midwatch.errors import BadAlert, Busy, HostError, NotKept
from midwatch.intake.body import NotTaken, body_of
from midwatch.intake.limits import Bucket
from midwatch.intake.parts import PartlyBad
from midwatch.intake.sns import Fetch, Sns, fetched, is_envelope
from midwatch.intake.sources import SOURCES, Source, source_of
from midwatch.intake.strict_json import parsed
from midwatch.intake.verify import Proof, Refused, Repeats, Sent, verified
from midwatch.records import Alert
from midwatch.settings.intake import IntakeSettings, SnsSettings, SourceSettings
from midwatch_kit.records import Moment
from midwatch_kit.window import rfc3339

RECEIVE_SECONDS = 30.0
_NOBODY = Proof("nobody")
_log = logging.getLogger(__name__)


class Taken(BaseModel):
    """What became of one alert."""

    model_config = ConfigDict(frozen=True)

    alert: str = Field(description="its id")
    external_id: str
    became: Literal["new", "joined", "repeat", "resolved", "ignored"]
    incident: str | None = None
    why: str = ""
    first_received_at: Moment | None = Field(
        None, description="of a repeat: when the same came first, if that is known"
    )


Receive = Callable[[Sequence[Alert]], Awaitable[Sequence[Taken]]]
"""Puts alerts on disk, and says of each what became of it."""


@dataclass(frozen=True)
class _Trust:
    """Whether somebody else vouches for a request, and whether nobody need prove anything."""

    vouched: bool
    unsigned: bool


@dataclass(frozen=True)
class Answer:
    """What is said to whoever sent something."""

    status: int
    content: Mapping[str, JsonValue]
    headers: Mapping[str, str] | None = None

    @property
    def became(self) -> list[str]:
        """What became of each alert, where the request was not a repeat."""
        told = self.content.get("alerts")
        each = told if isinstance(told, list) and "repeats" not in self.content else []
        return [str(one["became"]) for one in each if isinstance(one, dict)]


class Intake:
    """What lives as long as the routes: buckets, remembered signatures, certificates, requests under way."""

    def __init__(self, settings: IntakeSettings, receive: Receive, *, loopback: bool, fetch: Fetch = fetched) -> None:
        self.settings, self.receive, self.loopback = settings, receive, loopback
        self._under_way = 0
        self._repeats = Repeats()
        self._sns = Sns(settings.cloudwatch.topics, fetch)
        each = {name: source.settings(settings) for name, source in SOURCES.items()}
        self._buckets = {name: Bucket(one.per_second, one.burst) for name, one in each.items()}

    async def take(
        self, request: Request, name: str | None, *, vouched: bool = False, unsigned: bool | None = None
    ) -> Answer:
        """Return the answer to a request for a source, or where `name` is None, for either of the plain forms.

        `vouched` says that who sent it is proven already, `unsigned` whether nobody need prove anything here.
        """
        trust = _Trust(vouched, self.loopback if unsigned is None else unsigned)
        if name is not None and name not in SOURCES:
            return _wrong(404, f"there is no source {name[:80]!r}; there are: {', '.join(SOURCES)}")
        if pause := self._buckets[name or "generic"].take():
            return _busy(pause, f"{name or 'generic'} sends more than it may")
        if self._under_way >= self.settings.waiting:
            return _busy(1, f"{self._under_way} requests are under way")
        self._under_way += 1
        try:
            return await self._taken(request, name, trust)
        except HostError as error:
            return _refusal(error)
        finally:
            self._under_way -= 1

    async def _taken(self, request: Request, name: str | None, trust: "_Trust") -> Answer:
        body = await body_of(request, self.settings.max_body_bytes)
        sent = Sent({key.lower(): value for key, value in reversed(request.headers.items())}, body, datetime.now(UTC))
        form = "form-urlencoded" in sent.headers.get("content-type", "")
        content = parsed(body) if name in (None, "cloudwatch") else None
        source = SOURCES[name] if name else source_of(content)
        settings = source.settings(self.settings)
        window = timedelta(seconds=settings.replay_seconds)
        proof = _NOBODY if trust.vouched else await self._proof(source, settings, sent, content, window, trust.unsigned)
        if repeated := self._repeats.answer_to(source.name, proof, sent.now):
            return Answer(source.answers, _repeat(*repeated))
        try:
            content = parsed(_in_form(body) if form else body) if content is None else content
        except BadAlert:
            if form:
                raise NotTaken(415, "a form is not taken: choose application/json at the sender") from None
            raise
        answer = await self._received(source, settings, sent, content, signed=proof is not _NOBODY)
        if answer.status == source.answers:
            self._repeats.keep(source.name, proof, sent.now, window, answer.content)
        return answer

    async def _proof(
        self,
        source: Source,
        settings: SourceSettings,
        sent: Sent,
        content: JsonValue,
        window: timedelta,
        open_here: bool,
    ) -> Proof:
        """Return who sent a request; nobody in particular, where the settings or the loopback allow that."""
        if isinstance(settings, SnsSettings) and settings.topics and is_envelope(content):
            return await self._sns.verified(sent, content, window)
        if settings.secrets:
            secrets = [secret.get_secret_value().encode() for secret in settings.secrets]
            return verified(sent, secrets, source.ways, window)
        needs_topics = isinstance(settings, SnsSettings) and bool(settings.topics)
        if not needs_topics and (open_here or settings.unsigned or self.settings.unsigned):
            return _NOBODY
        name = f"MIDWATCH_INTAKE__{source.name.replace('-', '_').upper()}"
        how = f"{name}__TOPICS" if isinstance(settings, SnsSettings) else f"{name}__SECRETS"
        raise Refused(
            403,
            "Authorization",
            f"{source.name} has nothing to be proven by, and this host does not take what anybody sends: send a token "
            f"with the scope alerts, set {how}, or {name}__UNSIGNED=true",
        )

    async def _received(
        self, source: Source, settings: SourceSettings, sent: Sent, content: JsonValue, *, signed: bool
    ) -> Answer:
        refused: JsonValue = None
        try:
            alerts: Sequence[Alert] = source.alerts(content, settings, sent.headers, sent.now)
        except PartlyBad as error:
            if not error.good:
                raise
            alerts, refused = error.good, str(error)
        if not alerts:
            told_of = _told_of(sent.headers, content)
            said = "nothing in it is an alert" + (f": it tells of {told_of}" if told_of else "")
            if signed and is_envelope(content) and _kind(content) != "Notification":
                said = await self._sns.confirm(content)
            return Answer(source.answers, {"incidents": [], "alerts": [], "message": said})
        try:
            with anyio.fail_after(RECEIVE_SECONDS):
                taken = await self.receive(alerts)
        except Busy as error:
            return _busy(error.retry_after, str(error))
        except NotKept as error:
            return _wrong(503, f"{error}: send it again", {"Retry-After": str(error.retry_after)})
        except Exception:
            _log.exception("alerts of %s were not put on disk", source.name)
            return _wrong(503, "the host could not put this on disk: send it again", {"Retry-After": "5"})
        incidents: list[JsonValue] = list(dict.fromkeys(each.incident for each in taken if each.incident))
        told: list[JsonValue] = [_told(each) for each in taken]
        answer: dict[str, JsonValue] = {"incidents": incidents, "alerts": told, "message": "webhook received"}
        return Answer(source.answers, answer | ({"refused": refused} if refused else {}))


def intake_routes(
    settings: IntakeSettings, receive: Receive, *, loopback: bool, fetch: Fetch = fetched
) -> list[BaseRoute]:
    """Return the routes of intake, for any Starlette or FastAPI application.

    `loopback` says that only this machine can reach them: then what is unsigned is taken, unless a source has secrets.
    """
    intake = Intake(settings, receive, loopback=loopback, fetch=fetch)

    async def of_source(request: Request) -> JSONResponse:
        return _response(await intake.take(request, str(request.path_params["source"])))

    async def plain(request: Request) -> JSONResponse:
        return _response(await intake.take(request, None))

    return [
        Route("/v1/alerts/{source}", of_source, methods=["POST"]),
        Route("/alerts", plain, methods=["POST"]),
    ]


def _in_form(body: bytes) -> bytes:
    """Return the JSON in a form with a field `payload`, as GitHub sends it unless told otherwise; all else as it is."""
    try:
        told = parse_qs(body, max_num_fields=2) if body.startswith(b"payload=") else {}
    except ValueError:
        return body
    return told.get(b"payload", [body])[0]


def _response(answer: Answer) -> JSONResponse:
    return JSONResponse(answer.content, answer.status, headers=answer.headers)


def _wrong(status: int, why: str, headers: Mapping[str, str] | None = None) -> Answer:
    return Answer(status, {"error": why}, headers)


def _refusal(error: HostError) -> Answer:
    """Return the answer to what was not taken; an error that nothing here speaks of is the host's own."""
    if isinstance(error, Refused):
        ask = {"WWW-Authenticate": 'Basic realm="midwatch"'} if error.status == 401 else None
        return _wrong(error.status, str(error), ask)
    if isinstance(error, NotTaken):
        return _wrong(error.status, str(error))
    if isinstance(error, BadAlert):
        return _wrong(422, str(error))
    return _wrong(503, str(error), {"Retry-After": "30"})


def _busy(pause: int, why: str) -> Answer:
    return _wrong(429, f"{why}: send it again in {pause} s", {"Retry-After": str(pause)})


def _kind(content: JsonValue) -> JsonValue:
    return content.get("Type") if isinstance(content, dict) else None


def _told(taken: Taken) -> dict[str, JsonValue]:
    """Return what became of an alert, without what only a repeat has."""
    return taken.model_dump(mode="json", exclude=set() if taken.first_received_at else {"first_received_at"})


def _told_of(headers: Mapping[str, str], content: JsonValue) -> str:
    """Return what a sender says that it tells of, for people; '' where it says nothing."""
    event = content.get("event") if isinstance(content, dict) else None
    kind = event.get("event_type") if isinstance(event, dict) else None
    named = headers.get("x-github-event") or headers.get("sentry-hook-resource") or kind
    return repr(named[:80]) if isinstance(named, str) and named else ""


def _repeat(at: datetime, answer: object) -> dict[str, JsonValue]:
    """Return what was answered before, as a repeat of that."""
    before: dict[str, JsonValue] = answer if isinstance(answer, dict) else {}
    alerts = before.get("alerts")
    again: list[JsonValue] = [
        {**each, "became": "repeat", "first_received_at": each.get("first_received_at") or rfc3339(at)}
        if isinstance(each, dict)
        else each
        for each in (alerts if isinstance(alerts, list) else [])
    ]
    said = f"the same signature was taken at {rfc3339(at)}; nothing was done again"
    return {**before, "alerts": again, "repeats": said}
