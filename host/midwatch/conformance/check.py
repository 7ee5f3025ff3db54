"""The contract check put together: connect, ask role by role, ask what cannot be answered, judge all that was said."""

import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mcp import types
from mcp.types.version import HANDSHAKE_PROTOCOL_VERSIONS, MODERN_PROTOCOL_VERSIONS
from pydantic import JsonValue

from midwatch.conformance.declared import declared, may_be_called, role_of
from midwatch.conformance.drilling import drill_down
from midwatch.conformance.envelope import envelope
from midwatch.conformance.probe import Probe
from midwatch.conformance.refusals import refuses
from midwatch.conformance.roles import alike, check, discover, survey
from midwatch.conformance.values import Values
from midwatch.conformance.verdicts import Report, Rule, Verdict
from midwatch.errors import Unreachable
from midwatch.mcp_client.links import connect, open_links
from midwatch.mcp_client.trust import pin_of
from midwatch.settings import ServerSpec
from midwatch_kit.evidence import EvidenceStore
from midwatch_kit.records import Window
from midwatch_kit.server import Role

_ERAS = Rule("eras of the protocol", "")
_KEEP_ALL = 2**62


@dataclass(frozen=True)
class Plan:
    """What to ask: the windows, how long a call may take, values that a person gave, and secrets to listen for."""

    window: Window
    baseline: Window
    call_seconds: float = 20.0
    connect_seconds: float = 60.0
    arguments: Mapping[str, JsonValue] = field(default_factory=dict)
    secrets: Sequence[str] = ()


async def check_server(spec: ServerSpec, plan: Plan) -> Report:
    """Check one server against the evidence contract; raises `Unreachable` when it cannot be connected to."""
    with tempfile.TemporaryDirectory(prefix="midwatch-check-") as made:
        folder = Path(made)
        async with open_links({"server": spec}, plan.connect_seconds, folder) as links:
            link = links["server"]
            trouble = "" if link.up else link.trouble or "not connected"
            kept = EvidenceStore(folder / "evidence", _KEEP_ALL)
            verdicts = [] if trouble else [v async for v in _verdicts(Probe(link, plan.call_seconds, kept), plan)]
            pins = tuple(f"{tool.name}@{pin_of(tool)}" for tool in link.tools if may_be_called(tool))
        if trouble:
            raise Unreachable(_scrubbed(f"{_name(spec)}: {trouble}", plan.secrets))
        verdicts.append(await _eras(spec, plan, folder))
    said = (Verdict(v.rule, v.mark, _scrubbed(v.seen, plan.secrets), v.do) for v in verdicts)
    return Report(_scrubbed(_name(spec), plan.secrets), tuple(said), pins)


async def _verdicts(probe: Probe, plan: Plan) -> AsyncIterator[Verdict]:
    offered = list(probe.link.tools)
    for verdict in declared(offered):
        yield verdict
    asked = [tool for tool in offered if may_be_called(tool)]
    values = Values(plan.window, plan.baseline, plan.arguments)
    trials = {Role.DISCOVER: discover, Role.SURVEY: survey, Role.DRILL_DOWN: drill_down, Role.CHECK: check}
    for role, trial in trials.items():
        async for verdict in trial(probe, _with(role, asked), values):
            yield verdict
    steady = [tool for tool in asked if role_of(tool) is not Role.CHECK]
    async for verdict in alike(probe, steady, values):
        yield verdict
    async for verdict in refuses(probe, asked, values):
        yield verdict
    for verdict in envelope(probe, plan.secrets):
        yield verdict


def _with(role: Role, tools: Sequence[types.Tool]) -> list[types.Tool]:
    return [tool for tool in tools if role_of(tool) is role]


async def _eras(spec: ServerSpec, plan: Plan, folder: Path) -> Verdict:
    """Say which eras the server answers in; one is enough for this host, so neither breaks a rule."""
    answered: list[str] = []
    for era, version in (("legacy", HANDSHAKE_PROTOCOL_VERSIONS[-1]), (MODERN_PROTOCOL_VERSIONS[-1],) * 2):
        try:
            async with connect(spec, plan.connect_seconds, folder / "eras.log", era) as client:
                await client.list_tools()
                answered.append(version)
        except Exception:  # noqa: S112 - any failure means the same here: not in this era
            continue
    both = len(answered) == 2
    return _ERAS.judged([], f"{' and '.join(answered)}") if both else _ERAS.untried(f"{', '.join(answered)} only")


def _name(spec: ServerSpec) -> str:
    return spec.url or " ".join([spec.command or "", *spec.args])


def _scrubbed(text: str, secrets: Sequence[str]) -> str:
    """Return a text with every secret that was handed over made unreadable: it may end in a log."""
    for secret in filter(None, secrets):
        text = text.replace(secret, "…")
    return text
