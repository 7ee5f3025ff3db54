"""What a trial of steering files came to: a line for each file, and what it does in words. It runs nothing."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from midwatch.cases.trial import ALL, NONE, Run, Tried

_CONCLUSION: Final = frozenset({"outcome", "root cause"})
_PLAN: Final = frozenset({"plan", "risk", "step"})
_HEAD: Final = (
    "left out",
    "applies",
    "conclusions",
    "plans",
    "details",
    "right",
    "calls",
    "tokens",
    "US$",
    "what it does",
)
_MOST_NAMED: Final = 3


@dataclass(frozen=True)
class Took:
    """What investigations took together: questions to servers, tokens and US dollars of models."""

    calls: int
    tokens: int
    usd: float


@dataclass(frozen=True)
class Line:
    """One file over all cases, or `none`: how often leaving it out changes what, and what it took with and without.

    `applied` counts the cases in which it has a say and which were run with and without it; what it took is of these.
    `right` and `right_without` are of the `labelled` among all cases.
    """

    file: str
    cases: int
    applied: int
    conclusions: int
    plans: int
    details: int
    labelled: int
    right: int
    right_without: int
    helps: tuple[str, ...]
    harms: tuple[str, ...]
    took: Took
    took_without: Took

    @property
    def verdict(self) -> str:
        """What the file does, in words."""
        if not self.applied:
            return f"never applied in {_count(self.cases, 'case')}"
        says = [f"{word} in {_named(names)}" for word, names in (("helps", self.helps), ("harms", self.harms)) if names]
        if says:
            return "; ".join(says)
        if self.conclusions:
            return "changes conclusions, right as often"
        changed = [word for word, count in (("plans", self.plans), ("details", self.details)) if count]
        applied = _count(self.applied, "case")
        return f"changes {' and '.join(changed)}, no conclusion" if changed else f"changes nothing in {applied}"


def lines_of(files: Iterable[str], tried: Sequence[Tried]) -> list[Line]:
    """Return a line for each file, in order, and then one for all of them together."""
    return [_line(name, tried) for name in (*files, NONE)]


def as_text(lines: Sequence[Line], *, thinks: bool) -> str:
    """Return the lines as a table for people; what models took is left out where none took part."""
    rows = [_HEAD, *(_row(line) for line in lines)]
    kept = [n for n in range(len(_HEAD)) if thinks or _HEAD[n] not in ("tokens", "US$")]
    widths = {n: max(len(row[n]) for row in rows) for n in kept}
    return "\n".join("  ".join(row[n].ljust(widths[n]) for n in kept).rstrip() for row in rows)


def _row(line: Line) -> tuple[str, ...]:
    of = f"/{line.labelled}"
    more = (line.conclusions, line.plans, line.details)
    return (
        {NONE: "(without any)"}.get(line.file, line.file),
        f"{line.applied}/{line.cases}",
        *(str(count) for count in more),
        f"{line.right}{of} → {line.right_without}{of}" if line.labelled else "not known",
        f"{line.took.calls} → {line.took_without.calls}",
        f"{line.took.tokens:,} → {line.took_without.tokens:,}",
        f"{line.took.usd:.2f} → {line.took_without.usd:.2f}",
        line.verdict,
    )


def as_data(case: Tried) -> dict[str, object]:
    """Return a case for programs: its runs, and what leaving each file out changes."""
    names = [*case.applied, *([NONE] if NONE in case.runs else [])]
    return {
        "case": str(case.case),
        "applied": list(case.applied),
        "runs": {name: {**_found(run), "right": case.right.get(name)} for name, run in case.runs.items()},
        "changes": {name: [one.model_dump(mode="json") for one in case.changes(name)] for name in names},
        "why_not": list(case.why_not),
    }


def _found(run: Run) -> dict[str, object]:
    conclusion = run.findings.conclusion
    causes = [f"{cause.kind} at {cause.entity}" for cause in conclusion.root_causes]
    took = {"calls": run.calls, "tokens": run.tokens, "usd": round(run.usd, 6), "cut_short": run.cut_short}
    return {"outcome": conclusion.outcome.value, "causes": causes, **took}


def _line(name: str, tried: Sequence[Tried]) -> Line:
    run = [case for case in tried if ALL in case.runs and case.without(name)]
    pairs = [(case.runs[ALL], less) for case in run if _applies(name, case) and (less := case.without(name))]
    whats = [{one.what for one in case.changes(name)} for case in run]
    scored = [(case, case.right[ALL], case.right[key]) for case in run if (key := _key(name, case)) in case.right]
    return Line(
        file=name,
        cases=len(run),
        applied=len(pairs),
        conclusions=sum(bool(what & _CONCLUSION) for what in whats),
        plans=sum(bool(what & _PLAN) for what in whats),
        details=sum(bool(what - _CONCLUSION - _PLAN) for what in whats),
        labelled=len(scored),
        right=sum(with_it for _, with_it, _ in scored),
        right_without=sum(without for _, _, without in scored),
        helps=tuple(case.case.name for case, with_it, without in scored if with_it and not without),
        harms=tuple(case.case.name for case, with_it, without in scored if without and not with_it),
        took=_took(every for every, _ in pairs),
        took_without=_took(less for _, less in pairs),
    )


def _applies(name: str, case: Tried) -> bool:
    return name in case.applied or (name == NONE and bool(case.applied))


def _key(name: str, case: Tried) -> str:
    """Return the run that stands for the case without a file."""
    return name if _applies(name, case) else ALL


def _took(runs: Iterable[Run]) -> Took:
    every = list(runs)
    usd = round(sum(run.usd for run in every), 6)
    return Took(sum(run.calls for run in every), sum(run.tokens for run in every), usd)


def _named(names: Sequence[str]) -> str:
    more = [f"{len(names) - _MOST_NAMED} more"] if len(names) > _MOST_NAMED else []
    return ", ".join([*names[:_MOST_NAMED], *more])


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
