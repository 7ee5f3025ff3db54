"""Reading over HTTP: incidents by pages, journals, evidence, what is around them, health; errors that can be used."""

import json
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from prometheus_client.parser import text_string_to_metric_families
from tests.api.conftest import ALERT, AT, Served, Serving

from midwatch.api.app import document
from midwatch.api.readiness import HOLDS_SECONDS
from midwatch.api.refusals import Refusals
from midwatch.api.tokens import Scope
from midwatch.clocks import steady
from midwatch.records import Action, Conclusion, Outcome, Report, Severity, Status, ToolCall
from midwatch_kit.window import rfc3339

DOCS = Path(__file__).parents[2] / "docs"


async def get(served: Served, path: str, **query: object) -> Any:
    answer = await served.client.get(path, params={name: str(value) for name, value in query.items()})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def ids(served: Served, **query: object) -> list[str]:
    found = await get(served, "/v1/incidents", **query)
    return [each["id"] for each in found["items"]]


async def test_incidents_come_by_pages_the_latest_first_each_once(serving: Serving) -> None:
    async with serving() as served:
        made = [served.incident(number).id for number in range(5)]
        seen: list[str] = []
        page: Any = {"next": None}
        for _ in range(3):
            cursor = {"cursor": page["next"]} if page["next"] else {}
            page = await get(served, "/v1/incidents", limit=2, **cursor)
            seen += [each["id"] for each in page["items"]]
            served.incident(10 + len(seen))  # what comes meanwhile moves nothing
    assert seen == made[::-1]
    assert page["next"] is None


async def test_incidents_are_found_by_status_severity_service_and_time(serving: Serving) -> None:
    async with serving() as served:
        first = served.incident(0, status=Status.RESOLVED).id
        second = served.incident(1, severity=Severity.LOW, service="service:forge").id
        third = served.incident(2).id
        assert await ids(served) == [third, second, first]
        assert await ids(served, status="resolved") == [first]
        assert await ids(served, severity="low") == [second]
        assert await ids(served, service="forge") == await ids(served, service="service:forge") == [second]
        assert await ids(served, since=rfc3339(AT + timedelta(minutes=1))) == [third, second]
        assert await ids(served, since=rfc3339(AT + timedelta(minutes=1, seconds=1))) == [third]


async def test_an_incident_comes_with_all_that_its_investigation_came_to(serving: Serving) -> None:
    async with serving() as served:
        incident = served.incident()
        journal = served.host.journal
        assert (await get(served, f"/v1/incidents/{incident.id}"))["conclusion"] is None
        journal.note(incident.id, "conclusion", "1", Conclusion(outcome=Outcome.INCONCLUSIVE, statement="who knows"))
        plan = served.plan(incident)
        journal.note(incident.id, "action", "1", Action(step="x", phase="apply", outcome="done", detail="it went"))
        whole = await get(served, f"/v1/incidents/{incident.id}")
    assert whole["incident"]["id"] == incident.id
    assert whole["conclusion"]["statement"] == "who knows"
    assert (whole["plan"]["digest"], whole["decision"]) == (plan.digest, None)
    assert whole["actions"][0]["detail"] == "it went"
    assert plan.digest[:12] in whole["packet"]


async def test_a_journal_is_read_by_pages_and_by_type(serving: Serving) -> None:
    async with serving() as served:
        incident = served.incident()
        for number in range(4):
            served.note(incident, f"word {number}")
        where = f"/v1/incidents/{incident.id}/journal"
        first = await get(served, where, limit=3)
        rest = await get(served, where, after=first["next"])
        words = await get(served, where, type="message")
    assert [each["seq"] for each in first["items"] + rest["items"]] == [1, 2, 3, 4, 5]
    assert rest["next"] is None
    assert [each["body"]["text"] for each in words["items"]] == [f"word {number}" for number in range(4)]


