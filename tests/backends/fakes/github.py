"""A fake of GitHub's REST API over a socket, made of GitHub's own description of it.

`github.json` holds, for each route, the query parameters that GitHub documents and its example of an answer (of
contents, also the one of a folder), taken from the OpenAPI description in npm's `@octokit/openapi` 23.0.2 (MIT). Every
answer is such an example with some of its values replaced, so its shape is GitHub's. A route or a parameter that GitHub
does not document is refused.
"""

import base64
import json
import re
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from hashlib import sha1
from pathlib import Path
from typing import Any, Final, TypeAlias
from urllib.parse import parse_qs, unquote, urlsplit

import anyio
from starlette.types import Receive, Scope, Send
from tests.backends.serving import answered, listening

Answer: TypeAlias = tuple[int, dict[str, str], bytes]

DESCRIBED: Final[dict[str, dict[str, Any]]] = json.loads(Path(__file__).with_suffix(".json").read_text())
TOKEN: Final = "github_pat_0123456789abcdefghijKLMN"
_REPOSITORY: Final = "/repos/{owner}/{repo}"
_NEEDED: Final = {
    "deployments": "Deployments",
    "commits": "Contents",
    "compare": "Contents",
    "contents": "Contents",
    "releases": "Contents",
    "actions": "Actions",
    "pulls": "Pull requests",
    "commits/{commit_sha}/pulls": "Pull requests",
}
"""What a fine-grained token needs to be let read, as GitHub's documentation lists it, by route or its beginning."""
_ROUTES: Final = {
    route: re.compile(
        re.sub(r"\\\{\w+\\\}", "([^/]+)", re.escape(route)).replace("contents/([^/]+)", "contents/(.+)") + "$"
    )
    for route in [*DESCRIBED, f"{_REPOSITORY}/actions/jobs/{{job_id}}/logs"]
}


def example(route: str, **values: Any) -> dict[str, Any]:
    """Return GitHub's example of a thing that a route answers with, with other values for some of its keys."""
    found = deepcopy(DESCRIBED[route if route.startswith("/") else f"{_REPOSITORY}/{route}"]["example"])
    thing: dict[str, Any] = found[0] if isinstance(found, list) else found
    unknown = values.keys() - thing.keys()
    assert not unknown, f"GitHub's {route} has no {unknown}"
    return {**thing, **values}


