"""A recommendation as a coding agent gets it: what is wrong, what to change, what to leave alone, how it is proven.

What others wrote (logs, commits, alerts, and a model that read them) stands between marks: whoever takes this up reads
it as data. The mark follows from the text, so that no text can hold its own mark, and the same one reads the same.
"""

import hashlib
import re
from collections.abc import Iterable, Sequence

from midwatch.claude.untrusted import DataMark
from midwatch.records import Conclusion, Incident, ToolCall
from midwatch.records.recommendation import Recommendation
from midwatch.storage.journal import Journal
from midwatch_kit.records import Observation

_MOST_EVIDENCE = 6
_PLAIN = re.compile(r"[\w.:/@*-]{1,120}")
"""Names that cannot be read as words to anybody; others stay out of the title."""


def handout(told: Recommendation, journal: Journal) -> str:
    """Return the spec as markdown, with the evidence of each incident that it would have prevented."""
    mark = DataMark(f"data-{hashlib.sha256(told.model_dump_json().encode()).hexdigest()[:8]}")
    fix = told.spec
    ours = fix.by == "code" and _PLAIN.fullmatch(told.entity) is not None
    worded = "a model that read the evidence" if fix.by == "model" else "midwatch, from the records"
    return "\n".join(
        [
            f"# {told.title if _PLAIN.fullmatch(told.entity) else 'What would have prevented an incident'}",
            "",
            f"Recommendation {told.id}, {told.category}, priority {told.priority}, {told.status}. "
            f"It would have prevented or shortened {len(told.incidents)} incident{'s' * (len(told.incidents) != 1)}.",
            "",
            "Your task is the change that the headings ask for: make it, with its tests, for somebody to review. "
            f"{mark.rule} It may be wrong as well: check each claim against the code before you act on it.",
            "",
            *_part("Problem", mark.around(fix.problem, worded)),
            *_part("What to change", fix.solution if ours else mark.around(fix.solution, worded)),
            *_part("Repositories", _listed(fix.repositories, mark, "not known: ask the owner")),
            *_part("Files", _listed(fix.files, mark, "not known: begin where the errors begin, see Evidence")),
            *_part("Tests required", _listed(fix.tests, mark, "one that fails before the change and passes after it")),
            *_part("Stages", _numbered(fix.stages) if ours else _listed(fix.stages, mark, "one")),
            *_part("What not to touch", [_rest(fix.leave_alone, mark), *_always()]),
            *_part("Evidence", _evidence(told, journal, mark)),
        ]
    ).rstrip()


def _part(title: str, lines: str | Iterable[str]) -> list[str]:
    return [f"## {title}", "", *([lines] if isinstance(lines, str) else lines), ""]


def _listed(items: Sequence[str], mark: DataMark, otherwise: str) -> str:
    """Return items as a list of data; paths and error texts were written by others."""
    return mark.around(_numbered(items), "the records") if items else f"{otherwise[0].upper()}{otherwise[1:]}."


def _numbered(items: Sequence[str]) -> str:
    return "\n".join(f"{number}. {_flat(item)}" for number, item in enumerate(items, start=1))


def _rest(items: Sequence[str], mark: DataMark) -> str:
    return _listed(items, mark, "nothing in particular")


def _always() -> list[str]:
    return [
        "",
        "- Files that are not named above, but for their tests. Where it cannot be done without them, say so.",
        "- Alerts, limits and tests that caught this: a fix does not make them quieter.",
        "- Production: this asks for a change that is reviewed, not for one that is deployed.",
    ]


def _evidence(told: Recommendation, journal: Journal, mark: DataMark) -> Iterable[str]:
    for name in told.incidents:
        versions, concluded = journal.values(name, Incident), journal.values(name, Conclusion)
        if not versions or not concluded:
            continue
        said = [f"{versions[-1].title}: {concluded[-1].statement}", *_cited(name, concluded[-1], journal)]
        yield mark.around("\n".join(map(_flat, said)), f"incident {name}")
        yield f"All of it: `midwatch report {name}`, or the resource midwatch://incident/{name}/packet"
        yield ""


def _cited(name: str, concluded: Conclusion, journal: Journal) -> Iterable[str]:
    seen = {o.id: o for o in journal.values(name, Observation)}
    pages = {c.evidence.id: c.evidence.url for c in journal.values(name, ToolCall) if c.evidence and c.evidence.url}
    named = dict.fromkeys(each for cause in concluded.root_causes for each in cause.supports if each in seen)
    for each in [*named][:_MOST_EVIDENCE]:
        evidence = seen[each].citations[0].evidence if seen[each].citations else ""
        page = f", {pages[evidence]}" if evidence in pages else ""
        yield f"- {seen[each].statement} [midwatch://evidence/{evidence}/page/0{page}]"


def _flat(text: str) -> str:
    return " ".join(text.split())
