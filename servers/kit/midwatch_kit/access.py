"""A server's application over HTTP, as the settings let callers reach it."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.types import ASGIApp

from midwatch_kit.caller_apps import AppOfCaller
from midwatch_kit.caller_settings import Caller, SettingsT, read_callers
from midwatch_kit.errors import BadInput
from midwatch_kit.protect import only_known_names, protected
from midwatch_kit.server import EvidenceServer
from midwatch_kit.settings import ServerSettings


def guarded_app(
    server: EvidenceServer, build: Callable[[SettingsT], EvidenceServer], settings: SettingsT, path: str
) -> ASGIApp:
    """Return the server's application at `path`; callers with settings of their own reach one that `build` makes.

    Raises `BadInput` when the settings of a caller cannot be used.
    """
    names = only_known_names(settings, *settings.allowed_hosts)

    def application(of: EvidenceServer) -> Starlette:
        return of.build().streamable_http_app(
            streamable_http_path=path, stateless_http=True, json_response=True, transport_security=names
        )

    app = application(server)
    if not (settings.callers_file or settings.callers_send_credentials):
        return protected(app, settings)
    named = _named(settings)
    own = AppOfCaller(
        settings, lambda theirs: application(build(theirs)), named, by_header=settings.callers_send_credentials
    )
    _run_beside(app, own)
    return protected(app, settings, own, named)


def _named(settings: ServerSettings) -> Sequence[Caller]:
    """Return the callers of the file; raises `BadInput` when nothing could tell who one is."""
    if not settings.callers_file:
        return ()
    named = read_callers(settings.callers_file, type(settings))
    if settings.token or settings.oauth_issuer or any(caller.token for caller in named):
        return named
    raise BadInput(
        f"nobody in {settings.callers_file} could call: give callers a token or token_file there, "
        "or set MIDWATCH_TOKEN or MIDWATCH_OAUTH_ISSUER"
    )


def _run_beside(app: Starlette, own: AppOfCaller[Any]) -> None:
    alone = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(running: Starlette) -> AsyncIterator[None]:
        async with alone(running), own.running():
            yield

    app.router.lifespan_context = lifespan
