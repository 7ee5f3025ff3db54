"""What went wrong, as RFC 9457 has it: `application/problem+json` with a type that can be looked up, and the field."""

import logging
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field, JsonValue
from starlette.exceptions import HTTPException
from starlette.routing import compile_path

from midwatch import wording
from midwatch.errors import HostError, JournalDamaged, UnknownIncident, UnknownRecommendation
from midwatch_kit.errors import BackendDown, KitError, NotFound
from midwatch_topology import UnknownEntity

log = logging.getLogger("midwatch")
MEDIA_TYPE: Final = "application/problem+json"
PATH: Final = "/v1/problems/"
_MOST_FAULTS = 20
_NOT_PARSED = "There was an error parsing the body"
"""What FastAPI says of bytes that are no text."""
_AGAIN_SECONDS = 5


class Kind(BaseModel):
    """One type of problem: what it is called, and what to do about it."""

    status: int
    title: str
    what_to_do: str


def _kind(status: int, title: str, what_to_do: str) -> Kind:
    return Kind(status=status, title=title, what_to_do=what_to_do)


KINDS: Final[Mapping[str, Kind]] = {
    "invalid": _kind(422, "The request cannot be used", "`errors` names each field; see the OpenAPI document."),
    "not-json": _kind(422, "The body is not JSON", "Send one JSON document in UTF-8."),
    "not-understood": _kind(422, "The words are not understood", "The detail says what can be said."),
    "unauthorized": _kind(
        401,
        "Nothing proves who asks",
        "Send `Authorization: Bearer …`: `midwatch token create` makes one. Alerts are proven as their sender does it.",
    ),
    "forbidden": _kind(403, "The token lacks a scope", "Make a token with the scope that the detail names."),
    "foreign-origin": _kind(403, "A page of another site asks", "No site may use this API from a browser."),
    "unknown-host": _kind(421, "The name in Host is not ours", "Use localhost, or name it in MIDWATCH_API__HOSTS."),
    "not-found": _kind(404, "There is nothing of that name", "List what there is."),
    "method-not-allowed": _kind(405, "That is not done here", "`Allow` says what is."),
    "conflict": _kind(409, "It stands otherwise by now", "Read it again; the detail says how it stands."),
    "media-type": _kind(415, "Only JSON is taken", "Send `Content-Type: application/json`."),
    "too-large": _kind(413, "The body is too large", "Send less."),
    "too-slow": _kind(408, "The body did not come in time", "Send it at once."),
    "too-many": _kind(429, "Too much at the same time", "Try again after `Retry-After` seconds."),
    "timed-out": _kind(504, "It takes too long", "Ask for less, or again."),
    "unavailable": _kind(503, "The journal cannot be used", "The detail says why; see `midwatch doctor`."),
    "internal": _kind(500, "midwatch made a mistake", "Its log has more; please report it."),
    "http": _kind(400, "The request cannot be answered", "The detail says why."),
}
"""Every type of problem by its name; `/v1/problems/NAME` gives it."""


class Fault(BaseModel):
    """One field that cannot be used."""

    field: str = Field(description="where it stands, as in body.digest or query.limit")
    detail: str = Field(description="what is wrong with it")


class ProblemBody(BaseModel):
    """A problem as RFC 9457 has it."""

    type: str = Field(description="what kind it is, as a path that can be read", examples=["/v1/problems/not-found"])
    title: str
    status: int
    detail: str
    errors: list[Fault] = Field(default_factory=list, description="the fields at fault, if it is about fields")


class Problem(Exception):
    """Raised to answer with a problem of one of `KINDS`."""

    def __init__(self, kind: str, detail: str, errors: Iterable[Fault] = (), **headers: str) -> None:
        super().__init__(detail)
        self.kind, self.detail, self.errors = kind, detail, [*errors]
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


def too_many(detail: str) -> Problem:
    """Return the problem of who asks for more at the same time than is given."""
    return Problem("too-many", detail, retry_after=str(_AGAIN_SECONDS))


def answer(problem: Problem, status: int | None = None, **more: str) -> JSONResponse:
    """Return a problem as a response, with whatever more is to stand in it."""
    kind = KINDS[problem.kind]
    code = status or kind.status
    body = ProblemBody(
        type=f"{PATH}{problem.kind}", title=kind.title, status=code, detail=problem.detail, errors=problem.errors
    )
    left_out = {"errors"} if not body.errors else None
    return JSONResponse({**body.model_dump(exclude=left_out), **more}, code, problem.headers, MEDIA_TYPE)


