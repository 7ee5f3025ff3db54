"""House rules that require: met by code where it can; else nothing is called the root cause, and the file is named."""

from pathlib import Path

import pytest
from tests.steers.conftest import BEGAN, SEEN, a_host, an_incident, investigate, settings_of
from typer.testing import CliRunner

from midwatch.cli import app
from midwatch.errors import BadSteering
from midwatch.host import open_host
from midwatch.inquiry import Inquiry, Limits
from midwatch.mcp_client.toolbox import Eyes
from midwatch.records import (
    Cause,
    Conclusion,
    Gap,
    Hypothesis,
    HypothesisKind,
    Limit,
    Outcome,
    Scope,
    ToolCall,
    Verdict,
)
from midwatch.required import capped, unmet
from midwatch.steering.files import Requirement, Steering, read
from midwatch.steering.steers import tell
from midwatch.storage.journal import Journal
from midwatch.telling import Fields, steer_of
from midwatch_kit.evidence import EvidenceStore
from midwatch_kit.records import Entity, TopologyFragment, Window

MET = {
    "a survey, which is asked in any case": "{tool: waves.survey_waves, services: [gateway, bot]}",
    "a tool of which code knows all arguments": "{tool: waves.read_slo, services: [bot, forge]}",
    "any tool of a server": '{tool: "waves.*"}',
    "a cause that came out": "{kind: traffic, entity: 'service:gateway'}",
}
UNMET = {
    "{tool: waves.read_page}": "waves.read_page|nobody asked it: code does not know its page",
    "{tool: billing.read_invoices}": "billing.read_invoices|no server here offers it",
    "{tool: waves.survey_waves, services: [ledger]}": "waves.survey_waves about ledger|nobody asked it about ledger",
    "{kind: access, entity: 'service:ledger'}": "access at service:ledger|it was not tested: no server here knows",
}


def write(folder: Path, rule: str, more: str = "") -> None:
    (folder / "steering").mkdir(exist_ok=True)
    text = f"---\nname: house\ndescription: of all\nrequire:\n  - {rule}\n{more}---\n"
    (folder / "steering" / "house.md").write_text(text)


async def concluded(folder: Path, *ways: str) -> tuple[Conclusion, str]:
    async with a_host(folder, *ways) as host:
        incident = an_incident(host)
        done = await investigate(host, incident)
        return host.journal.values(incident.id, Conclusion)[-1], done.packet


@pytest.mark.parametrize("rule", MET.values(), ids=MET)
async def test_what_code_can_do_by_itself_it_does_and_the_rule_is_met(tmp_path: Path, rule: str) -> None:
    write(tmp_path, rule)
    conclusion, packet = await concluded(tmp_path)
    assert conclusion.outcome is Outcome.ROOT_CAUSE
    assert "house" not in packet


async def test_a_required_tool_is_asked_about_the_services_that_the_rule_names(tmp_path: Path) -> None:
    write(tmp_path, MET["a tool of which code knows all arguments"])
    async with a_host(tmp_path) as host:
        incident = an_incident(host)
        await investigate(host, incident)
        asked = [call for call in host.journal.values(incident.id, ToolCall) if call.tool == "read_slo"]
    assert [call.arguments for call in asked] == [{"service": "bot"}, {"service": "forge"}]
    assert all(call.evidence for call in asked)


@pytest.mark.parametrize("rule", UNMET)
async def test_what_is_missing_keeps_a_cause_from_being_called_the_root_cause(tmp_path: Path, rule: str) -> None:
    write(tmp_path, rule)
    conclusion, packet = await concluded(tmp_path)
    named, why = UNMET[rule].split("|")
    assert conclusion.outcome is Outcome.BEST_EFFORT
    assert conclusion.root_causes[0].entity == "service:bot"
    assert conclusion.statement.endswith("; it is not called the root cause, since house requires what is missing")
    (gap,) = [gap for gap in conclusion.gaps if gap.what == f"house rule house: {named}"]
    assert gap.why.startswith(why)
    assert conclusion.next_checks[0].why == "house requires it before a cause is called the root cause"
    assert f"Not looked at: house rule house: {named}: {why}" in packet


