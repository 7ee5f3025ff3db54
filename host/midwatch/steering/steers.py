"""What people tell an investigation while it runs, or after: read from the journal, heeded by the next look.

A steer is noted when it is told and once more, with its effect, by the look that heeded it. One without an effect
yet is what makes an investigation look again; a look that is under way ends for it. Nothing here tests or judges: a
steer becomes a `Steering`, or a window.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from ulid import ULID

from midwatch.records import Hypothesis, Message, Scope, Steer, Verdict
from midwatch.steering.files import Check, Steering
from midwatch.storage.journal import Entry, Journal
from midwatch_kit.records import Observation, Window
from midwatch_kit.window import clock, rfc3339

_HEEDED = ":heeded"
_LOOK, _ENDED = "look:", ":ended"


def tell(journal: Journal, investigation: str, steer: Steer) -> str:
    """Put on record what a person says, and return its key; the next look heeds it."""
    key = f"told:{ULID()}"
    said = steer if steer.at else steer.model_copy(update={"at": datetime.now(UTC).replace(microsecond=0)})
    journal.note(investigation, "steer", key, said, steer.by)
    return key


def told(journal: Journal, investigation: str) -> dict[str, Steer]:
    """Return everything that people have told an investigation, by key, in order."""
    return {entry.key: Steer.model_validate(entry.body) for entry in _told(journal, investigation)}


def unheeded(journal: Journal, investigation: str) -> dict[str, Steer]:
    """Return what was told and no look that concluded has heeded, by key, in order."""
    noted = [*journal.entries(investigation, kind="steer")]
    heeded = {entry.key.removesuffix(_HEEDED) for entry in noted if entry.key.endswith(_HEEDED)}
    new = [entry for entry in noted if not entry.key.endswith(_HEEDED) and entry.key not in heeded]
    if not new:
        return {}
    until = _heard_until(journal, investigation)
    return {entry.key: Steer.model_validate(entry.body) for entry in new if entry.seq > until}


def look_of(journal: Journal, investigation: str) -> int:
    """Return the number of the look that an investigation is at, from 1; each concludes, or ends for a steer."""
    ended = len([*journal.entries(investigation, kind="conclusion")]) + len(_ends(journal, investigation))
    return max(1, ended + bool(unheeded(journal, investigation)))


def hear(journal: Journal, investigation: str, look: int) -> dict[str, Steer]:
    """Return what a look heeds: all that was told before it began, which is on record where anything was.

    Asked again, as after a crash, it is the same.
    """
    known = [*_told(journal, investigation)]
    if not known:
        return {}
    words = "; ".join(f"{entry.body['by']}: {entry.body['text']}" for entry in known)
    begun = Message(text=f"look {look} heeds {words}")
    journal.note(investigation, "message", f"{_LOOK}{look}", begun)
    at = next(e.seq for e in journal.entries(investigation, kind="message") if e.key == f"{_LOOK}{look}")
    return {e.key: Steer.model_validate(e.body) for e in _told(journal, investigation) if e.seq < at}


def end(journal: Journal, investigation: str, look: int, news: Mapping[str, Steer]) -> None:
    """Put on record that a look ended before it concluded, since somebody told something else."""
    words = "; ".join(f"{steer.by}: {steer.text}" for steer in news.values())
    said = Message(text=f"look {look} ended before it concluded, to look again: {words}")
    journal.note(investigation, "message", f"{_LOOK}{look}{_ENDED}", said)


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
    windows: tuple[Scope, Scope],
) -> None:
    """Note the effect of each steer that a look heard: how its hypothesis fared, how much it left out, when it looked.

    `windows` are the scope of the look before (of the first: as it would be) and its own.
    """
    last = next((key for key, steer in reversed([*heard.items()]) if chooses_window(steer)), "")
    for key, steer in heard.items():
        when = [_when(*windows) if key == last else "a later word chose the window"] if chooses_window(steer) else []
        effect = "; ".join([*when, *_tested(steer, tested), *_left_out(steer, noise)])
        said = steer.model_copy(update={"effect": effect[:600] or "on record; it asked for nothing"})
        journal.note(investigation, "steer", f"{key}{_HEEDED}", said)


def chooses_window(steer: Steer) -> bool:
    """Return whether a steer says when to look."""
    return steer.whole or any(said is not None for said in (steer.since, steer.until, steer.wave))


def meaning(steer: Steer) -> str:
    """Return what a steer asks for, in words."""
    times = f"{rfc3339(steer.since) if steer.since else '…'} to {rfc3339(steer.until) if steer.until else '…'}"
    wave = {1: "the first wave", -1: "the latest wave"}.get(steer.wave or 0, f"wave {steer.wave}")
    asked = [
        f"test {steer.kind} at {steer.entity}" if steer.kind else "",
        f"leave out {steer.leave_out}" if steer.leave_out else "",
        f"ignore what says {steer.ignore!r}" if steer.ignore else "",
        f"look only at {wave}" if steer.wave else "",
        f"look at {times}" if steer.since or steer.until else "",
        "look at the whole window again" if steer.whole else "",
    ]
    return "; ".join(filter(None, asked))


def span(window: Window) -> str:
    """Return a window for people, in times of day (UTC)."""
    return f"{clock(window.start)} to {clock(window.end)}"


def _when(was: Scope, now: Scope) -> str:
    why = f"; {now.chosen}" if now.chosen else ""
    if was.window == now.window:
        return f"window {span(now.window)}, as before{why}"
    return f"window {span(now.window)} instead of {span(was.window)}{why}"


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


def _told(journal: Journal, investigation: str) -> list[Entry]:
    noted = journal.entries(investigation, kind="steer")
    return [entry for entry in noted if not entry.key.endswith(_HEEDED)]


def _heard_until(journal: Journal, investigation: str) -> int:
    """Return the number of the record with which the last look that concluded began to heed what was told before."""
    concluded = {f"{_LOOK}{entry.key}" for entry in journal.entries(investigation, kind="conclusion")}
    begun = (e.seq for e in journal.entries(investigation, kind="message") if e.key in concluded)
    return max(begun, default=0)


def _ends(journal: Journal, investigation: str) -> list[Entry]:
    noted = journal.entries(investigation, kind="message")
    return [entry for entry in noted if entry.key.startswith(_LOOK) and entry.key.endswith(_ENDED)]
