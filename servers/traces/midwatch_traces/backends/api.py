"""Asking an HTTP API of traces for JSON: the words for whatever goes wrong. GET only, so it reads.

No message quotes a header or more of a URL than its host.
"""

import json
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from midwatch_kit import BackendDown, BadInput, KitError
from midwatch_kit.http import BUSY, Failed, Http, HttpAnswer, HttpFailure

Parameters = Mapping[str, str | int]
_READ_SECONDS: Final = 15.0
_LONGEST_PAUSE: Final = 10.0
_SHOWN: Final = 300


class Missing(Exception):
    """Raised when the server answers 404: there is no such thing, or no such route."""


class JsonApi:
    """An API at a base URL; any number of threads may ask, at most `at_once` at a time.

    `permission` says what an answer of 401 or 403 asks a person to do. `headers` are sent with each request, and so
    is `login`, a name and a password, for basic authentication.
    """

    def __init__(
        self,
        name: str,
        url: str,
        *,
        permission: str,
        headers: Mapping[str, str] | None = None,
        login: tuple[str, str] | None = None,
        at_once: int = 8,
    ) -> None:
        self.name = name
        self.place = urlsplit(url).netloc.rpartition("@")[2]
        self._permission = permission
        self._http = Http(
            url, seconds=_READ_SECONDS, headers=headers, login=login, at_once=at_once, longest_pause=_LONGEST_PAUSE
        )

    def get(self, path: str, parameters: Parameters | None = None, *, until: float) -> Any:
        """Return the JSON that a path answers, before `until` on the monotonic clock.

        Raises `Missing` for 404, `BadInput` with the server's own words for another 4xx, else `BackendDown`.
        """
        return self._as_json(self.text(path, parameters, until=until))

    def text(self, path: str, parameters: Parameters | None = None, *, until: float) -> str:
        """Return the text that a path answers; raises as `get` does."""
        try:
            answer = self._http.get(path, parameters, until=until)
        except HttpFailure as failure:
            raise self._in_words(failure) from None
        return self._judged(answer)

    def _in_words(self, failure: HttpFailure) -> KitError:
        where = f"{self.name} at {self.place}"
        match failure.kind:
            case Failed.TOO_LARGE:
                said = f"answers with {failure.why}: ask for a shorter window, or name a service"
            case Failed.TOO_SLOW:
                said = "was too slow for one answer: ask for a shorter window"
            case Failed.TIMED_OUT:
                said = "gave no answer in time: see if it is overloaded, or ask for less"
            case Failed.UNREACHABLE:
                said = "cannot be reached: is it up, and is the URL right?"
            case Failed.BROKEN_OFF:
                said = "broke off its answer, also when asked again: wait, or ask for a shorter window"
            case _:
                said = str(failure.kind.value)
        return BackendDown(f"{where} {said}")

    def _judged(self, answer: HttpAnswer) -> str:
        status, body = answer.status, answer.body.decode("utf-8", "replace")
        if 200 <= status < 300:
            return body
        words, where = _words(body), f"{self.name} at {self.place}"
        if status in {401, 403}:
            raise BackendDown(f"{where} refused with {status}: {self._permission}")
        if status == 404:
            raise Missing(words)
        if status in BUSY:
            raise BackendDown(
                f"{where} answered {status} ({words}), also when asked again: wait, or ask for a shorter window"
            )
        if 400 <= status < 500:
            raise BadInput(f"{where} cannot use this ({status}): {words}")
        raise BackendDown(f"{where} failed with {status}: {words}")

    def _as_json(self, body: str) -> Any:
        try:
            return json.loads(body)
        except ValueError:
            raise BackendDown(
                f"{self.name} at {self.place} answers with what is no JSON ({_words(body)[:80]!r}): "
                f"does the URL lead to {self.name}, and not to a page before it?"
            ) from None


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
