"""The two ways by which Slack reaches us: Socket Mode, where we call Slack, and signed requests over HTTP.

Both hand what they are told to `People`, answer at once, and leave the work to it, since Slack waits three seconds.
"""

import contextlib
import json
import logging
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import parse_qs

import anyio
import anyio.lowlevel
from pydantic import JsonValue
from slack_sdk.signature import SignatureVerifier
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.async_client import AsyncBaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse
from slack_sdk.web.async_client import AsyncWebClient
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from midwatch.channels.slack import Slack
from midwatch.channels.slack_people import People
from midwatch.intake.body import NotTaken, body_of

_MOST_BYTES: Final = 2**20
_CLOSE_SECONDS: Final = 2.0
_SOCKET: Final = re.compile(r"wss?://\S+")
_BUSY: Final = {"Retry-After": "5"}
_log = logging.getLogger("midwatch.channels.slack")


def slack_routes(slacks: Iterable[Slack], people: People) -> list[BaseRoute]:
    """Return the routes for Slack's requests; none where no channel has a signing secret."""
    secrets = {slack.settings.signing_secret.get_secret_value() for slack in slacks if slack.settings.signing_secret}
    verifiers = [SignatureVerifier(secret) for secret in secrets]
    if not verifiers:
        return []

    async def take(request: Request) -> Response:
        try:
            body = await body_of(request, _MOST_BYTES)
        except NotTaken as error:
            return JSONResponse({"error": str(error)}, error.status)
        if not any(_is_signed(verifier, body, request.headers) for verifier in verifiers):
            return JSONResponse({"error": "the signature is not Slack's, or too old"}, 401)
        try:
            payload = _payload(request, body)
        except ValueError:
            return JSONResponse({"error": "the body cannot be read"}, 422)
        if isinstance(payload, dict) and payload.get("type") == "url_verification":
            return PlainTextResponse(str(payload.get("challenge", ""))[:1000])
        if not people.heard(payload):
            return JSONResponse({"error": "too much waits"}, 429, headers=_BUSY)
        return Response(status_code=200)

    return [
        Route("/v1/slack/events", take, methods=["POST"]),
        Route("/v1/slack/interactions", take, methods=["POST"]),
    ]


@asynccontextmanager
async def sockets(slacks: Iterable[Slack], people: People) -> AsyncGenerator[None]:
    """Stay connected to Slack, once for each app, while the block runs; the SDK connects anew by itself.

    Slack not being there now is no reason not to start: it is tried until it is.
    """
    apps = {each.settings.app_token.get_secret_value(): each for each in slacks if each.settings.app_token}
    clients: list[SocketModeClient] = []
    try:
        async with anyio.create_task_group() as group:
            for token, slack in apps.items():
                web = AsyncWebClient(base_url=f"{slack.settings.api}/", timeout=10, logger=_log)
                clients.append(SocketModeClient(app_token=token, web_client=web, logger=_log))
                clients[-1].socket_mode_request_listeners.append(_listener(people))
                group.start_soon(clients[-1].connect)
            yield
            group.cancel_scope.cancel()
    finally:
        with anyio.CancelScope(shield=True):
            for client in clients:
                with contextlib.suppress(Exception), anyio.move_on_after(_CLOSE_SECONDS):
                    await client.close()  # type: ignore[no-untyped-call]
            await anyio.lowlevel.checkpoint()  # what it started has been told to end, and ends now


def _listener(people: People) -> Callable[[AsyncBaseSocketModeClient, SocketModeRequest], Awaitable[None]]:
    async def listen(client: AsyncBaseSocketModeClient, request: SocketModeRequest) -> None:
        if people.heard(request.payload):  # without an answer Slack sends it again
            await client.send_socket_mode_response(SocketModeResponse(envelope_id=request.envelope_id))

    return listen


def _in_a_line(record: logging.LogRecord) -> bool:
    """Cut what the SDK logs to a line: its traces hold addresses that let anybody in for a while."""
    record.msg, record.args = _SOCKET.sub("(a socket)", record.getMessage())[:300], ()
    record.exc_info = record.exc_text = None
    return True


_log.addFilter(_in_a_line)


def _is_signed(verifier: SignatureVerifier, body: bytes, headers: Mapping[str, str]) -> bool:
    """Whether Slack signed a request within five minutes; whatever cannot be read is not signed."""
    try:
        return verifier.is_valid_request(body, dict(headers))
    except (ValueError, TypeError, OverflowError):
        return False


def _payload(request: Request, body: bytes) -> JsonValue:
    """Return what is told: events are JSON, presses of buttons are JSON in a form."""
    if request.url.path.endswith("/interactions"):
        told = parse_qs(body.decode(), max_num_fields=10).get("payload", [""])[0]
        value: JsonValue = json.loads(told)
        return value
    event: JsonValue = json.loads(body)
    return event
