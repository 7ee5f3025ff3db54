"""HolmesGPT's own loop on the same question, with the suite's servers as its tools, with or without their surveys.

`holmes investigate alertmanager` gets the alert from where it would, and nothing else of the case. Its own toolsets
that would look at this machine or a cluster are off; what its prompt says of them stays as it is. HolmesGPT asks for
its answers in one piece, so it waits for them as long as its own limit lets it.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

import yaml
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from midwatch.cases.replay import received_in
from midwatch.errors import HostError
from midwatch_bench.bridge import serving
from midwatch_bench.played.desk import Arm, Desk, Run

MODEL: Final = "claude-sonnet-5-5"
"""The one that leads in midwatch's own arms; HolmesGPT asks one model for everything."""
SERVERS: Final = ("logs", "metrics", "traces", "deploys")
_OFF: Final = (
    "kubernetes/core",
    "kubernetes/live-metrics",
    "kubernetes/logs",
    "kubernetes/kube-prometheus-stack",
    "internet",
    "connectivity_check",
    "bash",
)
"""What is on by default and would look at the machine that measures, where the answers lie."""
_PATIENCE: Final = {"LLM_REQUEST_TIMEOUT": "36000", "MCP_TOOL_CALL_TIMEOUT_SEC": "300", "SSE_READ_TIMEOUT": "300"}
_OF_THE_MODEL: Final = {
    "TEMPERATURE": "none",
    "OVERRIDE_MAX_CONTENT_SIZE": "200000",
    "OVERRIDE_MAX_OUTPUT_TOKEN": "16000",
}
"""What newer models need said: they refuse a temperature, and LiteLLM's list, read offline, does not know them."""


def investigate(run: Run, desk: Desk, url: str, holmes: Path) -> dict[str, Any]:
    """Have HolmesGPT investigate a case's alert with the model at `url`, and return what came of it.

    Raises `HostError` when it broke.
    """
    work = desk.work(run)
    shutil.copytree(desk.store(run.case), work / "store")
    (work / "home").mkdir()
    (work / "config.yaml").write_text(yaml.safe_dump(config_of(work, surveys=run.arm is Arm.HOLMES)), encoding="utf-8")
    began = time.monotonic()
    with serving(alertmanager(work / "store")) as alerts:
        command = [str(holmes), "investigate", "alertmanager", "--alertmanager-url", alerts]
        command += ["--model", f"anthropic/{MODEL}", "--config", str(work / "config.yaml")]
        command += ["--json-output-file", str(work / "answer.json")]
        done = subprocess.run(
            command, env=_environment(work, url), cwd=work, stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
    (work / "log.txt").write_bytes(done.stdout + done.stderr)
    if done.returncode or not (work / "answer.json").exists():
        raise HostError(f"holmes ended with {done.returncode}: {done.stderr.decode(errors='replace')[-500:]}")
    ((answer,),) = [json.loads((work / "answer.json").read_text(encoding="utf-8"))]
    return {**came_of(answer), "seconds": round(time.monotonic() - began, 1)}


def came_of(answer: dict[str, Any]) -> dict[str, Any]:
    """Return what HolmesGPT says of its investigation; whether that is right is for a person to say."""
    result = answer["result"]
    tools = [call.get("tool_name", "") for call in result.get("tool_calls") or []]
    return {"conclusion": result.get("result") or "", "right": None, "tool_calls": len(tools), "tools": tools}


def alertmanager(store: Path) -> Starlette:
    """Return an Alertmanager that has one alert: a snapshot's first one, as it was sent."""
    sent: Any = received_in(store).received[0].raw
    state = {"state": "active", "silencedBy": [], "inhibitedBy": []}
    more = {"status": state, "receivers": [{"name": sent["receiver"]}]}
    alerts = [{**sent["alerts"][0], **more, "updatedAt": sent["alerts"][0]["startsAt"]}]

    def listed(_: Request) -> JSONResponse:
        return JSONResponse(alerts)

    return Starlette(routes=[Route("/api/v2/alerts", listed)])


def config_of(work: Path, *, surveys: bool) -> dict[str, Any]:
    """Return HolmesGPT's settings: the suite's servers, each on its own over the case's store."""
    env = {"MIDWATCH_STORE": str(work / "store"), "XDG_CACHE_HOME": str(work / "home")}
    servers = {
        name: {
            "description": f"{name} of the application",
            "config": {"mode": "stdio", "command": sys.executable, "args": _started(name, surveys=surveys), "env": env},
        }
        for name in SERVERS
    }
    return {"toolsets": {name: {"enabled": False} for name in _OFF}, "mcp_servers": servers}


def _started(name: str, *, surveys: bool) -> list[str]:
    """Return how a server is started; the survey of changes is a list and no statistics, and the only one there is."""
    return ["-m", f"midwatch_{name}"] if surveys or name == "deploys" else ["-m", "midwatch_bench.played.raw", name]


def _environment(work: Path, url: str) -> dict[str, str]:
    own = {name: os.environ[name] for name in ("PATH", "LANG", "TZ") if name in os.environ}
    return {
        **own,
        **_PATIENCE,
        **_OF_THE_MODEL,
        "HOME": str(work / "home"),
        "TMPDIR": str(work / "home"),
        "ANTHROPIC_API_BASE": url,
        "ANTHROPIC_API_KEY": "any",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "NO_PROXY": "127.0.0.1",
        "COLUMNS": "200",
    }
