"""What can be read as a resource: the incidents, and of each the packet, the plan, the conclusion and every record.

Records come fifty a page by their numbers, so a page that is full never changes. Evidence pages are those of the kit.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import anyio
from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ResourceError, ResourceNotFoundError
from pydantic import JsonValue

from midwatch.errors import HostError, UnknownIncident, UnknownRecommendation
from midwatch.mcp_server.running import Running
from midwatch.reading.handout import handout
from midwatch.reading.packet import packet
from midwatch.reading.recommendations import find, standing
from midwatch.records import Conclusion, Plan
from midwatch.storage.journal import Journal
from midwatch.storage.named import find_incident
from midwatch_kit.errors import BadInput, KitError, NotFound

PAGE_RECORDS = 50


def offer_resources(server: MCPServer[Any], running: Running) -> None:
    """Offer the journal's resources."""
    journal = running.journal

    @server.resource("midwatch://incidents", mime_type="application/json", title="Incidents")
    async def incidents() -> str:
        """Every incident as it stands, the oldest first."""
        return await _text(lambda: _incidents(running.journal))

    @server.resource("midwatch://incident/{id}/packet", mime_type="text/plain", title="Packet")
    async def incident_packet(id: str) -> str:
        """What a person reads first."""
        return await _text(lambda: packet(find_incident(journal, id), journal))

    @server.resource("midwatch://incident/{id}/conclusion", mime_type="application/json", title="Conclusion")
    async def incident_conclusion(id: str) -> str:
        """The latest conclusion, as the record has it."""
        return await _text(lambda: _latest(running, id, Conclusion))

    @server.resource("midwatch://incident/{id}/plan", mime_type="application/json", title="Plan")
    async def incident_plan(id: str) -> str:
        """The latest mitigation plan, as the record has it."""
        return await _text(lambda: _latest(running, id, Plan))

    @server.resource("midwatch://incident/{id}/records/{page}", mime_type="application/json", title="Records")
    async def incident_records(id: str, page: str) -> str:
        """Fifty records of the journal: `records`, and `next`, the resource that follows, when there is one."""
        return await _text(lambda: _records(running, id, page))

    @server.resource("midwatch://recommendations", mime_type="application/json", title="Recommendations")
    async def recommendations() -> str:
        """What would have prevented incidents, the most useful first."""
        return await _text(lambda: _json([r.model_dump(mode="json") for r in standing(journal, datetime.now(UTC))]))

    @server.resource("midwatch://recommendation/{id}/spec", mime_type="text/markdown", title="Long-term fix")
    async def recommendation_spec(id: str) -> str:
        """What a coding agent needs to make the fix."""
        return await _text(lambda: handout(find(journal, id, datetime.now(UTC)), journal))

    @server.resource("midwatch://evidence/{id}/page/{number}", mime_type="text/plain", title="Evidence")
    async def evidence_page(id: str, number: str) -> str:
        """One page of the stored bytes that a claim cites; join the pages for the document."""
        return await _text(lambda: running.kept.page(id, int(number) if number.isdecimal() else -1))


def _incidents(journal: Journal) -> str:
    return _json([incident.model_dump(mode="json") for incident in journal.incidents()])


def _latest(running: Running, name: str, shape: type[Conclusion] | type[Plan]) -> str:
    incident = find_incident(running.journal, name)
    values = running.journal.values(incident.id, shape)
    if not values:
        raise UnknownIncident(f"{incident.id} has no {shape.__name__.lower()} yet")
    return _json(values[-1].model_dump(mode="json"))


def _records(running: Running, name: str, page: str) -> str:
    incident = find_incident(running.journal, name)
    first = int(page) * PAGE_RECORDS if page.isdecimal() else -1
    entries = [*running.journal.entries(incident.id, max(first, 0))]
    if not entries or first < 0:
        raise UnknownIncident(f"{incident.id} has no page {page} of records: pages of {PAGE_RECORDS} begin at 0")
    shown: list[JsonValue] = [entry.model_dump(mode="json") for entry in entries[:PAGE_RECORDS]]
    more = len(entries) > PAGE_RECORDS
    return _json(
        {"records": shown, **({"next": f"midwatch://incident/{incident.id}/records/{int(page) + 1}"} if more else {})}
    )


def _json(value: JsonValue) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1)


async def _text(read: Callable[[], str]) -> str:
    try:
        return await anyio.to_thread.run_sync(read)
    except (UnknownIncident, UnknownRecommendation, BadInput, NotFound) as error:
        raise ResourceNotFoundError(str(error)) from None
    except (HostError, KitError) as error:
        raise ResourceError(str(error)) from None
