"""Who may do what: bearer tokens with scopes; on this machine alone, before there is any token, reading and alerts.

An approval always takes a token: what a browser sends along by itself (cookies, an address) opens nothing here.
"""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from midwatch.api.problems import Problem
from midwatch.api.state import Api, Shared, read
from midwatch.api.tokens import Scope, Token

OPEN: Final = frozenset({Scope.READ, Scope.ALERTS})
"""What may be done without a token on this machine, until the first is made; not again when the last one ends."""
REALM: Final = 'Bearer realm="midwatch"'
_FORWARDED: Final = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")
_bearer = HTTPBearer(auto_error=False, description="a token of `midwatch token create`", scheme_name="token")
Credentials = Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)]


@dataclass(frozen=True)
class Caller:
    """Whoever asks: a token's name, or nobody in particular on this machine."""

    name: str
    token: Token | None


async def caller(request: Request, api: Shared, credentials: Credentials) -> Caller:
    """Return who asks; raises `Problem` for a token that cannot be used."""
    if credentials is None:
        return Caller("somebody on this machine", None)
    given = credentials.credentials
    token = await read(lambda: api.tokens.known(given))
    if token is None:
        raise _unauthorized("the token is not known")
    if not token.lives(datetime.now(UTC)):
        raise _unauthorized(f"the token {token.name} was revoked, or has expired")
    return Caller(token.name, token)


def needs(scope: Scope, *, always: bool = False) -> Callable[..., Coroutine[Any, Any, Caller]]:
    """Return the dependency that lets in who has a scope; `always` takes a token also where the scope is open."""

    async def let_in(request: Request, api: Shared, who: Annotated[Caller, Depends(caller)]) -> Caller:
        if who.token is None:
            if always or not await is_open(request, api, scope):
                raise _unauthorized(f"this takes a token with the scope {scope}")
        elif not who.token.may(scope):
            raise Problem("forbidden", f"the token {who.name} does not have the scope {scope}")
        return who

    return let_in


async def is_open(request: Request, api: Api, scope: Scope) -> bool:
    """Whether a scope needs no token: on this machine, not through a proxy, and nobody has made a token yet."""
    direct = request.client is not None and not any(name in request.headers for name in _FORWARDED)
    if scope not in OPEN or not api.local or not direct:  # behind a socket of files is a proxy, as a rule
        return False
    return not await read(api.tokens.every)


def _unauthorized(detail: str) -> Problem:
    return Problem("unauthorized", detail, www_authenticate=REALM)


Reader = Annotated[Caller, Depends(needs(Scope.READ))]
EvidenceReader = Annotated[Caller, Depends(needs(Scope.READ, always=True))]
Steerer = Annotated[Caller, Depends(needs(Scope.STEER))]
Approver = Annotated[Caller, Depends(needs(Scope.APPROVE))]
Admin = Annotated[Caller, Depends(needs(Scope.ADMIN))]
