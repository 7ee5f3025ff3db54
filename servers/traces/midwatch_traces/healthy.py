"""What a survey says of the rest: who stayed as before, who went silent, and who has no past to be compared with.

Nothing is called as before in doubt: short of an anomaly a figure may still be clearly worse, and then neither is said.
"""

from collections.abc import Callable
from typing import Literal

from pydantic import JsonValue

from midwatch_kit.records import Finding, ObservationKind
from midwatch_traces.findings import LEAST_MS, LEAST_POINTS, Row, Table, level, row_of, say
from midwatch_traces.groups import ON_THE_WAY, Family

DOUBT = 2.0
"""A score from here on is too high for a figure to be called as before."""
_DOUBT_IN_TROUBLE = 0.5
"""The same for a figure of an instance whose service is troubled in just that."""
_DOUBT_RATIO = 1.5
"""A p95 that is so many times what it was is not as before, even where few requests make little of it certain."""

_OF_ANSWERS = ("error_rate", "latency_p95", "self_time")
"""The figures that say how a service answers; how often it's asked is none of them."""

Troubled = frozenset[tuple[str, str]]
_Part = Literal["request_rate", "answers"]


def tell_rest(families: tuple[Family, ...], table: Table) -> None:
    """Add findings for services, instances and what they depend on, where no anomaly was found."""
    up = [cited.finding for cited in table.found if cited.finding.direction == "up"]
    worse = frozenset((finding.entity, finding.subject) for finding in up)
    troubled = frozenset((entity, _figure(subject)) for entity, subject in worse)
    told = frozenset((cited.finding.entity, cited.finding.subject) for cited in table.found)
    ill = {entity for entity, subject in told if subject != ON_THE_WAY}  # that its answers come late says nothing of it
    services, instances, callees = families[0], families[1], families[-1]
    for number, group in enumerate(services.groups):
        if (group.entity, "request_rate") not in told:
            _tell_service(services, number, table, healthy=group.entity not in ill)
        elif not worse & {(group.entity, figure) for figure in _OF_ANSWERS}:
            _tell_sound(services, number, table)
    for family in (instances, callees):
        for number, group in enumerate(family.groups):
            if group.entity not in ill and family.measured.requests[1][number]:
                _tell_other(family, number, table, troubled)


def _figure(subject: str) -> str:
    return {"error_origin": "error_rate", "self_time": "latency_p95"}.get(subject, subject)


def _tell_service(family: Family, number: int, table: Table, *, healthy: bool) -> None:
    before, now = (counts[number] for counts in family.measured.requests)
    if before and not now:
        _tell_silent(family, number, table)
    elif now and not before:
        _tell_new(family, number, table)
    elif now:
        whole = healthy and not _doubtful(family, number, frozenset())
        _tell_healthy(family, number, table, covers=None if whole else "request_rate")


def _tell_sound(family: Family, number: int, table: Table) -> None:
    """Say of who is asked more or less often that its answers are as before, or better."""
    if all(counts[number] for counts in family.measured.requests) and not _doubtful(family, number, frozenset()):
        _tell_healthy(family, number, table, covers="answers")


def _tell_other(family: Family, number: int, table: Table, troubled: Troubled) -> None:
    if not family.measured.requests[0][number]:
        _tell_new(family, number, table)
    elif not _doubtful(family, number, troubled):
        _tell_healthy(family, number, table, covers=None)


def _doubtful(family: Family, number: int, troubled: Troubled) -> bool:
    """Whether errors or latency are higher than before, if not by enough to be an anomaly."""
    owner = family.groups[number].related or ""
    share, latency = family.measured.shares.row(number), family.measured.latency.row(number)
    errors = _DOUBT_IN_TROUBLE if (owner, "error_rate") in troubled else DOUBT
    slow = _DOUBT_IN_TROUBLE if (owner, "latency_p95") in troubled else DOUBT
    slower = (latency.window_p95 or 0.0) - (latency.baseline_p95 or 0.0)
    fails_more = share.score >= errors and (share.difference or 0.0) * 100 >= LEAST_POINTS
    is_slow = latency.score_p95 >= slow or (latency.ratio_p95 or 0.0) >= _DOUBT_RATIO
    return fails_more or (is_slow and slower >= LEAST_MS)


def _tell_silent(family: Family, number: int, table: Table) -> None:
    row, group = row_of(family, number), family.groups[number]
    text = say(f"{group.label} served no request in the window, {level(row, 'baseline/requests'):,.0f} in the baseline")
    silent = Finding(
        entity=group.entity, kind=ObservationKind.ABSENCE, subject="request_rate", statement=text, magnitude=0.0
    )
    table.cite(silent, table.add(row), "window/requests", "baseline/requests")


def _tell_new(family: Family, number: int, table: Table) -> None:
    row, group = row_of(family, number), family.groups[number]
    requests, errors = (level(row, f"window/{name}") for name in ("requests", "errors"))
    text = f"{group.label} had no requests in the baseline to compare with; {requests:,.0f} now, {errors:,.0f} failed"
    new = Finding(
        entity=group.entity,
        related=group.related,
        kind=ObservationKind.ABSENCE,
        subject="baseline",
        statement=say(text),
        attributes=_counted(row),
    )
    table.cite(new, table.add(row), "baseline/requests", "window/requests", "window/errors")


def _tell_healthy(family: Family, number: int, table: Table, *, covers: _Part | None) -> None:
    """Say that all figures are as before, or that those are which `covers` names."""
    group, row = family.groups[number], row_of(family, number)
    rate = bool(family.rate_subject) and covers != "answers"
    figure = "per_second" if rate else "p95_ms"
    part = {"covers": covers} if covers else {}
    finding = Finding(
        entity=group.entity,
        related=group.related,
        kind=ObservationKind.NORMAL,
        subject="request_rate" if rate else "latency_p95",
        statement=_TEXTS[covers](group.label, row),
        magnitude=level(row, f"window/{figure}"),
        baseline=level(row, f"baseline/{figure}"),
        unit="1/s" if rate else "ms",
        attributes={**group.attributes, **_counted(row), "latency_p95": f"{level(row, 'window/p95_ms'):.6g}", **part},
    )
    cites = ["window/requests", "window/errors", f"window/{figure}", f"baseline/{figure}"]
    table.cite(finding, table.add(row), *cites)


def _counted(row: dict[str, JsonValue]) -> dict[str, str]:
    return {name: f"{level(row, f'window/{name}'):.0f}" for name in ("requests", "errors")}


def _rate_text(label: str, row: Row) -> str:
    return say(f"request rate of {label} is as before: {_per_second(row)}")


def _whole_text(label: str, row: Row) -> str:
    return say(f"{label} is as before: {_per_second(row)}, {_answers(row)}")


def _answers_text(label: str, row: Row) -> str:
    return say(f"{label} answers as well as before: {_answers(row)}")


def _answers(row: Row) -> str:
    percent, errors, requests = (level(row, f"window/{name}") for name in ("error_percent", "errors", "requests"))
    p95, before = level(row, "window/p95_ms"), level(row, "baseline/p95_ms")
    failed = f"{percent:.3g}% errors ({errors:,.0f} of {requests:,.0f})"
    return f"{failed}, p95 {p95:,.4g} ms (before {before:,.4g} ms)"


def _per_second(row: Row) -> str:
    return f"{level(row, 'window/per_second'):.3g}/s (before {level(row, 'baseline/per_second'):.3g}/s)"


_TEXTS: dict[_Part | None, Callable[[str, Row], str]] = {
    None: _whole_text,
    "request_rate": _rate_text,
    "answers": _answers_text,
}
