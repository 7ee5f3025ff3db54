"""The robots in the database, read only."""

from dataclasses import dataclass

from psycopg_pool import AsyncConnectionPool

from app.errors import Refused


@dataclass(frozen=True)
class Robot:
    """A robot: its model, the depot it stands in, and its battery in percent."""

    id: str
    model: str
    depot: int
    battery: int


async def find_robot(pool: AsyncConnectionPool, robot: str) -> Robot:
    """Return the robot with that id; raises Refused when there is none."""
    async with pool.connection() as connection:
        cursor = await connection.execute("SELECT id, model, depot, battery FROM robots WHERE id = %s", (robot,))
        row = await cursor.fetchone()
    if row is None:
        raise Refused(404, f"there is no robot {robot}")
    return Robot(*row)
