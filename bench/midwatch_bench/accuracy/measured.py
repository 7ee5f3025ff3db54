"""One case, measured: what was said, whether it is right, and what it cost. All values are plain."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from midwatch.builtin.judge import log_odds
from midwatch.records import Budget, Cause, Conclusion, Outcome, Scope, ToolCall, Verdict
from midwatch.storage.journal import Journal
from midwatch_bench.accuracy.data_sets import DataSet
from midwatch_bench.accuracy.guess import Guess
from midwatch_bench.importers.case import Case

_SLACK = timedelta(seconds=2)
"""Clocks of different machines agree to within this."""
NAMES_A_CAUSE = (Outcome.ROOT_CAUSE.value, Outcome.BEST_EFFORT.value)
FAILED = "failed"


@dataclass(frozen=True)
class Measured:
    """What came of a case.

    `ranked` are labels by probability, each once; `place` is where the first right one stands (from 1; 0: nowhere).
    `confidence` is that of the cause that was named first, `log_odds` what it rests on, `limited_by` what keeps it
    below a bound; None where none was.
    `kind_right` is None where the case's label tells no kind, `path_right` where the cause that was named is not the
    right one. `seconds` are from the alert to the conclusion, `cpu_seconds` those of this process meanwhile, with the
    servers and their making.
    `baselines` are the places of the first right entity by simpler methods, where those were run.
    """

    name: str
    split: str
    group: str
    answers: tuple[str, ...]
    ranked: tuple[str, ...] = ()
    place: int = 0
    outcome: str = FAILED
    said: str = ""
    confidence: float | None = None
    log_odds: float | None = None
    limited_by: str | None = None
    kind_right: bool | None = None
    path_right: bool | None = None
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    calls: int = 0
    bytes: int = 0
    baselines: Mapping[str, int] = field(default_factory=dict)

    @property
    def right(self) -> bool:
        """Whether the likeliest label is right."""
        return self.place == 1

    @property
    def abstained(self) -> bool:
        """Whether no cause was named."""
        return self.outcome not in NAMES_A_CAUSE


def measured(case: Case, data_set: DataSet, journal: Journal, investigation: str, cpu_seconds: float) -> Measured:
    """Return the measures of a finished investigation."""
    held = data_set.guesses(journal, investigation)
    ranked = tuple(dict.fromkeys(label for guess in held if (label := data_set.label(guess))))
    place = next((n for n, label in enumerate(ranked, 1) if label in case.answers), 0)
    conclusion = journal.values(investigation, Conclusion)[-1]
    named = conclusion.root_causes[0] if conclusion.root_causes else None
    calls = journal.values(investigation, ToolCall)
    return Measured(
        name=case.name,
        split=case.split,
        group=case.group,
        answers=tuple(sorted(case.answers)),
        ranked=ranked,
        place=place,
        outcome=conclusion.outcome.value,
        said=conclusion.statement,
        confidence=named.confidence if named else None,
        log_odds=log_odds_of(named, journal, investigation) if named else None,
        limited_by=named.limited_by.value if named and named.limited_by else None,
        kind_right=_kind_right(case, held),
        path_right=leads_to_symptom(named, journal.values(investigation, Scope)[-1]) if named and place == 1 else None,
        seconds=sum(spent.seconds for spent in journal.values(investigation, Budget)),
        cpu_seconds=round(cpu_seconds, 2),
        calls=len(calls),
        bytes=sum(call.evidence.bytes for call in calls if call.evidence),
    )


def log_odds_of(cause: Cause, journal: Journal, investigation: str) -> float:
    """Return the log-odds of a named cause against all rivals, as the reasoner reckons them; two digits.

    Hypotheses of a trouble of its own count as rivals here, since a journal does not say which those are.
    """
    verdicts = {verdict.hypothesis: verdict for verdict in journal.values(investigation, Verdict)}
    return round(log_odds(verdicts[cause.hypothesis], verdicts.values()), 2)


def _kind_right(case: Case, held: list[Guess]) -> bool | None:
    return (bool(held) and held[0].kind in case.kinds) if case.kinds else None


def leads_to_symptom(cause: Cause, scope: Scope) -> bool:
    """Return whether a cause's path goes from it to the symptom along known relations, and it began no later.

    A path may go on from the symptom to the alarm.
    """
    if cause.path[0] != cause.entity or scope.symptom not in cause.path:
        return False
    ties = {frozenset((relation.source, relation.target)) for relation in scope.topology.relations}
    if any(frozenset(step) not in ties for step in zip(cause.path, cause.path[1:], strict=False)):
        return False
    latest = scope.onset_latest or scope.onset
    return cause.onset is None or latest is None or cause.onset <= latest + _SLACK
