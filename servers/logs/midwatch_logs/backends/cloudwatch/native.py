"""Logs Insights as somebody wrote it: of the log groups that are set, weighed before like every other query."""

import re
from collections.abc import Callable, Sequence
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from midwatch_kit import BadInput, NotFound, Window
from midwatch_kit.logs import ns_of
from midwatch_kit.native import Asked, Row, Table
from midwatch_kit.text import near
from midwatch_logs.backends.cloudwatch.groups import LogGroup, LogGroups
from midwatch_logs.backends.cloudwatch.insights import MOST_GROUPS, Insights
from midwatch_logs.backends.cloudwatch.ql import MOST_ROWS

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient

_BEFORE: Final = r"(?:^|[|(])(?:\s|#[^\n]*\n)*"
_REFUSED: Final = (
    (re.compile(rf"{_BEFORE}(diff)\b", re.IGNORECASE), "it reads outside of the window, and is billed for both"),
    (re.compile(rf"{_BEFORE}(source)\b", re.IGNORECASE), "the log groups are those of the settings: narrow by sources"),
    (re.compile(r"\b(unmask)\s*\(", re.IGNORECASE), "what is masked stays so"),
)
_SECOND: Final = 10**9
_POINTER: Final = "@ptr"


class InsightsQueries:
    """Queries of the log groups of the settings, fifty of them at most at a time."""

    languages = "Logs Insights"
    has_sources = True

    def __init__(self, client: "Callable[[], CloudWatchLogsClient]", groups: LogGroups, insights: Insights) -> None:
        self._client, self._groups, self._insights = client, groups, insights

    def window(self, asked: Window) -> Window:
        """Return the window in whole seconds, which is all that Insights can be told."""
        first, last = asked.start.replace(microsecond=0), asked.end.replace(microsecond=0)
        return Window(start=first, end=max(last, first + timedelta(seconds=1)))

    def ask(self, asked: Asked) -> Table:
        """Return the rows of a query; raises `BadInput` with Insights' own words, `NotFound` or `BackendDown`."""
        for pattern, why in _REFUSED:
            if found := pattern.search(asked.query):
                raise BadInput(f"{found[1]!r} cannot be asked for here: {why}")
        groups = self._chosen(asked.sources)
        span = ns_of(asked.window.start), ns_of(asked.window.end) - _SECOND  # the last second is read as well
        found_rows = self._insights.ask(self._client(), groups, span, asked.query, MOST_ROWS)
        rows: list[Row] = [{name: value for name, value in row.items() if name != _POINTER} for row in found_rows.rows]
        query = f"{asked.query} -- Insights read {found_rows.scanned / 2**20:.1f} MiB of {_told(groups)}"
        return Table(rows, len(rows), query, more=found_rows.full)

    def _chosen(self, sources: Sequence[str]) -> Sequence[LogGroup]:
        there = self._groups.all(self._client())
        for pattern in sources:
            if not any(fnmatchcase(group.name, pattern) for group in there):
                names = [group.name for group in there]
                there_are = ", ".join(near(pattern, names))
                raise NotFound(f"no log group of the settings matches {pattern[:120]!r}; there are {there_are}")
        chosen = [g for g in there if not sources or any(fnmatchcase(g.name, pattern) for pattern in sources)]
        if len(chosen) > MOST_GROUPS:
            raise BadInput(f"{len(chosen)} log groups match, and one query takes {MOST_GROUPS}: name them in sources")
        return chosen


def _told(groups: Sequence[LogGroup]) -> str:
    names = ", ".join(group.name for group in groups[:5])
    return names if len(groups) <= 5 else f"{names} and {len(groups) - 5} more log groups"
