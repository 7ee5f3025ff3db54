"""Answers with blueprints: from this instance's cache when it has one, else worked out and kept."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from opentelemetry import metrics
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.environment import text
from app.errors import Refused
from app.forge.blueprint import dumps, loads
from app.forge.cache import BlueprintCache
from app.forge.planner import MODELS, plan
from app.serving import State, serve

logger = logging.getLogger("app.forge")
meter = metrics.get_meter(__name__)
hits = meter.create_counter("cache.hits", "{request}", "Blueprints found in the cache")
misses = meter.create_counter("cache.misses", "{request}", "Blueprints that had to be worked out")


@asynccontextmanager
async def lifespan() -> AsyncGenerator[State]:
    """Hold this instance's cache, which is made here if it isn't there."""
    cache = BlueprintCache(Path(text("DATA_DIR")) / "blueprints.sqlite", text("RELEASE", "unreleased"))
    cache.create()
    yield {"cache": cache}


async def get_blueprint(request: Request) -> Response:
    """Give the blueprint of a model for a load."""
    model, load_kg = request.path_params["model"], int(request.query_params.get("load_kg", "1"))
    if model not in MODELS:
        raise Refused(404, f"there is no model {model}")
    blueprint = await asyncio.to_thread(rig, request.state.cache, model, load_kg)
    return Response(blueprint, media_type="application/json")


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
    serve(lifespan, [Route("/blueprints/{model}", get_blueprint)])
