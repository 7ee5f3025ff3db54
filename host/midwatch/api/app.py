"""The application: every route, what stands before them, and the document that tells of them."""

from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute

from midwatch.api import acting, alerts, health, incidents, problems, stream, surroundings, token_routes
from midwatch.api.doors import Bounded, Counted, Guarded, names_of
from midwatch.api.problems import ProblemBody
from midwatch.api.state import Api

_SAID = """What midwatch knows, and what it can be told, over HTTP.

Everything that is done goes on record under the name of the token that it was done with. Errors are
`application/problem+json` (RFC 9457)."""
_TAGS = ("alerts", "incidents", "stream", "acting", "topology", "steering", "recommendations", "tokens", "health")


class _Documented(FastAPI):
    """Tells of problems as they are sent, in place of FastAPI's own shape of errors."""

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document."""
        known = super().openapi()
        shapes = known["components"]["schemas"]
        if "ProblemBody" not in shapes:
            for name in ("HTTPValidationError", "ValidationError"):
                shapes.pop(name, None)
            shape = ProblemBody.model_json_schema(ref_template="#/components/schemas/{model}")
            shapes |= {**shape.pop("$defs", {}), "ProblemBody": shape, **alerts.plain_forms()}
            _drop_default_errors(known)
        return known


def application(api: Api | None) -> FastAPI:
    """Return the API as a web application over a running host; None is for its document alone."""
    app = _Documented(
        title="midwatch",
        version="1",
        description=_SAID,
        openapi_url="/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        openapi_tags=[{"name": name} for name in _TAGS],
        generate_unique_id_function=_name_of,
        redirect_slashes=False,
    )
    app.state.api = api
    for module in (alerts, incidents, stream, acting, surroundings, token_routes, health):
        app.include_router(module.routes)
    problems.install(app)
    if api is not None:
        app.add_middleware(Bounded)
        app.add_middleware(Guarded, names=names_of(local=api.local, hosts=api.settings.hosts))
        app.add_middleware(Counted, figures=api.figures)
    return app


def document() -> dict[str, Any]:
    """Return the OpenAPI document."""
    return application(None).openapi()


def _name_of(route: APIRoute) -> str:
    return route.name


def _drop_default_errors(known: dict[str, Any]) -> None:
    """A route that says nothing of 422 gets FastAPI's own shape of it, which is never sent here."""
    for path in known["paths"].values():
        for operation in path.values():
            told = operation["responses"].get("200", {}).get("content", {})
            told.get("text/event-stream", {}).pop("schema", None)  # what a stream says as a whole is no one string
            told = operation["responses"].get("422", {}).get("content", {})
            if told.get("application/json", {}).get("schema", {}).get("$ref", "").endswith("/HTTPValidationError"):
                operation["responses"].update({str(k): v for k, v in problems.documented("invalid").items()})
