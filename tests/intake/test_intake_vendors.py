"""What each vendor documents that it sends becomes the alert that it means, or is refused by the name of the field."""

import copy
import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from tests.intake.bodies import (
    BEGAN,
    DATADOG,
    DATADOG_DEFAULT,
    DEVOPS_AGENT,
    DYNATRACE,
    GITHUB_DEPLOYMENT,
    GITHUB_RUN,
    GRAFANA,
    NEWRELIC,
    NOW,
    OPSGENIE,
    SENTRY_EVENT,
    SENTRY_METRIC,
    SERVICENOW,
    SYNTHETIC,
    Example,
    alarm,
    envelope,
    pagerduty,
    state_change,
)
from tests.intake.examples import EXAMPLES

from midwatch.errors import BadAlert
from midwatch.intake import SOURCES
from midwatch.records import Alert
from midwatch.settings.intake import SourceSettings

PLAIN = SourceSettings()


def alerts(
    source: str, body: Any, headers: Mapping[str, str] | None = None, settings: SourceSettings = PLAIN
) -> list[Alert]:
    return SOURCES[source].alerts(body, settings, headers or {}, NOW)


def changed(body: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    """Return a copy of a body with another value (or none, for `...`) at a dotted path."""
    copied = copy.deepcopy(body)
    *way, last = [int(part) if part.isdecimal() else part for part in path.split(".")]
    place: Any = copied
    for part in way:
        place = place[part]
    place[last] = value
    if value is ...:
        del place[last]
    return copied


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: f"{example.source}: {example.what}")
def test_a_body_as_its_vendor_describes_it_becomes_the_alert_that_it_means(example: Example) -> None:
    found = alerts(example.source, example.body, example.headers)
    if example.expected is None:
        assert found == []
        return
    (alert,) = found
    assert {name: getattr(alert, name) for name in example.expected} == dict(example.expected)
    assert alert.raw == example.body


def test_every_source_has_an_example() -> None:
    plain_forms = {"alertmanager", "generic"}  # these have a file of their own
    assert {example.source for example in EXAMPLES} == SOURCES.keys() - plain_forms


@pytest.mark.parametrize(
    ("source", "first", "last"),
    [
        ("pagerduty", pagerduty(), pagerduty("incident.resolved")),
        ("grafana", GRAFANA, changed(GRAFANA, "alerts.0.status", "resolved")),
        ("eventbridge", state_change(), state_change("OK", "ALARM")),
        ("datadog", DATADOG, {**DATADOG, "alert_transition": "Recovered", "date": "1795143600000"}),
        ("datadog", {**DATADOG_DEFAULT, "title": "[Triggered on {service:cart}] cart fails"}, DATADOG_DEFAULT),
        ("sentry", SENTRY_METRIC, {**SENTRY_METRIC, "action": "resolved"}),
        ("opsgenie", OPSGENIE, {**OPSGENIE, "action": "Close"}),
        ("newrelic", NEWRELIC, {**NEWRELIC, "state": "CLOSED"}),
        ("dynatrace", DYNATRACE, {**DYNATRACE, "State": "RESOLVED"}),
        ("servicenow", SERVICENOW, {**SERVICENOW, "state": "7"}),
        ("devops-agent", DEVOPS_AGENT, {**DEVOPS_AGENT, "action": "resolved", "timestamp": "2026-11-20T02:59:00Z"}),
    ],
)
def test_the_end_of_an_alert_has_the_id_of_its_beginning(source: str, first: Any, last: Any) -> None:
    (began,), (ended,) = alerts(source, first), alerts(source, last)
    assert (began.action, ended.action) == ("created", "resolved")
    assert (began.id, began.external_id) == (ended.id, ended.external_id)


