"""A survey of traces: what changed against the baseline, where failures begin, and what stayed healthy; ranked.

Pure: spans in, rows and cited findings out. The words of failed spans are asked for through `Ask`, for the few that
are read.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from midwatch_kit.errors import NotFound
from midwatch_kit.records import EntityId, Finding, ObservationKind, Window
from midwatch_kit.reply import CitedFinding
from midwatch_traces.calls import calls_of
from midwatch_traces.failures import Ask, count_origins, tell_origins, traces_of
from midwatch_traces.findings import Table, report, say
from midwatch_traces.forest import Forest, forest_of
from midwatch_traces.groups import bare, families
from midwatch_traces.healthy import tell_rest
from midwatch_traces.origins import origins_of
from midwatch_traces.series import timeline_of
from midwatch_traces.spans import NO_PARENT, Spans

_LAST = {ObservationKind.ABSENCE: 1, ObservationKind.NORMAL: 2}


@dataclass(frozen=True, slots=True)
class Surveyed:
    """What a survey found: rows of evidence, findings in order of weight, and a word on what it could not do.

    `caveats` say what makes the spans themselves doubtful.
    """

    rows: Sequence[JsonValue]
    found: Sequence[CitedFinding]
    hint: str | None
    caveats: Sequence[str] = ()


def survey_spans(spans: Spans, window: Window, baseline: Window, entities: Sequence[str], ask: Ask) -> Surveyed:
    """Compare the spans of a window with those of its baseline; raises `NotFound` when none of `entities` is known."""
    table = Table()
    if not len(spans):
        for name in entities:
            _tell_absent(entity_id(name), table)
        return Surveyed(table.rows, table.found, _NOTHING)
    forest, line = forest_of(spans), timeline_of(spans, window, baseline)
    calls = calls_of(spans, forest)
    wanted = [entity_id(name) for name in entities]
    unknown = _unknown(wanted, calls.names)
    kinds = families(spans, forest, calls, line)
    for family in kinds:
        report(family, table)
    traces, origins = traces_of(spans, forest, line), origins_of(spans, forest, calls)
    for count in count_origins(spans, traces, origins, calls, line):
        tell_origins(count, table, spans, forest, traces, origins, calls, ask)
    tell_rest(kinds, table)
    for name in unknown:
        _tell_absent(name, table)
    found = [cited for cited in table.found if not wanted or _concerns(cited.finding, wanted)]
    hint = None if traces.counts[0] else _NO_PAST
    return Surveyed(table.rows, sorted(found, key=_rank), hint, list(_incomplete(spans, forest)))


_NOTHING = "No spans in the window or the baseline. Widen the window, or see check_traces."
_NO_PAST = "No requests in the baseline: failures are compared with none at all, latencies with nothing."


_OFTEN = 0.2
"""A share of spans without their parent from here on is no accident of a window's edge."""
_SOME = 20


def _incomplete(spans: Spans, forest: Forest) -> Iterator[str]:
    """Say so when many spans name a parent that is not here."""
    named = spans.parent != NO_PARENT
    lost = int((named & (forest.parent < 0)).sum())
    if lost >= _SOME and lost >= _OFTEN * int(named.sum()):
        yield (
            f"Traces are incomplete: {lost:,} of {int(named.sum()):,} spans name a parent that is not there. Spans are "
            "lost on the way, or sampled one by one: counts are too low, and failures seem to begin where they pass."
        )


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


def _tell_absent(entity: EntityId, table: Table) -> None:
    text = say(f"{bare(entity)} sent no spans in the window or the baseline, and none name it")
    where = table.add({"entity": entity, "spans": 0})
    table.cite(Finding(entity=entity, kind=ObservationKind.ABSENCE, subject="spans", statement=text), where, "spans")
