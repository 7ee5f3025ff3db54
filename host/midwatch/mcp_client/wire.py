"""HTTP for links: answers are bounded, and one that breaks off ends its own call and no other.

A stream of events may go on for as long as it likes; any other answer may not. Of MCP it knows one thing: how an error
is told. The SDK tells nothing of a status, so one that keeps us out is put in words here, as the error of its request.
"""

import functools
import json
import re
import ssl
from collections.abc import AsyncIterator, Mapping
from typing import Final

import httpx2

MOST_BYTES: Final = 8 * 2**20
"""Bytes of one answer: a page of evidence has 64 thousand characters, and no reply needs more than a few of those."""

DENIED: Final = -32050
"""The code of the error that stands for HTTP 401 and 403; JSON-RPC leaves it to applications."""
_WORDS: Final = 200
_DESCRIPTION: Final = re.compile(r'error_description="([^"]+)"')


def http_client(
    headers: Mapping[str, str], connect_seconds: float, auth: httpx2.Auth | None = None
) -> httpx2.AsyncClient:
    """Return a client whose answers may take any time, but not any size; a deadline is the caller's to set."""
    timeout = httpx2.Timeout(connect_seconds, read=None)
    hooks = {"response": [_watch_over]}
    return httpx2.AsyncClient(headers=dict(headers), auth=auth, timeout=timeout, verify=_trusted(), event_hooks=hooks)


async def _watch_over(response: httpx2.Response) -> None:
    endless = response.headers.get("content-type", "").startswith("text/event-stream")
    if not endless and isinstance(response.stream, httpx2.AsyncByteStream):
        response.stream = _Body(response.stream)
        if response.status_code in (401, 403) and response.request.method == "POST":
            await _put_in_words(response)


async def _put_in_words(response: httpx2.Response) -> None:
    """Have an answer that keeps us out say so as an error of JSON-RPC, with its own words."""
    try:
        body = await response.aread()
    except (httpx2.HTTPError, httpx2.StreamError):
        body = b""
    said = _said(body, response)
    message = f"it refuses our credentials (HTTP {response.status_code}{f': {said}' if said else ''})"
    told = {"jsonrpc": "2.0", "id": None, "error": {"code": DENIED, "message": message}}
    response.headers["content-type"] = "application/json"
    response._content = json.dumps(told).encode()  # there is no other way to change what was read


def _said(body: bytes, response: httpx2.Response) -> str:
    """Return the first words of an answer, '' for a page that is made to be looked at."""
    challenge = _DESCRIPTION.search(response.headers.get("www-authenticate", ""))
    text = challenge[1] if challenge else body.decode(response.encoding or "utf-8", "replace").strip()
    return "" if text.startswith("<") else " ".join(text.split())[:_WORDS]


class _Body(httpx2.AsyncByteStream):
    """The bytes of one answer; raises `httpx2.StreamError`, which the SDK takes for a fault of this answer alone."""

    def __init__(self, inner: httpx2.AsyncByteStream) -> None:
        self._inner = inner

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = MOST_BYTES
        try:
            async for part in self._inner:
                left -= len(part)
                if left < 0:
                    raise httpx2.StreamError(f"the answer is longer than {MOST_BYTES // 2**20} MiB")
                yield part
        except httpx2.TransportError as error:
            raise httpx2.StreamError(f"the answer broke off: {error}") from error

    async def aclose(self) -> None:
        await self._inner.aclose()


@functools.cache
def _trusted() -> ssl.SSLContext:
    """Reading the machine's certificates takes longer than connecting: once is enough."""
    return httpx2.create_ssl_context()
