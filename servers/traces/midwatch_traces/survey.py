"""A survey of traces: what changed against the baseline, where failures begin, and what stayed healthy; ranked.

Pure: spans in, rows and cited findings out. The words of failed spans are asked for through `Ask`, for the few that
are read.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from midwatch_kit.errors import NotFound
from midwatch_kit.records import EntityId, Finding, ObservationKind, Window
from midwatch_kit.reply import CitedFinding
from midwatch_traces.calls import calls_of
from midwatch_traces.failures import Ask, count_origins, tell_origins, traces_of
from midwatch_traces.findings import Table, level, report, row_of, say
from midwatch_traces.forest import forest_of
from midwatch_traces.groups import Family, bare, families
from midwatch_traces.origins import origins_of
from midwatch_traces.series import timeline_of
from midwatch_traces.spans import Spans

_LAST = {ObservationKind.ABSENCE: 1, ObservationKind.NORMAL: 2}


@dataclass(frozen=True, slots=True)
class Surveyed:
    """What a survey found: rows of evidence, findings in order of weight, and a word on what it could not do."""

    rows: Sequence[JsonValue]
    found: Sequence[CitedFinding]
    hint: str | None


def survey_spans(spans: Spans, window: Window, baseline: Window, entities: Sequence[str], ask: Ask) -> Surveyed:
    """Compare the spans of a window with those of its baseline; raises `NotFound` when none of `entities` is known."""
    if not len(spans):
        return Surveyed([], [_absent(entity_id(name), "no spans at all") for name in entities], _NOTHING)
    forest, line = forest_of(spans), timeline_of(spans, window, baseline)
    calls = calls_of(spans, forest)
    wanted = [entity_id(name) for name in entities]
    unknown = _unknown(wanted, calls.names)
    table = Table()
    kinds = families(spans, forest, calls, line)
    for family in kinds:
        report(family, table)
    traces, origins = traces_of(spans, forest, line), origins_of(spans, forest, calls)
    for count in count_origins(spans, traces, origins, calls, line):
        tell_origins(count, table, spans, forest, traces, origins, calls, ask)
    _tell_rest(kinds, table)
    found = [cited for cited in table.found if not wanted or _concerns(cited.finding, wanted)]
    missing = [_absent(name, "no spans in the window or the baseline") for name in unknown]
    return Surveyed(table.rows, sorted([*found, *missing], key=_rank), None if traces.counts[0] else _NO_PAST)


_NOTHING = "No spans in the window or the baseline. Widen the window, or see check_traces."
_NO_PAST = "No requests in the baseline: failures are compared with none at all, latencies with nothing."


def entity_id(name: str) -> EntityId:
    """Return the entity id that a caller means: an id, or the bare name of a service."""
    return name if ":" in name else f"service:{name}"


def _unknown(wanted: Iterable[EntityId], known: Sequence[EntityId]) -> list[EntityId]:
    asked = list(wanted)
    unknown = [name for name in asked if name not in known]
    if asked and len(unknown) == len(asked):
        near = ", ".join(known[:10])
        raise NotFound(f"no spans know of {', '.join(unknown)[:200]}: there is {near}{' …' if len(known) > 10 else ''}")
    return unknown


def _concerns(finding: Finding, wanted: Sequence[EntityId]) -> bool:
    return finding.entity in wanted or finding.related in wanted


def _rank(cited: CitedFinding) -> tuple[int, float]:
    return _LAST.get(cited.finding.kind, 0), -cited.finding.score


def _absent(entity: EntityId, why: str) -> CitedFinding:
    return CitedFinding(
        Finding(entity=entity, kind=ObservationKind.ABSENCE, subject="spans", statement=say(f"{bare(entity)}: {why}")),
        [],
    )


def _tell_rest(kinds: Sequence[Family], table: Table) -> None:
    """Say what stayed healthy or went silent: services, instances, and what they depend on."""
    troubled = {(cited.finding.entity, cited.finding.subject) for cited in table.found}
    ill = {entity for entity, _ in troubled}
    services, instances, callees = kinds[0], kinds[1], kinds[-1]
    for number, group in enumerate(services.groups):
        if (group.entity, "request_rate") not in troubled:
            _tell_service(services, number, table, healthy=group.entity not in ill)
    for family in (instances, callees):
        for number, group in enumerate(family.groups):
            if group.entity not in ill and family.measured.requests[1][number]:
                _tell_healthy(family, number, table)


def _tell_service(family: Family, number: int, table: Table, *, healthy: bool) -> None:
    before, now = (counts[number] for counts in family.measured.requests)
    if not now and before:
        row, group = row_of(family, number), family.groups[number]
        text = say(f"{group.label} served no request in the window, {before:,.0f} in the baseline")
        silent = Finding(
            entity=group.entity, kind=ObservationKind.ABSENCE, subject="request_rate", statement=text, magnitude=0.0
        )
        table.cite(silent, table.add(row), "window/requests", "baseline/requests")
    elif now:
        _tell_healthy(family, number, table, rate_only=not healthy)


def _tell_healthy(family: Family, number: int, table: Table, *, rate_only: bool = False) -> None:
    group, row = family.groups[number], row_of(family, number)
    rate = bool(family.rate_subject)
    figure = "per_second" if rate else "p95_ms"
    percent, errors, requests = (level(row, f"window/{name}") for name in ("error_percent", "errors", "requests"))
    p95, p95_before = level(row, "window/p95_ms"), level(row, "baseline/p95_ms")
    per_second = f"{level(row, 'window/per_second'):.3g}/s (before {level(row, 'baseline/per_second'):.3g}/s)"
    text = f"{group.label} is as before: {per_second}, {percent:.3g}% errors ({errors:,.0f} of {requests:,.0f})"
    finding = Finding(
        entity=group.entity,
        related=group.related,
        kind=ObservationKind.NORMAL,
        subject="request_rate" if rate else "latency_p95",
        statement=say(
            f"request rate of {group.label} is as before: {per_second}"
            if rate_only
            else f"{text}, p95 {p95:,.4g} ms (before {p95_before:,.4g} ms)"
        ),
        magnitude=level(row, f"window/{figure}"),
        baseline=level(row, f"baseline/{figure}"),
        unit="1/s" if rate else "ms",
        attributes={
            **group.attributes,
            "requests": f"{requests:.0f}",
            "errors": f"{errors:.0f}",
            "latency_p95": f"{p95:.6g}",
        },
    )
    cites = ["window/requests", "window/errors", f"window/{figure}", f"baseline/{figure}"]
    table.cite(finding, table.add(row), *cites)
