"""A notice as Slack's Block Kit: the packet in blocks, within Slack's limits, and a plan's buttons while it waits.

What is approved has to be shown: a plan that does not fit as a whole has no buttons here.
"""

import json
from collections.abc import Iterable
from typing import Any, Final

from pydantic import JsonValue

from midwatch.channels import wording
from midwatch.channels.escaping import clean, cut, slack
from midwatch.channels.letters import Letter
from midwatch.channels.notices import Notice, PlanTold

MOST_BLOCKS: Final = 50
MOST_BYTES: Final = 12_000
"""Of all blocks as JSON: from about 13,200 on Slack answers `msg_blocks_too_long`, and documents no number."""
MOST_TEXT: Final = 3000
MOST_HEADER: Final = 150
MOST_FIELD: Final = 2000
MOST_FACT: Final = 300
MOST_FIELDS: Final = 10
MOST_CONFIRM: Final = 300
APPROVE: Final = "midwatch_approve"
REJECT: Final = "midwatch_reject"
_ROOM_FOR_THE_END: Final = 3
_SIZES: Final = ((100, MOST_TEXT), (3, 400), (1, 200))
"""How many lines are shown of what nobody decides on, and how much of each: less, until it is small enough."""
_REST: Final = "… the rest does not fit here: midwatch report shows it"
Block = dict[str, Any]


def message(letter: Letter, *, buttons: bool) -> Block:
    """Return `text` and `blocks` of the message that changes; `text` is what notifications and screen readers say."""
    notice = letter.notice
    blocks: list[Block] = [
        _header(f"{wording.MARKS[notice.stage]} {wording.title(notice)}"),
        {"type": "section", "fields": [_fact(*fact) for fact in wording.facts(notice)][:MOST_FIELDS]},
    ]
    size = MOST_BYTES - _size([*blocks, *_end(letter, True, buttons)])
    body, whole = _body(notice, MOST_BLOCKS - len(blocks) - _ROOM_FOR_THE_END, size)
    whole = whole and all(len(slack(line)) < MOST_TEXT - 100 for line in _of_plan(notice))
    return {"text": _fit(wording.title(notice), MOST_TEXT), "blocks": [*blocks, *body, *_end(letter, whole, buttons)]}


def reply(letter: Letter) -> Block:
    """Return `text` and `blocks` of what is said in the thread: one line for each turning point."""
    lines = [f"{wording.MARKS[point.stage]} {slack(point.text)}" for point in letter.points]
    return {"text": _fit(letter.points[-1].text, MOST_TEXT), "blocks": _within([*_sections(lines)])}


def answer(lines: Iterable[str]) -> Block:
    """Return `text` and `blocks` of an answer to a question."""
    told = [*lines] or ["Nothing is known that answers it."]
    return {"text": _fit(told[0], MOST_TEXT), "blocks": _within([*_sections(map(slack, told))])}


def _body(notice: Notice, most: int, size: int) -> tuple[list[Block], bool]:
    """Return what is told, in so many blocks of so many bytes, and whether what a person decides on is whole."""
    body: list[Block] = []
    for lines, longest in _SIZES:
        parts = (part if part.decides else part.shortened(lines, longest) for part in wording.parts(notice))
        body = [block for part in parts for block in _part(part)]
        if len(body) <= most and _size(body) <= size:
            return body, True
    return _within(body, most, size), False


def _within(blocks: list[Block], most: int = MOST_BLOCKS, size: int = MOST_BYTES) -> list[Block]:
    """Return as many of the first blocks as fit; where that is not all of them, the last says so."""
    if len(blocks) <= most and _size(blocks) <= size:
        return blocks
    rest = _context([slack(_REST)])
    kept: list[Block] = []
    left = size - _size([rest])
    for block in blocks[: most - 1]:
        left -= _size(block) + 1
        if left < 0:
            break
        kept.append(block)
    return [*kept, rest]


