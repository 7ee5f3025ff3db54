"""The service map: services, instances, databases, queues and hosts, and who calls whom how often; out of spans.

Everything here was observed; what nobody called in the window is not in the map.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from pydantic import JsonValue

from midwatch_kit.records import Binding, Entity, EntityId, Relation, Signal, TopologyFragment, Window
from midwatch_kit.window import rfc3339
from midwatch_store import from_ns
from midwatch_traces.backend import KnownCalls
from midwatch_traces.calls import Calls, calls_of
from midwatch_traces.findings import Row, level, rounded
from midwatch_traces.forest import forest_of
from midwatch_traces.groups import bare
from midwatch_traces.series import distinct, milliseconds
from midwatch_traces.spans import Ints, Spans


@dataclass(frozen=True, slots=True)
class ServiceMap:
    """The map as rows, as lines for reading, and as a fragment of topology."""

    rows: Sequence[JsonValue]
    lines: Sequence[str]
    fragment: TopologyFragment


def map_spans(spans: Spans, window: Window, server: str) -> ServiceMap:
    """Return the map that the spans of a window make up; `server` is the name under which bindings find them."""
    if not len(spans):
        return ServiceMap([], [], TopologyFragment())
    forest = forest_of(spans)
    calls = calls_of(spans, forest)
    seconds = window.length.total_seconds()
    served = np.flatnonzero(forest.requests)
    services = _services(spans, served, seconds)
    instances = _instances(spans, served, seconds)
    edges = _edges(spans, calls, seconds)
    entities = [*map(_entity, services), *map(_entity, instances), *_others(edges, services, instances)]
    relations = [*map(_relation, edges), *map(_runs_on, instances)]
    bindings = [_binding(row, server) for row in [*services, *instances]]
    fragment = TopologyFragment(entities=tuple(entities), relations=tuple(relations), bindings=tuple(bindings))
    return ServiceMap([*services, *instances, *edges], [*map(_line, services), *map(_edge_line, edges)], fragment)


def with_known_calls(mapped: ServiceMap, known: Sequence[KnownCalls]) -> ServiceMap:
    """Return a map with the calls that a backend counted by itself, where the spans that were read show none."""
    seen = {(relation.source, relation.target) for relation in mapped.fragment.relations}
    more = [one for one in known if (f"service:{one.caller}", f"service:{one.callee}") not in seen]
    if not more:
        return mapped
    there = {entity.id for entity in mapped.fragment.entities}
    names = dict.fromkeys(f"service:{name}" for one in more for name in (one.caller, one.callee))
    entities = [
        Entity(id=name, kind="service", name=name.partition(":")[2], learnt_from=more[0].said_by)
        for name in names
        if name not in there
    ]
    relations = [
        Relation(source=f"service:{one.caller}", target=f"service:{one.callee}", kind="calls", learnt_from=one.said_by)
        for one in more
    ]
    rows: list[JsonValue] = [
        {"source": r.source, "kind": r.kind, "target": r.target, "calls": one.calls, "said_by": one.said_by}
        for r, one in zip(relations, more, strict=True)
    ]
    lines = [f"{one.caller} calls {one.callee}: {one.calls:,} calls, counted by {one.said_by}" for one in more]
    fragment = TopologyFragment(
        entities=(*mapped.fragment.entities, *entities),
        relations=(*mapped.fragment.relations, *relations),
        bindings=mapped.fragment.bindings,
    )
    return ServiceMap([*mapped.rows, *rows], [*mapped.lines, *lines], fragment)


def _services(spans: Spans, served: Ints, seconds: float) -> list[Row]:
    """A row for each service, with the figures of the requests that it served; some serve none."""
    names, code = spans.coded("service")
    versions, version = spans.coded("version")
    pairs, _ = distinct([code, version])
    rows: list[Row] = []
    for number, name in enumerate(names):
        known = [versions[v] for s, v in pairs if s == number and versions[v]]
        figures = _figures(spans, served[code[served] == number], seconds)
        seen = _last_seen(spans, np.flatnonzero(code == number))
        rows.append({"entity": f"service:{name}", "versions": ",".join(known), **figures, "last_seen": seen})
    return rows


def _instances(spans: Spans, served: Ints, seconds: float) -> list[Row]:
    names, code = spans.coded("instance")
    service_names, service = spans.coded("service")
    pairs, group = distinct([code, service])
    rows: list[Row] = []
    for number, (i, s) in enumerate(pairs):
        if names[i]:
            figures = _figures(spans, served[group[served] == number], seconds)
            whose = {"entity": f"instance:{names[i]}", "service": f"service:{service_names[s]}"}
            rows.append({**whose, **figures, "last_seen": _last_seen(spans, np.flatnonzero(group == number))})
    return rows


def _edges(spans: Spans, calls: Calls, seconds: float) -> list[Row]:
    kept = np.flatnonzero((calls.callee >= 0) & (calls.callee != calls.caller))
    answered = np.array([action or "calls" for action in calls.actions])
    triples, group = distinct([calls.caller[kept], calls.callee[kept], calls.action[kept]])
    rows: list[Row] = []
    for number, (by, to, how) in enumerate(triples):
        members = calls.row[kept][group == number]
        ends = {"source": calls.names[by], "kind": str(answered[how]), "target": calls.names[to]}
        rows.append({**ends, **_figures(spans, members, seconds), "last_seen": _last_seen(spans, members)})
    return rows


def _figures(spans: Spans, rows: Ints, seconds: float) -> Row:
    errors = int(spans.failed[rows].sum())
    p50, p95 = np.quantile(milliseconds(spans.duration[rows]), [0.5, 0.95]).tolist() if len(rows) else (None, None)
    return {
        "requests": len(rows),
        "errors": errors,
        "error_percent": rounded(100 * errors / len(rows)) if len(rows) else None,
        "per_second": rounded(len(rows) / seconds),
        "p50_ms": rounded(p50),
        "p95_ms": rounded(p95),
    }


def _last_seen(spans: Spans, rows: Ints) -> str:
    return rfc3339(from_ns(int(spans.start[rows].max())))


def _entity(row: Row) -> Entity:
    name = str(row["entity"])
    kind, _, bare_name = name.partition(":")
    said = {key: str(row[key]) for key in ("versions", "service") if row.get(key)}
    return Entity(
        id=name,
        kind=kind,
        name=bare_name,
        learnt_from="spans",
        last_seen=_seen(row),
        attributes=said | _rates(row),
    )


def _others(edges: Sequence[Row], *own: Sequence[Row]) -> list[Entity]:
    """Return what is called but sends no spans itself."""
    known = {str(row["entity"]) for rows in own for row in rows}
    latest: dict[EntityId, Row] = {}
    for row in sorted(edges, key=lambda row: str(row["last_seen"])):
        if str(row["target"]) not in known:
            latest[str(row["target"])] = row
    return [_entity({"entity": name, "last_seen": row["last_seen"]}) for name, row in sorted(latest.items())]


def _relation(row: Row) -> Relation:
    return Relation(
        source=str(row["source"]),
        target=str(row["target"]),
        kind=str(row["kind"]),
        learnt_from="spans",
        last_seen=_seen(row),
        attributes=_rates(row),
    )


def _runs_on(row: Row) -> Relation:
    return Relation(
        source=str(row["service"]),
        target=str(row["entity"]),
        kind="runs_on",
        learnt_from="spans",
        last_seen=_seen(row),
    )


def _binding(row: Row, server: str) -> Binding:
    name = str(row["entity"])
    selector = {"service": str(row["service"]).partition(":")[2], "instance": name} if "service" in row else {}
    return Binding(
        entity=name,
        signal=Signal.TRACES,
        server=server,
        selector=selector or {"service": name.partition(":")[2]},
    )


def _rates(row: Row) -> dict[str, str]:
    return {name: f"{row[name]}" for name in ("per_second", "error_percent", "p95_ms") if row.get(name) is not None}


def _seen(row: Row) -> datetime:
    return datetime.fromisoformat(str(row["last_seen"]))


def _line(row: Row) -> str:
    versions = f" ({row['versions']})" if row["versions"] else ""
    return f"{bare(str(row['entity']))}{versions}: {_told(row)}"


def _edge_line(row: Row) -> str:
    return f"{bare(str(row['source']))} {row['kind']} {bare(str(row['target']))}: {_told(row)}"


def _told(row: Row) -> str:
    if not row["requests"]:
        return "serves no requests"
    return f"{level(row, 'per_second'):.3g}/s, {level(row, 'error_percent'):.3g}% errors, p95 {row['p95_ms']} ms"
