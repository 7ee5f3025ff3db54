"""Reading: incidents, their journals, the evidence that they cite, and what would have prevented them."""

import json
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import sqlalchemy as sa
from fastapi import APIRouter, Path, Query
from fastapi.responses import Response

from midwatch.api.access import EvidenceReader, Reader
from midwatch.api.leads import Lead, leading, to, to_incident
from midwatch.api.problems import Problem, documented
from midwatch.api.shapes import (
    Correlated,
    CorrelatedPage,
    Graph,
    IncidentDetail,
    IncidentPage,
    Placed,
    RecommendationPage,
    RecordPage,
    Rfc3339,
)
from midwatch.api.state import Api, Shared, in_thread
from midwatch.api.stream import After, IncidentId
from midwatch.correlation import Part
from midwatch.mitigation.approvals import decision_on
from midwatch.reading.handout import handout
from midwatch.reading.lines import plan_state
from midwatch.reading.packet import drawn, packet
from midwatch.reading.recommendations import find, standing
from midwatch.reception.rows import alert_of
from midwatch.records import Action, Conclusion, Incident, Plan, RecordType, Scope, Severity, Status
from midwatch.records.recommendation import Recommendation
from midwatch.steering.steers import look_of, unheeded
from midwatch.storage.feed import MOST
from midwatch.storage.journal import Journal
from midwatch.storage.tables import alerts, incidents
from midwatch_kit.errors import NotFound
from midwatch_kit.evidence import PAGE_CHARS
from midwatch_kit.window import rfc3339
from midwatch_topology import Topology

routes = APIRouter(prefix="/v1")
MOST_ENTITIES: Final = 2000
_SECOND: Final = len("2026-11-20T02:48:00")
_REFUSED = documented("unauthorized", "forbidden", "invalid", "not-found", "unavailable", "timed-out")
_FIRST = "$response.body#/items/0/id"
_TO_EVIDENCE = to("read_evidence", id="$response.body#/conclusion/root_causes/0/trigger/citations/0/evidence")
_OF_RECOMMENDATION = ("read_recommendation", "read_spec", "decide_on_recommendation")
Limit = Annotated[int, Query(ge=1, le=MOST, description="how many at most")]
_Id = r"^[A-Za-z0-9_-]{1,64}$"
RecommendationId = Annotated[str, Path(pattern=_Id, description="a recommendation's id, or the beginning of it")]


def _to_decide(operation: str) -> Lead:
    digest = {"digest": "$response.body#/plan/digest"}
    return to(operation, digest, id="$response.body#/incident/id")


@routes.get(
    "/incidents",
    tags=["incidents"],
    responses={**_REFUSED, **leading(200, *to_incident("$response.body#/items/0/id"))},
    summary="List incidents",
)
@in_thread
def list_incidents(
    _: Reader,
    api: Shared,
    status: Annotated[list[Status] | None, Query(description="one of these")] = None,
    severity: Annotated[list[Severity] | None, Query(description="one of these")] = None,
    service: Annotated[str | None, Query(max_length=300, description="a service, by its name or its id")] = None,
    since: Annotated[Rfc3339 | None, Query(description="first seen then or later, to the second")] = None,
    cursor: Annotated[str | None, Query(pattern=_Id, description="`next` of the part before")] = None,
    limit: Limit = 50,
) -> IncidentPage:
    """Incidents as they stand, the latest first."""
    conditions = [
        *([incidents.c.status.in_(status)] if status else []),
        *([incidents.c.severity.in_(severity)] if severity else []),
        *([incidents.c.service == (service if ":" in service else f"service:{service}")] if service else []),
        *([incidents.c.first_seen >= _second(since)] if since else []),
        *([incidents.c.id < cursor] if cursor else []),
    ]
    query = sa.select(incidents.c.body).where(*conditions).order_by(incidents.c.id.desc()).limit(limit + 1)
    with api.host.journal.database.reading() as connection:
        found = [Incident.model_validate_json(body) for body in connection.execute(query).scalars()]
    return IncidentPage(items=found[:limit], next=found[limit - 1].id if len(found) > limit else None)