def _size(blocks: Block | list[Block]) -> int:
    return len(json.dumps(blocks, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace"))


def _of_plan(notice: Notice) -> Iterable[str]:
    plan = notice.plan
    return (plan.action, plan.reasoning, plan.risk, plan.touches, *plan.steps) if plan else ()


def _end(letter: Letter, whole: bool, buttons: bool) -> Iterable[Block]:
    plan = letter.notice.plan
    if plan and plan.waits and buttons and whole and len(plan.steps) <= wording.MOST_STEPS:
        yield _buttons(letter.notice, plan)
    elif plan and plan.waits and buttons:
        yield _context([slack("The plan does not fit here as a whole, so it cannot be approved here.")])
    said = " · ".join(f"`{line}`" for line in wording.how_to_go_on(letter.notice))
    yield _context([cut(said, MOST_FIELD), _fit(wording.signature(letter), MOST_FIELD)])


def _buttons(notice: Notice, plan: PlanTold) -> Block:
    def button(action: str, label: str, style: str, question: str) -> Block:
        asked = {
            "title": _plain("Are you sure?", 100),
            "text": _plain(question, MOST_CONFIRM),
            "confirm": _plain(label, 30),
            "deny": _plain("Cancel", 30),
            "style": style,
        }
        value = f"{notice.incident}:{plan.digest}"
        said = _plain(f"{label} {plan.digest[:12]}", 75)
        return {"type": "button", "action_id": action, "text": said, "value": value, "style": style, "confirm": asked}

    yes = f"midwatch will change production: {plan.action}. Risk: {plan.risk} (plan {plan.digest[:12]})"
    no = f"The plan will not run: {plan.action} (plan {plan.digest[:12]})"
    elements = [button(APPROVE, "Approve", "primary", yes), button(REJECT, "Reject", "danger", no)]
    return {"type": "actions", "block_id": f"plan:{plan.digest[:40]}", "elements": elements}


def _part(part: wording.Part) -> list[Block]:
    head = f"*{slack(part.heading)}*"
    if part.listed:
        return [*_sections([head, *(f"• {slack(line)}" for line in part.lines)])]
    first, *rest = part.lines
    return [*_sections([f"{head}: {slack(first)}", *map(slack, rest)])]


def _sections(lines: Iterable[str]) -> Iterable[Block]:
    """Yield sections that hold lines, as many in each as fit."""
    held: list[str] = []
    size = 0
    for line in (_cut_escaped(each, MOST_TEXT) for each in lines):
        if held and size + len(line) + 1 > MOST_TEXT:
            yield _section("\n".join(held))
            held, size = [], 0
        held.append(line)
        size += len(line) + 1
    if held:
        yield _section("\n".join(held))


def _section(text: str) -> Block:
    return {"type": "section", "text": _mrkdwn(text), "expand": True}


def _context(texts: Iterable[str]) -> Block:
    return {"type": "context", "elements": [_mrkdwn(text) for text in texts]}


def _mrkdwn(text: str) -> Block:
    """Return a text with our markup; `verbatim` keeps Slack from making links of addresses and names in it."""
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _header(text: str) -> Block:
    return {"type": "header", "text": _plain(text, MOST_HEADER)}


def _fact(name: str, value: str) -> Block:
    return _mrkdwn(f"*{name}*\n{_fit(value, MOST_FACT)}")


def _plain(text: str, most: int) -> Block:
    return {"type": "plain_text", "text": cut(clean(text).replace("\n", " "), most), "emoji": True}


def _fit(text: str, most: int) -> str:
    return _cut_escaped(slack(text), most)


def _cut_escaped(text: str, most: int) -> str:
    """Return escaped text within a bound, not cut inside of an entity."""
    if len(text) <= most:
        return text
    kept = text[: most - 2]
    start = kept.rfind("&")
    return f"{kept[:start] if start >= 0 and ';' not in kept[start:] else kept} …"


def value_of(told: JsonValue) -> tuple[str, str]:
    """Return the incident and the digest that a button carries; raises `ValueError` for anything else."""
    if not isinstance(told, str) or len(told) > 200 or told.count(":") != 1:
        raise ValueError("it is no button of midwatch's")
    incident, digest = told.split(":")
    return incident, digest
