"""What changed between two conclusions on the same incident: pure, from two findings to a list of differences.

Ids of observations and evidence are of a run, so they are no difference; what was said and how it was weighed is.
"""

from collections.abc import Iterable, Iterator, Sequence
from textwrap import shorten
from typing import TypeAlias

from midwatch.reading.findings import Findings, Judged
from midwatch.records import Argument, Cause, Conclusion
from midwatch.records.conclusion import Difference

Key: TypeAlias = tuple[str, str, str]
_LEAST = 0.005
"""Log-odds; less is not told."""
_WIDTH = 120
_MUCH_SURER = 0.1
"""A confidence that moves by less makes no new version."""


def differences(a: Findings, b: Findings) -> list[Difference]:
    """Return what is different in `b`; nothing when both say the same for the same reasons."""
    return [
        *_one("outcome", a.conclusion.outcome, b.conclusion.outcome),
        *_one("statement", a.conclusion.statement, b.conclusion.statement),
        *_causes(a.conclusion.root_causes, b.conclusion.root_causes),
        *_verdicts(a.tested, b.tested),
        *_many("gap", _gaps(a), _gaps(b)),
        *_many("next check", _checks(a), _checks(b)),
        *_plans(a, b),
    ]


def material(was: Conclusion, now: Conclusion) -> list[Difference]:
    """Return what makes `now` another conclusion: its outcome, its causes, or a confidence that moved by 0.1 or more.

    A cause that is none any more has the reason by which it was ruled out.
    """
    later, places = {_place(cause): cause for cause in now.root_causes}, [*map(_place, was.root_causes)]
    out = {rule.statement.partition(": ")[0]: rule.reason for rule in now.ruled_out}
    gone = [cause for cause in was.root_causes if _place(cause) not in later]
    because = [f"{_place(c)}: {why}" for c in gone if (why := out.get(f"{c.kind} at {c.entity}"))]
    same = [(c, later[_place(c)]) for c in was.root_causes if _place(c) in later]
    surer = [(c, other) for c, other in same if round(abs(other.confidence - c.confidence), 3) >= _MUCH_SURER]
    return [
        *_one("outcome", was.outcome, now.outcome),
        *_one("root cause", ", ".join(places), ", ".join(later), because),
        *(moved for c, other in surer for moved in _confidence(c, other)),
    ]


def as_text(found: Sequence[Difference]) -> str:
    """Return differences as lines for people."""
    lines: list[str] = []
    for one in found:
        lines.append(f"{one.what}: {_short(one.was)} → {_short(one.now)}")
        lines += [f"  {_short(why)}" for why in one.because]
    return "\n".join(lines) or "nothing differs"


def _short(text: str) -> str:
    return shorten(text, _WIDTH, placeholder="…") or "(none)"


def _one(what: str, was: str, now: str, because: Iterable[str] = ()) -> list[Difference]:
    return [Difference(what=what, was=was, now=now, because=tuple(because))] if was != now else []


def _many(what: str, was: Sequence[str], now: Sequence[str]) -> Iterator[Difference]:
    yield from (Difference(what=what, was=text, now="") for text in was if text not in now)
    yield from (Difference(what=what, was="", now=text) for text in now if text not in was)


def _causes(was: Sequence[Cause], now: Sequence[Cause]) -> Iterator[Difference]:
    yield from _one("root cause", ", ".join(map(_place, was)), ", ".join(map(_place, now)))
    later = {_place(cause): cause for cause in now}
    for cause in was:
        if same := later.get(_place(cause)):
            yield from _confidence(cause, same)
            yield from _one(f"path of {_place(cause)}", " → ".join(cause.path), " → ".join(same.path))


def _confidence(was: Cause, now: Cause) -> list[Difference]:
    return _one(f"confidence of {_place(was)}", f"{was.confidence:.2f}", f"{now.confidence:.2f}")


def _place(cause: Cause) -> str:
    change = cause.trigger.attributes.get("change_id", "") if cause.trigger else ""
    return f"{cause.kind} at {cause.entity}" + (f" ({change})" if change else "")


def _verdicts(was: Sequence[Judged], now: Sequence[Judged]) -> Iterator[Difference]:
    """Tell verdicts that flipped, or moved; a side of which only a conclusion was kept has none to compare."""
    if not (was and now):
        return
    before, after = _by_key(was), _by_key(now)
    for key in [*before, *(key for key in after if key not in before)]:
        one, other = before.get(key), after.get(key)
        was_told, now_told = (f"{t.result} ({t.probability:.2f})" if t else "not tested" for t in (one, other))
        because = _weighed(one.arguments, other.arguments) if one and other else ()
        yield from _one(f"verdict on {_named(key)}", was_told, now_told, because)


def _by_key(tested: Iterable[Judged]) -> dict[Key, Judged]:
    return {(t.kind.value, t.entity, t.change): t for t in tested}


def _named(key: Key) -> str:
    kind, entity, change = key
    return f"{kind} at {entity}" + (f" ({change})" if change else "")


def _weighed(was: Sequence[Argument], now: Sequence[Argument]) -> list[str]:
    """Return the arguments whose weight changed, those that changed most first."""
    before, after = {a.name: a for a in was}, {a.name: a for a in now}
    moved: list[tuple[float, str]] = []
    for name in [*before, *(name for name in after if name not in before)]:
        one, other = before.get(name), after.get(name)
        change = (other.weight if other else 0.0) - (one.weight if one else 0.0)
        if abs(change) > _LEAST:
            text = (other or one or now[0]).text
            moved.append((-abs(change), f"{name}: {_weight(one)} → {_weight(other)}: {text}"))
    return [text for _, text in sorted(moved)]


def _weight(argument: Argument | None) -> str:
    if argument is None:
        return "not heard"
    return "kills" if argument.weight <= -1e8 else f"{argument.weight:+.2f}"


def _gaps(found: Findings) -> list[str]:
    return list(dict.fromkeys(f"{gap.what}: {gap.why}" for gap in found.conclusion.gaps))


def _checks(found: Findings) -> list[str]:
    return [check.what for check in found.conclusion.next_checks]


def _plans(a: Findings, b: Findings) -> Iterator[Difference]:
    if a.plan and b.plan:
        yield from _one("plan", a.plan.action, b.plan.action)
        yield from _one("risk", a.plan.risk, b.plan.risk)
        steps = [[f"{step.phase}: {step.title}" for step in plan.steps] for plan in (a.plan, b.plan)]
        yield from _many("step", *steps)
