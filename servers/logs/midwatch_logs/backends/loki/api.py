"""Loki's HTTP API: its JSON, and in words what it refuses; only GET, so that nothing can be changed by it."""

import json
from collections.abc import Mapping
from typing import Any, Final

from midwatch_kit import BackendDown, BadInput, KitError
from midwatch_kit.http import BUSY, Failed, Http, HttpAnswer, HttpFailure, bearer
from midwatch_logs.settings import LokiSettings

READ_SECONDS: Final = 25.0
_ATTEMPTS: Final = 3
_LONGEST_PAUSE: Final = 5.0


class LokiApi:
    """Asks the Loki of some settings; nothing before the first question."""

    def __init__(self, settings: LokiSettings) -> None:
        tenant = {"X-Scope-OrgID": settings.loki_tenant} if settings.loki_tenant else {}
        password = settings.loki_password
        self._http = Http(
            settings.loki_url or "",
            seconds=READ_SECONDS,
            headers={**tenant, **bearer(settings.loki_token)},
            login=(settings.loki_username, password.get_secret_value()) if password else None,
            attempts=_ATTEMPTS,
            longest_pause=_LONGEST_PAUSE,
        )
        self.place = self._http.place

    def get(self, path: str, parameters: Mapping[str, str | int]) -> Any:
        """Return the JSON of an answer; raises `BadInput` with Loki's own words, or `BackendDown`."""
        try:
            answer = self._http.get(path, parameters)
        except HttpFailure as failure:
            raise self._in_words(failure) from None
        return self._json(answer, path)

    def _in_words(self, failure: HttpFailure) -> KitError:
        match failure.kind:
            case Failed.GIVEN_UP:
                return BackendDown(f"Loki {failure.kind.value}")
            case Failed.TOO_LARGE:
                return BadInput(f"Loki answered {failure.why}: narrow the window")
            case Failed.TIMED_OUT | Failed.TOO_SLOW:
                return BackendDown(f"Loki did not answer in {READ_SECONDS:g} s: narrow the window or add a filter")
            case Failed.BROKEN_OFF:
                why = f"it {failure.kind.value}"
            case _:
                why = failure.why
        return BackendDown(f"Loki cannot be reached at {self.place}: {why}")

    def _json(self, answer: HttpAnswer, path: str) -> Any:
        status, said = answer.status, answer.body[:400].decode("utf-8", "replace").strip()
        if status in BUSY:
            raise BackendDown(f"Loki is too busy (HTTP {status}) after {_ATTEMPTS} tries: ask later, or for less")
        if status in {401, 403}:
            raise BackendDown(f"Loki refuses these credentials for {path} (HTTP {status}): {said or '-'}")
        if status in {400, 422}:
            raise BadInput(f"Loki refuses this: {said}")
        if status != 200:
            raise BackendDown(f"Loki answered HTTP {status} to {path}: {said[:200] or '-'}")
        try:
            return json.loads(answer.body)
        except ValueError:
            kind = answer.content_type or "no content type"
            raise BackendDown(
                f"Loki answered {path} with something that is not JSON ({kind}): is {self.place} its address?"
            ) from None