@pytest.mark.parametrize(
    ("source", "body", "minute"),
    [
        ("pagerduty", pagerduty("incident.resolved"), 55),
        ("cloudwatch", envelope(alarm("OK", StateChangeTime="2026-11-20T02:59:00.000+0000")), 59),
        ("eventbridge", state_change("OK", "ALARM"), 59),
        ("datadog", {**DATADOG, "alert_transition": "Recovered", "date": "1795143540000"}, 59),
        ("newrelic", {**NEWRELIC, "state": "CLOSED", "updatedAt": 1795143540000}, 59),
        ("opsgenie", changed({**OPSGENIE, "action": "Close"}, "alert.updatedAt", 1795143540000000000), 59),
        ("dynatrace", changed({**DYNATRACE, "State": "RESOLVED"}, "ProblemDetailsJSON.endTime", 1795143540000), 59),
        ("synthetic", {**SYNTHETIC, "status": "passing", "started_at": "2026-11-20T02:59:00Z"}, 59),
        ("servicenow", {**SERVICENOW, "state": "6", "resolved_at": "2026-11-20 02:59:00"}, 59),
        ("devops-agent", {**DEVOPS_AGENT, "action": "resolved", "timestamp": "2026-11-20T02:59:00Z"}, 59),
    ],
)
def test_what_is_over_says_when_it_ended_and_what_is_not_does_not(source: str, body: Any, minute: int) -> None:
    (over,) = alerts(source, body)
    assert over.ended_at is not None
    assert over.ended_at.replace(microsecond=0) == BEGAN.replace(minute=minute)
    firing = next(example for example in EXAMPLES if example.source == source)
    assert alerts(source, firing.body)[0].ended_at is None


def test_an_incident_that_is_opened_again_begins_anew() -> None:
    (first,), (again,) = alerts("pagerduty", pagerduty()), alerts("pagerduty", pagerduty("incident.reopened"))
    assert again.external_id == first.external_id
    assert again.id != first.id
    assert again.started_at == BEGAN + timedelta(minutes=7, milliseconds=169)


def test_an_incident_of_servicenow_that_is_opened_again_begins_anew_and_ends_as_that() -> None:
    reopened = {**SERVICENOW, "operation": "update", "state": "2", "reopened_at": "2026-11-20 02:59:00"}
    (first,), (again,), (over,) = (alerts("servicenow", b) for b in (SERVICENOW, reopened, {**reopened, "state": "6"}))
    assert first.id != again.id == over.id
    assert (again.external_id, again.started_at) == (first.external_id, BEGAN + timedelta(minutes=11))


@pytest.mark.parametrize(
    ("source", "body", "said"),
    [
        ("pagerduty", {}, "event: it is missing"),
        ("pagerduty", changed(pagerduty(), "event.data.created_at", "soon"), "event.data.created_at: "),
        ("pagerduty", pagerduty(service={}, title=" "), "labels: no label service says which service"),
        ("grafana", changed(GRAFANA, "alerts.0.startsAt", ...), "alerts.0.startsAt: it is missing"),
        (
            "grafana",
            {"alerts": [{"status": "firing", "labels": {}, "startsAt": "2026-11-20T02:48:00Z"}]},
            "alerts.0.labels: no label service, service_name, ",
        ),
        ("grafana", {**GRAFANA, "alerts": []}, "alerts: "),
        ("cloudwatch", envelope("hello"), "Message: it is no CloudWatch alarm"),
        ("cloudwatch", envelope({"hello": 1}), "AlarmName: it is missing"),
        ("cloudwatch", changed(alarm(), "StateChangeTime", "9999"), "StateChangeTime: "),
        ("cloudwatch", alarm(Trigger=None, AlarmName="\t"), "labels: no label service, Service, ServiceName, "),
        ("cloudwatch", {**envelope(alarm()), "Type": "Other"}, "Type: "),
        ("eventbridge", {"detail": {}}, "detail-type: it is missing"),
        ("eventbridge", changed(state_change(), "detail.state.timestamp", None), "detail.state.timestamp: "),
        ("datadog", {**DATADOG, "date": "2999-01-01"}, "date: "),
        ("datadog", {**DATADOG, "title": {"a": 1}}, "title: "),
        ("sentry", {"data": {}}, "header Sentry-Hook-Resource: it is missing"),
        ("sentry", changed(SENTRY_EVENT, "data.event.issue_id", ...), "data.event.issue_id: it is missing"),
        ("sentry", changed(SENTRY_METRIC, "data.metric_alert.date_started", "x"), "data.metric_alert.date_started: "),
        ("opsgenie", {"action": "Create"}, "alert: it is missing"),
        ("opsgenie", changed(OPSGENIE, "alert.alertId", ""), "alert.alertId: "),
        ("newrelic", {**NEWRELIC, "id": None}, "id: "),
        ("newrelic", {"id": "1"}, "labels: no label service"),
        ("dynatrace", {**DYNATRACE, "ProblemID": ...}, "ProblemID: "),
        ("dynatrace", {**DYNATRACE, "ImpactedEntities": [1]}, "ImpactedEntities.0: "),
        ("servicenow", {**SERVICENOW, "number": ""}, "number: "),
        ("servicenow", {**SERVICENOW, "opened_at": {"value": "then"}}, "opened_at: "),
        ("github", {}, "header X-GitHub-Event: it is missing"),
        ("github", changed(GITHUB_DEPLOYMENT, "repository", ...), "repository: it is missing"),
        ("github", changed(GITHUB_RUN, "workflow_run.run_started_at", ...), "workflow_run.run_started_at: "),
        ("synthetic", {**SYNTHETIC, "status": "so so"}, "status: "),
        ("synthetic", {**SYNTHETIC, "started_at": "1999-01-01"}, "started_at: "),
        ("devops-agent", {**DEVOPS_AGENT, "priority": "P1"}, "priority: "),
        ("devops-agent", {**DEVOPS_AGENT, "eventType": "alarm"}, "eventType: "),
        ("devops-agent", {**DEVOPS_AGENT, "data": {"a": [0, {"b": "\ud800"}]}}, "data.a.1.b: it cannot be written"),
        ("devops-agent", {**DEVOPS_AGENT, "data": float("nan")}, "data: it cannot be written as JSON in UTF-8"),
        ("devops-agent", {**DEVOPS_AGENT, "\ud800": 1}, "?: it cannot be written"),
    ],
)
def test_a_body_that_cannot_be_used_is_refused_by_the_name_of_the_field(source: str, body: Any, said: str) -> None:
    body = {key: value for key, value in body.items() if value is not ...}
    with pytest.raises(BadAlert) as caught:
        alerts(source, body)
    assert said in str(caught.value)


