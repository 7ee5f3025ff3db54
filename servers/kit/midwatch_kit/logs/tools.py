"""The five tools of a log server, offered under a server's own names. Thin: what they answer is in answers.

One definition for all log servers, so that who knows one knows the next.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from midwatch_kit.logs.answers import Search, check, search, survey_between, trace_logs
from midwatch_kit.logs.backend import LogBackend
from midwatch_kit.logs.sources import list_sources
from midwatch_kit.reply import Answer
from midwatch_kit.server import EvidenceServer, Role
from midwatch_kit.window import resolve_window

Entities = Annotated[tuple[str, ...], Field(description="service:NAME or instance:NAME; empty: all")]
Level = Annotated[str | None, Field(description="least level, as WARN")]
Context = Annotated[int, Field(ge=0, le=10, description="lines around each")]
Margin = Annotated[float, Field(ge=0, le=600)]
Limit = Annotated[int, Field(ge=1, le=5_000)]


@dataclass(frozen=True)
class LogToolNames:
    """What a server calls its tools."""

    list_sources: str
    survey: str
    search: str
    get_trace: str
    check: str


def offer_log_tools(server: EvidenceServer, backend: LogBackend, names: LogToolNames) -> None:
    """Offer the five tools over `backend` under these names."""

    def list_log_sources(start: str = "-1h", end: str = "now") -> Answer:
        """Services and instances that log, with counts by level."""
        return list_sources(backend, server.name, resolve_window(start, end))

    def check_logs() -> Answer:
        """Are the logs there, up to when, what to do if not."""
        return check(backend)

    server.tool(Role.DISCOVER, "List log sources")(_named(list_log_sources, names.list_sources))
    server.tool(Role.SURVEY, "Survey logs")(_named(_survey_tool(backend), names.survey))
    server.tool(Role.DRILL_DOWN, "Search logs")(_named(_search_tool(server, backend), names.search))
    server.tool(Role.DRILL_DOWN, "Get trace logs", key="trace_id")(_named(_trace_tool(backend), names.get_trace))
    server.tool(Role.CHECK, "Check logs")(_named(check_logs, names.check))


def _survey_tool(backend: LogBackend) -> Callable[..., Answer]:
    def survey_logs(
        start: str = "-15m",
        end: str = "now",
        baseline_start: str | None = None,
        baseline_end: str | None = None,
        entities: Entities = (),
    ) -> Answer:
        """Window against baseline: error and warning rates, new and vanished templates, ranked."""
        return survey_between(backend, start, end, baseline_start, baseline_end, entities)

    return survey_logs


def _search_tool(server: EvidenceServer, backend: LogBackend) -> Callable[..., Answer]:
    def search_logs(  # noqa: PLR0913, PLR0917 - a tool's parameters are what its callers see
        text: str = "",
        regex: bool = False,
        level: Level = None,
        services: Entities = (),
        start: str = "-15m",
        end: str = "now",
        order: Literal["newest", "oldest"] = "newest",
        context: Context = 0,
        limit: Limit = 100,
        cursor: str | None = None,
    ) -> Answer:
        """Find lines by text (any case) or RE2 regex; exact count, pages by cursor."""
        asked = Search(text, regex, level, services, order, context)
        budget = server.settings.reply_chars
        return search(backend, asked, start, end, limit, cursor, budget)

    return search_logs


def _trace_tool(backend: LogBackend) -> Callable[..., Answer]:
    def get_trace_logs(
        trace_id: str,
        start: str = "-1h",
        end: str = "now",
        margin_seconds: Margin = 1.0,
        limit: Limit = 200,
        cursor: str | None = None,
    ) -> Answer:
        """Lines of a trace and what its writers logged around it, oldest first."""
        return trace_logs(backend, trace_id, margin_seconds, start, end, limit, cursor)

    return get_trace_logs


def _named(body: Callable[..., Any], name: str) -> Callable[..., Any]:
    body.__name__ = name
    return body