@routes.get(
    "/incidents/{id}",
    tags=["incidents"],
    responses={**_REFUSED, **leading(200, _to_decide("approve"), _to_decide("reject"), _TO_EVIDENCE)},
    summary="Where an incident stands",
)
@in_thread
def read_incident(id: IncidentId, _: Reader, api: Shared) -> IncidentDetail:
    """The incident, its conclusion, its plan and what became of it, and the packet."""
    found, journal = incident_of(api, id), api.host.journal
    conclusions, plans = journal.values(id, Conclusion), journal.values(id, Plan)
    plan = plans[-1] if plans else None
    return IncidentDetail(
        incident=found,
        look=look_of(journal, id),
        unheeded=[*unheeded(journal, id).values()],
        conclusion=conclusions[-1] if conclusions else None,
        plan=plan,
        plan_state=plan_state(journal, found, plan) if plan else "there is no plan yet",
        decision=decision_on(journal, id, plan) if plan else None,
        actions=journal.values(id, Action),
        packet=packet(found, journal),
    )


@routes.get(
    "/incidents/{id}/journal", tags=["incidents"], responses=_REFUSED, summary="Read an investigation's journal"
)
@in_thread
def read_journal(
    id: IncidentId,
    _: Reader,
    api: Shared,
    after: After = 0,
    limit: Limit = 100,
    type: Annotated[list[RecordType] | None, Query(description="records of these types alone")] = None,
) -> RecordPage:
    """Records in the order in which they were noted; `next` is the `after` of the part that follows."""
    incident_of(api, id)
    found = api.hub.feed.of(id, after or 0, limit + 1, type or ())
    items = [Placed.model_validate(record.model_dump(mode="json")) for record in found[:limit]]
    return RecordPage(items=items, next=str(items[-1].seq) if len(found) > limit else None)


@routes.get("/incidents/{id}/alerts", tags=["incidents"], responses=_REFUSED, summary="List an incident's alerts")
@in_thread
def list_alerts(id: IncidentId, _: Reader, api: Shared, after: After = 0, limit: Limit = 100) -> CorrelatedPage:
    """Every alert that became part of it, in the order in which they came, with the decision and its reasons."""
    incident_of(api, id)
    mine = sa.or_(alerts.c.incident == id, alerts.c.own == id)
    query = sa.select(alerts).where(mine, alerts.c.seq > (after or 0)).order_by(alerts.c.seq).limit(limit + 1)
    with api.host.journal.database.reading() as connection:
        rows = connection.execute(query).mappings().all()
    items = [_correlated(row) for row in rows[:limit]]
    return CorrelatedPage(items=items, next=str(items[-1].seq) if len(rows) > limit else None)


@routes.get("/incidents/{id}/topology", tags=["topology"], responses=_REFUSED, summary="What an incident was about")
@in_thread
def incident_topology(id: IncidentId, _: Reader, api: Shared) -> Graph:
    """The part of the application that its investigation looked at, and the path from the cause to the symptom."""
    incident_of(api, id)
    graph, path = drawn(id, api.host.journal)
    scopes = api.host.journal.values(id, Scope)
    return bounded(graph, MOST_ENTITIES).model_copy(
        update={"window": scopes[-1].window if scopes else None, "path": [*path]}
    )


_DOCUMENT: dict[int | str, dict[str, Any]] = {
    200: {
        "description": f"One page of the stored bytes: {PAGE_CHARS} characters of JSON in ASCII, but for the last.",
        "content": {"text/plain": {"schema": {"type": "string"}}},
        "headers": {"Link": {"description": "the page that follows, rel=next", "schema": {"type": "string"}}},
    },
    **_REFUSED,
}


