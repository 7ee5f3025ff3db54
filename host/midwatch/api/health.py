"""Whether midwatch is well: for supervisors, for load balancers, for Prometheus."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Response
from pydantic import JsonValue

from midwatch.api import problems
from midwatch.api.access import Reader
from midwatch.api.figures import MEDIA_TYPE
from midwatch.api.readiness import OK
from midwatch.api.shapes import Alive, Ready
from midwatch.api.state import Shared, in_thread

routes = APIRouter(tags=["health"])
_TEXT: dict[int | str, dict[str, Any]] = {
    200: {"description": "Prometheus' text format.", "content": {"text/plain": {"schema": {"type": "string"}}}},
    **problems.documented("unauthorized", "forbidden", "unavailable", "timed-out"),
}
_NOT_READY: dict[int | str, dict[str, Any]] = {503: {"model": Ready, "description": "Alerts cannot be kept."}}


@routes.get("/healthz", summary="Whether the process is alive")
async def healthz(api: Shared) -> Alive:
    """Alive as long as this answers; it takes no token. Servers that are missing do not make it ill."""
    return Alive(ok=True, servers_missing=api.host.eyes.missing())


@routes.get("/readyz", summary="Whether alerts can be taken", responses=_NOT_READY)
@in_thread
def readyz(api: Shared, response: Response) -> Ready:
    """Ready when the database can be written; it takes no token. Servers that are missing are told of."""
    told = api.readiness.of(api.host.journal.database)
    response.status_code = 200 if told == OK else 503
    return Ready(ready=told == OK, database=told, servers_missing=api.host.eyes.missing())


@routes.get("/metrics", response_class=Response, responses=_TEXT, summary="Figures about itself")
@in_thread
def metrics(_: Reader, api: Shared) -> Response:
    """In the text format of Prometheus; it takes a token like any reading."""
    api.figures.streams.set(api.hub.taken)
    return Response(api.figures.text(), media_type=MEDIA_TYPE)


@routes.get(f"{problems.PATH}{{name}}", responses=problems.documented("not-found"), summary="What a problem means")
async def problem(
    name: Annotated[str, Path(max_length=60, json_schema_extra={"enum": [*problems.KINDS]})],
) -> dict[str, JsonValue]:
    """What the `type` of a problem leads to."""
    return problems.as_json(name)
