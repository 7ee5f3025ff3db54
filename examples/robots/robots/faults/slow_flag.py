"""A flag that was set long before it bites: the schedule draws ticket numbers out of a small sequence, which runs out.

Hours are compressed: most numbers of the time between the flag and its effect are drawn at once.
"""

import json

import anyio
import psycopg

from robots.herrings import ruled_out
from robots.history import WEBER
from robots.plan import Plan
from robots.postgres import apply_schema
from robots.scene import Cause, Fault, Scene, Struck, Truth

FLAG, FILE = "dock_tickets", "flags.json"
SET_AT = 0.06  # of the baseline
LEFT = 12
LEAP = f"SELECT setval('dock_tickets', greatest(last_value, 999 - {LEFT})) FROM dock_tickets"  # noqa: S608
SPENT = "SELECT last_value = 999 FROM dock_tickets"
EMPTY_SECONDS, LOOK_SECONDS = 30.0, 0.1


def truth(plan: Plan) -> Truth:
    """The flag of the schedule, however old."""
    lures = (Cause("resource", "database:robots"), Cause("dependency", "database:robots"))
    return Truth("root_cause", (Cause("change", "service:schedule"),), (*ruled_out(plan), *lures))


async def set_flag(scene: Scene) -> None:
    """Switch the tickets on."""
    text = json.dumps({FLAG: True}, indent=2) + "\n"
    title = "schedule: give what is brought or fetched a ticket for the dock's display"
    await scene.configuration.change("schedule", FILE, text, by=WEBER.name, title=title)


async def strike(scene: Scene) -> Struck:
    """Let most numbers be used up, and wait until the last one is drawn."""
    await apply_schema(scene.site.database_url, LEAP)
    async with await psycopg.AsyncConnection.connect(scene.site.database_url, autocommit=True) as connection:
        with anyio.fail_after(EMPTY_SECONDS):
            while await _left(connection):  # noqa: ASYNC110 - what counts is another process
                await anyio.sleep(LOOK_SECONDS)
    return Struck(
        f"the sequence dock_tickets has no number left, {FLAG} being on since the beginning of the baseline",
        {"service": "schedule", "author": WEBER.name, "files": [f"config/schedule/{FILE}"]},
    )


async def mend(scene: Scene) -> None:
    """Switch the flag off."""
    await scene.configuration.put_back("schedule", FILE, by=WEBER.name)


async def _left(connection: psycopg.AsyncConnection) -> bool:
    cursor = await connection.execute(SPENT)
    return await cursor.fetchone() != (True,)


FAULT = Fault(
    name="slow-flag",
    breaks="Long before, a flag let the schedule draw a number for each thing that is brought or fetched; the sequence"
    " has three digits, and runs out.",
    seen="About half of the missions fail with 502 at the gateway, those to fetch and to carry: the schedule answers"
    " 500 (nextval: reached maximum value of sequence). Another service was deployed shortly before, the schedule not.",
    fix="Switch the flag off.",
    ruled_out=(
        "the deploy of another service, which is much nearer to the symptom: that service is healthy",
        "the CPU spike of an instance that has just started: it ends by itself and nobody waits for it",
        "the database: it answers as quickly as before, and refuses nothing but this sequence",
        "traffic: as many requests as before",
    ),
    truth=truth,
    strike=strike,
    mend=mend,
    acts=((SET_AT, set_flag),),
    spares=("schedule",),
)
