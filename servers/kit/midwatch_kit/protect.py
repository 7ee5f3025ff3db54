"""An MCP endpoint over HTTP that only callers with a good token reach, and that says where tokens are to be had.

What is not named as open is closed. The parts that speak OAuth are the SDK's own.
"""

import logging
from collections.abc import Collection, Sequence
from typing import Final
from urllib.parse import urlsplit

from mcp.server.auth.middleware.auth_context import AuthContextMiddleware
from mcp.server.auth.middleware.bearer_auth import BearerAuthBackend, RequireAuthMiddleware
from mcp.server.auth.routes import build_resource_metadata_url, create_protected_resource_routes
from mcp.server.auth.settings import AuthSettings
from mcp.server.transport_security import TransportSecuritySettings
from pydantic import AnyHttpUrl
from starlette.applications import Starlette
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from midwatch_kit.caller_settings import Caller
from midwatch_kit.callers import IssuerUnreachable, verifier_of
from midwatch_kit.settings import AccessSettings

log = logging.getLogger("midwatch.callers")

METADATA: Final = "/.well-known/oauth-protected-resource"
HEALTH: Final = "/healthz"


class Protected:
    """An application of which all paths are guarded, but for those that are open."""

    def __init__(self, app: ASGIApp, guarded: ASGIApp, open_paths: Collection[str]) -> None:
        self._app, self._guarded, self._open = app, guarded, frozenset(open_paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; 503 while nobody can tell whether its token is good."""
        if scope["type"] != "http" or scope["path"] in self._open:
            await self._app(scope, receive, send)
            return
        try:
            await self._guarded(scope, receive, send)
        except IssuerUnreachable as error:
            told = {"error": "temporarily_unavailable", "error_description": str(error)}
            await JSONResponse(told, 503, {"Retry-After": "5"})(scope, receive, send)


def protected(
    app: Starlette, access: AccessSettings, answering: ASGIApp | None = None, named: Sequence[Caller] = ()
) -> ASGIApp:
    """Return the application as callers may reach it by the settings, and by tokens of their own if they are `named`.

    `answering` stands in for the application on the paths that are not open to everybody.
    """
    answering = answering or app
    verifier = verifier_of(access, named)
    if verifier is None:
        return Protected(app, answering, [HEALTH])
    log.setLevel(logging.INFO)  # who called is on record whatever else is logged
    metadata_url = None
    open_paths = {HEALTH}
    if access.oauth_issuer and access.public_url:
        said = AuthSettings.model_validate({"issuer_url": access.oauth_issuer, "resource_server_url": None})
        issuer, resource = said.issuer_url, AnyHttpUrl(access.public_url)  # no slash is added to an issuer
        [route] = create_protected_resource_routes(resource, [issuer], access.oauth_scopes)
        app.router.routes.extend([route, Route(METADATA, route.endpoint, methods=["GET", "OPTIONS"])])
        metadata_url = build_resource_metadata_url(resource)
        open_paths |= {route.path, METADATA}
    known = RequireAuthMiddleware(answering, access.oauth_scopes, metadata_url)
    guarded = AuthenticationMiddleware(AuthContextMiddleware(known), backend=BearerAuthBackend(verifier))
    return Protected(app, guarded, open_paths)


def only_known_names(access: AccessSettings, *names: str) -> TransportSecuritySettings:
    """Only who reaches the server by a name it knows is answered: a web page cannot reach it by rebinding a name."""
    public = urlsplit(access.public_url or "")
    here = ["127.0.0.1:*", "localhost:*", "[::1]:*"]
    hosts = [*here, *names, *([public.netloc] if public.netloc else [])]
    origins = [*(f"http://{each}" for each in here), *([f"{public.scheme}://{public.netloc}"] if public.netloc else [])]
    return TransportSecuritySettings(allowed_hosts=hosts, allowed_origins=origins)
