"""What people tell an investigation while it runs, or after: read from the journal, heeded by the next look.

A steer is noted when it is told and once more, with its effect, by the look that heeded it. One without an effect
yet is what makes an investigation look again. Nothing here tests or judges: a steer becomes a `Steering`.
"""

from collections.abc import Iterable, Mapping, Sequence

from ulid import ULID

from midwatch.journal import Journal
from midwatch.records import Conclusion, Hypothesis, Steer, Verdict
from midwatch.steering import Check, Steering
from midwatch_kit.records import Observation

_HEEDED = ":heeded"


def tell(journal: Journal, investigation: str, steer: Steer) -> str:
    """Put on record what a person says, and return its key; the next look heeds it."""
    key = f"told:{ULID()}"
    journal.note(investigation, "steer", key, steer, steer.by)
    return key


def told(journal: Journal, investigation: str) -> dict[str, Steer]:
    """Return everything that people have told an investigation, by key, in order."""
    return {key: steer for key, steer in _noted(journal, investigation).items() if not key.endswith(_HEEDED)}


def unheeded(journal: Journal, investigation: str) -> dict[str, Steer]:
    """Return what was told and has had no effect yet, by key, in order."""
    noted = _noted(journal, investigation)
    return {key: steer for key, steer in noted.items() if f"{key.removesuffix(_HEEDED)}{_HEEDED}" not in noted}


def look_of(journal: Journal, investigation: str) -> int:
    """Return the number of the look that an investigation is at, from 1; each ends in a conclusion of its own."""
    concluded = len(journal.values(investigation, Conclusion))
    return concluded + bool(unheeded(journal, investigation)) if concluded else 1


def as_steering(steer: Steer) -> Steering:
    """Return what a person told in the shape in which teams guide investigations."""
    check = Check(kind=steer.kind, entity=steer.entity, because=steer.text) if steer.kind and steer.entity else None
    return Steering(
        name=steer.by,
        description="told by a person",
        checks=(check,) if check else (),
        ignore=(steer.ignore,) if steer.ignore else (),
        leave_out=(steer.leave_out,) if steer.leave_out else (),
    )


def heed(
    journal: Journal,
    investigation: str,
    heard: Mapping[str, Steer],
    tested: Sequence[tuple[Hypothesis, Verdict]],
    noise: Sequence[Observation],
) -> None:
    """Note the effect of each steer that a look heard: how its hypothesis fared, and how much it left out."""
    for key, steer in heard.items():
        effect = "; ".join([*_tested(steer, tested), *_left_out(steer, noise)]) or "on record; it asked for nothing"
        journal.note(investigation, "steer", f"{key}{_HEEDED}", steer.model_copy(update={"effect": effect[:600]}))


def _tested(steer: Steer, tested: Iterable[tuple[Hypothesis, Verdict]]) -> list[str]:
    if not (steer.kind and steer.entity):
        return []
    own = [(h, v) for h, v in tested if (h.kind, h.entity) == (steer.kind, steer.entity)]
    said = [f"tested {h.kind} at {h.entity}: {v.result}, {v.reason}" for h, v in own]
    return said or [f"{steer.kind} at {steer.entity} was not tested: the entity is left out"]


def _left_out(steer: Steer, noise: Iterable[Observation]) -> list[str]:
    guide = as_steering(steer)
    count = sum(guide.silences(observation) for observation in noise)
    return [f"observations left out: {count}"] if steer.leave_out or steer.ignore else []


def _noted(journal: Journal, investigation: str) -> dict[str, Steer]:
    noted = journal.entries(investigation, kind="steer")
    return {entry.key: Steer.model_validate(entry.body) for entry in noted}
