"""Calls from one service to the next: traced, with a deadline, and without retries."""

from typing import Any

import httpx
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor

from app.errors import Refused, UpstreamBusy, UpstreamFailed

TIMEOUT_SECONDS = 3.0


def client(timeout_seconds: float = TIMEOUT_SECONDS, proxy: str | None = None) -> httpx.AsyncClient:
    """Return a client that opens a connection per call, so that a roll of the other side is never noticed."""
    if not HTTPXClientInstrumentor().is_instrumented_by_opentelemetry:
        HTTPXClientInstrumentor().instrument()
    limits = httpx.Limits(max_keepalive_connections=0)
    return httpx.AsyncClient(timeout=timeout_seconds, limits=limits, proxy=proxy)


async def call(http: httpx.AsyncClient, upstream: str, method: str, url: str, **arguments: Any) -> dict[str, Any]:
    """Return an upstream's JSON answer; raises Refused for its 4xx and UpstreamFailed for the rest.

    UpstreamBusy, which is one of those, says that it may be worth while to ask again.
    """
    try:
        response = await http.request(method, url, **arguments)
    except httpx.TimeoutException as error:
        raise UpstreamBusy(upstream, f"{type(error).__name__} {error}") from error
    except httpx.HTTPError as error:
        raise UpstreamFailed(upstream, f"{type(error).__name__} {error}") from error
    if response.status_code == httpx.codes.SERVICE_UNAVAILABLE:
        raise UpstreamBusy(upstream, f"503 {_reason(response)}")
    if response.is_server_error:
        raise UpstreamFailed(upstream, f"{response.status_code} {_reason(response)}")
    if response.is_client_error:
        raise Refused(response.status_code, _reason(response))
    answer: dict[str, Any] = response.json()
    return answer


def _reason(response: httpx.Response) -> str:
    try:
        return str(response.json()["error"])
    except (ValueError, KeyError, TypeError):
        return response.text[:200]
