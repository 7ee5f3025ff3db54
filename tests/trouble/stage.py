"""The stage of all troubles: a synthetic incident, five real servers that know it, and a host that investigates it.

The servers, and a faithful proxy and a connection for each, are there once; what is new each time is the connection
to the server in trouble, the journal, the evidence and the investigation.
"""

import json
import logging
import re
import time
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import mkdtemp

from anyio.from_thread import BlockingPortal, start_blocking_portal
from starlette.applications import Starlette
from tests.e2e.story import LENGTH, SEEN_AT, Row, Rows, Story, alarms, changes
from tests.trouble.proxy import PATH, Memory, Proxy, faithfully, listening
from tests.trouble.troubles import Trouble

from midwatch.correlation import new_incident
from midwatch.intake import alerts_from
from midwatch.investigation import begin
from midwatch.mcp_client.links import Link, open_links
from midwatch.mcp_client.toolbox import Eyes, Hands
from midwatch.records import Conclusion, Decision, Gap, Incident, Plan
from midwatch.settings import ServerSpec, Settings
from midwatch.storage.journal import Journal
from midwatch_byo.server import build as build_byo
from midwatch_byo.settings import ByoSettings
from midwatch_deploys.server import build as build_deploys
from midwatch_deploys.settings import DeploysSettings
from midwatch_kit import EvidenceServer
from midwatch_kit.evidence import EvidenceStore
from midwatch_logs.server import build as build_logs
from midwatch_logs.settings import LogSettings
from midwatch_metrics.server import build as build_metrics
from midwatch_metrics.settings import MetricsSettings
from midwatch_store.writer import Writer
from midwatch_traces.server import build as build_traces
from midwatch_traces.settings import TracesSettings

SERVERS = ("logs", "metrics", "traces", "deploys", "byo")
CAUSE = ("service:stock", "change")
"""What really happened in the story, as an investigation should name it."""
PATIENCE = Settings(call_seconds=60, investigation_seconds=300, subagent_seconds=60)
"""A busy machine must not look like a server in trouble."""


@dataclass(frozen=True)
class Found:
    """What an investigation came to, and how many seconds it took."""

    conclusion: Conclusion
    seconds: float

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """What could not be looked at."""
        return self.conclusion.gaps

    @property
    def right(self) -> bool:
        """Whether the first cause named is the real one."""
        return [(cause.entity, cause.kind.value) for cause in self.conclusion.root_causes[:1]] == [CAUSE]

    @property
    def surest_mistake(self) -> float:
        """The highest confidence in a cause that is not the real one; 0 when none was named."""
        causes = self.conclusion.root_causes
        return max((c.confidence for c in causes if (c.entity, c.kind.value) != CAUSE), default=0.0)

    def gaps_of(self, server: str) -> list[Gap]:
        """Return the gaps that name a server."""
        return [gap for gap in self.gaps if re.search(rf"\b{server}\b", gap.what)]

    def others_answered(self, server: str) -> bool:
        """Whether no other server was late: on a busy machine even a healthy one may miss a short deadline."""
        return not any(self.gaps_of(other) for other in SERVERS if other != server)


class Nobody:
    """Approves nothing, at once."""

    async def decide(self, incident: Incident, plan: Plan) -> Decision:
        """Say no."""
        return Decision(digest=plan.digest, approved=False, by="nobody", reason="nobody is there")


