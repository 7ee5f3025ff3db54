"""Doing: asking, steering, deciding on plans, feedback. It goes on record under the name of the token."""

import functools
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from fastapi import APIRouter

from midwatch.api.access import Approver, Caller, Steerer
from midwatch.api.incidents import RecommendationId, incident_of
from midwatch.api.problems import Problem, documented
from midwatch.api.shapes import (
    Answered,
    Approval,
    Because,
    Cancelled,
    Correction,
    Decided,
    Question,
    SteerTaken,
    Telling,
)
from midwatch.api.state import Api, Shared, at_work, in_thread, read
from midwatch.api.stream import IncidentId
from midwatch.cancelling import CannotCancel, cancel
from midwatch.chat.talk import Talk
from midwatch.correlation import service_id
from midwatch.host import Host, open_host
from midwatch.mitigation.approvals import decide_by_name, decision_on
from midwatch.reading.recommendations import decide
from midwatch.records import Decision, Feedback, Incident, Plan, Status
from midwatch.records.recommendation import Recommendation
from midwatch.steering.steers import meaning, tell
from midwatch.storage.journal import Journal
from midwatch.storage.snapshots import snapshot_of
from midwatch.telling import Fields
from midwatch.understanding import understand

routes = APIRouter(prefix="/v1")
_ASK_SECONDS = 330.0
_UNDERSTAND_SECONDS = 120.0
_REFUSED = documented(
    "unauthorized", "forbidden", "foreign-origin", "invalid", "not-json", "not-found", "conflict", "media-type",
    "too-large", "too-slow", "unavailable",
)  # fmt: skip
_ASKING = {**_REFUSED, **documented("too-many", "timed-out")}


@routes.post("/incidents/{id}/questions", tags=["acting"], responses=_ASKING, summary="Ask about an incident")
async def ask(id: IncidentId, asked: Question, who: Steerer, api: Shared) -> Answered:
    """Answered from the journal; with `look` also by the servers, with `model` also by a model. Both go on record."""
    incident = await read(lambda: incident_of(api, id))
    talk = Talk(api.host.settings, api.host.journal, api.host.eyes.kept, functools.partial(_door, api.host))
    question = functools.partial(talk.ask, asked.question, incident, look=asked.look, model=asked.model, by=who.name)
    reply = await at_work(api, _ASK_SECONDS, question)
    return Answered(
        statements=[*reply.statements],
        remarks=[*reply.remarks],
        answered_by=[*reply.answered_by],
        dropped=reply.dropped,
        usd=reply.usd,
    )


@routes.post("/incidents/{id}/steers", status_code=201, tags=["acting"], responses=_ASKING, summary="Steer")
async def steer(id: IncidentId, told: Telling, who: Steerer, api: Shared) -> SteerTaken:
    """Tell an investigation what its person knows; the look that is under way ends, and a further one heeds it."""
    incident, journal = await read(lambda: incident_of(api, id)), api.host.journal
    if incident.status is Status.CANCELLED:
        raise Problem("conflict", f"{id} is cancelled: nobody looks at it again")
    given = Fields(told.kind or "", told.entity, told.leave_out, told.ignore, told.window)
    work = functools.partial(understand, journal, api.host.settings, incident, told.words, who.name, given)
    meant = await at_work(api, _UNDERSTAND_SECONDS, work)
    key = await read(lambda: tell(journal, id, meant))
    return SteerTaken(key=key, meaning=meaning(meant), steer=meant)


@routes.post("/incidents/{id}/plan/approve", tags=["acting"], responses=_REFUSED, summary="Approve a plan")
@in_thread
def approve(id: IncidentId, given: Approval, who: Approver, api: Shared) -> Decision:
    """Let the whole plan run that has this digest; it must be the one that waits."""
    return _decided(api, id, given, who, approved=True)


@routes.post("/incidents/{id}/plan/reject", tags=["acting"], responses=_REFUSED, summary="Reject a plan")
@in_thread
def reject(id: IncidentId, given: Approval, who: Approver, api: Shared) -> Decision:
    """Keep the plan that has this digest from running, for good."""
    return _decided(api, id, given, who, approved=False)


@routes.post("/incidents/{id}/cancel", tags=["acting"], responses=_REFUSED, summary="Leave an incident alone")
@in_thread
def leave(id: IncidentId, given: Because, who: Steerer, api: Shared) -> Cancelled:
    """End its investigation; a plan that waits gets a no. Not while a plan is carried out."""
    try:
        left = cancel(api.host.journal, incident_of(api, id), by=who.name, reason=given.reason)
    except CannotCancel as error:
        raise Problem("conflict", str(error)) from None
    return Cancelled(incident=left.id, status=left.status, reason=left.reason)


@routes.post("/incidents/{id}/feedback", status_code=201, tags=["acting"], responses=_REFUSED, summary="Give feedback")
@in_thread
def give_feedback(id: IncidentId, given: Correction, who: Steerer, api: Shared) -> Feedback:
    """Put on record what the cause really was; no cause says that there was no incident."""
    incident_of(api, id)
    journal = api.host.journal
    causes = tuple(cause.model_copy(update={"entity": service_id(cause.entity)}) for cause in given.causes)
    said = Feedback(causes=causes, note=given.note, by=who.name)
    number = len(journal.values(id, Feedback)) + 1
    while journal.note(id, "feedback", str(number), said, who.name) != said:  # somebody else said theirs meanwhile
        number += 1
    return said


@routes.post(
    "/recommendations/{id}/decision", tags=["recommendations"], responses=_REFUSED, summary="Decide on a recommendation"
)
@in_thread
def decide_on_recommendation(id: RecommendationId, given: Decided, who: Steerer, api: Shared) -> Recommendation:
    """Accept it, reject it, or say that it is done."""
    return decide(api.host.journal, id, given.status, by=who.name, reason=given.reason, now=datetime.now(UTC))


def _decided(api: Api, id: str, given: Approval, who: Caller, *, approved: bool) -> Decision:
    incident, journal = incident_of(api, id), api.host.journal
    plan = _waiting(journal, incident, given.digest)
    if (known := decision_on(journal, id, plan)) is None:
        reason = given.reason or "said over HTTP"
        known = decide_by_name(journal, id, plan.digest, approved=approved, by=who.name, reason=reason)
    if known.approved is not approved:
        raise Problem("conflict", f"it was decided already: {known.said}")
    return known


def _waiting(journal: Journal, incident: Incident, digest: str) -> Plan:
    """Return the plan that waits for a decision, or was decided on; raises `Problem` when it is another one."""
    plans = journal.values(incident.id, Plan)
    if not plans or not plans[-1].steps:
        raise Problem("conflict", f"{incident.id} has no plan that anybody could approve")
    if plans[-1].digest != digest:
        raise Problem(
            "conflict", f"the plan that stands has the digest {plans[-1].digest}: read it, and decide on that"
        )
    if incident.status is Status.CANCELLED:
        raise Problem("conflict", f"{incident.id} is cancelled: its plan does not run")
    return plans[-1]


@asynccontextmanager
async def _door(host: Host, incident: Incident | None) -> AsyncGenerator[Host]:
    """Yield the host whose servers hold an incident's telemetry: for a snapshot, servers of its own."""
    snapshot = snapshot_of(host.journal, incident.id) if incident else None
    if snapshot in (None, host.settings.store):
        yield host
        return
    async with open_host(host.settings.model_copy(update={"store": snapshot})) as other:
        yield other
