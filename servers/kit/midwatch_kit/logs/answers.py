"""The verbs of a log server, from arguments to an `Answer`, for any `LogBackend`. Synchronous: call them in a thread.

The servers that offer them differ in their tools' names and in where their lines come from, and in nothing else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import JsonValue

from midwatch_kit.check import answer_checks, lag_of
from midwatch_kit.errors import BadInput
from midwatch_kit.logs.backend import Around, Filter, LogBackend, Scope, Seen, TraceSpan, Walk, slice_time
from midwatch_kit.logs.lines import entity_names, level_name, ns_of, read_level, row_of, text_of, time_of
from midwatch_kit.logs.survey import patterns_worth_reading, survey_lines, traces_worth_following
from midwatch_kit.paging import Page, open_page
from midwatch_kit.records import Window
from midwatch_kit.reply import Answer
from midwatch_kit.window import resolve_baseline, resolve_window, rfc3339

LONGEST_CONTEXT_LINE = 320
Place = tuple[int, int]


@dataclass(frozen=True)
class Search:
    """What a search asks for; `services` may also name instances, as `instance:NAME`."""

    text: str
    regex: bool
    level: str | None
    services: Sequence[str]
    order: Literal["newest", "oldest"]
    context: int

    @property
    def wanted(self) -> Filter:
        """The lines that match; raises `BadInput` for an unknown level or kind of entity."""
        services, instances, others = entity_names(self.services)
        if others:
            raise BadInput(f"logs are of services and instances, not of {others[0]!r}: use NAME or instance:NAME")
        return Filter(self.text, self.regex, read_level(self.level), tuple(services), tuple(instances))

    @property
    def arguments(self) -> dict[str, JsonValue]:
        """What a cursor is bound to."""
        return {**vars(self), "services": list(self.services)}


def survey(backend: LogBackend, window: Window, baseline: Window, entities: Sequence[str]) -> Answer:
    """Compare a window with a baseline: rates of warnings and errors, new and vanished templates, ranked."""
    windows = (window, baseline)
    scope = Scope(windows, backend.pin(windows))
    buckets = slice_time(window, baseline)
    rates = backend.rates(scope, buckets)
    wanted = patterns_worth_reading(rates.rows, entities)
    patterns = backend.patterns(scope, wanted, buckets.window_start)
    steps = backend.steps(scope, wanted, buckets, traces_worth_following(rates.rows))
    newest = backend.newest()
    surveyed = survey_lines(rates.rows, patterns.rows, steps.rows, buckets, window, entities, newest)
    return Answer(
        query=f"{rates.query}; {patterns.query}; {steps.query} -- lines: {backend.describe(scope)}",
        rows=surveyed.rows,
        lines=[_headline(cited.finding.kind, cited.finding.score, cited.finding.statement) for cited in surveyed.found],
        matched=surveyed.lines,
        window=window,
        baseline=baseline,
        findings=surveyed.found,
        lag_seconds=_lag(newest, window),
        hint=" ".join(filter(None, (surveyed.hint, _left_out(wanted)))) or None,
    )


def survey_between(
    backend: LogBackend,
    start: str,
    end: str,
    baseline_start: str | None,
    baseline_end: str | None,
    entities: Sequence[str],
) -> Answer:
    """As `survey`, with times as a caller writes them."""
    window = resolve_window(start, end)
    return survey(backend, window, resolve_baseline(window, baseline_start, baseline_end), entities)


def search(
    backend: LogBackend, asked: Search, start: str, end: str, limit: int, cursor: str | None, budget: int
) -> Answer:
    """Find lines, exactly counted, a page at a time; `budget` is the number of characters a reply may have."""
    wanted = asked.wanted
    page = _open(backend, cursor, {**asked.arguments, "start": start, "end": end}, start, end)
    scope = Scope((page.window,), page.pin)
    after, matched = _resume(page)
    matched = backend.count(scope, wanted) if matched is None else matched
    forward = asked.order == "oldest"
    context = min(asked.context, max(0, (budget - 700) // LONGEST_CONTEXT_LINE))
    step = backend.step(scope, wanted, Walk(min(limit, 100) if context else limit, forward, after), context)
    before_all = (ns_of(page.window.start) - 1, 0) if forward else (ns_of(page.window.end), 0)
    return Answer(
        query=f"{step.query} -- lines: {backend.describe(scope)}",
        rows=[row_of(seen.line, hit=seen.hit) for seen in step.seen],
        lines=[text_of(seen.line, hit=seen.hit, marked=context > 0) for seen in step.seen],
        matched=matched,
        window=page.window,
        page=page,
        positions=_positions(step.seen, after or before_all, matched),
        more=step.more,
        lag_seconds=_lag(backend.newest(), page.window),
        hint=None if matched else _nothing_found(backend, scope, wanted),
    )


def trace_logs(
    backend: LogBackend,
    trace_id: str,
    margin_seconds: float,
    start: str,
    end: str,
    limit: int,
    cursor: str | None,
) -> Answer:
    """Give every line of a trace, oldest first, and what its writers logged from a margin before to one after."""
    if not trace_id.strip():
        raise BadInput("trace_id is empty: pass the id of a trace, as search results and traces show it")
    arguments: dict[str, JsonValue] = {"trace": trace_id, "margin": margin_seconds, "start": start, "end": end}
    page = _open(backend, cursor, arguments, start, end)
    scope = Scope((page.window,), page.pin)
    span = backend.trace(scope, trace_id.strip())
    if span is None:
        return _no_trace(page.window, trace_id)
    margin = int(margin_seconds * 1e9)
    around = Around(trace_id.strip(), span.first_ns - margin, span.last_ns + margin, span.writers)
    after, matched = _resume(page)
    matched = backend.count(scope, around) if matched is None else matched
    step = backend.step(scope, around, Walk(limit, forward=True, after=after))
    seen = [Seen(found.line, found.line.trace_id == around.trace_id) for found in step.seen]
    return Answer(
        query=f"{step.query} -- lines: {backend.describe(scope)}",
        rows=[row_of(found.line, hit=found.hit) for found in seen],
        lines=[text_of(found.line, hit=found.hit, marked=True) for found in seen],
        matched=matched,
        window=page.window,
        page=page,
        positions=[(*found.line.place, matched) for found in seen],
        more=step.more,
        lag_seconds=_lag(backend.newest(), page.window),
        hint=_about_trace(span, matched, margin_seconds),
    )


def check(backend: LogBackend) -> Answer:
    """Say how the backend is, one line for each thing that was looked at."""
    return answer_checks(backend.checks(), _lag(backend.newest()))


def _headline(kind: str, score: float, statement: str) -> str:
    return f"{kind:<16} {score:5.1f}  {statement}" if score else f"{kind:<16}        {statement}"


def _left_out(wanted: Filter) -> str:
    if not wanted.severity:
        return ""
    return f"Too many lines to compare all templates: only {level_name(wanted.severity)} and worse were. Name entities."


def _open(backend: LogBackend, cursor: str | None, arguments: Mapping[str, JsonValue], start: str, end: str) -> Page:
    if cursor:
        return open_page(cursor, arguments, lambda: resolve_window(start, end))
    window = resolve_window(start, end)
    return open_page(None, arguments, lambda: window, lambda: backend.pin((window,)))


def _resume(page: Page) -> tuple[Place | None, int | None]:
    """Where the walk goes on, and how many lines match, which the cursor brings along so as not to count again."""
    match page.after:
        case None:
            return None, None
        case (int(time), int(seq), int(matched)):
            return (time, seq), matched
    raise BadInput("the cursor is damaged: pass next_cursor back unchanged, or leave it out")


def _positions(seen: Sequence[Seen], before_all: Place, matched: int) -> list[tuple[JsonValue, ...]]:
    """For each line the last hit at or before it: the next page begins after a hit, so that no hit is lost."""
    positions: list[tuple[JsonValue, ...]] = []
    last = before_all
    for found in seen:
        last = found.line.place if found.hit else last
        positions.append((*last, matched))
    return positions


def _nothing_found(backend: LogBackend, scope: Scope, wanted: Filter) -> str | None:
    named = {*wanted.services, *wanted.instances}
    if not named:
        return None
    try:
        known = {name for row in backend.sources(scope).rows for name in (row.service, row.instance) if name}
    except BadInput:  # more than may be read, and only for a hint
        return None
    if missing := sorted(named - known):
        there = ", ".join(sorted(known)[:10]) or "nobody"
        return f"{', '.join(missing)} wrote no line in this window; {there} did."
    return None


def _no_trace(window: Window, trace_id: str) -> Answer:
    hint = f"No line carries trace {trace_id[:80]} between {rfc3339(window.start)} and {rfc3339(window.end)}: widen it."
    return Answer(query=f"lines of trace {trace_id[:80]}", rows=[], lines=[], matched=0, window=window, hint=hint)


def _about_trace(span: TraceSpan, matched: int, margin_seconds: float) -> str:
    begun = rfc3339(time_of(span.first_ns))
    return f"{span.lines} lines carry the trace (first {begun}, marked >), {matched - span.lines} are around it \
within {margin_seconds:g} s."


def _lag(newest: int | None, window: Window | None = None) -> float | None:
    return lag_of(None if newest is None else time_of(newest), window.end if window else None)
