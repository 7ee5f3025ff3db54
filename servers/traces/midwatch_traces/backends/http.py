"""Asking an HTTP API for JSON: deadlines, retries, bounds, and words for whatever goes wrong. GET only, so it reads.

A secret is read for each request and put into its header; no message quotes a header or more of a URL than its host.
"""

import json
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import httpx2
from pydantic import SecretStr
from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_random_exponential

from midwatch_kit import BackendDown, BadInput

MOST_BYTES: Final = 64 * 2**20
_READ_SECONDS: Final = 15.0
_CONNECT_SECONDS: Final = 5.0
_ATTEMPTS: Final = 4
_SHOWN: Final = 300
_LATER: Final = frozenset({429, 502, 503, 504})
Parameters = Mapping[str, str | int]


class Missing(Exception):
    """Raised when the server answers 404: there is no such thing, or no such route."""


class _Later(Exception):
    """The server asks to be asked again, after so many seconds if it says so."""

    def __init__(self, words: str, seconds: float) -> None:
        super().__init__(words)
        self.seconds = seconds


class JsonApi:
    """An API at a base URL; any number of threads may ask, at most `at_once` at a time.

    `permission` says what an answer of 401 or 403 asks a person to do. `headers` are sent with each request.
    """

    def __init__(
        self,
        name: str,
        url: str,
        *,
        permission: str,
        headers: Callable[[], Mapping[str, str]] = dict,
        at_once: int = 8,
    ) -> None:
        self.name = name
        self._base = url.rstrip("/")
        parsed = httpx2.URL(url)
        self.place = parsed.host if parsed.port is None else f"{parsed.host}:{parsed.port}"
        self._permission, self._headers = permission, headers
        self._turns = threading.BoundedSemaphore(at_once)
        self._client = httpx2.Client(limits=httpx2.Limits(max_connections=at_once), follow_redirects=False)
        weakref.finalize(self, self._client.close)

    def get(self, path: str, parameters: Parameters | None = None, *, until: float) -> Any:
        """Return the JSON that a path answers, before `until` on the monotonic clock.

        Raises `Missing` for 404, `BadInput` with the server's own words for another 4xx, else `BackendDown`.
        """
        return self._as_json(self.text(path, parameters, until=until))

    def text(self, path: str, parameters: Parameters | None = None, *, until: float) -> str:
        """Return the text that a path answers; raises as `get` does."""
        tries = Retrying(
            retry=retry_if_exception_type(_Later),
            stop=lambda state: state.attempt_number >= _ATTEMPTS or time.monotonic() >= until,
            wait=lambda state: min(_pause(state), max(until - time.monotonic(), 0)),
            reraise=True,
        )
        try:
            with self._turns:
                return tries(self._once, path, parameters or {}, until)
        except _Later as error:
            raise BackendDown(
                f"{self.name} at {self.place} {error}, also when asked again: wait, or ask for a shorter window"
            ) from None

    def _once(self, path: str, parameters: Parameters, until: float) -> str:
        if time.monotonic() >= until:
            raise BackendDown(f"{self.name} at {self.place} was too slow for one answer: ask for a shorter window")
        where = f"{self.name} at {self.place}"
        try:
            with self._client.stream(
                "GET",
                f"{self._base}{path}",
                params=dict(parameters),
                headers={**self._headers()},
                timeout=self._patience(until - time.monotonic()),
            ) as answer:
                body = self._read(answer, until)
        except httpx2.TimeoutException:
            raise BackendDown(f"{where} gave no answer in time: see if it is overloaded, or ask for less") from None
        except httpx2.ConnectError:
            raise BackendDown(f"{where} cannot be reached: is it up, and is the URL right?") from None
        except httpx2.HTTPError as error:
            raise _Later(f"broke off its answer ({type(error).__name__})", 0.0) from None
        return self._judged(answer, body)

    def _patience(self, left: float) -> httpx2.Timeout:
        return httpx2.Timeout(max(0.05, min(_READ_SECONDS, left)), connect=max(0.05, min(_CONNECT_SECONDS, left)))

    def _read(self, answer: httpx2.Response, until: float) -> str:
        whole = bytearray()
        for block in answer.iter_bytes():
            whole += block
            if len(whole) > MOST_BYTES:
                raise BackendDown(
                    f"{self.name} at {self.place} answers with more than {MOST_BYTES // 2**20} MiB: "
                    "ask for a shorter window, or name a service"
                )
            if time.monotonic() >= until:
                raise BackendDown(f"{self.name} at {self.place} was too slow for one answer: ask for a shorter window")
        return whole.decode("utf-8", "replace")

    def _judged(self, answer: httpx2.Response, body: str) -> str:
        status, words = answer.status_code, _words(body)
        where = f"{self.name} at {self.place}"
        if status in {401, 403}:
            raise BackendDown(f"{where} refused with {status}: {self._permission}")
        if status == 404:
            raise Missing(words)
        if status in _LATER:
            raise _Later(f"answered {status} ({words})", _seconds(answer.headers.get("retry-after", "")))
        if answer.is_client_error:
            raise BadInput(f"{where} cannot use this ({status}): {words}")
        if not answer.is_success:
            raise BackendDown(f"{where} failed with {status}: {words}")
        return body

    def _as_json(self, body: str) -> Any:
        try:
            return json.loads(body)
        except ValueError:
            raise BackendDown(
                f"{self.name} at {self.place} answers with what is no JSON ({_words(body)[:80]!r}): "
                f"does the URL lead to {self.name}, and not to a page before it?"
            ) from None


def bearer(token: SecretStr | None, file: Path | None) -> Callable[[], Mapping[str, str]]:
    """Return what makes the header of a bearer token, out of a value or a file that may change meanwhile."""

    def headers() -> Mapping[str, str]:
        secret = token.get_secret_value() if token else ""
        if file is not None:
            try:
                secret = file.read_text(encoding="utf-8").strip()
            except OSError as error:
                raise BackendDown(f"cannot read the token in {file} ({error.strerror}): correct the path") from None
        return {"Authorization": f"Bearer {secret}"} if secret else {}

    return headers


def _pause(state: RetryCallState) -> float:
    """Wait as long as the server says, else longer each time, by chance, so that many callers come apart."""
    error = state.outcome.exception() if state.outcome else None
    told = error.seconds if isinstance(error, _Later) else 0.0
    return told or wait_random_exponential(multiplier=0.2, max=5)(state)


def _seconds(told: str) -> float:
    return min(float(told), 10.0) if told.isdecimal() else 0.0


def _words(body: str) -> str:
    """Return what an error body says: the message of a JSON error of Jaeger's or gRPC's, or its text."""
    try:
        said = json.loads(body)
        for place in (("errors", 0, "msg"), ("error", "message"), ("message",), ("error",)):
            found: Any = said
            for key in place:
                found = found[key] if isinstance(found, list) == isinstance(key, int) and found else None
                if found is None:
                    break
            if isinstance(found, str):
                return found[:_SHOWN]
    except (ValueError, LookupError, TypeError):
        pass
    return " ".join(body.split())[:_SHOWN]