def test_a_cause_that_was_tested_and_came_out_neither_way_leaves_the_rule_unmet_and_caps_the_confidence(
    tmp_path: Path,
) -> None:
    rule = Requirement(kind=HypothesisKind.STATE, entity="service:bot")
    kept, limits = EvidenceStore(tmp_path, 2**30), Limits(seconds=1, calls=1, call_seconds=1)
    inquiry = Inquiry("i", Journal(None), Eyes({}, kept), kept, limits)
    entities = (Entity(id="service:bot", kind="service", name="bot"),)
    window, before = Window(start=BEGAN, end=SEEN), Window(start=BEGAN - (SEEN - BEGAN), end=BEGAN)
    scope = Scope(
        symptom="service:bot",
        window=window,
        baseline=before,
        onset=None,
        topology=TopologyFragment(entities=entities),
    )
    said = {"rationale": "r", "confirms": "c", "refutes": "d", "prior": 0.1}
    hypothesis = Hypothesis.model_validate({"id": "h", "kind": "state", "entity": "service:bot", **said})
    verdict = Verdict(hypothesis="h", result="inconclusive", reason="nothing was measured", probability=0.3)
    file = Steering(name="house", description="of all", require=(rule,))
    (missing,) = unmet(inquiry, scope, [file], [(hypothesis, verdict)])
    assert missing.why == "it was tested, and came out neither way: nothing was measured"
    cause = {"entity": "service:bot", "kind": "change", "statement": "s", "onset": None, "confidence": 0.95}
    sure = Cause.model_validate({**cause, "path": ["service:bot"], "supports": ["o"], "hypothesis": "h"})
    found = capped(Conclusion(outcome=Outcome.ROOT_CAUSE, statement="s", root_causes=(sure,)), [missing])
    assert (found.root_causes[0].confidence, found.root_causes[0].limited_by) == (0.7, Limit.HOUSE_RULE)
    assert found.outcome is Outcome.BEST_EFFORT
    none = Conclusion(outcome=Outcome.NO_INCIDENT, statement="s")
    assert capped(none, [missing]) == none


async def test_a_rule_that_is_met_later_leaves_no_gap_in_the_later_conclusion(tmp_path: Path) -> None:
    write(tmp_path, "{tool: billing.read_invoices}")
    settings = settings_of(tmp_path)
    async with open_host(settings) as host:
        incident = an_incident(host)
        await investigate(host, incident)
        write(tmp_path, "{tool: waves.chart}")
        tell(host.journal, incident.id, steer_of(host.journal, incident, "test traffic at bot", "ann", Fields()))
        done = await investigate(host, incident)
        first, second = host.journal.values(incident.id, Conclusion)
    assert (first.outcome, second.outcome) == (Outcome.BEST_EFFORT, Outcome.ROOT_CAUSE)
    assert "house rule" not in done.packet
    assert second.version == 2


@pytest.mark.parametrize(
    ("rule", "more", "why"),
    [
        ("{tool: waves.restart}", "", "it may not be asked: "),
        (
            "{tool: waves.read_slo, services: [bot]}",
            'forbid: ["waves.read_slo"]\n',
            "it was not asked: house forbids it",
        ),
    ],
)
async def test_a_rule_grants_nothing(tmp_path: Path, rule: str, more: str, why: str) -> None:
    write(tmp_path, rule, more)
    async with a_host(tmp_path, "writes") as host:
        incident = an_incident(host)
        await investigate(host, incident)
        assert {call.tool for call in host.journal.values(incident.id, ToolCall)} <= {
            "chart",
            "survey_waves",
            "survey_deploys",
            "read_trace",
        }
        gaps = [gap for gap in host.journal.values(incident.id, Gap) if gap.what.startswith("house rule")]
    assert [gap.why.startswith(why) for gap in gaps] == [True], gaps


@pytest.mark.parametrize("rule", ["{}", "{tool: a.b, kind: state, entity: c}", "{kind: state}", "{services: [a]}"])
def test_a_rule_that_requires_nothing_or_two_things_at_once_is_refused(tmp_path: Path, rule: str) -> None:
    write(tmp_path, rule)
    with pytest.raises(BadSteering, match=r"house\.md: require"):
        read(tmp_path / "steering" / "house.md")


def test_lint_says_which_requirement_can_hardly_be_met(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_of(tmp_path)
    for name in ("data_dir", "servers_file", "steering_dir"):
        monkeypatch.setenv(f"MIDWATCH_{name.upper()}", str(getattr(settings, name)))
    rules = ["{tool: logs}", "{tool: billing.read}", "{tool: waves.chart}", "{kind: state, entity: bot}"]
    write(tmp_path, "\n  - ".join(rules), 'forbid: ["waves.*"]\n')
    said = CliRunner().invoke(app, ["steering", "lint"]).stdout
    assert "require 'logs' names no server: write server.tool" in said
    assert "require 'billing.read': no server here is called so (waves)" in said
    assert "require 'waves.chart', which house forbids" in said
    assert "check of 'bot': an entity is kind:name" in said
