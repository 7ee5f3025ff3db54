"""Whose request it is, and whether there is room for it: a limit for all, and limits of their own for some tenants.

Limits are token buckets (Turner, "New directions in communications", 1986): a bucket fills at its rate, holds as much
as comes in two seconds, and each request takes one token. They count for this process alone.
"""

import time
from collections.abc import Awaitable, Callable
from functools import wraps

from opentelemetry import metrics, trace
from starlette.requests import Request
from starlette.responses import Response

from app.errors import Overloaded, Refused
from app.settings import Settings

HEADER = "x-tenant"
CAPACITY = 40.0  # requests per second
BURST_SECONDS = 2.0

Endpoint = Callable[[Request], Awaitable[Response]]
meter = metrics.get_meter(__name__)
requests = meter.create_counter("gateway.requests", "{request}", "Requests by tenant and admission")


class Bucket:
    """Tokens that come at a rate; full at first."""

    def __init__(self, rate: float, at: float) -> None:
        self.rate = rate
        self._tokens = rate * BURST_SECONDS
        self._at = at

    def take(self, at: float) -> bool:
        """Take a token at a time of the monotonic clock, and return whether there was one."""
        self._tokens = min(self.rate * BURST_SECONDS, self._tokens + (at - self._at) * self.rate)
        self._at = at
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class Admission:
    """Lets requests in as the settings `requests_per_second` and `tenants` (requests per second by tenant) say."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self.settings = settings
        self.clock = clock
        self._buckets: dict[str, Bucket] = {}

    def admit(self, tenant: str) -> None:
        """Count a request; raises Refused (429) above the tenant's limit and Overloaded (503) above the common one."""
        own, common = self.settings.table("tenants").get(tenant), self.settings.number("requests_per_second", CAPACITY)
        if own is not None and not self._take(f"tenant {tenant}", float(own)):
            self._count(tenant, "over_limit")
            raise Refused(429, f"{tenant} may ask {float(own):g} times a second")
        if not self._take("", common):
            self._count(tenant, "over_capacity")
            raise Overloaded(f"over capacity: more than {common:g} requests a second")
        self._count(tenant, "admitted")

    def _take(self, whose: str, rate: float) -> bool:
        at = self.clock()
        if whose not in self._buckets or self._buckets[whose].rate != rate:
            self._buckets[whose] = Bucket(rate, at)
        return self._buckets[whose].take(at)

    def _count(self, tenant: str, admission: str) -> None:
        requests.add(1, {"tenant.id": tenant, "gateway.admission": admission})


def admitted(endpoint: Endpoint) -> Endpoint:
    """Ask `request.state.admission` before an endpoint, and name the tenant on the request's span."""

    @wraps(endpoint)
    async def guarded(request: Request) -> Response:
        tenant = request.headers.get(HEADER, "unknown")
        trace.get_current_span().set_attribute("tenant.id", tenant)
        request.state.admission.admit(tenant)
        return await endpoint(request)

    return guarded
