"""Alerts over HTTP, from every source of intake. Answered with 202 only once they are on disk.

A sender proves itself as its vendor specifies, or by a token with the scope `alerts`.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from pydantic.json_schema import models_json_schema

from midwatch.api.access import REALM, Credentials, is_open
from midwatch.api.leads import leading, to_incident
from midwatch.api.problems import KINDS, Problem, answer, documented
from midwatch.api.state import Api, Shared, read
from midwatch.api.tokens import Scope
from midwatch.host import Host
from midwatch.intake import SOURCES
from midwatch.intake.alertmanager import AlertmanagerMessage
from midwatch.intake.generic import GenericAlert
from midwatch.intake.routes import Answer, Intake, Taken
from midwatch.reception.answers import taking
from midwatch.settings.intake import IntakeSettings

routes = APIRouter(tags=["alerts"])
_KINDS: Mapping[int, str] = {
    401: "unauthorized",
    403: "forbidden",
    404: "not-found",
    408: "too-slow",
    413: "too-large",
    415: "media-type",
    422: "invalid",
    429: "too-many",
    503: "unavailable",
}
_PLAIN_FORMS = (GenericAlert, AlertmanagerMessage)
_EITHER = {"oneOf": [{"$ref": f"#/components/schemas/{form.__name__}"} for form in _PLAIN_FORMS]}
_PLAIN = {"title": "errors above 5%", "service": "gateway", "started_at": "2026-11-21T02:48:00Z"}


class Received(BaseModel):
    """What became of a request; all of it is on disk."""

    incidents: list[str] = Field(description="the incidents that the alerts belong to")
    alerts: list[Taken] = Field(description="what became of each alert")
    message: str
    refused: str = Field("", description="which alerts of a group could not be used, and why")
    repeats: str = Field("", description="when the same request was taken before: then nothing was done again")


def _documented(schema: Mapping[str, object], example: object) -> dict[str, Any]:
    body = {"application/json": {"schema": schema, "example": example}}
    return {"requestBody": {"required": True, "content": body}}


def plain_forms() -> dict[str, Any]:
    """Return the JSON Schemas of the two plain forms, by the names that the document has for them."""
    shapes = [(form, "validation") for form in _PLAIN_FORMS]
    _, told = models_json_schema(shapes, ref_template="#/components/schemas/{model}")  # type: ignore[arg-type]
    found: dict[str, Any] = told["$defs"]
    return found


_TAKEN = {"model": Received, "description": "They are on disk."}
_REFUSED = documented(
    "http", "unauthorized", "forbidden", "foreign-origin", "too-slow", "too-large", "media-type", "invalid", "too-many",
    "unavailable",
)  # fmt: skip
_OF_SOURCE: dict[int | str, dict[str, Any]] = {200: _TAKEN, **_REFUSED, **documented("not-found")}
_LEADS = leading(202, *to_incident("$response.body#/incidents/0"))
_SOURCE = Path(description="who sends", max_length=100, json_schema_extra={"enum": [*SOURCES]})


@routes.post(
    "/alerts",
    status_code=202,
    response_model=Received,
    responses={**_REFUSED, **_LEADS},
    openapi_extra=_documented(_EITHER, _PLAIN),
    summary="Send an alert",
)
async def receive(request: Request, credentials: Credentials, api: Shared) -> JSONResponse:
    """Take Alertmanager's webhook body (version 4), or a plain one."""
    return await _received(request, credentials, api, None)


@routes.post(
    "/v1/alerts/{source}",
    status_code=202,
    response_model=Received,
    responses={**_OF_SOURCE, **_LEADS},
    openapi_extra=_documented({"type": "object"}, _PLAIN),
    summary="Send what a vendor sends",
)
async def receive_from(
    source: Annotated[str, _SOURCE], request: Request, credentials: Credentials, api: Shared
) -> JSONResponse:
    """Take the body of one kind of sender, as its vendor documents it."""
    return await _received(request, credentials, api, source)


async def _received(request: Request, credentials: Credentials, api: Api, source: str | None) -> JSONResponse:
    known = "plain" if source is None else source if source in SOURCES else "unknown"
    try:
        vouched = credentials is not None and await _is_for_alerts(api, credentials.credentials)
    except Problem as problem:
        _refused(api, known, KINDS[problem.kind].status, problem.detail)
        raise
    unsigned = await is_open(request, api, Scope.ALERTS)
    said = await api.intake.take(request, source, vouched=vouched, unsigned=unsigned)
    if why := said.content.get("error") or said.content.get("refused"):
        _refused(api, known, said.status, str(why))
    for became in said.became:
        api.figures.taken(known, became)
    return _response(said, anybody=credentials is None and "authorization" not in request.headers)


def _refused(api: Api, source: str, status: int, why: str) -> None:
    api.figures.taken(source, "refused")
    api.refusals.say(source, status, why)


async def _is_for_alerts(api: Api, token: str) -> bool:
    """Return whether a bearer token is one of ours that may send alerts; what is none of ours may be a source's own."""
    known = await read(lambda: api.tokens.known(token))
    if known is None:
        return False
    if not known.lives(datetime.now(UTC)):
        raise Problem("unauthorized", f"the token {known.name} was revoked, or has expired")
    if not known.may(Scope.ALERTS):
        raise Problem("forbidden", f"the token {known.name} does not have the scope {Scope.ALERTS}")
    return True


def _response(said: Answer, *, anybody: bool) -> JSONResponse:
    """Return an answer of intake as a response; `error` is what senders of before look for."""
    if said.status < 400:
        return JSONResponse(said.content, said.status, headers=said.headers)
    why = str(said.content.get("error", ""))
    status = 401 if said.status == 403 and anybody else said.status
    problem = Problem(_KINDS.get(status, "http"), why)
    problem.headers = {**({"WWW-Authenticate": REALM} if status == 401 else {}), **(said.headers or {})}
    return answer(problem, status, error=why)


def intake_of(host: Host, *, local: bool) -> Intake:
    """Return what takes alerts for a host."""
    return Intake(host.settings.intake or IntakeSettings(), taking(host.reception), loopback=local)