@dataclass(frozen=True)
class Stage:
    """Everything that is there before a trouble begins; made by `on_stage`."""

    story: Story
    folder: Path
    memory: Memory
    links: Mapping[str, Link]
    portal: BlockingPortal

    def with_trouble(self, server: str, trouble: Trouble) -> Found:
        """Investigate the incident while a server is in trouble."""
        return self.portal.call(self._with_trouble, server, trouble)

    def undisturbed(self) -> Found:
        """Investigate the incident while every server is well."""
        return self.portal.call(self._investigate, self.links, PATIENCE)

    async def _with_trouble(self, server: str, trouble: Trouble) -> Found:
        logs = self.folder / "servers"
        async with trouble.before(server, self.memory) as url:
            spec = ServerSpec(url=url, suite=True)
            async with open_links({server: spec}, trouble.connect_seconds, logs) as own:
                patience = PATIENCE.model_copy(update={"call_seconds": trouble.call_seconds})
                return await self._investigate({**self.links, **own}, patience)

    async def _investigate(self, links: Mapping[str, Link], settings: Settings) -> Found:
        folder = Path(mkdtemp(dir=self.folder))
        chosen = settings.model_copy(update={"data_dir": folder, "lookback_seconds": 40.0, "gather_seconds": 2.5})
        kept = EvidenceStore(folder / "evidence", 2**40)
        (alert,) = alerts_from(dict(self.story.alert()))
        incident = new_incident(alert, datetime.fromisoformat(self.story.time(SEEN_AT)))
        journal = Journal(folder / "journal.db")
        began = time.monotonic()
        try:
            await begin(incident, chosen, journal, Eyes(links, kept), Hands(links, kept), (), Nobody()).run()
            (conclusion,) = journal.values(incident.id, Conclusion)
        finally:
            journal.close()
        return Found(conclusion, time.monotonic() - began)


@contextmanager
def on_stage(folder: Path, story: Story, *batches: Rows) -> Iterator[Stage]:
    """Write the story's telemetry (or `batches` in its place) and serve it while the block runs, in a thread."""
    told = batches or (story.telemetry(0, LENGTH),)
    with Writer(folder / "store") as writer:
        writer.append({"changes": changes(story), "alarms": alarms(story)})
        for rows in told:
            writer.append(rows)
    lines = [row for rows in told for row in rows["otel_logs"]]
    logging.getLogger("mcp").setLevel(logging.CRITICAL)  # broken answers would be shown as tracebacks, at length
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(_served(folder, lines)) as (memory, links),
    ):
        yield Stage(story, folder, memory, links, portal)


@asynccontextmanager
async def _served(folder: Path, lines: Sequence[Row]) -> AsyncGenerator[tuple[Memory, Mapping[str, Link]]]:
    async with AsyncExitStack() as stack:
        apps = {name: _http_app(server) for name, server in _servers(folder, lines).items()}
        memory = Memory(
            {name: await stack.enter_async_context(listening(app, gently=True)) for name, app in apps.items()}
        )
        proxies = {name: Proxy(name, memory, faithfully) for name in apps}
        urls = {name: await stack.enter_async_context(proxy.listening()) for name, proxy in proxies.items()}
        specs = {name: ServerSpec(url=url, suite=True) for name, url in urls.items()}
        yield memory, await stack.enter_async_context(open_links(specs, 30, folder / "servers"))


def _servers(folder: Path, lines: Sequence[Row]) -> dict[str, EvidenceServer]:
    """Return the suite's servers over the store in `folder`, and byo over the log lines as a file beside it."""
    (folder / "lines").mkdir()
    (folder / "lines" / "shop.jsonl").write_text("\n".join(json.dumps(_line(row)) for row in lines))
    source = {"name": "shop", "location": f"file://{folder / 'lines'}", "format": "jsonl"}
    (folder / "mapping.yaml").write_text(json.dumps({"sources": [source]}))
    store, kept, mapping = folder / "store", folder / "evidence", folder / "mapping.yaml"
    return {
        "logs": build_logs(LogSettings(store=store, evidence_dir=kept)),
        "metrics": build_metrics(MetricsSettings(store=store, evidence_dir=kept)),
        "traces": build_traces(TracesSettings(store=store, evidence_dir=kept)),
        "deploys": build_deploys(DeploysSettings(store=store, evidence_dir=kept)),
        "byo": build_byo(ByoSettings(mapping=mapping, evidence_dir=kept, cache_dir=folder / "cache")),
    }


def _http_app(server: EvidenceServer) -> Starlette:
    return server.build().streamable_http_app(streamable_http_path=PATH, stateless_http=True, json_response=True)


def _line(row: Row) -> dict[str, object]:
    """Return a row of the store's logs as an application would have written it into a file of its own."""
    resource = row["ResourceAttributes"]
    instance = resource.get("service.instance.id") if isinstance(resource, Mapping) else ""
    return {
        "time": str(row["Timestamp"]),
        "level": row["SeverityText"],
        "service": row["ServiceName"],
        "instance": instance,
        "message": row["Body"],
        "trace_id": row["TraceId"],
    }
