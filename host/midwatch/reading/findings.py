"""What an investigation found, in one value: for programs, for comparing, and the same bytes for the same input.

Read from a journal, or from the JSON that `replay`, `report` and `investigate` print. It judges nothing.
"""

import json
from pathlib import Path

from pydantic import Field, ValidationError

from midwatch.errors import BadSnapshot
from midwatch.records import Argument, Conclusion, Hypothesis, HypothesisKind, Plan, Verdict
from midwatch.storage.journal import Journal
from midwatch_kit.records import EntityId, Record

_DIGITS = 4
"""Of a weight; the last bits of a logarithm are the machine's own."""


class Judged(Record):
    """One hypothesis with its verdict; `change` is the id of the change that it starts from, if of one."""

    kind: HypothesisKind
    entity: EntityId
    change: str = ""
    result: str
    reason: str
    probability: float
    arguments: tuple[Argument, ...] = ()


class Findings(Record):
    """An investigation's last conclusion and plan, and what was tested on the way to it, the likeliest first."""

    incident: str = ""
    conclusion: Conclusion
    plan: Plan | None = None
    tested: tuple[Judged, ...] = Field((), description="empty where only a conclusion was kept")


def findings_of(journal: Journal, investigation: str) -> Findings | None:
    """Return what an investigation found; None while it has not concluded."""
    conclusions, plans = journal.values(investigation, Conclusion), journal.values(investigation, Plan)
    if not conclusions:
        return None
    verdicts = _verdicts(journal, investigation)
    hypotheses = {hypothesis.id: hypothesis for hypothesis in journal.values(investigation, Hypothesis)}
    tested = [_tested(hypotheses[name], verdict) for name, verdict in verdicts.items() if name in hypotheses]
    return Findings(
        incident=investigation,
        conclusion=conclusions[-1],
        plan=plans[-1] if plans else None,
        tested=tuple(sorted(tested, key=lambda t: (-t.probability, t.kind, t.entity, t.change))),
    )


def _verdicts(journal: Journal, investigation: str) -> dict[str, Verdict]:
    """Return the verdicts of the look that concluded last, by hypothesis: an earlier one may have had another window.

    Their keys end in the number of the look, but for the first.
    """
    look = [entry.key for entry in journal.entries(investigation, kind="conclusion")][-1]
    noted = journal.entries(investigation, kind="verdict")
    own = [entry for entry in noted if (entry.key.partition(":")[2] or "1") == look]
    return {verdict.hypothesis: verdict for verdict in (Verdict.model_validate(entry.body) for entry in own)}


def findings_in(path: Path) -> Findings:
    """Return what a JSON file says was found, be it a whole answer or a bare conclusion; raises `BadSnapshot`."""
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(body, dict) and "conclusion" not in body:
            body = {"conclusion": body}
        known = {name: body[name] for name in Findings.model_fields if name in body}
        return Findings.model_validate(known)
    except OSError as error:
        raise BadSnapshot(f"cannot read {path}: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors()[0]
        raise BadSnapshot(f"{path} holds no conclusion: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    except (ValueError, TypeError) as error:
        raise BadSnapshot(f"{path} holds no conclusion: {error}") from None


def _tested(hypothesis: Hypothesis, verdict: Verdict) -> Judged:
    trigger = hypothesis.trigger
    return Judged(
        kind=hypothesis.kind,
        entity=hypothesis.entity,
        change=trigger.attributes.get("change_id", "") if trigger else "",
        result=verdict.result,
        reason=verdict.reason,
        probability=verdict.probability,
        arguments=tuple(a.model_copy(update={"weight": round(a.weight, _DIGITS)}) for a in verdict.arguments),
    )
