"""Where an answer leads: OpenAPI's links, by which a client finds what to ask next with what it was told."""

from typing import Any

Lead = tuple[str, dict[str, Any]]
_OF_INCIDENT = (
    "read_incident", "read_journal", "list_alerts", "incident_topology", "stream_of_incident", "ask", "steer", "leave",
    "give_feedback",
)  # fmt: skip


def to(operation: str, body: dict[str, str] | None = None, **parameters: str) -> Lead:
    """Return the lead to an operation; values are OpenAPI's runtime expressions, as `$response.body#/name`."""
    return operation, {
        "operationId": operation,
        "parameters": parameters,
        **({"requestBody": body} if body else {}),
    }


def to_incident(id: str) -> list[Lead]:
    """Return the leads to all that is known of an incident, and to what can be done with it."""
    return [to(operation, id=id) for operation in _OF_INCIDENT]


def leading(status: int, *leads: Lead) -> dict[int | str, dict[str, Any]]:
    """Return how OpenAPI tells where an answer of this status leads."""
    return {status: {"links": dict(leads)}}
