"""What all questions to Tempo have in common: whole seconds, lists that may be missing, how a search tells traces."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from midwatch_kit import BackendDown
from midwatch_traces.backends.api import JsonApi, Missing, Parameters
from midwatch_traces.backends.sampling import Piece

SECOND: Final = 10**9
SERVICES: Final = "/api/v2/search/tag/resource.service.name/values"


def asked(api: JsonApi, path: str, told: Parameters, until: float) -> Any:
    """Return what Tempo answers; raises `BackendDown` where there is no such route, and as `JsonApi.get` does."""
    try:
        return api.get(path, told, until=until)
    except Missing:
        raise BackendDown(
            f"tempo at {api.place} has no {path}: is MIDWATCH_TEMPO_URL its query frontend's, with a prefix?"
        ) from None


def seconds(start: int, end: int, around: int = 0) -> dict[str, int]:
    """Return bounds in whole seconds, rounded outward."""
    return {"start": start // SECOND - around, "end": -(-end // SECOND) + around}


def items(said: Any, name: str) -> Sequence[Mapping[str, Any]]:
    """Return a list of an answer; what is empty Tempo leaves out."""
    found = said.get(name) if isinstance(said, Mapping) else None
    return found if isinstance(found, list) else ()


def span_of(trace: Mapping[str, Any]) -> Piece | None:
    """Return the beginning and the end of a trace in ns, as far as Tempo says."""
    told, lasting = str(trace.get("startTimeUnixNano") or ""), int(trace.get("durationMs") or 0)
    return (int(told), int(told) + (lasting + 1) * 10**6) if told.isdecimal() else None
