"""Recording: what a live cluster's state is, told to a store again and again, so that it can be asked of the past.

Every kind is listed once in a while; in between only what changed is sent. Secrets are left out before anything is.
"""

import logging
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import anyio
import httpx2
from pydantic import AnyHttpUrl, Field
from pydantic_settings import CliApp

from midwatch_cluster.backend import KINDS
from midwatch_cluster.live import PATHS, LiveCluster
from midwatch_cluster.settings import ClusterSettings
from midwatch_cluster.state import Json, Ref, State, look, ref_of
from midwatch_kit import BackendDown, rfc3339

_BATCH: Final = 500

log = logging.getLogger("midwatch")


class RecordSettings(ClusterSettings):
    """How a cluster is recorded."""

    store_url: AnyHttpUrl = Field(AnyHttpUrl("http://127.0.0.1:4318"), description="the store's receiver")
    every_seconds: float = Field(30.0, ge=1, description="between two looks at the cluster")
    list_seconds: float = Field(3600.0, ge=1, description="between two times that everything is sent")


def entries(state: State, before: State | None) -> Iterator[dict[str, Any]]:
    """Yield what to tell a store of a state: all of it, or what changed since `before`."""
    at = rfc3339(state.at)
    if before is None:
        for kind in (kind for kind in KINDS if kind not in state.unread):
            head = {"apiVersion": PATHS[kind][0].rpartition("/apis/")[2].removeprefix("/api/"), "kind": f"{kind}List"}
            yield {"timestamp": at, "event": "listed", "object": {**head, "metadata": {}}}
    known: Mapping[Ref, Json] = {ref_of(thing): thing for thing in before} if before else {}
    for thing in state:
        old = known.get(ref_of(thing))
        if old is None or _version(old) != _version(thing):
            event = "listed" if before is None else "added" if old is None else "modified"
            yield {"timestamp": at, "event": event, "object": _complete(thing)}
    for ref, thing in known.items():
        if state.find(ref) is None and ref.kind not in state.unread:
            yield {"timestamp": at, "event": "deleted", "object": _complete(thing)}


async def record(settings: RecordSettings, cluster: LiveCluster) -> None:
    """Look at the cluster again and again, until cancelled; what cannot be read or sent is told, and tried again."""
    before: State | None = None
    listed = -settings.list_seconds
    async with httpx2.AsyncClient(base_url=str(settings.store_url), timeout=30) as store:
        while True:
            try:
                state = await anyio.to_thread.run_sync(cluster.state, datetime.now(UTC))
                everything = before is None or anyio.current_time() - listed >= settings.list_seconds
                await _send(store, list(entries(state, None if everything else before)))
                listed = anyio.current_time() if everything else listed
                before = state
            except (BackendDown, httpx2.HTTPError) as error:
                log.warning("not recorded: %s", error)
            await anyio.sleep(settings.every_seconds)


def main() -> None:
    """Record until interrupted."""
    logging.basicConfig(stream=sys.stderr, format="midwatch-cluster-record: %(message)s")
    settings = CliApp.run(RecordSettings)
    try:
        anyio.run(record, settings, LiveCluster(settings))
    except KeyboardInterrupt:
        sys.exit(130)


async def _send(store: httpx2.AsyncClient, told: list[dict[str, Any]]) -> None:
    for start in range(0, len(told), _BATCH):
        (await store.post("/v1/objects", json=told[start : start + _BATCH])).raise_for_status()


def _version(thing: Json) -> object:
    """What tells one version of an object from another; figures of the metrics API have only their time."""
    return look(thing, "/metadata/resourceVersion") or thing.get("timestamp") or thing


def _complete(thing: Json) -> Json:
    """An item of a list lacks the API version that the list has."""
    return thing if "apiVersion" in thing else {**thing, "apiVersion": PATHS[thing["kind"]][0].rpartition("/")[2]}