def test_settings_say_which_labels_name_the_service_and_what_an_alert_without_one_is_about() -> None:
    by_team = SourceSettings(service_labels=("team", "app"))
    assert alerts("datadog", DATADOG, settings=by_team)[0].service == "shop"
    assert (
        alerts("devops-agent", {**DEVOPS_AGENT, "service": ""}, settings=SourceSettings(service="shop"))[0].service
        == "shop"
    )


def test_a_thousand_alerts_of_one_group_do_not_keep_the_whole_group_each() -> None:
    group = {**GRAFANA, "alerts": [{**GRAFANA["alerts"][0], "fingerprint": str(number)} for number in range(1000)]}
    found = alerts("grafana", group)
    assert len(found) == 1000
    assert sum(len(alert.model_dump_json()) for alert in found) < 5 * len(json.dumps(group))


def test_long_texts_are_cut_and_the_raw_body_is_whole() -> None:
    body = {**DEVOPS_AGENT, "title": "t" * 5000, "description": "d" * 50_000, "incidentId": "i" * 3000}
    (alert,) = alerts("devops-agent", body)
    assert (len(alert.title), len(alert.description), len(alert.external_id)) == (400, 10_000, 400)
    assert alert.raw == body


def test_what_a_terminal_would_obey_is_taken_out_of_texts_and_only_addresses_of_the_web_are_links() -> None:
    body = changed(pagerduty(title="a\x1b[2Jb\x00c"), "event.data.html_url", "javascript:alert(1)")
    (alert,) = alerts("pagerduty", body)
    assert alert.title == "a [2Jb c"
    assert alert.links == ()


@pytest.mark.parametrize(
    ("said", "severity"),
    [
        ("P1", "critical"), ("SEV-2", "high"), ("sev3", "medium"), ("4 - Low", "low"), ("5", "info"),
        ("Critical", "critical"), ("page", "critical"), ("error", "high"), ("warning", "medium"), ("none", "info"),
        ("whatever", "medium"), ("", "medium"), ("p12", "medium"),
    ],
)  # fmt: skip
def test_words_for_severity_are_understood(said: str, severity: str) -> None:
    (alert,) = alerts("opsgenie", changed(OPSGENIE, "alert.priority", said))
    assert alert.severity == severity
