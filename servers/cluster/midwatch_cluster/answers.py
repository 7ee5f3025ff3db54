"""What each tool answers, from a cluster's state. Synchronous; it knows nothing of MCP."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from jsonpointer import escape
from pydantic import JsonValue

from midwatch_cluster.backend import KINDS, OPTIONAL, ClusterBackend
from midwatch_cluster.entities import entity_of
from midwatch_cluster.relations import fragment_of
from midwatch_cluster.state import Json, Ref, State, first_seen, last_seen, look, ref_of
from midwatch_cluster.survey import Seen, concerns, finding_of, line_of, problems, row_of
from midwatch_kit import Answer, BadInput, NotFound, Window, answer_checks, rfc3339
from midwatch_kit.short import as_line

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
    state, before = backend.state(window.end), _before(backend, baseline)
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
        hint=_when_empty(state) or _about(seen, before, asked, state),
        caveats=_caveats(state, window.end),
    )


def get_objects(backend: ClusterBackend, kind: str, name: str, namespace: str, end: datetime) -> list[JsonValue]:
    """Return the objects of a kind, each in a few words, or all fields of the one with a name.

    Raises `NotFound`, naming the kinds that there are, or the objects of the kind.
    """
    state = backend.state(end)
    there = state.of(kind, namespace or None)
    found = [thing for thing in there if name in ("", ref_of(thing).name)]
    if not found and not state.of(kind):
        raise NotFound(_no_such_kind(state, kind))
    if name and not found:
        raise NotFound(f"there is no {Ref(kind, namespace, name)}{_there_is(there, kind)}")
    if name and len(found) > 1:
        raise BadInput(f"{len(found)} of {kind} are named {name[:80]!r}: give a namespace{_there_is(found, kind)}")
    return [_summary(thing) for thing in found] if not name else list(_fields(found[0]))


def line_of_object(row: JsonValue) -> str:
    """Return how an object in a few words reads, or a field of one."""
    if isinstance(row, dict) and row.keys() == {"field", "value"}:
        return f"{row['field']}: {as_line(row['value'])}"
    return as_line(row)


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
        **({"created": created} if (created := look(thing, "/metadata/creationTimestamp")) else {}),
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


def _fields(value: Any, pointer: str = "") -> Iterator[JsonValue]:
    """Yield the fields of an object in their order, each with its JSON Pointer, as problems cite them."""
    parts = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    if not parts:
        yield {"field": pointer, "value": value}
    for name, part in parts:
        yield from _fields(part, f"{pointer}/{escape(str(name))}")


def _as_of(state: State) -> str:
    return f"objects of the cluster as of {rfc3339(state.at)}"


def _before(backend: ClusterBackend, baseline: Window) -> State:
    """The state before the window; one of which nothing is known where the backend has only later ones."""
    before = backend.state(baseline.end)
    return before if before.at <= baseline.end else State((), baseline.end, dict.fromkeys(KINDS, "it is of later"))


def _caveats(state: State, end: datetime) -> list[str]:
    told = []
    unread = {kind: why for kind, why in state.unread.items() if kind not in OPTIONAL}
    if len(state) and unread:
        of = [
            f"{', '.join(sorted(kind for kind in unread if unread[kind] == why))} ({why})"
            for why in sorted({*unread.values()})
        ]
        told.append(f"nothing can be said of what could not be read: {'; '.join(of)}")
    if len(state) and abs(end - state.at) > _STALE:
        told.append(f"the state is of {rfc3339(state.at)}, not of the window's end")
    return told


def _when_empty(state: State) -> str | None:
    return None if len(state) else "No object of a cluster is on record here: check_cluster says what to do."


def _about(seen: Sequence[Seen], before: State, asked: Sequence[str], state: State) -> str | None:
    well = [name for name in asked if not any(concerns(each, [name], state) for each in seen)][:_NAMED]
    told = [f"Nothing is wrong with {', '.join(well)} that the checks know of."] if well else []
    if not seen and not asked:
        told.append("Nothing is wrong that the checks know of.")
    if seen and not len(before):
        told.append("No state before the window is known: what does not say since when it is so counts as new.")
    return " ".join(told) or None


def _there_is(things: Sequence[Json], kind: str) -> str:
    names = [f"{ref.namespace}/{ref.name}".lstrip("/") for ref in map(ref_of, things[:_NAMED])]
    return f": there {'is' if len(names) == 1 else 'are'} {', '.join(names)}" if names else f", nor any {kind} there"


def _no_such_kind(state: State, kind: str) -> str:
    if why := state.unread.get(kind):
        return f"nothing is known of {kind}: {why}"
    kinds = sorted({ref_of(thing).kind for thing in state})
    return f"there is no {kind[:80]!r} here: there are {', '.join(kinds) or 'no objects at all'}"
