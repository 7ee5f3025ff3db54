"""Reading what is around incidents: the application as servers see it now, and the team's steering files."""

import functools
import tempfile
from datetime import UTC, datetime
from pathlib import Path as File
from typing import Annotated, Final

from fastapi import APIRouter, Path, Query

from midwatch.api.access import Reader
from midwatch.api.incidents import MOST_ENTITIES, bounded
from midwatch.api.leads import leading, to
from midwatch.api.problems import Problem, documented
from midwatch.api.shapes import Checked, Graph, SteeringFile, SteeringText
from midwatch.api.state import Shared, at_work, in_thread
from midwatch.errors import BadSteering
from midwatch.steering.files import Steering, files_of
from midwatch.steering.files import read as read_steering
from midwatch_kit.errors import BadInput
from midwatch_kit.window import parse_time, resolve_window

routes = APIRouter(prefix="/v1")
_SECONDS = 90.0
_REFUSED = documented("unauthorized", "forbidden", "invalid", "not-found", "unavailable", "timed-out")
_TIMES: Final = (
    r"now",
    r"(now)?-([0-9]{1,4}[smhdw]){1,3}",
    r"([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?",
    r"[0-9]{9,10}|[0-9]{13}|[0-9]{16}|[0-9]{19}",
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,9})?)?([Zz]|[+-][0-9]{2}:[0-9]{2})?)?",
)
_TIME: Final = f"^({'|'.join(_TIMES)})$"
Time = Annotated[
    str, Query(pattern=_TIME, max_length=40, description="RFC 3339, Unix time, a time of day in UTC, now, or -15m")
]


@routes.get(
    "/topology", tags=["topology"], responses={**_REFUSED, **documented("too-many")}, summary="What there is now"
)
async def topology(
    _: Reader,
    api: Shared,
    start: Time = "-1h",
    end: Time = "now",
    around: Annotated[str, Query(max_length=300, description="only what is next to this entity")] = "",
    limit: Annotated[int, Query(ge=1, le=MOST_ENTITIES, description="how many entities at most")] = 500,
) -> Graph:
    """What all servers together know of the application in a window; they are asked afresh."""
    now = datetime.now(UTC)
    for name, text in (("start", start), ("end", end)):
        try:
            parse_time(text, now)
        except BadInput as error:
            raise Problem("invalid", f"query.{name}: {error}") from None
    window = resolve_window(start, end, now)
    graph = await at_work(api, _SECONDS, functools.partial(api.host.topology, window))
    if around:
        middle = graph.find(around)
        graph = graph.within([middle, *graph.depends_on(middle), *graph.dependents(middle)])
    return bounded(graph, limit).model_copy(update={"window": window})


@routes.get(
    "/steering",
    tags=["steering"],
    responses={**_REFUSED, **leading(200, to("show_steering", name="$response.body#/0/name"))},
    summary="List steering files",
)
@in_thread
def list_steering(_: Reader, api: Shared) -> list[SteeringFile]:
    """The files of the team's folder, as they are read now, and what is wrong with those that cannot be used."""
    folder = api.host.settings.steering_dir
    return [_listed(folder, path) for path in files_of(folder)]


@routes.get("/steering/{name}", tags=["steering"], responses=_REFUSED, summary="Read a steering file")
@in_thread
def show_steering(
    name: Annotated[str, Path(max_length=200, description="its name, as its front matter says")],
    _: Reader,
    api: Shared,
) -> Steering:
    """What a file says: what it changes, and the text that people and models read."""
    for path in files_of(api.host.settings.steering_dir):
        try:
            found = read_steering(path)
        except BadSteering:
            continue
        if found.name == name:
            return found.model_copy(update={"folder": None})
    raise Problem("not-found", f"no steering file that can be used has the name {name!r}")


@routes.post(
    "/checks/steering",
    tags=["steering"],
    responses={**_REFUSED, **documented("media-type", "too-large", "too-slow", "not-json")},
    summary="Check a steering file",
)
@in_thread
def check_steering(given: SteeringText, _: Reader) -> Checked:
    """Say whether a text could be used as a steering file; it is not kept."""
    with tempfile.TemporaryDirectory() as folder:
        path = File(folder) / "text.md"
        path.write_bytes(given.text.encode("utf-8"))
        try:
            found = read_steering(path)
        except BadSteering as error:
            return Checked(usable=False, fault=str(error).replace(f"{path}: ", ""))
    return Checked(usable=True, name=found.name, description=found.description)


def _listed(folder: File, path: File) -> SteeringFile:
    file = str(path.relative_to(folder))
    try:
        found = read_steering(path)
    except BadSteering as error:
        return SteeringFile(file=file, fault=str(error).replace(str(path), file))
    return SteeringFile(file=file, name=found.name, description=found.description)
