"""From what a tool found to what a client gets: the evidence envelope, cut to a budget, with nothing lost.

A tool's body returns an `Answer`: every row, and how each reads. The rows become an evidence document, named by
its hash; the reply shows as many lines as the budget takes, exact counts, and the way to the rest.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from mcp import types
from pydantic import BaseModel, JsonValue

from midwatch_kit.evidence import PAGE_CHARS, EvidenceStore, canonical, cite
from midwatch_kit.paging import Page
from midwatch_kit.records import Finding, Observation, Signal, TopologyFragment, Window
from midwatch_kit.window import rfc3339

RowT = TypeVar("RowT", bound=JsonValue)

MAX_LINE = 600
MAX_QUERY = 1_500
MAX_EVIDENCE_BYTES = 8 * 2**20


@dataclass(frozen=True)
class Answer:
    """What a tool found, before it is cut.

    `rows` are the evidence: plain JSON, as the backend gave it. `lines` are for reading; a drill-down gives one for
    each row, and then `positions` (one for each row, in the order of the rows) lets the next page begin after any of
    them; `more` says that rows follow the last one. A drill-down that has all rows at once gives its `page` without
    positions: the next pages show the same rows from the line `begins` on, and `more` then says that there are rows
    that nobody has; `columns` then keep the order of names in rows, which a document does not. A survey gives
    `findings`, whose `cites` point into the document `{"rows": [...]}`; discover gives a `fragment`. `matched` is
    exact, however few rows are here.
    """

    query: str
    rows: Sequence[JsonValue]
    lines: Sequence[str]
    matched: int
    window: Window | None = None
    baseline: Window | None = None
    findings: Sequence["CitedFinding"] | None = None
    fragment: TopologyFragment | None = None
    page: Page | None = None
    positions: Sequence[tuple[JsonValue, ...]] = ()
    more: bool = False
    begins: int = 0
    columns: Sequence[str] = ()
    lag_seconds: float | None = None
    url: str | None = None
    hint: str | None = None
    caveats: Sequence[str] = ()


@dataclass(frozen=True)
class CitedFinding:
    """A finding and the places in the evidence document that it rests on, as JSON Pointers (`/rows/3/errors`)."""

    finding: Finding
    cites: Sequence[str]


class Reply(BaseModel):
    """What every tool of the suite gives; fields without a value are left out.

    The way to the stored bytes is in the result's `_meta`: `midwatch/evidence` and, for surveys and discover,
    `midwatch/records` (typed observations or a topology fragment), each an id and its number of pages.
    """

    window: str | None = None
    baseline: str | None = None
    query: str
    matched: int
    returned: int
    truncated: bool
    lines: list[str]
    evidence: str
    next_cursor: str | None = None
    lag_seconds: float | None = None
    url: str | None = None
    caveats: list[str] | None = None
    hint: str | None = None


@dataclass(frozen=True)
class Asker:
    """Who answers: the names that go into evidence documents and observations."""

    server: str
    tool: str
    signal: Signal


def reply_to(answer: Answer, asker: Asker, store: EvidenceStore, budget: int) -> types.CallToolResult:
    """Keep the answer's evidence and records in `store` and return the reply, at most about `budget` characters."""
    document = _evidence_document(answer, asker)
    stored = canonical(document)
    name = store.put(stored)
    records = _records(answer, asker, name, document)
    kept_rows = len(_rows_of(document))
    lines = _fit(answer.lines[answer.begins : kept_rows if answer.positions else None], budget)
    truncated = answer.more or answer.begins + len(lines) < len(answer.lines)
    reply = Reply(
        window=_interval(answer.window),
        baseline=_interval(answer.baseline),
        query=_cut(answer.query, MAX_QUERY),
        matched=answer.matched,
        returned=len(lines),
        truncated=truncated,
        lines=lines,
        evidence=name,
        next_cursor=_next_cursor(answer, name, len(lines)) if truncated else None,
        lag_seconds=answer.lag_seconds,
        url=answer.url,
        caveats=list(answer.caveats) or None,
        hint=answer.hint or _hint(answer, name, truncated),
    )
    return types.CallToolResult(
        content=[types.TextContent(type="text", text=_text(reply))],
        structured_content=reply.model_dump(mode="json", exclude_none=True),
        _meta={
            "midwatch/evidence": {"id": name, "pages": _pages(stored)},
            **({"midwatch/records": _kept(records, store)} if records else {}),
        },
    )


