"""How full the robots' batteries will be, minute by minute: a report of a megabyte or so, for planners.

It's sent on as PostgreSQL works it out, one line of JSON per robot, so that no report is ever in memory as a whole.
"""

from collections.abc import AsyncGenerator

from psycopg_pool import AsyncConnectionPool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from app.errors import Refused

MOST_HOURS = 72
HOURS = 24
# A robot drives for seven hours and charges for one.
STATEMENT = """
SELECT json_build_object('robot', id, 'depot', depot, 'battery', (
    SELECT json_agg(round((50 + 45 * cos((minute + depot * 7) * 2 * pi() / 480) - (100 - battery) / 20.0)::numeric, 2))
    FROM generate_series(1, %s) AS minute))::text
FROM robots ORDER BY id
"""


async def get_forecast(request: Request) -> Response:
    """Send the forecast of all robots for some hours."""
    hours = request.query_params.get("hours", str(HOURS))
    if not hours.isdecimal() or not 1 <= int(hours) <= MOST_HOURS:
        raise Refused(422, f"hours: {hours} isn't a whole number from 1 to {MOST_HOURS}")
    report = lines(request.state.pool, int(hours) * 60)
    first = await anext(report)  # a failure so far can still be told as one
    return StreamingResponse(_joined(first, report), media_type="application/jsonl")


async def lines(pool: AsyncConnectionPool, minutes: int) -> AsyncGenerator[str]:
    """Yield a line per robot; holds a connection until the last one."""
    async with pool.connection() as connection, connection.cursor() as cursor:
        async for (line,) in cursor.stream(STATEMENT, (minutes,)):
            yield f"{line}\n"


async def _joined(first: str, rest: AsyncGenerator[str]) -> AsyncGenerator[str]:
    yield first
    async for line in rest:
        yield line
