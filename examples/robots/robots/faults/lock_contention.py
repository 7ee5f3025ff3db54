"""A transaction is left open in the database, and holds the rows of some robots: whoever queues a job for one waits."""

import random

import anyio
import psycopg

from robots.herrings import ruled_out
from robots.load import MODELS
from robots.plan import Plan
from robots.postgres import apply_schema
from robots.scene import Cause, Fault, Scene, Struck, Truth

NAME, APPLICATION = "lock-contention", "psql"
LOCKED_SECONDS = 10.0
LOCK = "SELECT id, battery FROM robots WHERE model = ANY(%s) FOR UPDATE"
RELEASE = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '{APPLICATION}'"  # noqa: S608


def models(plan: Plan) -> list[str]:
    """Return whose rows are held."""
    return sorted(random.Random(f"{NAME} {plan.seed}").sample(MODELS, 3))


def truth(plan: Plan) -> Truth:
    """The database's locks."""
    lures = (Cause("traffic", "service:gateway"), Cause("resource", "service:schedule"))
    return Truth("root_cause", (Cause("resource", "database:robots"),), (*ruled_out(plan), *lures))


async def strike(scene: Scene) -> Struck:
    """Open the session; it stays as it is until it's ended from outside."""
    held = models(scene.plan)
    locked = anyio.Event()
    scene.ongoing.begin(NAME, lambda: _hold(scene.site.database_url, held, locked))
    with anyio.fail_after(LOCKED_SECONDS):
        await locked.wait()
    text = f"a session of psql holds the rows of {', '.join(held)} robots, in a transaction that nobody ends"
    return Struck(text, {"service": "postgresql"})


async def mend(scene: Scene) -> None:
    """End the session that holds the locks."""
    await apply_schema(scene.site.database_url, RELEASE)


async def _hold(url: str, held: list[str], locked: anyio.Event) -> None:
    async with await psycopg.AsyncConnection.connect(url, application_name=APPLICATION) as connection:
        await connection.execute(LOCK, (held,))
        locked.set()
        await anyio.sleep_forever()


FAULT = Fault(
    name=NAME,
    breaks="Someone selects rows of the table of robots for update, and leaves the transaction open.",
    seen="Missions of some models hang and fail with 502 at the gateway: the schedule's statements are cancelled due to"
    " lock timeout, and its pool of connections is full of those that wait. Questions about robots are answered as"
    " before. In the database a session is idle in a transaction, and others wait for it.",
    fix="End the session that is idle in its transaction: pg_terminate_backend.",
    ruled_out=(
        "the deploy of another service shortly before: that service is healthy",
        "the schedule's pool: it's full of statements that wait for the database, not too small",
        "traffic: as many requests as before",
        "the database's CPU and connections: it's idle, and has connections left",
    ),
    truth=truth,
    strike=strike,
    mend=mend,
    spares=("schedule",),
)
