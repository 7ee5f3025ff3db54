"""The verbs of the traces server, from arguments to an `Answer`, for any backend. Synchronous: call in a thread."""

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Final

from pydantic import JsonValue

from midwatch_kit import (
    Answer,
    CitedFinding,
    NotFound,
    Page,
    Window,
    answer_checks,
    lag_of,
    open_page,
    resolve_baseline,
    resolve_window,
    rfc3339,
)
from midwatch_kit.window import clock
from midwatch_store import from_ns
from midwatch_traces.backend import FoundTrace, FoundTraces, Loaded, Scope, Search, TraceBackend, TraceSummary
from midwatch_traces.clocks import skews, told
from midwatch_traces.ids import plain_id
from midwatch_traces.render import head, ms, shown_ms, span_row, tree_lines
from midwatch_traces.services import map_spans, with_known_calls
from midwatch_traces.survey import survey_spans
from midwatch_traces.tree import tree_of

SERVER: Final = "traces"
MOST_ROWS: Final = 5_000
"""Spans of one trace that are kept as evidence."""
_FOLLOWERS: Final = 20


def map_all(backend: TraceBackend, start: str, end: str) -> Answer:
    """Who calls whom, how often, how well."""
    window = resolve_window(start, end)
    scope = _scope(backend, window, window)
    loaded = backend.load(scope)
    mapped = with_known_calls(map_spans(loaded.spans, window, SERVER), backend.known_calls(window))
    return Answer(
        query=loaded.query,
        rows=mapped.rows,
        lines=mapped.lines,
        matched=loaded.total,
        window=window,
        fragment=mapped.fragment,
        lag_seconds=_lag(backend, window),
        caveats=[*_caveats(scope), *loaded.gaps],
        hint=_sampled(loaded) if loaded.total else "No spans in this window. Widen it, or see check_traces.",
    )


def survey(
    backend: TraceBackend,
    start: str,
    end: str,
    baseline_start: str | None,
    baseline_end: str | None,
    entities: Sequence[str],
) -> Answer:
    """What got slower or fails in a window against a baseline, and where that begins, ranked."""
    window = resolve_window(start, end)
    scope = _scope(backend, window, resolve_baseline(window, baseline_start, baseline_end))
    loaded = backend.load(scope)
    surveyed = survey_spans(
        loaded.spans, window, scope.baseline, entities, lambda spans: backend.failures(scope, spans)
    )
    return Answer(
        query=loaded.query,
        rows=surveyed.rows,
        lines=[_finding_line(cited) for cited in surveyed.found],
        matched=loaded.total,
        window=window,
        baseline=scope.baseline,
        findings=surveyed.found,
        lag_seconds=_lag(backend, window),
        caveats=[*_caveats(scope), *loaded.gaps, *surveyed.caveats],
        hint=" ".join(filter(None, [surveyed.hint, _sampled(loaded)])) or None,
    )


def search(backend: TraceBackend, wanted: Search, start: str, end: str, limit: int, cursor: str | None) -> Answer:
    """Traces with a matching span, newest first, one a line."""
    fingerprint: dict[str, JsonValue] = {
        "service": wanted.service,
        "instance": wanted.instance,
        "operation": wanted.operation,
        "errors": wanted.errors,
        "least_ms": wanted.least_ms,
        "attributes": dict(wanted.attributes),
    }
    page = open_page(cursor, fingerprint, lambda: resolve_window(start, end), backend.pin)
    found = backend.search(wanted, page.window, page.pin, _after(page), limit + 1)
    shown = found.page[:limit]
    known = backend.services(page.window) if not found.traces and wanted.service else ()
    return Answer(
        query=found.query,
        rows=[_summary_row(trace) for trace in shown],
        lines=[_summary_line(trace) for trace in shown],
        matched=found.traces,
        window=page.window,
        page=page,
        positions=[(trace.first_match, trace.trace_id) for trace in shown],
        more=len(found.page) > limit,
        lag_seconds=_lag(backend, page.window),
        caveats=[*found.gaps],
        hint=_which_services(wanted.service, known) or _not_older(found, more=len(found.page) > limit),
    )