async def test_the_alerts_of_an_incident_come_with_what_became_of_each_and_why(serving: Serving) -> None:
    async with serving() as served:
        taken = [(await served.client.post("/alerts", json={**ALERT, "title": f"gateway fails {n}"})) for n in range(3)]
        (name,) = {incident for answer in taken for incident in answer.json()["incidents"]}
        first = await get(served, f"/v1/incidents/{name}/alerts", limit=2)
        rest = await get(served, f"/v1/incidents/{name}/alerts", after=first["next"])
    told = first["items"] + rest["items"]
    assert [each["alert"]["title"] for each in told] == [f"gateway fails {n}" for n in range(3)]
    assert told[0]["decision"] == "new"
    assert all(each["why"] and each["incident"] == name for each in told)
    assert rest["next"] is None


async def test_evidence_is_given_as_bytes_that_no_browser_runs(serving: Serving) -> None:
    page = json.dumps({"rows": ["<script>alert(1)</script>" * 4000]}).encode()
    async with serving() as served:
        name, mine = served.host.eyes.kept.put(page), served.token(Scope.READ)
        first = await served.client.get(f"/v1/evidence/{name}", headers=mine)
        rest = await served.client.get(first.links["next"]["url"], headers=mine)
        none = await served.client.get(f"/v1/evidence/{'0' * 64}", headers=mine)
    assert (first.content + rest.content) == page
    assert "next" not in rest.links
    assert first.headers["content-type"] == "text/plain; charset=us-ascii"
    assert first.headers["content-disposition"].startswith("attachment")
    assert first.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in first.headers["content-security-policy"]
    assert none.status_code == 404


async def test_an_error_says_what_it_is_and_which_field(serving: Serving) -> None:
    async with serving() as served:
        answer = await served.client.get("/v1/incidents", params={"limit": "0", "status": "odd"})
        kind = await get(served, answer.json()["type"])
        missing = await served.client.get("/v1/incidents/01NONE")
        nowhere = await served.client.get("/v1/nothing")
        wrong = await served.client.put("/v1/incidents", json={})
    told = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status_code, told["status"], told["type"]) == (422, 422, "/v1/problems/invalid")
    assert {fault["field"] for fault in told["errors"]} == {"query.limit", "query.status.0"}
    assert kind["title"] == told["title"]
    assert (missing.status_code, missing.json()["detail"]) == (404, "there is no incident 01NONE")
    assert (nowhere.status_code, wrong.status_code) == (404, 405)
    assert {each.headers["content-type"] for each in (missing, nowhere, wrong)} == {"application/problem+json"}


async def test_a_body_is_no_larger_than_it_may_be(serving: Serving) -> None:
    async with serving() as served:
        answer = await served.client.post("/v1/checks/steering", json={"text": "x" * 2**20})
    assert (answer.status_code, answer.json()["type"]) == (413, "/v1/problems/too-large")


async def test_steering_files_are_listed_shown_and_checked(serving: Serving, tmp_path: Path) -> None:
    folder = tmp_path / "steering"
    folder.mkdir()
    text = "---\nname: lag\ndescription: logs lag\nlag_seconds: {logs: 30}\n---\nWait for logs.\n"
    (folder / "lag.md").write_text(text, encoding="utf-8")
    async with serving() as served:
        (folder / "bad.md").write_text("no fence", encoding="utf-8")
        listed = await get(served, "/v1/steering")
        shown = await get(served, "/v1/steering/lag")
        fits = await served.client.post("/v1/checks/steering", json={"text": text})
        faulty = await served.client.post("/v1/checks/steering", json={"text": text.replace("logs: 30", "logs: -1")})
    assert [(each["file"], bool(each["fault"])) for each in listed] == [("bad.md", True), ("lag.md", False)]
    assert (shown["lag_seconds"], shown["text"]) == ({"logs": 30.0}, "Wait for logs.")
    assert fits.json()["usable"]
    assert not faulty.json()["usable"]
    assert "lag_seconds" in faulty.json()["fault"]
    assert str(tmp_path) not in json.dumps([listed, faulty.json()])


async def test_it_is_ready_while_its_database_can_be_written(serving: Serving) -> None:
    async with serving() as served:
        ready = await served.client.get("/readyz")
        served.host.journal.database.engine.dispose()
        (served.host.settings.data_dir / "journal.db").chmod(0o400)
        assert ready.json() == {"ready": True, "database": "ok", "servers_missing": {}}
        assert (await served.client.get("/healthz")).json() == {"ok": True, "servers_missing": {}}


