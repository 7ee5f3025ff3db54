"""A fake of a Kubernetes API server over a socket, for what changes: it lists, pages, and refuses as the real one does.

Every object is held against the official client's model of its kind, which is made of Kubernetes' OpenAPI description:
a field that Kubernetes does not have, or one of a wrong type, fails the test.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs

import yaml
from kubernetes import client
from starlette.types import Receive, Scope, Send
from tests.backends.fakes.rbac import Rules, may_list
from tests.backends.serving import answered

TOKEN: Final = "t0p-s3cret-token"
Object = dict[str, Any]
_GROUPS: Final = {"apps/v1": ("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "ControllerRevision")}
_CORE: Final = ("ConfigMap", "Secret", "Event")
_MODELS: Final[Mapping[str, Any]] = {
    **{kind: getattr(client, f"V1{kind}") for kind in (*_GROUPS["apps/v1"], "ConfigMap", "Secret")},
    "Event": client.CoreV1Event,
}


def at(moment: datetime) -> str:
    """Return a time as the API writes it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


class Kubernetes:
    """What a cluster holds, what it refuses, and how it was asked."""

    def __init__(self) -> None:
        self.things: list[Object] = []
        self.refuses: set[str] = set()
        self.rules: Rules | None = None
        """What the account's role allows; everything without one."""
        self.expired = 0
        """How many second pages are answered as expired."""
        self.asked: list[tuple[str, str]] = []

    def add(self, kind: str, name: str, made: datetime, namespace: str = "shop", **parts: Any) -> Object:
        """Add an object; `metadata` in the parts is added to its own."""
        metadata = {"name": name, "namespace": namespace, "creationTimestamp": at(made), "uid": f"{kind}-{name}"}
        thing = {"metadata": {**metadata, **parts.pop("metadata", {})}, **parts}
        _known(kind, thing)
        self.things.append({"kind": kind, **thing})
        return self.things[-1]

    def deployment(self, name: str, *revisions: tuple[int, datetime, Object], **status: Any) -> Object:
        """Add a Deployment with a ReplicaSet for each revision: its number, when it was made, and its template."""
        number, last, template = max(revisions, key=lambda each: each[0])
        well = {"replicas": 1, "updatedReplicas": 1, "availableReplicas": 1}
        progress = {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"}
        times = {"lastUpdateTime": at(last + timedelta(seconds=30)), "lastTransitionTime": at(last)}
        made = self.add(
            "Deployment",
            name,
            min(each[1] for each in revisions),
            spec={"replicas": 1, "selector": {"matchLabels": {"app": name}}, "template": template},
            status={**well, "conditions": [{**progress, **times}], **status},
        )
        for number, when, own in revisions:
            self.add(
                "ReplicaSet",
                f"{name}-{number}",
                when,
                metadata={
                    "annotations": {"deployment.kubernetes.io/revision": str(number)},
                    "ownerReferences": [owner("Deployment", name)],
                },
                spec={"replicas": 1, "selector": {"matchLabels": {"app": name}}, "template": own},
            )
        return made

    def last(self, kind: str) -> Object:
        """Return the object of a kind that was added last."""
        return [each for each in self.things if each["kind"] == kind][-1]

    async def __call__(self, scope: Scope, _: Receive, send: Send) -> None:
        """Answer one request."""
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        query = {name: each[0] for name, each in parse_qs(scope["query_string"].decode()).items()}
        self.asked.append((scope["path"], headers.get("accept", "")))
        status, document = self._answer(scope["method"], scope["path"], query, headers)
        await answered(send, status, {}, json.dumps(document).encode())

    def _answer(
        self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str]
    ) -> tuple[int, Object]:
        assert method == "GET", "the server only reads"
        if headers.get("authorization") != f"Bearer {TOKEN}":
            return 401, {"kind": "Status", "code": 401, "reason": "Unauthorized"}
        if path == "/version":
            return 200, {"major": "1", "minor": "34", "gitVersion": "v1.34.1"}
        *_, plural = path.split("/")
        kind = next(each for each in _MODELS if f"{each.lower()}s" == plural)
        prefix = "/api/v1" if kind in _CORE else "/apis/apps/v1"
        assert path.startswith(prefix), f"{kind} is not served under {path}"
        if kind in self.refuses or (self.rules is not None and not may_list(self.rules, path)):
            return 403, {"kind": "Status", "code": 403, "reason": "Forbidden", "message": f"cannot list {plural}"}
        if "continue" in query and self.expired:
            self.expired -= 1
            return 410, {"kind": "Status", "code": 410, "reason": "Expired"}
        space = path.removeprefix(prefix).split("/")
        found = [each for each in self.things if each["kind"] == kind]
        if len(space) > 2:
            found = [each for each in found if each["metadata"]["namespace"] == space[2]]
        return 200, _page(kind, found, query, names_only="PartialObjectMetadataList" in headers.get("accept", ""))


def _page(kind: str, found: Sequence[Object], query: Mapping[str, str], *, names_only: bool) -> Object:
    begin = int(query.get("continue", "0"))
    size = min(int(query.get("limit", "500")), 2)  # two a page, to have pages
    more = {"continue": str(begin + size)} if begin + size < len(found) else {}
    items = [
        {"metadata": each["metadata"]} if names_only else {key: part for key, part in each.items() if key != "kind"}
        for each in found[begin : begin + size]
    ]
    return {"kind": f"{kind}List", "apiVersion": "v1", "metadata": more, "items": items}


def template(image: str, variables: Mapping[str, str] | None = None, **spec: Any) -> Object:
    """Return a pod template of one container named main."""
    env = [{"name": name, "value": value} for name, value in (variables or {}).items()]
    container = {"name": "main", "image": image, **({"env": env} if env else {})}
    return {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": [container], **spec}}


def owner(kind: str, name: str) -> Object:
    """Return a reference to whatever owns an object."""
    return {"apiVersion": "apps/v1", "kind": kind, "name": name, "uid": f"{kind}-{name}", "controller": True}


def written(manager: str, moment: datetime, fields: Mapping[str, Any], subresource: str = "") -> Object:
    """Return what a thing's metadata says of the last write of a program."""
    of = {"subresource": subresource} if subresource else {}
    told = {"manager": manager, "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1"}
    return {**told, "time": at(moment), "fieldsV1": dict(fields), **of}


def kubeconfig(folder: Path, url: str, token: str = TOKEN) -> Path:
    """Write a kubeconfig that leads to a fake, and return where."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "clusters": [{"name": "here", "cluster": {"server": url}}],
        "users": [{"name": "reader", "user": {"token": token}}],
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "reader"}}],
    }
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return path


def _known(kind: str, thing: Object) -> None:
    """Fail for a field that Kubernetes does not describe: the client's model leaves it out of what it gives back."""
    given_back = json.loads(_MODELS[kind].from_dict(thing).to_json())
    unknown = [*_lost(thing, given_back)]
    assert not unknown, f"Kubernetes' {kind} has no {unknown}"


def _lost(told: Any, kept: Any, path: str = "") -> list[str]:
    """Return the paths of what was told and is not kept."""
    if isinstance(told, Mapping):
        there = kept if isinstance(kept, Mapping) else {}
        gone = [f"{path}.{key}" for key in told if key not in there]
        return gone + [lost for key in told if key in there for lost in _lost(told[key], there[key], f"{path}.{key}")]
    if isinstance(told, list):
        return [lost for one, other in zip(told, kept, strict=True) for lost in _lost(one, other, f"{path}[]")]
    return []
