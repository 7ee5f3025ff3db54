"""Argo CD's applications as changes: each entry of the history, and the latest operation if it failed or runs. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from midwatch_deploys.backend import Change, hash_in, revision_key
from midwatch_deploys.images import Image, version_of
from midwatch_deploys.resources import Resources

Json = Mapping[str, Any]

_NOT_IN_HISTORY: Final = {"Running": "running", "Terminating": "running", "Failed": "failed", "Error": "failed"}
_SHORT: Final = 7
_MOST_SHOWN: Final = 100


@dataclass(frozen=True, slots=True)
class _Sync:
    """One synchronization, whichever part of the status tells of it; `told` says from where and by whom."""

    id: str
    begun: datetime
    ended: datetime | None
    revision: str
    previous: str
    outcome: str
    told: Json
    facts: Mapping[str, str]
    operation: Json


def changes_of(app: Json, page: str, resources: Resources) -> list[Change]:
    """Return what an application's status tells, oldest first; `page` is the application's in Argo CD."""
    status = app.get("status") or {}
    history: Sequence[Json] = sorted(status.get("history") or [], key=lambda each: int(each["id"]))
    operation = status.get("operationState") or {}
    found = [_of_history(app, history, number, operation) for number in range(len(history))]
    dry = ((operation.get("operation") or {}).get("sync") or {}).get("dryRun")
    if operation.get("phase") in _NOT_IN_HISTORY and not dry:
        found.append(_of_operation(app, operation, _revision(history[-1]) if history else ""))
    return [_change(app, each, page, resources) for each in found]


def _of_history(app: Json, history: Sequence[Json], number: int, operation: Json) -> _Sync:
    entry, latest = history[number], number + 1 == len(history)
    deployed = _moment(entry["deployedAt"])
    return _Sync(
        id=f"history/{entry['id']}",
        begun=_moment(entry["deployStartedAt"]) if entry.get("deployStartedAt") else deployed,
        ended=deployed,
        revision=_revision(entry),
        previous=_revision(history[number - 1]) if number else "",
        outcome="succeeded",
        told=entry,
        facts={**_state(app), **_images(app)} if latest else {},
        operation=operation if latest and _made(operation, entry) else {},
    )


def _of_operation(app: Json, operation: Json, serving: str) -> _Sync:
    """Return an operation that failed, or is still under way: the history does not know it."""
    wanted = operation.get("operation") or {}
    result = operation.get("syncResult") or {}
    begun = _moment(operation["startedAt"])
    return _Sync(
        id=f"operation/{begun:%Y%m%dT%H%M%SZ}",
        begun=begun,
        ended=_moment(operation["finishedAt"]) if operation.get("finishedAt") else None,
        revision=_revision(result) or _revision(wanted.get("sync") or {}),
        previous=serving,
        outcome=_NOT_IN_HISTORY[operation["phase"]],
        told={"initiatedBy": wanted.get("initiatedBy"), "source": result.get("source")},
        facts={**_state(app), "reason": operation.get("message") or ""},
        operation=operation,
    )


def _change(app: Json, sync: _Sync, page: str, resources: Resources) -> Change:
    name, space = app["metadata"]["name"], app["metadata"].get("namespace", "")
    spec, by = app.get("spec") or {}, sync.told.get("initiatedBy") or {}
    sources = [each for part in (sync.told, spec) for each in (part.get("source"), *(part.get("sources") or []))]
    source: Json = next((each for each in sources if each), {})
    short = _short(sync.revision)
    failed = f": {sync.facts['reason']}" if sync.outcome == "failed" and sync.facts.get("reason") else ""
    attributes = {
        "application": name,
        "project": spec.get("project", ""),
        "destination": _destination(spec.get("destination") or {}),
        "config_revision": sync.revision,
        "chart": source.get("chart") or "",
        "automated": "true" if by.get("automated") else "",
        **sync.facts,
    }
    return Change(
        id=f"argocd:{space}/{name}@{sync.id}",
        at=sync.begun,
        kind="deploy",
        service=resources.service_of(f"{space}/{name}", name),
        title=f"Argo CD synchronizes {name}{f' to {short}' if short else ''}{failed}",
        author=by.get("username") or "",
        version=short,
        previous_version="" if sync.previous == sync.revision else _short(sync.previous),
        repository=source.get("repoURL") or "",
        url=page,
        diff="\n".join(_resources(sync.operation)),
        ended=sync.ended,
        outcome=sync.outcome,
        attributes={key: text for key, text in attributes.items() if text},
        source="argocd sync",
        keys=frozenset({f"argocd:{name}", revision_key(sync.revision)} - {""}),
    )


def _made(operation: Json, entry: Json) -> bool:
    """Whether an operation is the one that made the latest entry of the history."""
    finished = operation.get("phase") == "Succeeded" and operation.get("finishedAt")
    return bool(finished) and _revision(operation.get("syncResult") or {}) == _revision(entry)


def _revision(told: Json) -> str:
    """Return what was deployed: a commit or a chart's version; of an application with several sources, the first."""
    return str(told.get("revision") or next(iter(told.get("revisions") or []), ""))


def _short(revision: str) -> str:
    return revision[:_SHORT] if len(revision) == 40 and hash_in(revision) else revision


def _state(app: Json) -> dict[str, str]:
    status = app.get("status") or {}
    health, sync = status.get("health") or {}, status.get("sync") or {}
    return {"health": health.get("status", ""), "sync": sync.get("status", "")}


def _images(app: Json) -> dict[str, str]:
    told = ((app.get("status") or {}).get("summary") or {}).get("images") or []
    return {"images": ", ".join(told), "image_version": version_of([Image.of(each) for each in told])}


def _destination(told: Json) -> str:
    return f"{told.get('name') or told.get('server') or ''}/{told.get('namespace') or ''}".strip("/")


def _resources(operation: Json) -> list[str]:
    """Return what became of each resource, what failed first."""
    told = ((operation.get("syncResult") or {}).get("resources")) or []
    ranked = sorted(told, key=lambda each: each.get("status") == "Synced")
    lines = [
        f"{each.get('kind', '')} {each.get('namespace', '')}/{each.get('name', '')}: "
        f"{each.get('status') or each.get('hookPhase') or ''} {each.get('message', '')}".rstrip()
        for each in ranked[:_MOST_SHOWN]
    ]
    return [*lines, *([f"… and {len(told) - _MOST_SHOWN} more"] if len(told) > _MOST_SHOWN else [])]


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
