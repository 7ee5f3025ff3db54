"""One HTTP client for the places that have no client of their own: what an answer means for saying something.

Whether something was said is told apart from whether we know: a connection that was refused has said nothing, one that
broke off after the request may have.
"""

import contextlib
import email.utils
import functools
import os
import re
import socket
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import httpx2
from pydantic import JsonValue

from midwatch.channels.letters import Undelivered

_LONGEST_PAUSE: Final = 3600.0
_USUAL_PAUSE: Final = 30.0
_MOST_BYTES: Final = 4 * 2**20
_CONNECT_SECONDS: Final = 5.0


class Client:
    """Asks one address; `secrets` never stand in what it says of errors."""

    def __init__(
        self,
        url: str,
        seconds: float,
        headers: Mapping[str, str] | None = None,
        login: tuple[str, str] | None = None,
    ) -> None:
        self._url = url.rstrip("/")
        self.place = httpx2.URL(url).host
        timeout = httpx2.Timeout(seconds, connect=min(seconds, _CONNECT_SECONDS))
        self._http = httpx2.AsyncClient(headers=dict(headers or {}), auth=login, timeout=timeout, verify=_trusted())

    async def ask(
        self,
        method: str,
        path: str,
        *,
        sent: JsonValue = None,
        raw: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        parameters: Mapping[str, str] | None = None,
    ) -> Any:
        """Return what is answered, as JSON, None for an empty answer; raises `Undelivered`.

        Redirects are not followed: they would carry what is secret somewhere else.
        """
        body: dict[str, Any] = {"content": raw} if raw is not None else {} if sent is None else {"json": sent}
        try:
            asked = self._http.build_request(
                method, f"{self._url}{path}", headers=dict(headers or {}), params=dict(parameters or {}), **body
            )
            answer = await self._http.send(asked)
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as error:
            raise Undelivered(f"{self.place} cannot be reached: {why_not_reached(error)}") from None
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            writes = method not in ("GET", "HEAD")
            raise Undelivered(f"{self.place} broke off: {_said(error)}", perhaps=writes) from None
        return self._read(answer, method)

    async def aclose(self) -> None:
        """Let go of connections."""
        await self._http.aclose()

    def _read(self, answer: httpx2.Response, method: str) -> Any:
        status = answer.status_code
        if 200 <= status < 300:
            if len(answer.content) > _MOST_BYTES:
                raise Undelivered(f"{self.place} answers more than may be read")
            with contextlib.suppress(ValueError):
                return answer.json()
            return None
        said = f"{self.place} answers {status}{_reason(answer)}"
        if status in (429, 503):
            pause = pause_of(answer.headers)
            raise Undelivered(said, pause=_USUAL_PAUSE if pause is None else pause)
        if status in (401, 403, 407):
            if (pause := pause_of(answer.headers)) is not None:  # GitHub's second way of saying 429
                raise Undelivered(said, pause=pause)
            raise Undelivered(f"{said}: are its credentials still good, and may they write there?", refused=True)
        if status >= 500 or status == 408:
            raise Undelivered(said, perhaps=method not in ("GET", "HEAD"))
        raise Undelivered(said, hopeless=True)


def pause_of(headers: Mapping[str, str]) -> float | None:
    """Return how long an answer asks to wait, in seconds; None for nothing.

    `Retry-After` says it in seconds or as a date; GitHub says as `X-RateLimit-Reset` when its hour is over.
    """
    said = headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d{1,9}(\.\d+)?", said):
        return min(float(said), _LONGEST_PAUSE)
    reset = headers.get("x-ratelimit-reset", "").strip()
    if not said and headers.get("x-ratelimit-remaining", "").strip() == "0" and re.fullmatch(r"\d{1,12}", reset):
        return min(max(int(reset) - datetime.now(UTC).timestamp(), 1.0), _LONGEST_PAUSE)
    with contextlib.suppress(ValueError, TypeError):
        until = email.utils.parsedate_to_datetime(said)
        left = (until if until.tzinfo else until.replace(tzinfo=UTC)) - datetime.now(UTC)
        return min(max(left.total_seconds(), 0.0), _LONGEST_PAUSE)
    return None


def _reason(answer: httpx2.Response) -> str:
    """Return what an answer says of its error, in short; it is foreign, and may not be long."""
    with contextlib.suppress(ValueError):
        told = answer.json()
        if isinstance(told, dict):
            said = told.get("message") or told.get("errorMessages") or told.get("error") or told.get("errors")
            return f" ({str(said)[:200]})" if said else ""
    return ""


def why_not_reached(error: BaseException) -> str:
    """Return in a few words why a connection was not made: what the system said, where it said anything."""
    causes = [error]
    while (cause := causes[-1].__cause__ or causes[-1].__context__) and cause not in causes:
        causes.append(cause)
    for each in reversed(causes):
        if isinstance(each, socket.gaierror):
            return "nobody here knows that name"
        if isinstance(each, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted here: {each.verify_message}"
        if isinstance(each, OSError) and each.errno and each.errno > 0:
            return os.strerror(each.errno).lower()
    return type(error).__name__


def _said(error: Exception) -> str:
    return type(error).__name__


@functools.cache
def _trusted() -> ssl.SSLContext:
    """Reading the machine's certificates takes longer than all else here: once is enough."""
    return httpx2.create_ssl_context()
