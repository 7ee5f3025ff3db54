"""The verbs of the metrics server, from arguments to an `Answer`, for any backend. Synchronous: call in a thread."""

from collections.abc import Mapping, Sequence
from typing import Final

from pydantic import JsonValue

from midwatch_kit import (
    Answer,
    BadInput,
    KitError,
    Window,
    answer_checks,
    lag_of,
    open_page,
    resolve_baseline,
    resolve_window,
    rfc3339,
)
from midwatch_metrics import catalogue
from midwatch_metrics.backend import AlarmState, MetricBackend, Selection
from midwatch_metrics.density import width_that_fits
from midwatch_metrics.query import Aggregation, percentile_of, query_metric, refuse_unknown
from midwatch_metrics.survey import survey_metrics, unknown_entities
from midwatch_metrics.timeline import from_ns, slice_time, to_ns

MOST_SERIES: Final = 3_000
SERVER: Final = "metrics"


def list_all(backend: MetricBackend, start: str, end: str) -> Answer:
    """Which metrics there are, of whom, and which alarms watch them."""
    window = resolve_window(start, end)
    described, query = backend.describe(window)
    alarms = backend.standing(to_ns(window.end), backend.pin())
    return Answer(
        query=query,
        rows=catalogue.rows_of(described, alarms),
        lines=catalogue.lines_of(described, alarms),
        matched=sum(one.points for one in described),
        window=window,
        fragment=catalogue.joined(catalogue.fragment_of(described, alarms, SERVER), backend.surroundings(window)),
        lag_seconds=_lag(backend, window),
        hint=None
        if described
        else "No point in this window. Widen it, or run check_metrics to see whether data arrives.",
    )


def survey(
    backend: MetricBackend,
    start: str,
    end: str,
    baseline_start: str | None,
    baseline_end: str | None,
    entities: Sequence[str],
) -> Answer:
    """What moved in a window against a baseline, ranked."""
    window = resolve_window(start, end)
    baseline = resolve_baseline(window, baseline_start, baseline_end)
    timeline = slice_time(window, baseline)
    gathered = backend.gather(timeline, _selection(entities), MOST_SERIES)
    back = to_ns(baseline.end) - to_ns(baseline.start)
    if (width := width_that_fits(gathered.cells, timeline, back)) != timeline.width:
        timeline = slice_time(window, baseline, least=width)
        gathered = backend.gather(timeline, _selection(entities), MOST_SERIES)
    unknown = unknown_entities(gathered, entities, backend.sources) if entities else []
    surveyed = survey_metrics(gathered, timeline, unknown)
    findings = [cited.finding for cited in surveyed.found]
    return Answer(
        query=gathered.query,
        rows=surveyed.rows,
        lines=[
            f"{f.kind:<16} {f.score:5.1f}  {f.statement}" if f.score else f"{f.kind:<16}        {f.statement}"
            for f in findings
        ],
        matched=gathered.points,
        window=window,
        baseline=baseline,
        findings=surveyed.found,
        lag_seconds=_lag(backend, window),
        hint=surveyed.hint or None,
    )


def query(
    backend: MetricBackend,
    name: str,
    aggregation: Aggregation,
    group_by: Sequence[str],
    filters: Mapping[str, str],
    start: str,
    end: str,
    points: int,
) -> Answer:
    """One metric over time, aggregated by group."""
    window = resolve_window(start, end)
    timeline = slice_time(window, wanted=points)
    selection = _filtered(name, filters, aggregation)
    gathered = backend.gather(timeline, selection, MOST_SERIES)
    if not gathered.series:
        known = sorted({one.metric for one in backend.describe(window)[0]})
        refuse_unknown(name, known, selection)
        hint = f"{name} has no point of these services or instances in the window: drop a filter, or widen it."
        return Answer(gathered.query, [], [], 0, window=window, hint=hint)
    queried = query_metric(gathered, timeline, aggregation, group_by)
    further = f"{queried.more} further groups are not shown: filter, or group by less." if queried.more else None
    return Answer(
        query=f"{gathered.query} -- {queried.aggregation} by {', '.join(group_by) or 'nothing'}",
        rows=queried.rows(timeline),
        lines=queried.lines(timeline),
        matched=gathered.points,
        window=window,
        lag_seconds=_lag(backend, window),
        hint=further,
    )