def get(backend: TraceBackend, trace_id: str, start: str, end: str) -> Answer:
    """One trace as a tree, with own times and the critical path; raises `NotFound`."""
    window, wanted = resolve_window(start, end), plain_id(trace_id)
    found = backend.trace(wanted, window, pin := backend.pin())
    if not found.spans:
        where = f"from {rfc3339(window.start)} to {rfc3339(window.end)}"
        raise NotFound(f"no span of trace {trace_id[:80]!r} {where}: check the id, or widen start and end")
    tree = tree_of(found.spans)
    later = backend.followers(wanted, window, pin, _FOLLOWERS)
    follow = [f"linked: {f.service} {f.name} {'failed' if f.failed else 'ok'} in trace {f.trace_id}" for f in later]
    return Answer(
        query=found.query,
        rows=[span_row(node) for node in tree.foremost(MOST_ROWS)],
        lines=[head(found), *tree_lines(tree), *follow],
        matched=found.total,
        window=window,
        lag_seconds=_lag(backend, window),
        hint=_cut_short(found),
    )


def check(backend: TraceBackend) -> Answer:
    """Whether the backend is up, and how far behind it is."""
    checks = backend.checks()
    return answer_checks(checks, _lag(backend) if any(check.ok for check in checks) else None)


def _scope(backend: TraceBackend, window: Window, baseline: Window) -> Scope:
    """Return what a question about two windows sees, by clocks that agree."""
    pin = backend.pin()
    return Scope(window, baseline, pin, skews(backend.compare_clocks(window, pin)))


def _caveats(scope: Scope) -> Sequence[str]:
    return [told(scope.clocks)] if scope.clocks else []


def _lag(backend: TraceBackend, window: Window | None = None) -> float | None:
    newest = backend.newest()
    return lag_of(None if newest is None else from_ns(newest), window.end if window else None)


def _sampled(loaded: Loaded) -> str | None:
    if loaded.every == 1:
        return None
    read = f"{len(loaded.spans):,} of {'' if loaded.counted else 'about '}{loaded.total:,} spans"
    return f"Read one trace in {loaded.every} ({read}): counts and rates are of these. A shorter window is read whole."


def _cut_short(found: FoundTrace) -> str | None:
    if found.total <= MOST_ROWS:
        return None
    read = f"the tree is of the first {len(found.spans):,}, " if len(found.spans) < found.total else ""
    return f"Of {found.total:,} spans {read}the evidence holds {MOST_ROWS:,}: those shown, and the first others."


def _after(page: Page) -> tuple[int, str] | None:
    if page.after is None:
        return None
    moment, trace = page.after
    return int(str(moment)), str(trace)


def _which_services(wanted: str, known: Sequence[str]) -> str | None:
    if not wanted or not known or wanted in known:
        return None
    near = dict.fromkeys([*get_close_matches(wanted, known, n=3), *known])
    return f"No service {wanted!r} sent spans in this window; these did: {', '.join([*near][:10])}"


def _not_older(found: FoundTraces, *, more: bool) -> str | None:
    """Say how far back traces were read, where they were not counted."""
    if found.since is None:
        return None
    since = rfc3339(from_ns(found.since))
    onward = "the cursor reads on" if more else f"to read on, set end to {since}"
    return f"Read back to {since} only, so matched counts those since then; {onward}, or narrow the search."


def _finding_line(cited: CitedFinding) -> str:
    finding = cited.finding
    return f"{finding.kind:<16} {finding.score:5.1f}  {finding.statement}" if finding.score else finding.statement


def _summary_row(trace: TraceSummary) -> JsonValue:
    return {
        "trace_id": trace.trace_id,
        "start": rfc3339(from_ns(trace.start)),
        "duration_ms": ms(trace.end - trace.start),
        "service": trace.service,
        "operation": trace.operation,
        "spans": trace.spans,
        "failed_spans": trace.failed,
        "matching_spans": trace.matching,
        "services": list(trace.services),
        "failed_service": trace.failed_service,
        "failure": trace.failure,
        "has_root": trace.has_root,
    }


def _summary_line(trace: TraceSummary) -> str:
    failed = f" {trace.failed} failed, last in {trace.failed_service}: {trace.failure}" if trace.failed else ""
    began = f"{clock(from_ns(trace.start))}Z {trace.trace_id} {trace.service} {trace.operation}"
    return f"{began} {shown_ms(trace.end - trace.start)} ms, {trace.spans} spans{failed}"
