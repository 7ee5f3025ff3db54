"""Kinds of log line that are new, gone or much more frequent: which of them to read, as evidence and as findings.

The score is that of the two rates, halved for templates below WARN, whose news are seldom bad.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from pydantic import JsonValue

from midwatch_kit.logs.backend import PatternRow
from midwatch_kit.logs.lines import WARN, level_name, stamp, time_of
from midwatch_kit.records import Finding, ObservationKind
from midwatch_kit.reply import CitedFinding
from midwatch_kit.statistics import LogGroup, Novelty, TemplateChange, TemplateSurvey, survey_templates
from midwatch_kit.text import printable

MOST_FINDINGS: Final = 20
_STRONG: Final = 8.0
_FEWEST_BELOW_WARN: Final = 3
_SEPARATOR: Final = "\x1f"
_EXEMPLAR_CHARS: Final = 300
_WORDING: Final = {Novelty.NEW: "new", Novelty.MORE: "more often", Novelty.VANISHED: "gone"}
_KINDS: Final = {
    Novelty.NEW: ObservationKind.NEW_PATTERN,
    Novelty.MORE: ObservationKind.SPIKE,
    Novelty.VANISHED: ObservationKind.VANISHED_PATTERN,
}


@dataclass(frozen=True, slots=True)
class Periods:
    """How many seconds of data the baseline and the window hold."""

    baseline: float
    window: float


class Pattern:
    """A template with who wrote it: lines by service and by instance, worst level, score as findings state it."""

    def __init__(self, change: TemplateChange) -> None:
        self.change = change
        self.services: Counter[str] = Counter()
        self.instances: Counter[str] = Counter()
        self.severity = 0
        for series, (baseline, window) in change.by_series.items():
            service, instance, severity = series.split(_SEPARATOR)
            lines = baseline if change.novelty is Novelty.VANISHED else window
            if lines:
                self.services[service] += lines
                self.instances[instance] += lines
                self.severity = max(self.severity, int(severity))
        self.score = round(abs(change.score) * (1.0 if self.severity >= WARN else 0.5), 2)

    @property
    def telling(self) -> bool:
        """Whether the template is worth a finding."""
        match self.change.novelty:
            case Novelty.NEW:
                return self.severity >= WARN or self.change.window >= _FEWEST_BELOW_WARN
            case Novelty.MORE:
                return self.severity >= WARN and self.score >= _STRONG
            case Novelty.VANISHED:
                return self.score >= _STRONG
            case _:
                return False


def survey_patterns(rows: Iterable[PatternRow], periods: Periods) -> TemplateSurvey:
    """Cluster masked texts into templates and tell what became of each."""
    groups = (
        LogGroup(
            text=row.text,
            count=row.count,
            first_seen=row.first_ns,
            period="window" if row.in_window else "baseline",
            series=_SEPARATOR.join((row.service, row.instance, str(row.severity))),
            exemplar=row.exemplar,
        )
        for row in rows
    )
    return survey_templates(groups, baseline_seconds=periods.baseline, window_seconds=periods.window)


def telling_patterns(survey: TemplateSurvey) -> list[Pattern]:
    """The templates that are worth a finding, the most telling first."""
    found = [Pattern(change) for change in survey.of(Novelty.NEW, Novelty.MORE, Novelty.VANISHED)]
    return sorted((pattern for pattern in found if pattern.telling), key=lambda pattern: -pattern.score)


def row_of_pattern(pattern: Pattern) -> dict[str, JsonValue]:
    """Return a template as evidence."""
    change = pattern.change
    return {
        "template": change.template[:_EXEMPLAR_CHARS],
        "novelty": change.novelty.value,
        "level": level_name(pattern.severity),
        "baseline": change.baseline,
        "window": change.window,
        "first_seen": stamp(change.first_seen),
        "exemplar": change.exemplar[:_EXEMPLAR_CHARS],
        "services": dict(pattern.services),
        "instances": {name: lines for name, lines in pattern.instances.items() if name},
    }


def cited_pattern(pattern: Pattern, periods: Periods, row: int) -> CitedFinding:
    """Return a template as a finding about the service that wrote most of it; its evidence is row `row`."""
    cited = ("template", "window", "baseline", "first_seen", "level")
    return CitedFinding(_finding(pattern, periods), [f"/rows/{row}/{name}" for name in cited])


def _finding(pattern: Pattern, periods: Periods) -> Finding:
    change = pattern.change
    service = pattern.services.most_common(1)[0][0]
    new, gone = change.novelty is Novelty.NEW, change.novelty is Novelty.VANISHED
    onset = time_of(change.first_seen) if new else None
    return Finding(
        entity=f"service:{service}",
        kind=_KINDS[change.novelty],
        subject="template" if new or gone else "template_rate",
        statement=_statement(pattern, service),
        onset=onset,
        onset_earliest=onset,
        onset_latest=onset,
        magnitude=round(change.window / periods.window, 4),
        baseline=round(change.baseline / periods.baseline, 4),
        unit="1/s",
        direction="down" if gone else "up",
        score=pattern.score,
        attributes=_attributes(pattern),
    )


def _statement(pattern: Pattern, service: str) -> str:
    change = pattern.change
    since = f" since {time_of(change.first_seen):%H:%M:%S}Z" if change.novelty is Novelty.NEW else ""
    counts = f"{change.window} lines{since}, {change.baseline} in the baseline"
    head = f"{_WORDING[change.novelty]} in {service[:40]}, {level_name(pattern.severity)}, {counts}: "
    template = printable(change.template)
    room = 200 - len(head)
    return head + (template if len(template) <= room else f"{template[: room - 1]}…")


def _attributes(pattern: Pattern) -> dict[str, str]:
    change = pattern.change
    attributes = {
        "template": printable(change.template[:_EXEMPLAR_CHARS]),
        "level": level_name(pattern.severity),
        "exemplar": printable(change.exemplar)[:_EXEMPLAR_CHARS],
        "first_seen": stamp(change.first_seen, 6),
        "services": ",".join(name for name, _ in pattern.services.most_common(5)),
    }
    return {**attributes, **only_instance(pattern.instances)}


def only_instance(lines_of: "Counter[str] | dict[str, int]") -> dict[str, str]:
    """The attribute `instance` when all lines came from one instance; nothing otherwise."""
    writers: Sequence[str] = [name for name, lines in lines_of.items() if lines]
    return {"instance": writers[0]} if len(writers) == 1 and writers[0] else {}