def alarms(
    backend: MetricBackend, entities: Sequence[str], start: str, end: str, limit: int, cursor: str | None
) -> Answer:
    """How alarms stood when the window began, and how they changed in it, newest first."""
    services, names = _alarm_entities(entities)
    arguments: dict[str, JsonValue] = {"entities": list(entities), "start": start, "end": end}
    page = open_page(cursor, arguments, lambda: resolve_window(start, end), backend.pin)
    after = (int(str(page.after[0])), int(str(page.after[1]))) if page.after else None
    changes, matched, text = backend.alarms(services, names, page.window, page.pin, after, limit + 1)
    shown = changes[:limit]
    return Answer(
        query=text,
        rows=[_alarm_row(alarm) for alarm in shown],
        lines=[_alarm_line(alarm) for alarm in shown],
        matched=matched,
        window=page.window,
        page=page,
        positions=[(alarm.at, alarm.seq) for alarm in shown],
        more=len(changes) > limit,
        hint=None if shown else _standing(backend, services, names, page.window, page.pin),
    )


def check(backend: MetricBackend) -> Answer:
    """Whether the metrics are there, up to when, and what to do if not."""
    checks = backend.checks()
    try:
        lag = _lag(backend) if checks[0].ok else None
    except KitError:  # the checks say what is wrong
        lag = None
    return answer_checks(checks, lag)


def _standing(backend: MetricBackend, services: Sequence[str], names: Sequence[str], window: Window, pin: int) -> str:
    known = backend.standing(to_ns(window.start), pin)
    wanted = [a for a in known if not (services or names) or a.service in services or a.name in names]
    before = "; ".join(_alarm_line(alarm) for alarm in wanted[:5])
    return f"No alarm changed in this window. Before it: {before}" if wanted else "No alarm is known up to this window."


def _alarm_line(alarm: AlarmState) -> str:
    measured = "" if alarm.value is None else f" (value {alarm.value:.4g}"
    limit = "" if alarm.threshold is None else f", threshold {alarm.threshold:.4g}"
    level = f"{measured}{limit})" if measured else ""
    on = f" on {alarm.service}" if alarm.service else ""
    return f"{rfc3339(from_ns(alarm.at))} {alarm.name}{on}: {alarm.state}{level} {alarm.reason}".rstrip()


def _alarm_row(alarm: AlarmState) -> JsonValue:
    return {
        "time": rfc3339(from_ns(alarm.at)),
        "alarm": alarm.name,
        "state": alarm.state,
        "service": alarm.service,
        "reason": alarm.reason,
        "value": alarm.value,
        "threshold": alarm.threshold,
        "attributes": dict(alarm.attributes),
    }


def _selection(entities: Sequence[str]) -> Selection:
    ids = [entity if ":" in entity else f"service:{entity}" for entity in entities]
    instances = tuple(entity.removeprefix("instance:") for entity in ids if entity.startswith("instance:"))
    services = tuple(entity.removeprefix("service:") for entity in ids if not entity.startswith("instance:"))
    return Selection(services, instances)


def _filtered(name: str, filters: Mapping[str, str], aggregation: Aggregation) -> Selection:
    """`service` and `instance` are who measured; any other filter is an attribute of the series."""
    attributes = {key: value for key, value in filters.items() if key not in ("service", "instance")}
    service, instance = filters.get("service"), filters.get("instance")
    of = (service,) if service else (), (instance,) if instance else ()
    return Selection(*of, name, attributes, percentile_of(aggregation))


def _alarm_entities(entities: Sequence[str]) -> tuple[list[str], list[str]]:
    ids = [entity if ":" in entity else f"service:{entity}" for entity in entities]
    for entity in ids:
        if not entity.startswith(("service:", "alarm:")):
            raise BadInput(f"alarms are of services, not of {entity[:120]!r}: use service:NAME or alarm:NAME")
    services = [entity.removeprefix("service:") for entity in ids if entity.startswith("service:")]
    return services, [entity.removeprefix("alarm:") for entity in ids if entity.startswith("alarm:")]


def _lag(backend: MetricBackend, window: Window | None = None) -> float | None:
    newest = backend.newest()
    return lag_of(None if newest is None else from_ns(newest), window.end if window else None)
