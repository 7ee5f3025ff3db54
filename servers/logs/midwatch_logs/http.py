"""JSON over HTTP for backends without an official client: deadlines, retries, bounds, and errors in words."""

import json
import random
import threading
import weakref
from collections.abc import Mapping
from typing import Any, Final

import httpx2
import tenacity

from midwatch_kit import BackendDown, BadInput, given_up

CONNECT_SECONDS: Final = 5.0
READ_SECONDS: Final = 25.0
MOST_BYTES: Final = 64 * 2**20
_MOST_AT_ONCE: Final = 4
_ATTEMPTS: Final = 3
_LONGEST_PAUSE: Final = 5.0
_BUSY: Final = (429, 502, 503, 504)


class _Busy(Exception):
    """The backend asked to come back later; `after` is how many seconds it said, None when it did not."""

    def __init__(self, status: int, after: float | None) -> None:
        super().__init__(status)
        self.status = status
        self.after = after


class JsonHttp:
    """Reads JSON from one backend; only GET, so that nothing can be changed by it."""

    def __init__(self, name: str, url: str, headers: Mapping[str, str], auth: tuple[str, str] | None = None) -> None:
        self._name = name
        self._url = url.rstrip("/")
        self._slots = threading.BoundedSemaphore(_MOST_AT_ONCE)
        self._client = httpx2.Client(
            headers=dict(headers),
            auth=auth,
            timeout=httpx2.Timeout(READ_SECONDS, connect=CONNECT_SECONDS),
            follow_redirects=False,
        )
        weakref.finalize(self, self._client.close)

    def get(self, path: str, parameters: Mapping[str, str | int]) -> Any:
        """Return the JSON of an answer; raises `BadInput` with the backend's own words, or `BackendDown`."""
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type((_Busy, httpx2.ConnectError, httpx2.RemoteProtocolError)),
            stop=tenacity.stop_after_attempt(_ATTEMPTS),
            wait=_pause,
            sleep=_sleep,
            reraise=True,
        )
        try:
            with self._slots:
                return retrying(self._once, path, parameters)
        except _Busy as error:
            raise BackendDown(
                f"{self._name} is too busy (HTTP {error.status}) after {_ATTEMPTS} tries: ask later, or for less"
            ) from None
        except httpx2.TimeoutException:
            raise BackendDown(
                f"{self._name} did not answer in {READ_SECONDS:g} s: narrow the window or add a filter"
            ) from None
        except httpx2.HTTPError as error:
            raise BackendDown(f"{self._name} cannot be reached at {shown_url(self._url)}: {_why(error)}") from None

    def _once(self, path: str, parameters: Mapping[str, str | int]) -> Any:
        if given_up().is_set():
            raise BackendDown(f"{self._name} was not asked further: nobody waits for the answer")
        with self._client.stream("GET", f"{self._url}{path}", params=dict(parameters)) as response:
            if response.status_code in _BUSY:
                raise _Busy(response.status_code, _seconds(response.headers.get("retry-after")))
            body = self._read(response)
        return self._json(response, body, path)

    def _read(self, response: httpx2.Response) -> bytes:
        body = bytearray()
        for chunk in response.iter_bytes():
            body += chunk
            if len(body) > MOST_BYTES:
                raise BadInput(f"{self._name} answered more than {MOST_BYTES // 2**20} MiB: narrow the window")
        return bytes(body)

    def _json(self, response: httpx2.Response, body: bytes, path: str) -> Any:
        status = response.status_code
        said = body[:400].decode("utf-8", "replace").strip()
        if status in {401, 403}:
            raise BackendDown(f"{self._name} refuses these credentials for {path} (HTTP {status}): {said or '-'}")
        if status in {400, 422}:
            raise BadInput(f"{self._name} refuses this: {said}")
        if status != 200:
            raise BackendDown(f"{self._name} answered HTTP {status} to {path}: {said[:200] or '-'}")
        try:
            return json.loads(body)
        except ValueError:
            kind = response.headers.get("content-type", "no content type")
            raise BackendDown(
                f"{self._name} answered {path} with something that is not JSON ({kind}): is "
                f"{shown_url(self._url)} its address?"
            ) from None


def shown_url(url: str) -> str:
    """Return an address without what may be secret in it."""
    parts = httpx2.URL(url)
    return str(parts.copy_with(userinfo=b"", query=None))


def _pause(state: tenacity.RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, _Busy) and error.after is not None:
        return min(error.after, _LONGEST_PAUSE)
    return random.uniform(0.1, 0.25) * float(2**state.attempt_number)  # noqa: S311 - jitter, not a secret


def _sleep(seconds: float) -> None:
    given_up().wait(seconds)


def _seconds(text: str | None) -> float | None:
    try:
        return max(0.0, float(text)) if text else None
    except ValueError:
        return None


def _why(error: httpx2.HTTPError) -> str:
    if isinstance(error, httpx2.RemoteProtocolError):
        return "it broke off in the middle of an answer"
    return str(error)[:200] or type(error).__name__
