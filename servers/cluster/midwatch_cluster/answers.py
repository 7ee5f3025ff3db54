"""What each tool answers, from a cluster's state. Synchronous; it knows nothing of MCP."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import yaml
from pydantic import JsonValue

from midwatch_cluster.backend import ClusterBackend
from midwatch_cluster.entities import entity_of
from midwatch_cluster.fit import matches
from midwatch_cluster.relations import fragment_of
from midwatch_cluster.state import Json, Ref, State, first_seen, last_seen, look, ref_of
from midwatch_cluster.survey import concerns, finding_of, line_of, problems, row_of
from midwatch_kit import Answer, BadInput, NotFound, Window, answer_checks, rfc3339

_NAMED = 10
_STALE = timedelta(minutes=5)


def map_cluster(backend: ClusterBackend, server: str, end: datetime) -> Answer:
    """Return what an application is made of in the cluster as of `end`, and how it is tied."""
    state = backend.state(end)
    fragment = fragment_of(state, server)
    rows = [each.model_dump(mode="json", exclude_defaults=True) for each in (*fragment.entities, *fragment.relations)]
    lines = [each.id for each in fragment.entities]
    lines += [f"{each.source} {each.kind} {each.target}" for each in fragment.relations]
    return Answer(_as_of(state), rows, lines, len(rows), fragment=fragment, hint=_when_empty(state))


def survey_cluster(backend: ClusterBackend, window: Window, baseline: Window, entities: Sequence[str]) -> Answer:
    """Return what is wrong at the window's end, what is new since the baseline's end before what is not."""
    state, before = backend.state(window.end), backend.state(baseline.end)
    asked = [name if ":" in name else f"service:{name}" for name in entities]
    seen = [each for each in problems(state, before, window) if concerns(each, asked, state)]
    return Answer(
        query=_as_of(state),
        rows=[row_of(each, state) for each in seen],
        lines=[line_of(each) for each in seen],
        matched=len(seen),
        window=window,
        baseline=baseline,
        findings=[finding_of(each, number, state) for number, each in enumerate(seen)],
        hint=_when_empty(state) or (None if seen else "Nothing is wrong that the checks know of."),
        caveats=_caveats(state, window.end),
    )


def list_objects(
    backend: ClusterBackend, kind: str, namespace: str, labels: dict[str, str], end: datetime
) -> list[JsonValue]:
    """Return the objects of a kind, each in a few words; raises `NotFound`, naming the kinds that there are."""
    state = backend.state(end)
    found = [thing for thing in state.of(kind, namespace or None) if matches({"matchLabels": labels}, thing)]
    if not state.of(kind):
        kinds = sorted({ref_of(thing).kind for thing in state})
        raise NotFound(f"there is no {kind[:80]!r} here: there are {', '.join(kinds) or 'no objects at all'}")
    return [_summary(thing) for thing in found]


def get_object(backend: ClusterBackend, kind: str, name: str, namespace: str, end: datetime) -> Answer:
    """Return one object in full, as YAML to read; raises `NotFound`, naming others of its kind."""
    state = backend.state(end)
    thing = state.get(kind, namespace, name)
    if thing is None:
        raise NotFound(f"there is no {Ref(kind, namespace, name)}{_there_is(state, kind, namespace)}")
    lines = yaml.safe_dump(_plain(thing), sort_keys=False, allow_unicode=True, width=160).splitlines()
    return Answer(f"{ref_of(thing)}, {_as_of(state)}", [_plain(thing)], lines, 1)


def list_events(backend: ClusterBackend, window: Window, about: str) -> list[JsonValue]:
    """Return the events that were seen in a window, oldest first; of one entity, or of all."""
    state = backend.state(window.end)
    found = [event for event in state.of("Event") if (seen := last_seen(event)) and window.start <= seen < window.end]
    rows = [_event(event) for event in sorted(found, key=lambda event: str(last_seen(event)))]
    if not about:
        return rows
    named = {str(ref_of(thing)) for thing in state if entity_of(ref_of(thing), state) == about}
    named |= {str(ref_of(pod)) for thing in state for pod in _pods(state, thing, about)}
    if not named and " " not in about:
        raise BadInput(
            f"{about[:80]!r} is no entity here: give service:NAME, instance:NAME, host:NAME or 'Kind ns/name'"
        )
    return [row for row in rows if isinstance(row, dict) and row["object"] in named | {about}]


def check(backend: ClusterBackend) -> Answer:
    """Return how the backend is, one line for each thing that was looked at."""
    return answer_checks(backend.checks())


def _pods(state: State, thing: Json, about: str) -> list[Json]:
    ref = ref_of(thing)
    return state.pods_of(ref) if entity_of(ref, state) == about else []


def _summary(thing: Json) -> JsonValue:
    ref, status = ref_of(thing), thing.get("status") or {}
    conditions = {each.get("type"): each.get("status") for each in status.get("conditions") or []}
    return {
        "object": str(ref),
        "created": look(thing, "/metadata/creationTimestamp"),
        "labels": look(thing, "/metadata/labels", {}),
        **{name: status[name] for name in ("phase", "replicas", "readyReplicas", "reason") if name in status},
        **({"conditions": conditions} if conditions else {}),
    }


def _event(event: Json) -> JsonValue:
    about = event.get("involvedObject") or event.get("regarding") or {}
    first, last = first_seen(event), last_seen(event)
    return {
        "last": rfc3339(last) if last else None,
        "first": rfc3339(first) if first else None,
        "count": event.get("count") or look(event, "/series/count", 1),
        "type": event.get("type", ""),
        "reason": event.get("reason", ""),
        "object": str(Ref(about.get("kind", ""), about.get("namespace", ""), about.get("name", ""))),
        "message": event.get("message") or event.get("note", ""),
    }


def _plain(thing: Json) -> dict[str, Any]:
    return dict(thing)


def _as_of(state: State) -> str:
    return f"objects of the cluster as of {rfc3339(state.at)}"


def _caveats(state: State, end: datetime) -> list[str]:
    told = []
    if state.unread:
        told.append(f"nothing can be said of kinds that could not be read: {', '.join(sorted(state.unread))}")
    if len(state) and abs(end - state.at) > _STALE:
        told.append(f"the state is of {rfc3339(state.at)}, not of the window's end")
    return told


def _when_empty(state: State) -> str | None:
    return None if len(state) else "No object of a cluster is on record here: check_cluster says what to do."


def _there_is(state: State, kind: str, namespace: str) -> str:
    names = [ref_of(thing).name for thing in state.of(kind, namespace or None)][:_NAMED]
    return f": there {'is' if len(names) == 1 else 'are'} {', '.join(names)}" if names else f", nor any {kind} there"
