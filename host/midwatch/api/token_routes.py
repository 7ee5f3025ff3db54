"""Tokens over HTTP, for who may do everything."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field

from midwatch.api.access import Admin
from midwatch.api.leads import leading, to
from midwatch.api.problems import Problem, documented
from midwatch.api.shapes import Rfc3339
from midwatch.api.state import Shared, in_thread
from midwatch.api.tokens import NAME, BadToken, NewToken, Scope, Token
from midwatch_kit.window import rfc3339

routes = APIRouter(prefix="/v1/tokens", tags=["tokens"])
_REFUSED = documented("unauthorized", "forbidden", "invalid", "unavailable")
_MADE = leading(201, to("revoke_token", name="$response.body#/name"))
_MAKING = documented("conflict", "not-json", "media-type", "too-large", "too-slow")


class Wanted(BaseModel):
    """A token that is to be made."""

    name: str = Field(pattern=NAME, description="under which things go on record", examples=["alertmanager"])
    scopes: list[Scope] = Field(min_length=1, max_length=len(Scope), examples=[["alerts"]])
    expires_at: Rfc3339 | None = None


@routes.get("", responses=_REFUSED, summary="List tokens")
@in_thread
def list_tokens(_: Admin, api: Shared) -> list[Token]:
    """Every token that was ever made; none of them itself."""
    return api.tokens.every()


@routes.post("", status_code=201, responses={**_REFUSED, **_MAKING, **_MADE}, summary="Make a token")
@in_thread
def create_token(given: Wanted, _: Admin, api: Shared) -> NewToken:
    """The answer holds the token: it is shown this once, and kept as a hash."""
    if given.expires_at is not None and given.expires_at <= datetime.now(UTC):
        raise Problem("invalid", f"body.expires_at: must be a time to come, not {rfc3339(given.expires_at)}")
    try:
        return api.tokens.create(given.name, given.scopes, given.expires_at)
    except BadToken as error:
        raise Problem("conflict", str(error)) from None


@routes.delete("/{name}", responses={**_REFUSED, **documented("not-found", "conflict")}, summary="Revoke a token")
@in_thread
def revoke_token(name: Annotated[str, Path(max_length=64, description="its name")], who: Admin, api: Shared) -> Token:
    """End a token for good; it can be used no more from this moment on. The one that asks ends by another."""
    if name == who.name:
        raise Problem("conflict", f"{name} is the token that asks: another one ends it, or `midwatch token revoke`")
    try:
        return api.tokens.revoke(name)
    except BadToken as error:
        raise Problem("not-found", str(error)) from None
