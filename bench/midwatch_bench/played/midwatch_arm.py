"""midwatch's own arms: `midwatch investigate` with the claude reasoner, with all it has, or without its surveys.

Limits of turns, tokens and money are the defaults. Limits of time are raised: a person plays more slowly than a model.
"""

import os
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from midwatch.accuracy.score import score
from midwatch.cases.snapshot import DECLARED, STEERING
from midwatch.errors import HostError
from midwatch.records import Conclusion, Gap, Message, ToolCall
from midwatch.storage.journal import Journal
from midwatch_bench.played.desk import Arm, Desk, Run
from midwatch_bench.played.elsewhere import SERVERS

_PATIENCE: Final = {
    "MIDWATCH_MODEL_CALL_SECONDS": "7200",
    "MIDWATCH_MODEL_TASK_SECONDS": "36000",
    "MIDWATCH_INVESTIGATION_SECONDS": "36000",
    "MIDWATCH_SUBAGENT_SECONDS": "600",
    "MIDWATCH_CALL_SECONDS": "300",
    "MIDWATCH_CONNECT_SECONDS": "300",
}
_NOWHERE: Final = "http://127.0.0.1:9"
"""Where roll-backs would be asked for, so that a plan can name one; nobody approves it."""
_FORBIDS: Final = """---
name: no-surveys
description: Statistics over all of a signal are not asked for.
forbid: ["logs.survey_*", "metrics.survey_*", "traces.survey_*"]
---
"""
_COUNTS: Final = re.compile(r": \w+; (\d+) findings, (\d+) dropped")


def investigate(run: Run, desk: Desk, url: str) -> dict[str, Any]:
    """Have a case investigated with the model at `url`, and return what came of it.

    Raises `HostError` when the investigation broke.
    """
    work = desk.work(run)
    shutil.copytree(desk.store(run.case), work / "store")
    began = time.monotonic()
    command = [sys.executable, "-m", "midwatch", "investigate", str(work / "store")]
    done = subprocess.run(
        command, env=_environment(run, desk, url), stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    (work / "log.txt").write_bytes(done.stdout + done.stderr)
    if done.returncode:
        raise HostError(f"midwatch ended with {done.returncode}: {done.stderr.decode(errors='replace')[-500:]}")
    return {**came_of(work / "data", run, desk), "seconds": round(time.monotonic() - began, 1)}


def came_of(data: Path, run: Run, desk: Desk) -> dict[str, Any]:
    """Return what a journal says of its investigation: the conclusion, who found what, and what could not be seen."""
    with closing(Journal(data / "journal.db")) as journal:
        (name,) = journal.investigations()
        conclusion = journal.values(name, Conclusion)[-1]
        scored = score(name, journal, desk.truth(run.case))
        said = [message.text for message in journal.values(name, Message) if _COUNTS.search(message.text)]
        gaps = journal.values(name, Gap)
        tools = [f"{call.server}.{call.tool}" for call in journal.values(name, ToolCall)]
        by = Counter(entry.actor.split()[0] for entry in journal.entries(name) if entry.type == "model_call")
    counts = [tuple(map(int, found.groups())) for text in said if (found := _COUNTS.search(text))]
    return {
        "outcome": conclusion.outcome.value,
        "conclusion": conclusion.statement,
        "causes": [f"{cause.kind} {cause.entity} {cause.confidence:.2f}" for cause in conclusion.root_causes],
        "right": scored.right,
        "not_ruled_out": [f"{each.kind} {each.entity}" for each in scored.not_ruled_out],
        "calls_by_role": dict(sorted(by.items())),
        "tool_calls": len(tools),
        "findings": sum(found for found, _ in counts),
        "dropped": sum(dropped for _, dropped in counts),
        "said": said,
        "gaps": [f"{gap.what}: {gap.why}" for gap in gaps],
    }


def _environment(run: Run, desk: Desk, url: str) -> dict[str, str]:
    """Return the settings: those under which the case was investigated at first, and the model."""
    work, conditions = desk.work(run), desk.conditions(run.case)
    declared, servers = work / "store" / DECLARED, desk.case(run.case) / SERVERS
    own = {name: value for name, value in os.environ.items() if not name.startswith(("MIDWATCH_", "ANTHROPIC_"))}
    own.pop("CI", None)  # with it, plans are approved
    return {
        **own,
        **_PATIENCE,
        "MIDWATCH_REASONER": "claude",
        "MIDWATCH_MODEL_BASE_URL": url,
        "MIDWATCH_MODEL_API_KEY": "any",
        "MIDWATCH_DATA_DIR": str(work / "data"),
        "MIDWATCH_STEERING_DIR": str(_steering(work, surveys=run.arm is Arm.SURVEYS)),
        "MIDWATCH_LOOKBACK_SECONDS": str(conditions.lookback_seconds),
        "MIDWATCH_GATHER_SECONDS": str(conditions.gather_seconds),
        "MIDWATCH_INVESTIGATION_CALLS": str(conditions.investigation_calls),
        "MIDWATCH_SUBAGENT_CALLS": str(conditions.subagent_calls),
        **({"MIDWATCH_ROLL_BACK_URL": _NOWHERE} if conditions.can_roll_back else {}),
        **({"MIDWATCH_DECLARED_TOPOLOGY": str(declared)} if declared.exists() else {}),
        **({"MIDWATCH_SERVERS_FILE": str(servers)} if servers.exists() else {}),
    }


def _steering(work: Path, *, surveys: bool) -> Path:
    """Return the folder with what guides a run: what the case came with, and perhaps no surveys."""
    folder = work / STEERING
    given = work / "store" / STEERING
    if given.exists():
        shutil.copytree(given, folder)
    folder.mkdir(exist_ok=True)
    if not surveys:
        (folder / "no-surveys.md").write_text(_FORBIDS, encoding="utf-8")
    return folder
