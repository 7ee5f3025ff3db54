"""Who writes logs: the answer of a log server's discover tool, from counts to a topology fragment."""

from collections.abc import Sequence
from itertools import groupby

from pydantic import JsonValue

from midwatch_kit.logs.backend import LogBackend, Scope, SourceRow
from midwatch_kit.logs.lines import stamp, time_of
from midwatch_kit.records import Binding, Entity, Relation, Signal, TopologyFragment, Window
from midwatch_kit.reply import Answer


def list_sources(backend: LogBackend, server: str, window: Window) -> Answer:
    """Tell which services and instances wrote in a window, how much, how badly, and when last."""
    windows = (window,)
    scope = Scope(windows, backend.pin(windows))
    found = backend.sources(scope)
    services = [(name, list(rows)) for name, rows in groupby(found.rows, key=lambda row: row.service)]
    return Answer(
        query=f"{found.query} -- lines: {backend.describe(scope)}",
        rows=[_row(source) for source in found.rows],
        lines=[_line(name, rows) for name, rows in services],
        matched=sum(row.lines for row in found.rows),
        window=window,
        fragment=_fragment(found.rows, server),
        hint=None
        if services
        else "No line in this window. Widen it, or run the check tool to see whether data arrives.",
    )


def _line(service: str, rows: Sequence[SourceRow]) -> str:
    lines, warn, error = (sum(getattr(row, name) for row in rows) for name in ("lines", "warn", "error"))
    instances = [row.instance for row in rows if row.instance]
    named = f", instances {', '.join(instances[:6])}{'…' if len(instances) > 6 else ''}" if instances else ""
    newest = stamp(max(row.last_ns for row in rows), 3)
    return f"service:{service}: {lines} lines, {error} errors, {warn} warnings, newest {newest}{named}"


def _row(source: SourceRow) -> JsonValue:
    return {
        "service": source.service,
        "instance": source.instance,
        "lines": source.lines,
        "warn": source.warn,
        "error": source.error,
        "first": stamp(source.first_ns),
        "last": stamp(source.last_ns),
    }


def _fragment(rows: Sequence[SourceRow], server: str) -> TopologyFragment:
    last_seen = {name: max(r.last_ns for r in rows if r.service == name) for name in {r.service for r in rows}}
    services = [_entity("service", name, last, server) for name, last in sorted(last_seen.items())]
    instances = {row.instance: row for row in rows if row.instance}
    relations = [
        Relation(
            source=f"service:{row.service}",
            target=f"instance:{row.instance}",
            kind="runs_on",
            learnt_from=server,
            last_seen=time_of(row.last_ns),
        )
        for row in rows
        if row.instance
    ]
    entities = [*services, *(_entity("instance", name, row.last_ns, server) for name, row in instances.items())]
    bindings = [
        Binding(entity=entity.id, signal=Signal.LOGS, server=server, selector={entity.kind: entity.name})
        for entity in entities
    ]
    return TopologyFragment(entities=tuple(entities), relations=tuple(relations), bindings=tuple(bindings))


def _entity(kind: str, name: str, last_ns: int, server: str) -> Entity:
    return Entity(id=f"{kind}:{name}", kind=kind, name=name, learnt_from=server, last_seen=time_of(last_ns))
