"""Working on one incident, to its report or until somebody has to decide."""

from datetime import timedelta

from midwatch.cancelling import unless_cancelled
from midwatch.errors import first_of, stopping
from midwatch.host import Host
from midwatch.investigation import becomes
from midwatch.mitigation.approvals import InTheirOwnTime, Resting
from midwatch.records import Incident, Status


async def investigate(host: Host, incident: Incident) -> None:
    """Run an investigation until it is reported or rests; what breaks in it ends it as failed, and nothing else.

    Raises `DatabaseDown`, and `LostClaim` when another host has taken it over: then it goes on, later or there.
    """
    approver = InTheirOwnTime(host.journal, timedelta(seconds=host.settings.approval_seconds))
    host.at_work.add(incident.id)
    try:
        await unless_cancelled(host.journal, incident.id, host.investigation(incident, approver).run)
    except Resting:
        return
    except Exception as error:
        if stops := stopping(error):
            raise stops from None
        found = first_of(error) if isinstance(error, BaseExceptionGroup) else error
        becomes(host.journal, incident, Status.FAILED, f"{type(found).__name__}: {found}"[:500])
    finally:
        host.at_work.discard(incident.id)
