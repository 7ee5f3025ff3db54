"""A person's way through an authorization server's page and back: opened in a browser, awaited on this machine."""

import webbrowser
from collections.abc import Callable

import anyio
import uvicorn
from mcp.shared.auth import AuthorizationCodeResult
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from midwatch.mcp_client.login import LogIn, NotLoggedIn, redirect_uri
from midwatch.serving import listen
from midwatch.settings import OAuth
from midwatch_kit.serving import Quiet


def at_a_browser(oauth: OAuth, say: Callable[[str], None]) -> LogIn:
    """Return a way to log in with the person at this machine; `say` tells them where to go.

    It raises `BadSettings` when the port for the way back is taken, and `NotLoggedIn` when the person, or the server,
    says no.
    """

    async def log_in(url: str) -> AuthorizationCodeResult:
        back = anyio.Event()
        told: dict[str, str] = {}

        async def callback(request: Request) -> PlainTextResponse:
            told.update(request.query_params)
            back.set()
            return PlainTextResponse("midwatch has what it needs. You can close this page.")

        app = Starlette(routes=[Route(redirect_uri(oauth).path or "/", callback)])
        with listen("127.0.0.1", oauth.redirect_port) as listening:
            server = Quiet(uvicorn.Config(app, log_level="warning", lifespan="off"))
            async with anyio.create_task_group() as group:
                group.start_soon(server.serve, [listening])
                say(f"Log in at {url}")
                await anyio.to_thread.run_sync(webbrowser.open, url, abandon_on_cancel=True)
                await back.wait()
                server.should_exit = True
        return _result(told)

    return log_in


def _result(told: dict[str, str]) -> AuthorizationCodeResult:
    if "code" not in told:
        why = told.get("error_description") or told.get("error") or "it sent no code"
        raise NotLoggedIn(f"the authorization server refused: {why[:200]}")
    return AuthorizationCodeResult(code=told["code"], state=told.get("state"), iss=told.get("iss"))