@routes.get("/evidence/{id}", tags=["incidents"], response_class=Response, responses=_DOCUMENT, summary="Read evidence")
@in_thread
def read_evidence(
    id: Annotated[str, Path(pattern=r"^[0-9a-f]{64}$", description="the sha256 of the document's bytes")],
    _: EvidenceReader,
    api: Shared,
    page: Annotated[int, Query(ge=0, le=1_000_000, description="from 0; join the pages for the document")] = 0,
) -> Response:
    """What a claim cites, as it was stored, with whatever the telemetry held: this always takes a token."""
    text = api.host.eyes.kept.page(id, page)
    headers = {"content-disposition": f'attachment; filename="{id}.{page}.txt"'}
    if len(text) == PAGE_CHARS and _has(api, id, page + 1):
        headers["link"] = f'</v1/evidence/{id}?page={page + 1}>; rel="next"'
    return Response(text, media_type="text/plain; charset=us-ascii", headers=headers)


@routes.get(
    "/recommendations",
    tags=["recommendations"],
    responses={**_REFUSED, **leading(200, *(to(name, id=_FIRST) for name in _OF_RECOMMENDATION))},
    summary="List recommendations",
)
@in_thread
def list_recommendations(
    _: Reader,
    api: Shared,
    cursor: Annotated[int, Query(ge=0, le=1_000_000, description="`next` of the part before")] = 0,
    limit: Limit = 50,
) -> RecommendationPage:
    """What would have prevented incidents, the most useful first, with what was decided on it."""
    known = standing(api.host.journal, datetime.now(UTC))
    part = known[cursor : cursor + limit]
    return RecommendationPage(items=part, next=str(cursor + limit) if cursor + limit < len(known) else None)


@routes.get("/recommendations/{id}", tags=["recommendations"], responses=_REFUSED, summary="Read a recommendation")
@in_thread
def read_recommendation(id: RecommendationId, _: Reader, api: Shared) -> Recommendation:
    """One recommendation, as it stands."""
    return find(api.host.journal, id, datetime.now(UTC))


_SPEC: dict[int | str, dict[str, Any]] = {
    200: {"description": "Markdown.", "content": {"text/markdown": {"schema": {"type": "string"}}}},
    **_REFUSED,
}


@routes.get(
    "/recommendations/{id}/spec",
    tags=["recommendations"],
    response_class=Response,
    responses=_SPEC,
    summary="A recommendation for a coding agent",
)
@in_thread
def read_spec(id: RecommendationId, _: Reader, api: Shared) -> Response:
    """What a coding agent needs to make the fix; what others wrote in it stands between marks."""
    text = handout(find(api.host.journal, id, datetime.now(UTC)), api.host.journal)
    headers = {"content-disposition": f'attachment; filename="{id}.md"'}
    return Response(text, media_type="text/markdown; charset=utf-8", headers=headers)


def incident_of(api: Api, id: str) -> Incident:
    """Return an incident as it stands; raises `Problem` when there is none of that id."""
    return known_incident(api.host.journal, id)


def known_incident(journal: Journal, id: str) -> Incident:
    """Return an incident as it stands; raises `Problem` when there is none of that id."""
    if (found := journal.incident(id)) is None:
        raise Problem("not-found", f"there is no incident {id}")
    return found


def bounded(graph: Topology, most: int) -> Graph:
    """Return a graph with at most so many entities, and the relations among those."""
    names = [*graph.entities][:most]
    part = graph.within(names) if len(names) < len(graph.entities) else graph
    return Graph(
        window=None,
        entities=[*part.entities.values()],
        relations=[*part.relations],
        matched=len(graph.entities),
        truncated=len(names) < len(graph.entities),
    )


def _correlated(row: sa.RowMapping) -> Correlated:
    told = {name: row[name] for name in ("seq", "received_at", "decision", "incident", "own", "why")}
    parts = [Part.model_validate(part) for part in json.loads(row["parts"] or "[]")]
    return Correlated(**told, parts=parts, alert=alert_of(row["body"]))


def _has(api: Api, id: str, page: int) -> bool:
    try:
        api.host.eyes.kept.page(id, page)
    except NotFound:
        return False
    return True


def _second(moment: datetime) -> str:
    """Return the beginning of a moment's text, up to its second: fractions are written only where there are any."""
    return rfc3339(moment)[:_SECOND]
