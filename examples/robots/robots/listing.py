"""What is told about the faults without running one: as text, as JSON, and as the table in the README."""

import json

from robots.faults import FAULTS
from robots.scene import Fault, Truth

SEEDS = range(1, 9)


def as_text() -> str:
    """Return every fault with what it breaks, what a person sees, its fix, and what is to be ruled out."""
    return "\n".join(map(_text, FAULTS.values()))


def as_json() -> str:
    """Return the same as a JSON array."""
    described = [
        {"name": fault.name, "breaks": fault.breaks, "seen": fault.seen, "fix": fault.fix, "ruled_out": fault.ruled_out}
        for fault in FAULTS.values()
    ]
    return json.dumps(described, indent=2)


def as_table() -> str:
    """Return a Markdown table: every fault with its truth, what it breaks, and its fix."""
    rows = [f"| `{fault.name}` | {_truths(fault)} | {fault.breaks} | {fault.fix} |" for fault in FAULTS.values()]
    return "\n".join(["| fault | truth | what happens | fix |", "|---|---|---|---|", *rows])


def _text(fault: Fault) -> str:
    ruled_out = "".join(f"\n  - {herring}" for herring in fault.ruled_out)
    return f"{fault.name}\n  {fault.breaks}\n  {fault.seen}\n  Fix: {fault.fix}\n  To be ruled out:{ruled_out}"


def _truths(fault: Fault) -> str:
    """Return what the truth is by some seeds; they differ in instances."""
    told = [_truth(fault.truth(fault.plan(seed))) for seed in SEEDS]
    return " or ".join(sorted(dict.fromkeys(told)))


def _truth(truth: Truth) -> str:
    return " and ".join(f"{cause.kind} `{cause.entity}`" for cause in truth.causes) or "no incident"
