"""Numbers that the docks' displays show for what is brought or fetched there."""

from psycopg_pool import AsyncConnectionPool

DOCK_TASKS = ("fetch", "carry")


async def draw(pool: AsyncConnectionPool) -> int:
    """Return the next number."""
    async with pool.connection() as connection:
        cursor = await connection.execute("SELECT nextval('dock_tickets')")
        (number,) = await cursor.fetchone() or (0,)
    return int(number)
