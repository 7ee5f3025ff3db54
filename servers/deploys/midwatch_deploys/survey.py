"""What changed for which entity, as findings with citations. Pure: changes in, rows and findings out.

A change is no anomaly and has no magnitude: how likely it is to be the cause is for whoever asks.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from midwatch_deploys.backend import Change
from midwatch_deploys.render import EVERYTHING, entity_of, facts_of, row_of, statement_of
from midwatch_deploys.services import short_name
from midwatch_kit import BadInput, CitedFinding, EntityId, Finding, ObservationKind, Window, rfc3339


@dataclass(frozen=True)
class Surveyed:
    """The rows, the findings that cite them, and the changes among them, newest first."""

    rows: Sequence[JsonValue]
    findings: Sequence[CitedFinding]
    changes: Sequence[Change]


def survey(
    changes: Sequence[Change], before: Sequence[Change], span: Window, entities: Sequence[str], *, whole: bool = True
) -> Surveyed:
    """Say what changed in `span` for `entities` (empty: all), and of which of them nothing did.

    `changes` are those within the span, `before` those earlier than it; both oldest first. Unless all could be looked
    at (`whole`), nothing is said of what did not change.
    """
    asked = [as_entity(name) for name in entities]
    shown = [change for change in reversed(changes) if not asked or any(touches(change, entity) for entity in asked)]
    still = [entity for entity in asked if whole and not any(touches(change, entity) for change in shown)]
    rows: list[JsonValue] = [row_of(change) for change in shown]
    findings = [_finding(number, change) for number, change in enumerate(shown)]
    for entity in still:
        last = next((change for change in reversed(before) if touches(change, entity)), None)
        rows.append({"entity": entity, "changes": 0, "last_change": rfc3339(last.at) if last else None})
        findings.append(_nothing(len(rows) - 1, entity, span, last))
    return Surveyed(rows, findings, shown)


def as_entity(name: str) -> EntityId:
    """Return an entity's id; a bare name is a service's. Raises `BadInput` for an empty one."""
    kind, colon, rest = name.partition(":")
    if not name.strip() or (colon and not (kind and rest)):
        raise BadInput(f"{name!r} is not an entity: give service:NAME, instance:NAME or a service's name")
    return name if colon else f"service:{name}"


def touches(change: Change, entity: EntityId) -> bool:
    """Whether a change is one of `entity`: a service's instances count for it, a change of everything for all."""
    kind, _, name = entity.partition(":")
    if entity_of(change) == EVERYTHING:
        return True
    match kind:
        case "instance":
            return change.instance == name
        case "person":
            return change.author == name
        case "repository":
            return short_name(change.repository) == name
        case _:
            return change.service == name


def services_of(changes: Iterable[Change]) -> list[str]:
    """Return the services that changes name, in order."""
    return sorted({change.service for change in changes if change.service})


def _finding(number: int, change: Change) -> CitedFinding:
    entity = entity_of(change)
    finding = Finding(
        entity=entity,
        kind=ObservationKind.CHANGE,
        subject=change.kind or "change",
        statement=statement_of(change),
        onset=change.at,
        related=f"service:{change.service}" if change.service and change.instance else None,
        attributes=facts_of(change),
    )
    said = ("change_id", "at", "kind", "title", "author", "version", "files")
    return CitedFinding(finding, [f"/rows/{number}/{name}" for name in said])


def _nothing(number: int, entity: EntityId, span: Window, last: Change | None) -> CitedFinding:
    since = f"; the last was at {rfc3339(last.at)}" if last else ", and none is on record before"
    finding = Finding(
        entity=entity,
        kind=ObservationKind.NORMAL if last else ObservationKind.ABSENCE,
        subject="changes",
        statement=f"no change of {entity[:70]} from {rfc3339(span.start)} to {rfc3339(span.end)}{since}",
        magnitude=0.0,
        unit="changes",
    )
    return CitedFinding(finding, [f"/rows/{number}/changes", f"/rows/{number}/last_change"])
