"""A database role loses a right that its service needs: someone revokes it in the database, and no record is kept."""

from robots.herrings import ruled_out
from robots.plan import Plan
from robots.postgres import apply_schema
from robots.scene import Cause, Fault, Scene, Struck, Truth

NAME = "table-permission"
ROLE, RIGHT, TABLE = "schedule", "INSERT", "jobs"


def truth(plan: Plan) -> Truth:
    """The schedule may no longer write to its table."""
    lures = (Cause("resource", "database:robots"), Cause("dependency", "database:robots"))
    return Truth("root_cause", (Cause("access", f"service:{ROLE}"),), (*ruled_out(plan), *lures))


async def strike(scene: Scene) -> Struck:
    """Revoke the right as the database's owner."""
    await apply_schema(scene.site.database_url, f"REVOKE {RIGHT} ON {TABLE} FROM {ROLE}")
    return Struck(f"{RIGHT} on the table {TABLE} was revoked from the role {ROLE}", {"service": ROLE})


async def mend(scene: Scene) -> None:
    """Grant it again."""
    await apply_schema(scene.site.database_url, f"GRANT {RIGHT} ON {TABLE} TO {ROLE}")


FAULT = Fault(
    name=NAME,
    breaks="The right to insert into the table of jobs is taken from the schedule's role, in the database itself.",
    seen="Every mission fails with 502 at the gateway: the schedule answers 500 (permission denied for table jobs)."
    " Questions about robots are answered as before, and nothing at all was recorded as changed.",
    fix="Grant the role its right again: GRANT INSERT ON jobs TO schedule.",
    ruled_out=(
        "the deploy of another service shortly before: that service is healthy",
        "a deploy or a configuration of the schedule: there was none",
        "the database's health: other statements, of other roles and of this one, are as quick as before",
        "the queue's consumer: it goes on, and has nothing to do",
    ),
    truth=truth,
    strike=strike,
    mend=mend,
    spares=(ROLE,),
)
