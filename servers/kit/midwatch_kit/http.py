"""HTTP for backends without an official client: deadlines, retries, bounds, and what went wrong as one kind of error.

A backend puts its own words around: it knows which setting to name, and what a narrower question is. What may pass (no
connection, an answer broken off, 429, 502 to 504) is asked again after a random and growing pause, or the one that the
other side asks for. No error quotes a header, or the login or the parameters of an address. Import this module where a
backend is on, not before: its libraries take long to import.
"""

import functools
import math
import re
import ssl
import threading
import time
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, TypeAlias

import httpx2
import tenacity
from pydantic import SecretStr

from midwatch_kit.abandoned import given_up
from midwatch_kit.errors import BackendDown, without_login

Parameters: TypeAlias = Mapping[str, str | int | Sequence[str]]

MOST_BYTES: Final = 64 * 2**20
BUSY: Final = frozenset({429, 502, 503, 504})
_CONNECT_SECONDS: Final = 5.0
_SHORTEST: Final = 0.05
_GROWING: Final = tenacity.wait_random_exponential(multiplier=0.2, max=5)


class Failed(Enum):
    """Why there is no whole answer."""

    UNREACHABLE = "cannot be reached"
    BROKEN_OFF = "broke off in the middle of an answer"
    TIMED_OUT = "did not answer in time"
    TOO_SLOW = "was still answering when the time was over"
    TOO_LARGE = "answers more than may be read"
    UNUSABLE = "cannot be used"
    GIVEN_UP = "was not asked further: nobody waits for the answer"


