"""A notice in words: the lines that every medium lays out in its own way, each still to be escaped."""

from dataclasses import dataclass, replace
from typing import Final

from midwatch.channels.escaping import cut
from midwatch.channels.letters import Letter
from midwatch.channels.notices import Notice
from midwatch_kit.window import rfc3339

MARKS: Final = {
    "opened": "🔎", "concluded": "📋", "waits": "✋", "decided": "🗳️", "acted": "🔧",
    "recovered": "✅", "reopened": "🔁", "failed": "⚠️", "closed": "🗄️",
}  # fmt: skip
MOST_STEPS: Final = 20


@dataclass(frozen=True)
class Part:
    """A heading with a text or a list; `decides` says that a person has to see all of it to decide on a plan."""

    heading: str
    lines: tuple[str, ...]
    listed: bool = True
    decides: bool = False

    def shortened(self, most: int, longest: int) -> "Part":
        """Return the part with so many lines of so many characters; what was left out is counted."""
        left = len(self.lines) - most
        more = (f"… and {left} more",) if left > 0 else ()
        return replace(self, lines=(*(cut(line, longest) for line in self.lines[:most]), *more))


def title(notice: Notice) -> str:
    """Return the incident's name with where it stands."""
    return f"{notice.title} — {notice.headline}"


def facts(notice: Notice) -> list[tuple[str, str]]:
    """Return names and values to be read at a glance."""
    known = [
        ("Service", notice.service),
        ("Severity", str(notice.severity)),
        ("Began", rfc3339(notice.started_at.replace(microsecond=0))),
        ("Status", notice.status.replace("_", " ") + (f": {notice.reason}" if notice.reason else "")),
        ("Outcome", notice.outcome),
        ("Owner", notice.owner),
        ("Alerts", str(notice.alerts) if notice.alerts > 1 else ""),
    ]
    return [(name, value) for name, value in known if value]


def parts(notice: Notice) -> list[Part]:
    """Return what is known, in the order in which a person asks for it; what is not known yet is left out."""
    told: list[Part] = []
    if notice.conclusion:
        told.append(Part("Conclusion", (notice.conclusion,), listed=False))
    for cause in notice.causes:
        sure = f" (no surer than {cause.confidence:.2f}: {cause.limited})" if cause.limited else ""
        told.append(Part("Root cause", (f"{cause.text}{sure}", f"path: {cause.path}"), listed=False))
        told.append(Part("Because", cause.because))
    told += [
        Part("Impact", (notice.impact,) if notice.impact else (), listed=False),
        Part("Ruled out", notice.ruled_out),
        Part("Not looked at", notice.gaps),
        Part("Next check", notice.next_checks),
        Part("Health", notice.health),
        *_plan(notice),
    ]
    return [part for part in told if part.lines]


def how_to_go_on(notice: Notice) -> list[str]:
    """Return what a person can do from anywhere: the commands, with the ids filled in."""
    lines = [f"midwatch report {notice.incident}"]
    if notice.plan and notice.plan.waits:
        lines.append(f"midwatch approve {notice.incident} {notice.plan.digest[:12]}")
        lines.append(f"midwatch reject {notice.incident} {notice.plan.digest[:12]}")
    return lines


def signature(letter: Letter) -> str:
    """Return the line by which a message is found again; it says nothing else."""
    return f"midwatch {letter.notice.incident} · {letter.id}"


def plain_text(letter: Letter) -> str:
    """Return a letter as plain text, for places without markup."""
    notice = letter.notice
    lines = [title(notice), ""]
    if letter.points:
        lines += [f"{point.at:%H:%M:%S} UTC  {point.text}" for point in letter.points] + [""]
    lines += [f"{name}: {value}" for name, value in facts(notice)]
    for part in parts(notice):
        if part.listed:
            lines += ["", f"{part.heading}:", *(f"- {line}" for line in part.lines)]
        else:
            lines += ["", f"{part.heading}: {part.lines[0]}", *(f"  {line}" for line in part.lines[1:])]
    return "\n".join([*lines, "", *how_to_go_on(notice), signature(letter)])


def _plan(notice: Notice) -> list[Part]:
    plan = notice.plan
    if plan is None or not (plan.steps or plan.action):
        return []
    said = [plan.action, f"why: {plan.reasoning}", f"risk: {plan.risk}"]
    said += [f"touches: {plan.touches}"] if plan.touches else []
    more = [f"… and {len(plan.steps) - MOST_STEPS} more steps"] if len(plan.steps) > MOST_STEPS else []
    return [
        Part(f"Plan {plan.digest[:12]}" if plan.steps else "Suggested", tuple(said), listed=False, decides=True),
        Part("Steps", (*plan.steps[:MOST_STEPS], *more), decides=True),
        Part("Decision", (plan.decided,) if plan.decided else (), listed=False),
        Part("Done", plan.done),
    ]
