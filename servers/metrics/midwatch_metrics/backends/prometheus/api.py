"""Prometheus' HTTP API over a connection of its own: deadlines, retries, bounded bodies, errors in words.

Whatever speaks the same API answers here too (Thanos, Mimir, VictoriaMetrics, Grafana's data source proxy by another
`PrometheusApi`). Nothing is interpreted but the envelope `{"status": …, "data": …}`.
"""

import json
import re
import time
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeAlias

import httpx2
import tenacity

from midwatch_kit import BackendDown, BadInput, KitError

Parameters: TypeAlias = Mapping[str, str | Sequence[str]]

MOST_BYTES: Final = 64 * 2**20
_ATTEMPTS: Final = 4
_CONNECTIONS: Final = 4
_CONNECT_SECONDS: Final = 5.0
_LONGEST_COMPLAINT: Final = 400
_POSTED: Final = ("query", "query_range", "series")
"""Paths that take their parameters in a body, since selectors may be longer than an address may be."""


class TooLarge(BadInput):
    """Raised when an answer is larger than may be read; a narrower question can be asked."""


class Refused(BackendDown):
    """Raised when the backend does not let these credentials ask this."""


class Absent(BackendDown):
    """Raised when there is no such path: another program answers, or one that lacks this part of the API."""


class _Passing(Exception):
    """Something that may be over at the next attempt: `wait` is how long the other side asks for, in seconds."""

    def __init__(self, error: KitError, wait: float | None = None) -> None:
        super().__init__(str(error))
        self.error, self.wait = error, wait


class PrometheusApi(Protocol):
    """What answers questions of Prometheus' API."""

    name: str

    def ask(self, path: str, parameters: Parameters | None = None) -> Any:
        """Return the `data` of `/api/v1/{path}`; raises `KitError`."""
        ...


@dataclass(frozen=True, slots=True)
class Access:
    """Where the API is and what lets one in; `setting` is the prefix of the settings to name in errors."""

    url: str
    setting: str
    headers: Mapping[str, str]
    login: tuple[str, str] | None
    seconds: float

    @property
    def place(self) -> str:
        """The address without what must not be told: a login in it, or parameters."""
        return without_secrets(self.url)