class GitHub:
    """What one repository holds, who may see it, and how the API was asked."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.deployments: list[dict[str, Any]] = []
        self.statuses: dict[int, list[dict[str, Any]]] = {}
        self.commits: list[dict[str, Any]] = []
        self.releases: list[dict[str, Any]] = []
        self.runs: list[dict[str, Any]] = []
        self.jobs: dict[int, list[dict[str, Any]]] = {}
        self.logs: dict[int, str] = {}
        self.requests: dict[str, list[dict[str, Any]]] = {}
        """Pull requests by the commit that they brought."""
        self.reviews: dict[int, list[dict[str, Any]]] = {}
        self.owners = ""
        self.files: dict[str, str] = {}
        """Further files of the branch, by path."""
        self.forbidden: tuple[str, ...] = ()
        self.permissions: set[str] | None = None
        """What the token may read, as GitHub names it: `Contents: read`; everything when it is None."""
        self.trouble: dict[str, list[Answer]] = {}
        """By the end of a path: what its next requests are answered with."""
        self.asked: list[tuple[str, Mapping[str, str]]] = []

    def commit(self, sha: str, title: str, at: str, author: str, files: Mapping[str, str], *parents: str) -> None:
        """Add a commit to the branch; `files` are their patches by name."""
        said = example("commits/{ref}")
        person = {"name": author, "email": "ada@example.com", "date": at}
        said |= {"sha": sha, "parents": [{**said["parents"][0], "sha": parent} for parent in parents]}
        said["commit"] |= {"message": title, "author": person, "committer": person}
        said["files"] = [{**said["files"][0], "filename": name, "patch": patch} for name, patch in files.items()]
        self.commits.insert(0, said)

    def deploy(self, number: int, sha: str, at: str, state: str = "success", **values: Any) -> None:
        """Add a deployment with one status."""
        told = {"id": number, "sha": sha, "created_at": at, "environment": "production", "description": "", **values}
        creator = {**example("deployments")["creator"], "login": "deployer[bot]"}
        self.deployments.insert(0, example("deployments", **{"creator": creator, **told}))
        log = f"https://github.example/{self.name}/actions/runs/{number}"
        self.statuses[number] = [
            example("deployments/{deployment_id}/statuses", state=state, created_at=at, log_url=log)
        ]

    def request(self, number: int, title: str, sha: str, reviews: Sequence[tuple[str, str]], **values: Any) -> None:
        """Add a merged pull request with reviews, each by whom and with which verdict."""
        merged = {"merged_at": "2026-11-20T02:39:00Z", "number": number, "title": title, **values}
        self.requests[sha] = [example("commits/{commit_sha}/pulls", **merged)]
        whole = example("pulls/{pull_number}/reviews")
        self.reviews[number] = [
            {**whole, "user": {**whole["user"], "login": who}, "state": verdict} for who, verdict in reviews
        ]

    def answer(self, url: str, headers: Mapping[str, str], base: str) -> Answer:
        """Return the status, the headers and the body for a request."""
        path, query = urlsplit(url).path, {name: each[0] for name, each in parse_qs(urlsplit(url).query).items()}
        self.asked.append((url, headers))
        if path == "/signed-log":
            assert "Authorization" not in headers, "the token went to where logs are kept"
            return 200, {}, self.logs[int(query["job"])].encode()
        trouble = next((answers for end, answers in self.trouble.items() if path.endswith(end) and answers), None)
        return trouble.pop(0) if trouble else self._sound(path, query, headers, base)

    def _sound(self, path: str, query: Mapping[str, str], headers: Mapping[str, str], base: str) -> Answer:
        if headers.get("Authorization") not in (f"Bearer {TOKEN}", f"token {TOKEN}"):
            return _told(401, {"message": "Bad credentials"})
        route = next((name for name, like in _ROUTES.items() if like.match(path)), None)
        assert route, f"GitHub has no {path}"
        unknown = query.keys() - set(DESCRIBED.get(route, {"parameters": []})["parameters"])
        assert not unknown, f"GitHub's {route} takes no {unknown}"
        if any(part in path for part in self.forbidden) or self._lacks(route):
            return _told(403, {"message": "Resource not accessible by personal access token"})
        found = None
        if "/repos/" not in route or path.startswith(f"/repos/{self.name}/"):
            if route.endswith("/logs"):
                return 302, {"location": f"{base}/signed-log?job={path.split('/')[-2]}"}, b""
            found = self._found(route.removeprefix(f"{_REPOSITORY}/"), path, query)
        return _told(404, {"message": "Not Found"}) if found is None else _told(200, found)

    def _lacks(self, route: str) -> bool:
        """Whether the token may not read what is at a route."""
        own = route.removeprefix(f"{_REPOSITORY}/")
        needed = _NEEDED.get(own) or _NEEDED.get(own.partition("/")[0]) or "Metadata"
        return self.permissions is not None and f"{needed}: read" not in self.permissions

    def _found(self, route: str, path: str, query: Mapping[str, str]) -> Any:
        *_, above, last = path.split("/")
        page, size = int(query.get("page", 1)), int(query.get("per_page", 30))
        if route in (one := self._by_name()):
            things, key = one[route]
            return next((each for each in things if str(each[key]).startswith(last)), None)
        if route in (many := self._lists(query, above)):
            things, under = many[route]
            part = things[(page - 1) * size : page * size]
            return {"total_count": len(things), under: part} if under else part
        if route == "contents/{path}":
            return self._contents(route, unquote(path.partition("/contents/")[2]))
        return DESCRIBED[route]["example"] if route == "/rate_limit" else self._compared(*last.split("..."))

    def _contents(self, route: str, path: str) -> Any:
        """Return a file, or what is in a folder; of files within further folders nothing is said."""
        held = {".github/CODEOWNERS": self.owners, **self.files}
        if text := held.get(path, ""):
            return example(route, content=base64.b64encode(text.encode()).decode())
        like = DESCRIBED[f"{_REPOSITORY}/{route}"]["folder"][0]
        inside = {name.removeprefix(f"{path}/"): text for name, text in held.items() if name.startswith(f"{path}/")}
        return [
            {
                **like,
                "name": name,
                "path": f"{path}/{name}",
                "size": len(text.encode()),
                "sha": sha1(text.encode(), usedforsecurity=False).hexdigest(),
                "html_url": f"https://github.example/{self.name}/blob/main/{path}/{name}",
            }
            for name, text in inside.items()
            if "/" not in name
        ] or None

    def _by_name(self) -> dict[str, tuple[list[dict[str, Any]], str]]:
        return {
            "deployments/{deployment_id}": (self.deployments, "id"),
            "commits/{ref}": (self.commits, "sha"),
            "releases/{release_id}": (self.releases, "id"),
            "actions/runs/{run_id}": (self.runs, "id"),
        }

    def _lists(self, query: Mapping[str, str], above: str) -> dict[str, tuple[list[dict[str, Any]], str]]:
        """Return each list as the query narrows it, and the key under which its page has it."""
        since, until = query.get("since", ""), query.get("until", "9")
        commits = [each for each in self.commits if since <= each["commit"]["committer"]["date"] <= until]
        number = int(above) if above.isdigit() else -1
        environment, sha = query.get("environment"), query.get("head_sha")
        return {
            "/users/{username}/repos": ([example("/users/{username}/repos", full_name=self.name)], ""),
            "deployments": ([d for d in self.deployments if environment in (None, d["environment"])], ""),
            "deployments/{deployment_id}/statuses": (self.statuses.get(number, []), ""),
            "commits": ([{k: c[k] for k in c if k not in ("files", "stats")} for c in commits], ""),
            "releases": (self.releases, ""),
            "pulls": ([each for found in self.requests.values() for each in found], ""),
            "commits/{commit_sha}/pulls": (self.requests.get(above, []), ""),
            "pulls/{pull_number}/reviews": (self.reviews.get(number, []), ""),
            "actions/runs": ([run for run in self.runs if sha in (None, run["head_sha"])], "workflow_runs"),
            "actions/runs/{run_id}/jobs": (self.jobs.get(number, []), "jobs"),
        }

    def _compared(self, before: str, after: str) -> dict[str, Any] | None:
        shas = [each["sha"] for each in self.commits]
        ends = [n for end in (after, before) for n, sha in enumerate(shas) if sha.startswith(end)]
        if len(ends) != 2:
            return None
        brought = self.commits[ends[0] : ends[1]]
        return example("compare/{basehead}", files=[file for each in brought for file in each["files"]])


def run_of(sha: str, number: int, at: str, conclusion: str, name: str = "Deploy") -> dict[str, Any]:
    """Return a completed run of a workflow."""
    whole = DESCRIBED[f"{_REPOSITORY}/actions/runs"]["example"]["workflow_runs"][0]
    changed = {"id": number, "head_sha": sha, "name": name, "conclusion": conclusion, "status": "completed"}
    times = {"created_at": at, "updated_at": at, "run_started_at": at}
    return {**deepcopy(whole), **changed, **times, "path": ".github/workflows/deploy.yml"}


def job_of(number: int, name: str, conclusion: str) -> dict[str, Any]:
    """Return a completed job of a run."""
    whole = DESCRIBED[f"{_REPOSITORY}/actions/runs/{{run_id}}/jobs"]["example"]["jobs"][0]
    step = {**whole["steps"][0], "name": "Apply the manifests", "conclusion": conclusion}
    return {**deepcopy(whole), "id": number, "name": name, "conclusion": conclusion, "steps": [step]}


@contextmanager
def served(github: GitHub) -> Generator[str]:
    """Serve the API on a socket while the block runs; yields its URL."""

    async def app(scope: Scope, _: Receive, send: Send) -> None:
        sent = {name.decode().title(): value.decode() for name, value in scope["headers"]}
        asked = f"{scope['raw_path'].decode()}?{scope['query_string'].decode()}".rstrip("?")
        status, headers, body = github.answer(asked, sent, base)
        await anyio.sleep(20 if "x-stall" in headers else 0)
        await answered(send, status, {name.lower(): value for name, value in headers.items()}, body)

    with listening(app) as url:
        base = url.replace("127.0.0.1", "localhost")
        yield base


def _told(status: int, document: Any) -> Answer:
    return status, {}, json.dumps(document).encode()
