"""A fake of Argo CD's API over a socket: the routes, parameters and errors of its swagger description.

The applications that it holds are held against Argo CD's own CRD in `test_deploys_argocd`.
"""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import parse_qs

from starlette.types import Receive, Scope, Send
from tests.backends.serving import answered

TOKEN: Final = "argo-cd-t0ken"
Application = dict[str, Any]
_TAKES: Final = {
    "/api/v1/applications": {"name", "refresh", "projects", "resourceVersion", "selector", "repo", "appNamespace"},
    "/api/v1/applications/{name}": {"refresh", "projects", "resourceVersion", "selector", "repo", "appNamespace"},
    "/api/version": set[str](),
    "/api/v1/session/userinfo": set[str](),
}


def at(moment: datetime) -> str:
    """Return a time as the API writes it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def application(name: str, made: datetime, project: str = "shop") -> Application:
    """Return an application that was never synchronized."""
    source = {"repoURL": "https://git.example/robots/config.git", "path": name, "targetRevision": "main"}
    destination = {"server": "https://kubernetes.default.svc", "namespace": "shop"}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": name, "namespace": "argocd", "creationTimestamp": at(made)},
        "spec": {"project": project, "source": source, "destination": destination},
        "status": {"sync": {"status": "OutOfSync"}, "health": {"status": "Missing"}, "history": []},
    }


def synchronize(
    app: Application, moment: datetime, revision: str, who: str = "", phase: str = "Succeeded", message: str = ""
) -> None:
    """Synchronize an application within 20 seconds; one that does not succeed leaves no history."""
    name = app["metadata"]["name"]
    by = {"username": who} if who else {"automated": True}
    status, end = app["status"], moment + timedelta(seconds=20)
    done = {
        "group": "apps",
        "version": "v1",
        "kind": "Deployment",
        "namespace": "shop",
        "name": name,
    }
    outcome = {"status": "Synced", "message": f"deployment.apps/{name} configured"}
    status["operationState"] = {
        "operation": {"sync": {"revision": revision}, "initiatedBy": by},
        "phase": phase,
        "message": message or "successfully synced (all tasks run)",
        "startedAt": at(moment),
        **({} if phase == "Running" else {"finishedAt": at(end)}),
        "syncResult": {"revision": revision, "source": app["spec"]["source"], "resources": [{**done, **outcome}]},
    }
    if phase == "Succeeded":
        entry = {"id": len(status["history"]), "revision": revision, "source": app["spec"]["source"]}
        times = {"deployStartedAt": at(moment), "deployedAt": at(end)}
        status["history"].append({**entry, **times, "initiatedBy": by})
        status["sync"] = {"status": "Synced", "revision": revision}
        status["health"] = {"status": "Healthy"}


class ArgoCD:
    """The applications that an account may see, and how the API was asked."""

    def __init__(self) -> None:
        self.applications: list[Application] = []
        self.asked: list[tuple[str, Mapping[str, list[str]]]] = []

    async def __call__(self, scope: Scope, _: Receive, send: Send) -> None:
        """Answer one request."""
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        query = parse_qs(scope["query_string"].decode())
        path: str = scope["path"]
        self.asked.append((path, query))
        assert scope["method"] == "GET", "the server only reads"
        route = "/api/v1/applications/{name}" if path.startswith("/api/v1/applications/") else path
        unknown = query.keys() - _TAKES[route]
        assert not unknown, f"Argo CD's {route} takes no {unknown}"
        known = headers.get("authorization") == f"Bearer {TOKEN}"
        status, document = self._answer(route, path, query, known=known)
        await answered(send, status, {}, json.dumps(document).encode())

    def _answer(
        self, route: str, path: str, query: Mapping[str, list[str]], *, known: bool
    ) -> tuple[int, dict[str, Any]]:
        if route == "/api/version":
            return 200, {"Version": "v3.1.8+becb020"}
        if route == "/api/v1/session/userinfo":
            return 200, {"loggedIn": True, "username": "midwatch", "iss": "argocd"} if known else {}
        if not known:
            return 401, {"error": "no session information", "code": 16, "message": "no session information"}
        if route == "/api/v1/applications":
            wanted = query.get("projects")
            found = [app for app in self.applications if wanted is None or app["spec"]["project"] in wanted]
            return 200, {"metadata": {"resourceVersion": "1"}, "items": found or None}
        name = path.rpartition("/")[2]
        one = next((app for app in self.applications if app["metadata"]["name"] == name), None)
        return (200, one) if one else (403, {"error": "permission denied", "code": 7, "message": "permission denied"})