class HttpApi:
    """The API at an address; calls may come from several threads."""

    def __init__(self, access: Access) -> None:
        self.name = access.place
        self._access = access
        self._client = httpx2.Client(
            headers=dict(access.headers),
            auth=access.login,
            timeout=httpx2.Timeout(access.seconds, connect=min(_CONNECT_SECONDS, access.seconds)),
            limits=httpx2.Limits(max_connections=_CONNECTIONS),
            follow_redirects=False,
        )
        weakref.finalize(self, self._client.close)

    def ask(self, path: str, parameters: Parameters | None = None) -> Any:
        """Return the `data` of `/api/v1/{path}`.

        What may pass (no connection, 429, 502 to 504, half a body) is tried again after a random and growing pause, or
        the one asked for, within the deadline. Raises `BadInput` for a question that cannot be answered as it stands,
        `TooLarge`, `Refused`, `Absent`, and `BackendDown` for everything else.
        """
        until = time.monotonic() + self._access.seconds
        attempts = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_Passing),
            stop=lambda call: call.attempt_number >= _ATTEMPTS or _too_late(call, until),
            wait=_pause,
            reraise=True,
        )
        try:
            return attempts(self._once, path, parameters or {}, until)
        except _Passing as passing:
            raise passing.error from None

    def _once(self, path: str, parameters: Parameters, until: float) -> Any:
        url = f"{self._access.url.rstrip('/')}/api/v1/{path}"
        left = max(until - time.monotonic(), 0.1)
        try:
            timeout = httpx2.Timeout(left, connect=min(_CONNECT_SECONDS, left))
            with self._client.stream(**_request(url, path, parameters), timeout=timeout) as answer:
                body = self._body(answer, until)
        except httpx2.TimeoutException:
            raise _Passing(
                BackendDown(f"{self.name} did not answer within {self._access.seconds:g} s: {_LESS}")
            ) from None
        except httpx2.RemoteProtocolError:
            raise _Passing(BackendDown(f"{self.name} broke off in the middle of an answer: {_LOOK}")) from None
        except httpx2.TransportError as error:
            why = re.sub(r"\[.*?\] ", "", str(error)) or type(error).__name__
            raise _Passing(BackendDown(f"cannot reach {self.name} ({why}): {self._see_url()}")) from None
        except (httpx2.InvalidURL, httpx2.DecodingError) as error:
            raise BackendDown(f"cannot use what {self.name} is or sends ({type(error).__name__}): {_LOOK}") from None
        return self._data(answer, body, path)

    def _body(self, answer: httpx2.Response, until: float) -> bytes:
        parts: list[bytes] = []
        size = 0
        for part in answer.iter_bytes():
            parts.append(part)
            size += len(part)
            if size > MOST_BYTES:
                raise TooLarge(f"{self.name} has more than {MOST_BYTES // 2**20} MiB to answer: {_LESS}")
            if time.monotonic() > until:
                raise BackendDown(f"{self.name} was still answering after {self._access.seconds:g} s: {_LESS}")
        return b"".join(parts)

    def _data(self, answer: httpx2.Response, body: bytes, path: str) -> Any:
        status = answer.status_code
        envelope = _envelope(body)
        complaint = str((envelope or {}).get("error", ""))[:_LONGEST_COMPLAINT] or _plain(body)
        if status in (429, 502, 503, 504):
            error = BackendDown(f"{self.name} cannot answer now ({status} {complaint}): try again in a minute")
            raise _Passing(error, _asked_pause(answer))
        if status in (401, 403):
            raise Refused(f"{self.name} refuses api/v1/{path} ({status} {complaint}): {self._see_login()}")
        if status in (400, 422) and envelope is not None:
            raise BadInput(f"{self.name} cannot answer the query: {complaint}")
        if status == 404:
            raise Absent(f"{self.name} has no api/v1/{path}: {self._see_url()}")
        if status >= 300:
            raise BackendDown(f"{self.name} failed ({status} {complaint}): {_LOOK}")
        if envelope is None or not _has_shape(envelope.get("data"), path):
            kind = answer.headers.get("content-type", "no type")[:40]
            raise BackendDown(f"{self.name} answers {kind}, not as Prometheus does: {self._see_url()}")
        return envelope["data"]

    def _see_url(self) -> str:
        return f"see whether {self._access.setting}_URL is what comes before /api/v1, and that it runs"

    def _see_login(self) -> str:
        return f"see {self._access.setting}_TOKEN, or _USER and _PASSWORD, and that they may read api/v1"


_LESS: Final = "name a service or a metric, or narrow the window"
_LOOK: Final = "see its own log, and any proxy before it"


def _request(url: str, path: str, parameters: Parameters) -> dict[str, Any]:
    if path in _POSTED:
        return {"method": "POST", "url": url, "data": dict(parameters)}
    return {"method": "GET", "url": url, "params": dict(parameters)}


def without_secrets(url: str) -> str:
    """Return an address without a login in it and without parameters."""
    return re.sub(r"//[^/@]*@", "//", url).split("?", 1)[0].rstrip("/")


def _has_shape(data: object, path: str) -> bool:
    """Whether data are what this path gives: rows, names or things by name."""
    if path in ("query", "query_range"):
        return isinstance(data, dict) and isinstance(data.get("result"), list)
    return isinstance(data, list if path.startswith(("series", "label")) else dict)


def _envelope(body: bytes) -> dict[str, Any] | None:
    """Return the JSON object that a body is; None for anything else."""
    try:
        read = json.loads(body)
    except ValueError:
        return None
    return read if isinstance(read, dict) else None


def _plain(body: bytes) -> str:
    text = body[:2000].decode(errors="replace")
    return " ".join(re.sub(r"<[^>]*>", " ", text).split())[:120]


def _asked_pause(answer: httpx2.Response) -> float | None:
    asked = answer.headers.get("retry-after", "")
    return float(asked) if asked.isdecimal() else None


_GROWING: Final = tenacity.wait_random_exponential(multiplier=0.2, max=5)


def _pause(call: tenacity.RetryCallState) -> float:
    failed = call.outcome.exception() if call.outcome else None
    asked = failed.wait if isinstance(failed, _Passing) else None
    return _GROWING(call) if asked is None else asked


def _too_late(call: tenacity.RetryCallState, until: float) -> bool:
    """Whether the pause before a further attempt would reach past the deadline."""
    return time.monotonic() + call.upcoming_sleep >= until
