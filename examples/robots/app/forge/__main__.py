"""Answers with blueprints: from this instance's cache when it has one, else worked out and kept."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from opentelemetry import metrics
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app.environment import text
from app.errors import Refused
from app.forge import disk
from app.forge.bench import Bench
from app.forge.blueprint import dumps, loads
from app.forge.cache import BlueprintCache
from app.forge.planner import MODELS, plan
from app.forge.ratings import HEAVIEST_KG, Ratings
from app.serving import State, body, serve
from app.settings import settings

logger = logging.getLogger("app.forge")
meter = metrics.get_meter(__name__)
hits = meter.create_counter("cache.hits", "{request}", "Blueprints found in the cache")
misses = meter.create_counter("cache.misses", "{request}", "Blueprints that had to be worked out")


@asynccontextmanager
async def lifespan() -> AsyncGenerator[State]:
    """Hold this instance's cache, which is made here if it isn't there, its bench and its ratings."""
    known, folder = settings(), Path(text("DATA_DIR"))
    cache = BlueprintCache(
        folder / "blueprints.sqlite", text("RELEASE", "unreleased"), int(known.number("cache_entries", 0))
    )
    cache.create()
    disk.measure(folder)
    bench, ratings = Bench(known), Ratings()
    bench.measure()
    async with asyncio.TaskGroup() as tasks:
        yield {"cache": cache, "bench": bench, "ratings": ratings, "tasks": tasks}
        ratings.stop()


async def get_blueprint(request: Request) -> Response:
    """Give the blueprint of a model for a load."""
    model, load_kg = request.path_params["model"], int(request.query_params.get("load_kg", "1"))
    if model not in MODELS:
        raise Refused(404, f"there is no model {model}")
    blueprint = await asyncio.to_thread(rig, request.state.cache, model, load_kg)
    await request.state.bench.prove()
    return Response(blueprint, media_type="application/json")


async def post_ratings(request: Request) -> Response:
    """Begin to work out what each model is rated for, to a step in kilograms."""
    step_kg = (await body(request)).get("step_kg", 1)
    if not isinstance(step_kg, int | float) or not 0 < step_kg <= HEAVIEST_KG:
        raise Refused(422, f"step_kg: {step_kg!r} isn't a number above 0 and up to {HEAVIEST_KG:g}")
    request.state.tasks.create_task(request.state.ratings.renew(float(step_kg)))
    return JSONResponse({"step_kg": step_kg}, 202)


async def get_ratings(request: Request) -> Response:
    """Give the load in kilograms that each model is rated for, as last worked out."""
    return JSONResponse(dict(request.state.ratings.kilograms))


def rig(cache: BlueprintCache, model: str, load_kg: int) -> str:
    """Return the blueprint as JSON, out of the cache or new."""
    kept = cache.get(model, load_kg)
    if kept is not None:
        hits.add(1)
        return dumps(loads(kept))
    misses.add(1)
    blueprint = dumps(plan(model, load_kg))
    cache.put(model, load_kg, blueprint)
    logger.info("rigged %s for %d kg", model, load_kg)
    return blueprint


if __name__ == "__main__":
    serve(
        lifespan,
        [
            Route("/blueprints/{model}", get_blueprint),
            Route("/ratings", get_ratings),
            Route("/ratings", post_ratings, methods=["POST"]),
        ],
    )