class HttpFailure(BackendDown):
    """Raised when there is no whole answer; `why` is what the connection said of it, '' for nothing."""

    def __init__(self, place: str, kind: Failed, why: str = "", passing: bool = False) -> None:
        super().__init__(f"{place} {kind.value}{f' ({why})' if why else ''}")
        self.kind, self.why, self.passing = kind, why, passing


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """A whole answer, whatever its status; names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def content_type(self) -> str:
        """What the answer says to be, '' for nothing."""
        return self.headers.get("content-type", "")


class Http:
    """What is at an address. Any number of threads may ask, `at_once` of them at a time; redirects are not followed.

    `seconds` is how long the other side may be silent, `longest_pause` the most that is waited because it asks for it.
    """

    def __init__(
        self,
        url: str,
        *,
        seconds: float,
        headers: Mapping[str, str] | None = None,
        login: tuple[str, str] | None = None,
        attempts: int = 4,
        at_once: int = 4,
        longest_pause: float = math.inf,
    ) -> None:
        self.place = shown_url(url)
        self._url = url.rstrip("/")
        self._seconds, self._attempts, self._longest_pause = seconds, attempts, longest_pause
        self._turns = threading.BoundedSemaphore(at_once)
        self._client = httpx2.Client(
            headers=dict(headers or {}),
            auth=login,
            verify=_trusted(),
            limits=httpx2.Limits(max_connections=at_once),
            follow_redirects=False,
        )
        weakref.finalize(self, self._client.close)

    def get(self, path: str, parameters: Parameters | None = None, *, until: float = math.inf) -> HttpAnswer:
        """Return what a path answers, before `until` on the monotonic clock; raises `HttpFailure`.

        An answer with one of the statuses `BUSY` is returned when asking again does not help, or is not possible before
        `until`.
        """
        return self._ask("GET", path, {"params": dict(parameters or {})}, until)

    def post(self, path: str, parameters: Parameters | None = None, *, until: float = math.inf) -> HttpAnswer:
        """Return as `get` does, with the parameters in a form: for questions longer than an address may be."""
        return self._ask("POST", path, {"data": dict(parameters or {})}, until)

    def _ask(self, method: str, path: str, sent: Mapping[str, Mapping[str, object]], until: float) -> HttpAnswer:
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(_is_passing) | tenacity.retry_if_result(_is_busy),
            stop=lambda call: call.attempt_number >= self._attempts or time.monotonic() + call.upcoming_sleep >= until,
            wait=self._pause,
            sleep=_sleep,
            retry_error_callback=_last,
        )
        if not self._turns.acquire(timeout=_within(until, threading.TIMEOUT_MAX)):
            raise HttpFailure(self.place, Failed.TIMED_OUT)
        try:
            answer: HttpAnswer = retrying(self._once, method, path, sent, until)
            return answer
        finally:
            self._turns.release()

    def _once(self, method: str, path: str, sent: Mapping[str, Mapping[str, object]], until: float) -> HttpAnswer:
        if given_up().is_set():
            raise HttpFailure(self.place, Failed.GIVEN_UP)
        if time.monotonic() >= until:
            raise HttpFailure(self.place, Failed.TOO_SLOW)
        timeout = httpx2.Timeout(_within(until, self._seconds), connect=_within(until, _CONNECT_SECONDS, self._seconds))
        try:
            with self._client.stream(method, f"{self._url}{path}", timeout=timeout, **sent) as answer:  # type: ignore[arg-type]
                body = self._body(answer, until)
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            kind, passing = _kind_of(error)
            said = "" if kind is Failed.UNUSABLE else str(error)  # which may quote the address, with its login
            why = re.sub(r"\[.*?\] ", "", said)[:200] or type(error).__name__
            raise HttpFailure(self.place, kind, why, passing) from None
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return HttpAnswer(answer.status_code, headers, body)

    def _body(self, answer: httpx2.Response, until: float) -> bytes:
        body = bytearray()
        for part in answer.iter_bytes():
            body += part
            if len(body) > MOST_BYTES:
                raise HttpFailure(self.place, Failed.TOO_LARGE, f"more than {MOST_BYTES // 2**20} MiB")
            if time.monotonic() >= until:
                raise HttpFailure(self.place, Failed.TOO_SLOW)
        return bytes(body)

    def _pause(self, call: tenacity.RetryCallState) -> float:
        """Wait as long as the other side says, else longer each time, by chance, so that many callers come apart."""
        answer = None if call.outcome is None or call.outcome.failed else call.outcome.result()
        asked = _seconds(answer.headers.get("retry-after", "")) if isinstance(answer, HttpAnswer) else None
        return _GROWING(call) if asked is None else min(asked, self._longest_pause)


def bearer(token: SecretStr | None) -> dict[str, str]:
    """Return the header of a bearer token; none for none."""
    secret = token.get_secret_value() if token else ""
    return {"Authorization": f"Bearer {secret}"} if secret else {}


def shown_url(url: str) -> str:
    """Return an address without what may be secret in it: a login, and parameters."""
    return without_login(url).split("?", 1)[0].rstrip("/")


def _kind_of(error: Exception) -> tuple[Failed, bool]:
    """Return what an error of the client means, and whether the next attempt may go well."""
    match error:
        case httpx2.ConnectTimeout():
            return Failed.UNREACHABLE, False
        case httpx2.TimeoutException():
            return Failed.TIMED_OUT, False
        case httpx2.RemoteProtocolError() | httpx2.ReadError() | httpx2.WriteError():
            return Failed.BROKEN_OFF, True
        case httpx2.InvalidURL() | httpx2.DecodingError() | httpx2.UnsupportedProtocol():
            return Failed.UNUSABLE, False
        case _:
            return Failed.UNREACHABLE, True


def _sleep(seconds: float) -> None:
    given_up().wait(seconds)


def _is_passing(error: BaseException) -> bool:
    return isinstance(error, HttpFailure) and error.passing


def _is_busy(answer: HttpAnswer) -> bool:
    return answer.status in BUSY


def _last(call: tenacity.RetryCallState) -> HttpAnswer | None:
    """Return the last answer, or raise the last error, when there are no more attempts."""
    return call.outcome.result() if call.outcome else None


def _within(until: float, *most: float) -> float:
    return max(_SHORTEST, min(until - time.monotonic(), *most))


def _seconds(told: str) -> float | None:
    """Return the pause that a number of seconds asks for; None for a date, or nothing."""
    return float(told) if re.fullmatch(r"\d{1,9}(\.\d+)?", told) else None


@functools.cache
def _trusted() -> ssl.SSLContext:
    """Reading the machine's certificates takes longer than building the rest of a server: once is enough."""
    return httpx2.create_ssl_context()
