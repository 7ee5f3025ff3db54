"""The metrics, who sends them and which alarms watch them: lines for reading, and a topology fragment."""

from collections.abc import Iterable, Sequence

from pydantic import JsonValue

from midwatch_kit import Binding, Entity, Relation, Signal, TopologyFragment, rfc3339
from midwatch_metrics.backend import AlarmState, Described
from midwatch_metrics.timeline import from_ns


def lines_of(described: Sequence[Described], alarms: Sequence[AlarmState]) -> list[str]:
    """Return a line for each metric, then one for each alarm."""
    by_metric: dict[tuple[str, str], list[Described]] = {}
    for one in described:
        by_metric.setdefault((one.metric, one.form.value), []).append(one)
    return [_line(rows) for _, rows in sorted(by_metric.items())] + [_alarm_line(alarm) for alarm in alarms]


def _line(rows: Sequence[Described]) -> str:
    first = rows[0]
    senders = sorted({row.instance or row.service for row in rows})
    named = ", ".join(senders[:6]) + (f" and {len(senders) - 6} more" if len(senders) > 6 else "")
    attributes = sorted({name for row in rows for name in row.attributes})
    by = f"; by {', '.join(attributes[:8])}" if attributes else ""
    count = sum(row.series for row in rows)
    return f"{first.metric} {first.form.value} [{first.unit or '1'}]: {count} series of {named}{by}"


def _alarm_line(alarm: AlarmState) -> str:
    on = f" on service:{alarm.service}" if alarm.service else ""
    return f"alarm:{alarm.name}{on}: {alarm.state} since {rfc3339(from_ns(alarm.at))}"


def rows_of(described: Sequence[Described], alarms: Sequence[AlarmState]) -> list[JsonValue]:
    """Return metrics by instance, and alarms, as evidence."""
    metrics: list[JsonValue] = [
        {
            "metric": one.metric,
            "form": one.form.value,
            "unit": one.unit,
            "description": one.description,
            "service": one.service,
            "instance": one.instance,
            "series": one.series,
            "points": one.points,
            "attributes": list(one.attributes),
            "first": rfc3339(from_ns(one.first)),
            "last": rfc3339(from_ns(one.last)),
        }
        for one in described
    ]
    watched: list[JsonValue] = [{"alarm": a.name, "service": a.service, "state": a.state} for a in alarms]
    return metrics + watched


def fragment_of(described: Iterable[Described], alarms: Iterable[AlarmState], server: str) -> TopologyFragment:
    """Return services, instances and alarms, what runs on and watches what, and where their metrics are."""
    last: dict[str, int] = {}
    runs: dict[tuple[str, str], int] = {}
    for one in described:
        service, instance = f"service:{one.service}", f"instance:{one.instance}"
        last[service] = max(last.get(service, 0), one.last)
        if one.instance:
            last[instance] = max(last.get(instance, 0), one.last)
            runs[service, instance] = max(runs.get((service, instance), 0), one.last)
    entities = [_entity(name, moment, server) for name, moment in sorted(last.items())]
    relations = [_relation(*ends, "runs_on", moment, server) for ends, moment in sorted(runs.items())]
    for alarm in alarms:
        entities.append(_entity(f"alarm:{alarm.name}", alarm.at, server, state=alarm.state))
        if alarm.service:
            relations.append(
                _relation(f"service:{alarm.service}", f"alarm:{alarm.name}", "alarmed_by", alarm.at, server)
            )
    bindings = [_binding(name, server) for name in sorted(last)]
    return TopologyFragment(entities=tuple(entities), relations=tuple(relations), bindings=tuple(bindings))


def joined(seen: TopologyFragment, further: TopologyFragment) -> TopologyFragment:
    """Return both as one: what was seen, with the attributes that only the other knows, and what only that knows."""
    others = {entity.id: entity for entity in further.entities}
    told = {entity.id: _with_attributes(entity, others.get(entity.id)) for entity in seen.entities}
    known = {(one.source, one.kind, one.target) for one in seen.relations}
    relations = [one for one in further.relations if (one.source, one.kind, one.target) not in known]
    bound = {(one.entity, one.server) for one in seen.bindings}
    bindings = [one for one in further.bindings if (one.entity, one.server) not in bound]
    return TopologyFragment(
        entities=(*told.values(), *(entity for name, entity in others.items() if name not in told)),
        relations=(*seen.relations, *relations),
        bindings=(*seen.bindings, *bindings),
    )


def _with_attributes(entity: Entity, other: Entity | None) -> Entity:
    return entity.model_copy(update={"attributes": {**other.attributes, **entity.attributes}}) if other else entity


def _entity(identity: str, moment: int, server: str, **attributes: str) -> Entity:
    kind, name = identity.split(":", 1)
    seen = from_ns(moment)
    return Entity(id=identity, kind=kind, name=name, learnt_from=server, last_seen=seen, attributes=attributes)


def _relation(source: str, target: str, kind: str, moment: int, server: str) -> Relation:
    return Relation(source=source, target=target, kind=kind, learnt_from=server, last_seen=from_ns(moment))


def _binding(identity: str, server: str) -> Binding:
    kind, name = identity.split(":", 1)
    return Binding(entity=identity, signal=Signal.METRICS, server=server, selector={kind: name})
