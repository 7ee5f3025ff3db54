"""What stands before every route: whose page asks, by which name, how large the body is; and what every answer says.

Plain ASGI, so that streams pass through untouched.
"""

import time
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import anyio
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from midwatch.api.figures import Figures
from midwatch.api.problems import PATH, Problem, answer
from midwatch.errors import BadAlert
from midwatch.intake.strict_json import parsed

MOST_BYTES: Final = 2**20
BODY_SECONDS: Final = 10.0
_OURS: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_PROBES: Final = frozenset({"/healthz", "/readyz"})
_SAFE: Final = {
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}


@dataclass
class Counted:
    """Counts requests, gives every answer the headers that keep browsers from doing anything with it."""

    app: ASGIApp
    figures: Figures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, status = time.monotonic(), 500

        async def told(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in _SAFE.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self.app(scope, receive, told)
        finally:
            route = getattr(scope.get("route"), "path", "none")
            self.figures.answered(scope["method"], route, status, time.monotonic() - began)


@dataclass
class Guarded:
    """Turns away what a page of another site sends, and who asks by a name that is not ours (DNS rebinding).

    `names` are those by which it may be asked; None asks nobody for a name.
    """

    app: ASGIApp
    names: frozenset[str] | None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and (problem := self._problem(scope)):
            await answer(problem)(scope, receive, send)
            return
        await self.app(scope, receive, send)

    def _problem(self, scope: Scope) -> Problem | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        name = _name(host)
        if self.names is not None and name not in self.names and scope["path"] not in _PROBES:
            return Problem("unknown-host", f"it is asked as {host[:100]!r}, which is not its name")
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        if origin is not None and _where(origin) != host.casefold():
            return Problem("foreign-origin", f"a page of {origin[:100]} asks: no other site may")
        if site in ("cross-site", "same-site"):
            return Problem("foreign-origin", "a page of another site asks: no other site may")
        return None


@dataclass
class Bounded:
    """Reads a body before anything is done with it: no larger than it may be, and not for longer than it may take."""

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or not _is_ours(scope["path"]):
            await self.app(scope, receive, send)
            return
        try:
            with anyio.fail_after(BODY_SECONDS):
                body = await read_body(Request(scope, receive))
            _is_one_to_all(Headers(scope=scope), body)
        except TimeoutError:
            await answer(Problem("too-slow", f"the body did not come within {BODY_SECONDS:g} s"))(scope, receive, send)
            return
        except ClientDisconnect:
            return
        except Problem as problem:
            await answer(problem)(scope, receive, send)
            return
        await self.app(scope, _again(body, receive), send)


async def read_body(request: Request) -> bytes:
    """Return a whole body; raises `Problem` for one that is too large, or says so, or is packed."""
    packed, announced = request.headers.get("content-encoding", ""), request.headers.get("content-length", "")
    if packed.casefold() not in ("", "identity"):
        raise Problem("media-type", f"the content encoding {packed[:80]} is not taken here: send the body as it is")
    if announced.isascii() and announced.isdecimal() and int(announced[:20]) > MOST_BYTES:
        raise Problem("too-large", f"a body of more than {MOST_BYTES} bytes is not taken")
    parts, length = list[bytes](), 0
    async for part in request.stream():
        parts.append(part)
        length += len(part)
        if length > MOST_BYTES:
            raise Problem("too-large", f"a body of more than {MOST_BYTES} bytes is not taken")
    return b"".join(parts)


def names_of(*, local: bool, hosts: tuple[str, ...]) -> frozenset[str] | None:
    """Return the names by which the API may be asked; None for any, where it is there for other machines."""
    return None if not local and not hosts else _OURS | {host.casefold() for host in hosts}


def _is_one_to_all(headers: Headers, body: bytes) -> None:
    """Raise `Problem` for JSON that another reader might take for something else, as with a name that stands twice."""
    if not body or headers.get("content-type", "").partition(";")[0].strip().casefold() != "application/json":
        return
    try:
        parsed(body)
    except BadAlert as error:
        raise Problem("not-json", str(error)) from None


def _again(body: bytes, receive: Receive) -> Receive:
    """Return what gives a body that was read once more, and then what follows it."""
    given = False

    async def told() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return told


def _is_ours(path: str) -> bool:
    """Whether a path takes JSON of ours; alerts and Slack send what they send, and are looked at by who takes them."""
    return path.startswith("/v1/") and not path.startswith((PATH, "/v1/alerts/", "/v1/slack/"))


def _where(origin: str) -> str:
    """Return the host and port of an Origin header."""
    try:
        return urlsplit(origin).netloc.casefold()
    except ValueError:
        return ""


def _name(host: str) -> str:
    """Return a Host header without its port."""
    try:
        return (urlsplit(f"//{host}").hostname or "").casefold()
    except ValueError:
        return ""