async def test_whoever_asks_whether_it_is_ready_has_it_write_once_a_second_at_most(serving: Serving) -> None:
    written: list[float] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("INSERT"):
            written.append(steady())

    async with serving() as served:
        sa.event.listen(served.host.journal.database.engine, "before_cursor_execute", note)
        until = steady() + 1.5
        while steady() < until:
            assert (await served.client.get("/readyz")).status_code == 200
    assert len(written) >= 2
    assert all(later - earlier >= HOLDS_SECONDS for earlier, later in pairwise(written))


async def test_figures_tell_of_what_was_done(serving: Serving) -> None:
    async with serving() as served:
        await served.client.post("/alerts", json=ALERT)
        incident, journal = served.incident(), served.host.journal
        for number in range(2):
            asked = ToolCall(server="logs", tool="survey", arguments={}, seconds=0.2, error="down" if number else None)
            journal.note(incident.id, "tool_call", str(number), asked)
        journal.note(incident.id, "report", "1", Report(outcome=Outcome.BEST_EFFORT, mitigated=False, packet=""))
        answer = await served.client.get("/metrics")
    found = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }
    assert found["midwatch_tool_calls_total", "answered", "logs"] == 1
    assert found["midwatch_tool_calls_total", "failed", "logs"] == 1
    assert found["midwatch_investigations_finished_total", "best_effort"] == 1
    assert found["midwatch_incidents", "triaging"] == 1
    assert found["midwatch_http_requests_total", "/alerts", "202", "POST"] == 1
    assert found["midwatch_alerts_received_total", "new", "plain"] == 1


async def test_no_payload_makes_more_series_than_there_may_be(serving: Serving) -> None:
    async with serving() as served:
        incident, journal = served.incident(), served.host.journal
        for number in range(200):
            journal.note(incident.id, "tool_call", str(number), ToolCall(server=f"s{number}", tool="t", arguments={}))
            await served.client.get(f"/odd/{number}")
        text = (await served.client.get("/metrics")).text
    assert 40 < text.count("midwatch_tool_calls_total{") < 60
    assert text.count('midwatch_http_requests_total{method="GET",route="none"') == 1


def test_the_published_document_is_what_the_api_says_of_itself() -> None:
    published = json.loads((DOCS / "openapi.json").read_text(encoding="utf-8"))
    assert published == document(), "midwatch openapi > docs/openapi.json"


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json"])
async def test_no_page_with_scripts_is_served(serving: Serving, path: str) -> None:
    async with serving() as served:
        assert (await served.client.get(path)).status_code == 404


def refusals(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [said for record in caplog.records if (said := record.getMessage()).startswith("refused from")]


async def test_what_senders_are_refused_is_in_the_log_of_the_host(
    serving: Serving, caplog: pytest.LogCaptureFixture
) -> None:
    group = [{"status": "firing", "labels": {"alertname": name}, "startsAt": "2026-11-20T02:48:00Z"} for name in "ab"]
    group[1] |= {"startsAt": "soon"}
    async with serving() as served:
        for _ in range(3):
            await served.client.post("/v1/alerts/generic", json={"title": "x"})
        await served.client.post("/v1/alerts/alertmanager", json={"version": "4", "alerts": group})
        reader = served.token(Scope.READ)
        await served.client.post("/v1/alerts/generic", json=ALERT, headers=reader)
    bad, partly, forbidden = refusals(caplog)
    assert bad.startswith("refused from generic (422): service: it is missing")
    assert partly.startswith("refused from alertmanager (202): alerts.1.startsAt: must be a time")
    assert forbidden.startswith("refused from generic (403): the token robin does not have the scope alerts")


def test_refusals_of_one_sort_are_counted_for_a_minute_and_told_as_a_line(caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    told = Refusals(clock=lambda: now[0])
    for now[0] in (0, 1, 59, 61):
        told.say("grafana", 422, "labels: \x1b[2J none")
        told.say("grafana", 401, "no proof")
    assert refusals(caplog) == [
        "refused from grafana (422): labels:  [2J none",
        "refused from grafana (401): no proof",
        "refused from grafana (422): labels:  [2J none; 2 more like it before",
        "refused from grafana (401): no proof; 2 more like it before",
    ]
