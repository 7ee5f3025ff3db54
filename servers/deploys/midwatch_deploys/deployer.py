"""Asking a deployer to roll back: one POST, and words for whatever comes of it. It decides nothing.

The deployer answers `{"service": …, "to_version": …}` with JSON that describes the change it made. Asked for what
already serves, it should leave it alone: asking again must do no harm.
"""

import json

import httpx2
from pydantic import JsonValue

from midwatch_kit import BackendDown, BadInput

_SHOWN = 300
_UNSURE = "it may have acted nevertheless, so look with survey_changes before asking again"


async def ask_for_roll_back(url: str, seconds: float, service: str, to_version: str) -> JsonValue:
    """Return what the deployer says it did; raises `BadInput` when it refuses and `BackendDown` when it fails."""
    body = {"service": service, "to_version": to_version}
    place = _place(url)
    try:
        async with httpx2.AsyncClient(timeout=seconds, trust_env=False) as client:
            answer = await client.post(url, json=body)
    except httpx2.ConnectError:
        raise BackendDown(f"the deployer at {place} cannot be reached, so nothing was changed: is it up?") from None
    except httpx2.TimeoutException:
        raise BackendDown(f"the deployer at {place} gave no answer within {seconds:g} s: {_UNSURE}") from None
    except httpx2.HTTPError as error:
        raise BackendDown(f"the deployer at {place} broke off ({type(error).__name__}): {_UNSURE}") from None
    return _done(answer, place)


def _done(answer: httpx2.Response, place: str) -> JsonValue:
    words = " ".join(answer.text.split())[:_SHOWN]
    if answer.is_client_error:
        raise BadInput(f"the deployer at {place} refused with {answer.status_code}: {words}")
    if not answer.is_success:
        raise BackendDown(f"the deployer at {place} failed with {answer.status_code}: {words}")
    try:
        done: JsonValue = json.loads(answer.text)
    except ValueError:
        return {"answer": words}
    if isinstance(done, dict) and done.get("outcome") == "failed":
        raise BackendDown(f"the deployer at {place} tried and failed: {words}")
    return done


def _place(url: str) -> str:
    """Return the host and port alone: the rest of a URL may hold a secret."""
    parsed = httpx2.URL(url)
    return parsed.host if parsed.port is None else f"{parsed.host}:{parsed.port}"