def fitting(rows: Sequence[RowT]) -> list[RowT]:
    """Return as many rows as one evidence document takes, one at the least."""
    size = 0
    for number, row in enumerate(rows):
        size += len(canonical(row)) + 1
        if number and size > MAX_EVIDENCE_BYTES:
            return list(rows[:number])
    return list(rows)


def _kept(records: dict[str, JsonValue], store: EvidenceStore) -> dict[str, JsonValue]:
    stored = canonical(records)
    return {"id": store.put(stored), "pages": _pages(stored)}


def _evidence_document(answer: Answer, asker: Asker) -> dict[str, JsonValue]:
    return {
        "server": asker.server,
        "tool": asker.tool,
        "query": answer.query,
        "window": _interval(answer.window),
        "baseline": _interval(answer.baseline),
        "matched": answer.matched,
        **({"columns": [*answer.columns]} if answer.columns else {}),
        "rows": fitting(answer.rows) if answer.positions else [*answer.rows],
    }


def _rows_of(document: dict[str, JsonValue]) -> list[JsonValue]:
    rows = document["rows"]
    return rows if isinstance(rows, list) else []


def _records(
    answer: Answer, asker: Asker, evidence: str, document: dict[str, JsonValue]
) -> dict[str, JsonValue] | None:
    if answer.fragment is not None:
        return {"fragment": answer.fragment.model_dump(mode="json")}
    if answer.findings is None:
        return None
    seen = [_observation(cited, asker, evidence, document) for cited in answer.findings]
    return {"observations": [observation.model_dump(mode="json") for observation in seen]}


def _observation(cited: CitedFinding, asker: Asker, evidence: str, document: dict[str, JsonValue]) -> Observation:
    finding = cited.finding
    name = canonical([evidence, finding.model_dump(mode="json")])
    return Observation(
        **dict(finding),
        id=hashlib.sha256(name).hexdigest()[:26],
        signal=asker.signal,
        citations=cite(evidence, document, cited.cites),
        by=asker.server,
    )


def _fit(lines: Sequence[str], budget: int) -> list[str]:
    fitting: list[str] = []
    for line in lines:
        short = _cut(line, MAX_LINE)
        budget -= len(short) + 1
        if budget < 0 and fitting:
            break
        fitting.append(short)
    return fitting


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}…[+{len(text) - most} characters]"


def _next_cursor(answer: Answer, evidence: str, shown: int) -> str | None:
    if answer.page is None or not shown:
        return None
    if not answer.positions and answer.begins + shown >= len(answer.rows):
        return None  # what there is more of is not here
    return answer.page.cursor_after(
        answer.positions[shown - 1] if answer.positions else (evidence, answer.begins + shown)
    )


def _hint(answer: Answer, evidence: str, truncated: bool) -> str | None:
    if not answer.matched and not answer.lines:
        return "Nothing matched. Widen the window, drop a filter, or list what exists first."
    if truncated:
        return f"Cut to fit. All rows read here: midwatch://evidence/{evidence}/page/0, or …/grep/TEXT."
    return None


def _interval(window: Window | None) -> str | None:
    return f"{rfc3339(window.start)}/{rfc3339(window.end)}" if window else None


def _pages(stored: bytes) -> int:
    return max(1, -(-len(stored) // PAGE_CHARS))


def _text(reply: Reply) -> str:
    facts = reply.model_dump(exclude={"lines", "query", "caveats", "hint"}, exclude_none=True)
    head = " ".join(
        f"{name}={str(value).lower() if isinstance(value, bool) else value}" for name, value in facts.items()
    )
    last = [*(reply.caveats or ()), *([reply.hint] if reply.hint else [])]
    return "\n".join([f"# {head}", f"# query: {reply.query}", *reply.lines, *last])
