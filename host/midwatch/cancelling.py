"""Leaving an incident alone: put on record by a person, heeded by whoever investigates it, wherever that is.

Not while a plan is carried out: a step that ran has to be seen through, or undone.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

from midwatch.errors import HostError, first_of
from midwatch.investigation import becomes
from midwatch.records import Decision, Incident, Plan, Status
from midwatch.storage.journal import Journal

_LOOK_EVERY = 0.5
_LEFT_ALONE = {Status.CANCELLED, Status.LINKED, Status.SKIPPED}
_OVER = {Status.RESOLVED, Status.LINKED, Status.SKIPPED, Status.FAILED, Status.CANCELLED}
ResultT = TypeVar("ResultT")


class CannotCancel(HostError):
    """Raised when an incident cannot be left as it stands; the message says why."""


def cancel(journal: Journal, incident: Incident, *, by: str, reason: str) -> Incident:
    """Put on record that an incident is left alone, and return it; a plan that waits for a decision gets a no."""
    now = journal.incident(incident.id) or incident
    if now.status in _OVER:
        raise CannotCancel(f"{now.id} is {now.status}: there is nothing to cancel")
    if now.status is Status.MITIGATING:
        raise CannotCancel(
            f"a plan of {now.id} is being carried out: it ends by itself, and undoes what makes it worse"
        )
    said = f"cancelled by {by}{f': {reason}' if reason else ''}"
    for plan in journal.values(now.id, Plan)[-1:]:
        decided = Decision(digest=plan.digest, approved=False, by=by, reason=said)
        if plan.steps and journal.note(now.id, "decision", plan.digest, decided, by).approved:
            raise CannotCancel(f"the plan of {now.id} was approved: it ends by itself, and undoes what makes it worse")
    return becomes(journal, now, Status.CANCELLED, said)


async def unless_cancelled(
    journal: Journal, investigation: str, work: Callable[[], Awaitable[ResultT]]
) -> ResultT | None:
    """Return what work gives; None when somebody cancels the incident first, which ends it."""
    given: list[ResultT] = []
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(_listen, journal, investigation, group.cancel_scope)
            given.append(await work())
            group.cancel_scope.cancel()
    except ExceptionGroup as errors:
        raise first_of(errors) from None  # as it was, for whoever says it
    return given[0] if given else None


async def _listen(journal: Journal, investigation: str, working: anyio.CancelScope) -> None:
    while True:
        now = journal.incident(investigation)
        if now is not None and now.status in _LEFT_ALONE:
            working.cancel()
        await anyio.sleep(_LOOK_EVERY)