def documented(*kinds: str) -> dict[int | str, dict[str, Any]]:
    """Return how OpenAPI tells of problems of these kinds."""
    by_status: dict[int | str, dict[str, Any]] = {}
    for name in kinds:
        kind = KINDS[name]
        told = by_status.setdefault(kind.status, {"description": "", "content": {}})
        told["description"] = "; or ".join(filter(None, [told["description"], kind.title]))
        told["content"] = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemBody"}}}
    return by_status


def install(app: FastAPI) -> None:
    """Have an application answer every error with a problem."""
    for error, told in (
        (Problem, _as_said),
        (RequestValidationError, _invalid),
        (HTTPException, _http),
        (KitError, _of_kit),
        (HostError, _of_host),
        (UnknownEntity, _unknown_entity),
        (TimeoutError, _timed_out),
        (Exception, _broken),
    ):
        app.add_exception_handler(error, told)


def _as_said(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Problem)  # noqa: S101 - as registered
    return answer(error)


def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - as registered
    told = error.errors()
    kind = request.headers.get("content-type", "").partition(";")[0].strip().casefold()
    about_body = any(fault["loc"][:1] == ("body",) for fault in told)
    if about_body and kind != "application/json":  # what a form of another page could send is not even read
        return answer(Problem("media-type", f"the body is {kind[:100] or 'of no type'}: send application/json"))
    if any(fault["type"] == "json_invalid" for fault in told):
        return answer(Problem("not-json", "the body is not JSON"))
    known = [Fault(field=place, detail=why) for place, why in wording.faults(told, error.body, "body")]
    faults = known[:_MOST_FAULTS]
    more = f", and {len(known) - _MOST_FAULTS} more" if len(known) > _MOST_FAULTS else ""
    detail = "; ".join(f"{fault.field}: {fault.detail}" for fault in faults)
    return answer(Problem("invalid", f"{detail}{more}", faults))


def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - as registered
    if error.status_code == 400 and str(error.detail).startswith(_NOT_PARSED):
        return answer(Problem("not-json", "the body is not JSON in UTF-8"))
    kinds = {404: "not-found", 405: "method-not-allowed", 413: "too-large", 415: "media-type"}
    problem = Problem(kinds.get(error.status_code, "http"), _detail(error))
    problem.headers = dict(error.headers or {})
    if error.status_code == 405:
        problem.headers["allow"] = ", ".join(_methods(request)) or problem.headers.get("allow", "")
    return answer(problem, error.status_code)


def _methods(request: Request) -> list[str]:
    """Return what can be done at a path: there may be several routes, each with a method of its own."""
    app: FastAPI = request.app
    known = [*app.openapi()["paths"].items()]
    found = {method for path, told in known if compile_path(path)[0].match(request.url.path) for method in told}
    return sorted({method.upper() for method in found})


def _detail(error: HTTPException) -> str:
    said = str(error.detail)
    return said if said != HTTPStatus(error.status_code).phrase else f"{said.lower()}: see /v1/openapi.json"


def _of_kit(_: Request, error: Exception) -> JSONResponse:
    if isinstance(error, NotFound):
        return answer(Problem("not-found", str(error)))
    return answer(Problem("unavailable" if isinstance(error, BackendDown) else "invalid", str(error)))


def _of_host(_: Request, error: Exception) -> JSONResponse:
    if isinstance(error, UnknownIncident | UnknownRecommendation):
        return answer(Problem("not-found", str(error)))
    if isinstance(error, JournalDamaged):
        return answer(Problem("unavailable", str(error), retry_after=str(_AGAIN_SECONDS)))
    return answer(Problem("not-understood", str(error)))


def _unknown_entity(_: Request, error: Exception) -> JSONResponse:
    return answer(Problem("not-found", str(error)))


def _timed_out(_: Request, error: Exception) -> JSONResponse:
    return answer(Problem("timed-out", str(error) or "there was no answer within the time that it is given"))


def _broken(request: Request, error: Exception) -> JSONResponse:
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return answer(Problem("internal", f"{type(error).__name__}; midwatch's log has more"))


def as_json(name: str) -> dict[str, JsonValue]:
    """Return one kind of problem; raises `Problem` when there is none of that name."""
    if name not in KINDS:
        raise Problem("not-found", f"{name!r} is no kind of problem: one of {', '.join(KINDS)}")
    return {"type": f"{PATH}{name}", **KINDS[name].model_dump()}
