"""Prometheus' HTTP API over a connection of its own: deadlines, retries, bounded bodies, errors in words.

Whatever speaks the same API answers here too (Thanos, Mimir, VictoriaMetrics, Grafana's data source proxy by another
`PrometheusApi`). Nothing is interpreted but the envelope `{"status": …, "data": …}`.
"""

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from midwatch_kit import BackendDown, BadInput, KitError
from midwatch_kit.http import BUSY, Failed, Http, HttpAnswer, HttpFailure, Parameters, shown_url

_LONGEST_COMPLAINT: Final = 400
_POSTED: Final = ("query", "query_range", "series")
"""Paths that take their parameters in a body, since selectors may be longer than an address may be."""


class TooLarge(BadInput):
    """Raised when an answer is larger than may be read; a narrower question can be asked."""


class Refused(BackendDown):
    """Raised when the backend does not let these credentials ask this."""


class Absent(BackendDown):
    """Raised when there is no such path: another program answers, or one that lacks this part of the API."""


@dataclass(frozen=True, slots=True)
class Told:
    """The `data` of an answer, and what Prometheus remarks on it: its `warnings`, then its `infos`."""

    data: Any
    remarks: tuple[str, ...] = ()


class PrometheusApi(Protocol):
    """What answers questions of Prometheus' API, each within so many `seconds`."""

    name: str
    seconds: float

    def ask(self, path: str, parameters: Parameters | None = None) -> Any:
        """Return the `data` of `/api/v1/{path}`; raises `KitError`."""
        ...

    def tell(self, path: str, parameters: Parameters | None = None) -> Told:
        """Return what `ask` does, with remarks on it."""
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
        return shown_url(self.url)


class HttpApi:
    """The API at an address; calls may come from several threads."""

    def __init__(self, access: Access) -> None:
        self.name, self.seconds = access.place, access.seconds
        self._access = access
        self._http = Http(access.url, seconds=access.seconds, headers=access.headers, login=access.login)

    def ask(self, path: str, parameters: Parameters | None = None) -> Any:
        """Return the `data` of `/api/v1/{path}`.

        What may pass is tried again within the deadline. Raises `BadInput` for a question that cannot be answered as
        it stands, `TooLarge`, `Refused`, `Absent`, and `BackendDown` for everything else.
        """
        return self.tell(path, parameters).data

    def tell(self, path: str, parameters: Parameters | None = None) -> Told:
        """Return what `ask` does, with remarks on it."""
        until = time.monotonic() + self._access.seconds
        ask = self._http.post if path in _POSTED else self._http.get
        try:
            answer = ask(f"/api/v1/{path}", parameters, until=until)
        except HttpFailure as failure:
            raise self._in_words(failure) from None
        return self._told(answer, path)

    def _in_words(self, failure: HttpFailure) -> KitError:
        match failure.kind:
            case Failed.TOO_LARGE:
                return TooLarge(f"{self.name} has {failure.why} to answer: {_LESS}")
            case Failed.TIMED_OUT:
                words = f"{self.name} did not answer within {self._access.seconds:g} s: {_LESS}"
            case Failed.TOO_SLOW:
                words = f"{self.name} was still answering after {self._access.seconds:g} s: {_LESS}"
            case Failed.BROKEN_OFF:
                words = f"{self.name} {failure.kind.value}: {_LOOK}"
            case Failed.UNREACHABLE:
                words = f"cannot reach {self.name} ({failure.why}): {self._see_url()}"
            case Failed.UNUSABLE:
                words = f"cannot use what {self.name} is or sends ({failure.why}): {_LOOK}"
            case _:
                words = str(failure)
        return BackendDown(words)

    def _told(self, answer: HttpAnswer, path: str) -> Told:
        status, envelope = answer.status, _envelope(answer.body)
        said = (envelope or {}).get("error") or (envelope or {}).get("message")  # the latter of a proxy such as Grafana
        complaint = str(said or "")[:_LONGEST_COMPLAINT] or _plain(answer.body)
        if (envelope or {}).get("errorType") == "timeout":
            raise TooLarge(f"{self.name} gave the query up ({complaint}): {_LESS}")
        if status in BUSY:
            raise BackendDown(f"{self.name} cannot answer now ({status} {complaint}): try again in a minute")
        if status in (401, 403):
            raise Refused(f"{self.name} refuses api/v1/{path} ({status} {complaint}): {self._see_login()}")
        if status in (400, 422) and envelope is not None:
            raise BadInput(f"{self.name} cannot answer the query: {complaint}")
        if status == 404:
            raise Absent(f"{self.name} has no api/v1/{path}: {self._see_url()}")
        if status >= 300:
            raise BackendDown(f"{self.name} failed ({status} {complaint}): {_LOOK}")
        if envelope is None or not _has_shape(envelope.get("data"), path):
            kind = (answer.content_type or "no type")[:40]
            raise BackendDown(f"{self.name} answers {kind}, not as Prometheus does: {self._see_url()}")
        remarks = [*(envelope.get("warnings") or ()), *(envelope.get("infos") or ())]
        return Told(envelope["data"], tuple(str(one)[:_LONGEST_COMPLAINT] for one in remarks))

    def _see_url(self) -> str:
        return f"see whether {self._access.setting}_URL is what comes before /api/v1, and that it runs"

    def _see_login(self) -> str:
        return f"see {self._access.setting}_TOKEN, or _USER and _PASSWORD, and that they may read api/v1"


_LESS: Final = "name a service or a metric, or narrow the window"
_LOOK: Final = "see its own log, and any proxy before it"


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
