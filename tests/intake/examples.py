"""What each vendor's bodies are to come to, in one table."""

from typing import Any

from tests.intake.bodies import (
    BEGAN,
    DATADOG,
    DATADOG_DEFAULT,
    DEVOPS_AGENT,
    DYNATRACE,
    GITHUB_DEPLOYMENT,
    GITHUB_RUN,
    GRAFANA,
    MILLISECONDS,
    NEWRELIC,
    NOW,
    OPSGENIE,
    SENTRY_EVENT,
    SENTRY_ISSUE,
    SENTRY_METRIC,
    SERVICENOW,
    SYNTHETIC,
    Example,
    alarm,
    envelope,
    pagerduty,
    state_change,
)

_PAGERDUTY = "developer.pagerduty.com/docs/webhooks-overview"
_GRAFANA = "grafana.com/docs/grafana/latest/alerting/configure-notifications/manage-contact-points/integrations"
_CLOUDWATCH = "docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch-and-eventbridge.html"
_SNS = "docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html"
_TAGS = "docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-tags-in-notifications.html"
_DATADOG = "docs.datadoghq.com/integrations/webhooks"
_SENTRY = "docs.sentry.io/organization/integrations/integration-platform/webhooks"
_OPSGENIE = "support.atlassian.com/opsgenie/docs/opsgenie-edge-connector-alert-action-data"
_NEWRELIC = "docs.newrelic.com/docs/alerts/get-notified/notification-integrations"
_DYNATRACE = "docs.dynatrace.com/docs/discover-dynatrace/references/dynatrace-api/configuration-api/notifications-api"
_SERVICENOW = "docs/intake.md: the business rule is ours"
_GITHUB = "docs.github.com/webhooks/webhook-events-and-payloads"
_CHECKLY = "checklyhq.com/docs/integrations/alerts/webhooks"
_DEVOPS_AGENT = "docs.aws.amazon.com/devopsagent/latest/userguide: Invoking DevOps Agent through Webhook"


def _run(**more: Any) -> dict[str, Any]:
    return {**GITHUB_RUN, "workflow_run": {**GITHUB_RUN["workflow_run"], **more}}


def _grafana(**more: Any) -> dict[str, Any]:
    return {**GRAFANA, "alerts": [{**GRAFANA["alerts"][0], **more}]}


_COMPOSITE = alarm(
    AlarmRule="ALARM(a) AND ALARM(b)", Trigger=None, AlarmTags={"service": "cart", "severity": "critical"}
)
_MATHS = alarm(
    Trigger={
        "Metrics": [
            {"Id": "e1", "Expression": "m1 / 2"},
            {
                "Id": "m1",
                "MetricStat": {
                    "Metric": {
                        "MetricName": "Errors",
                        "Namespace": "AWS/Lambda",
                        "Dimensions": [{"name": "FunctionName", "value": "invoices"}],
                    }
                },
            },
        ]
    }
)

EXAMPLES = [
    Example("pagerduty", "triggered", _PAGERDUTY, pagerduty(), {
        "external_id": "PSHOP01", "action": "created", "title": "checkout answers with 5xx", "service": "checkout",
        "severity": "critical", "started_at": BEGAN, "links": ("https://shop.pagerduty.com/incidents/PSHOP01",)}),
    Example("pagerduty", "acknowledged", _PAGERDUTY, pagerduty("incident.acknowledged"), {
        "external_id": "PSHOP01", "action": "updated", "started_at": BEGAN}),
    Example("pagerduty", "resolved", _PAGERDUTY, pagerduty("incident.resolved", status="resolved"), {
        "external_id": "PSHOP01", "action": "resolved", "started_at": BEGAN}),
    Example("pagerduty", "without a priority", _PAGERDUTY, pagerduty(priority=None, urgency="low"), {
        "severity": "low"}),
    Example("pagerduty", "a note", _PAGERDUTY, pagerduty("incident.annotated", type="incident_note"), None),
    Example("pagerduty", "written down afterwards", _PAGERDUTY,
            pagerduty("incident.custom_field_values.updated", status="resolved"), None),
    Example("pagerduty", "with nothing in most fields", _PAGERDUTY, pagerduty(
        "incident.escalated", priority=None, service=None, teams=None, assignees=None, escalation_policy=None,
        urgency=None, incident_key=None, custom_fields=None), {
        "action": "updated", "service": "checkout answers with 5xx", "severity": "medium"}),
    Example("pagerduty", "its test", _PAGERDUTY, {"event": {
        "id": "01BZ", "event_type": "pagey.ping", "resource_type": "pagey", "occurred_at": "2026-11-20T02:48:00.169Z",
        "agent": None, "client": None, "data": {"message": "Hello from your friend Pagey!", "type": "ping"}}}, None),
    Example("pagerduty", "of a service", _PAGERDUTY, pagerduty("service.updated", type="service"), None),
    Example("grafana", "firing", _GRAFANA, GRAFANA, {
        "external_id": "c6eadffa33fcdf37", "action": "created", "title": "search is slow", "service": "search",
        "severity": "critical", "started_at": BEGAN, "description": "p95 is over a second\nB = 1.44, C = 1",
        "runbook": "https://wiki.example.com/search",
        "links": ("https://grafana.example.com/alerting/grafana/abc/view", "https://grafana.example.com/d/abc",
                  "https://grafana.example.com/alerting/silence/new")}),
    Example("grafana", "resolved", _GRAFANA, _grafana(status="resolved"), {
        "external_id": "c6eadffa33fcdf37", "action": "resolved", "started_at": BEGAN}),
    Example("grafana", "as it is documented, of no service", _GRAFANA, _grafana(
        labels={"alertname": "High memory usage", "team": "blue", "zone": "us-1"}, values=None, panelURL=None,
        annotations={"description": "memory", "summary": "us-1 has used more than 95%"}), {
        "service": "High memory usage", "title": "us-1 has used more than 95%", "severity": "medium"}),
    Example("grafana", "of a panel", "grafana.com/docs/grafana/v8.5/alerting/old-alerting/notifications", {
        "dashboardId": 1, "evalMatches": [{"value": 1, "metric": "Count", "tags": {"app": "search"}}], "imageUrl": "",
        "message": "slow", "orgId": 1, "panelId": 2, "ruleId": 7, "ruleName": "Latency", "state": "alerting",
        "ruleUrl": "https://grafana.example.com/d/abc", "tags": {"team": "web"}, "title": "[Alerting] Latency"}, {
        "external_id": "rule:7", "action": "created", "service": "search", "started_at": NOW,
        "description": "slow\nCount = 1", "links": ("https://grafana.example.com/d/abc",)}),
    Example("grafana", "test of a panel", "grafana.com/docs/grafana/v8.5/alerting/old-alerting/notifications", {
        "evalMatches": [{"value": 100, "metric": "High value", "tags": None}], "ruleId": 0, "state": "ok",
        "ruleName": "Test notification", "title": "[OK] Test notification"}, {"action": "resolved"}),
    Example("grafana", "panel that is paused", "grafana.com/docs/grafana/v8.5/alerting/old-alerting/notifications", {
        "ruleId": 7, "state": "paused"}, None),
    Example("grafana", "no data", _GRAFANA, _grafana(annotations={}, labels={
        "alertname": "DatasourceNoData", "datasource_uid": "abc", "ref_id": "A", "rulename": "High latency"}), {
        "service": "High latency", "title": "DatasourceNoData: High latency"}),
    Example("cloudwatch", "alarm by SNS", _SNS, envelope(alarm()), {
        "external_id": "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:checkout-5xx-p2", "action": "created",
        "title": "checkout-5xx-p2", "service": "app/shop/50dc6c495c0c9188", "severity": "high", "started_at": BEGAN,
        "links": ("https://eu-west-1.console.aws.amazon.com/cloudwatch/home?region=eu-west-1"
                  "#alarmsV2:alarm/checkout-5xx-p2",)}),
    Example("cloudwatch", "OK by SNS", _SNS, envelope(alarm("OK")), {"action": "resolved"}),
    Example("cloudwatch", "no data", _SNS, envelope(alarm("INSUFFICIENT_DATA")), None),
    Example("cloudwatch", "composite with tags", _TAGS, envelope(_COMPOSITE), {
        "service": "cart", "severity": "critical"}),
    Example("cloudwatch", "composite without tags", _SNS, envelope(alarm(
        Trigger=None, AlarmRule="ALARM(a)", AlarmDescription=None, OldStateValue="INSUFFICIENT_DATA",
        TriggeringChildren=[{"Arn": "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:a", "State": {
            "Value": "ALARM", "Timestamp": "2026-11-20T02:48:00.000+0000"}}])), {"service": "checkout-5xx-p2"}),
    Example("cloudwatch", "several metrics", _SNS, envelope(_MATHS), {"service": "invoices"}),
    Example("cloudwatch", "raw delivery", _SNS, alarm(), {"service": "app/shop/50dc6c495c0c9188"}),
    Example("cloudwatch", "event by SNS", _SNS, envelope(state_change()), {"service": "invoices"}),
    Example("cloudwatch", "confirmation", _SNS, envelope("Do you want it?", "SubscriptionConfirmation"), None),
    Example("cloudwatch", "unsubscribed", _SNS, envelope("It is over", "UnsubscribeConfirmation"), None),
    Example("eventbridge", "alarm", _CLOUDWATCH, state_change(), {
        "external_id": "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:invoices-errors", "action": "created",
        "title": "invoices-errors", "service": "invoices", "severity": "medium", "started_at": BEGAN,
        "description": "the function fails\nThreshold Crossed"}),
    Example("eventbridge", "OK again", _CLOUDWATCH, state_change("OK", "ALARM"), {
        "action": "resolved", "started_at": BEGAN}),
    Example("eventbridge", "another event", _CLOUDWATCH, {**state_change(), "detail-type": "EC2 Instance State"}, None),
    Example("datadog", "triggered", _DATADOG, DATADOG, {
        "external_id": "16029283746", "action": "created", "title": "cart fails", "service": "cart",
        "severity": "high", "started_at": BEGAN, "links": ("https://app.datadoghq.eu/monitors/1234567",)}),
    Example("datadog", "recovered", _DATADOG, {**DATADOG, "alert_transition": "Recovered"}, {"action": "resolved"}),
    Example("datadog", "renotified", _DATADOG, {**DATADOG, "alert_transition": "Re-Triggered"}, {"action": "updated"}),
    Example("datadog", "warns", _DATADOG, {**DATADOG, "alert_transition": "Warn", "alert_priority": "normal"}, {
        "action": "created", "severity": "medium"}),
    Example("datadog", "default body", _DATADOG, DATADOG_DEFAULT, {
        "action": "resolved", "external_id": "cart fails:service:cart", "service": "cart", "started_at": BEGAN,
        "title": "cart fails"}),
    Example("datadog", "default body, of a monitor of no group", _DATADOG, {
        **DATADOG_DEFAULT, "id": "1", "title": "[P2] [Re-Triggered] High tracking"}, {
        "action": "updated", "external_id": "High tracking", "service": "High tracking"}),
    Example("datadog", "variables that Datadog had nothing for", _DATADOG, {
        **DATADOG, "alert_cycle_key": "$ALERT_CYCLE_KEY", "alert_priority": "$ALERT_PRIORITY", "alert_id": "$ALERT_ID",
        "hostname": "$HOSTNAME", "tags": "$TAGS", "title": "[No Data on {host:i-0a1b}] cart fails"}, {
        "external_id": "cart fails:service:cart,env:prod", "service": "cart", "severity": "high"}),
    Example("datadog", "one group of a monitor", _DATADOG, {**DATADOG, "alert_cycle_key": ""}, {
        "external_id": "1234567:service:cart,env:prod"}),
    Example("sentry", "issue alert", f"{_SENTRY}/issue-alerts", SENTRY_EVENT, {
        "external_id": "issue:1117540176", "action": "created", "title": "KeyError: 'voucher'",
        "service": "storefront", "severity": "critical", "started_at": BEGAN,
        "links": ("https://shop.sentry.io/issues/1117540176/events/e4874d664c3540c1a32eab185f12c5ab/",),
    }, {"sentry-hook-resource": "event_alert"}),
    Example("sentry", "metric alert", f"{_SENTRY}/metric-alerts", SENTRY_METRIC, {
        "external_id": "metric:4", "action": "created", "title": "Warning: many errors", "service": "storefront",
        "severity": "medium", "started_at": BEGAN}, {"sentry-hook-resource": "metric_alert"}),
    Example("sentry", "metric alert ends", f"{_SENTRY}/metric-alerts", {**SENTRY_METRIC, "action": "resolved"}, {
        "external_id": "metric:4", "action": "resolved", "started_at": BEGAN}),
    Example("sentry", "issue resolved", f"{_SENTRY}/issues", SENTRY_ISSUE, {
        "external_id": "issue:1117540176", "action": "resolved", "service": "storefront", "severity": "high"}),
    Example("sentry", "issue comes back", f"{_SENTRY}/issues", {
        **SENTRY_ISSUE, "action": "unresolved", "data": {"issue": {
            **SENTRY_ISSUE["data"]["issue"], "firstSeen": "2024-01-01T00:00:00Z", "lastSeen": "2026-11-20T02:48:00Z"}},
    }, {"external_id": "issue:1117540176", "action": "created", "started_at": BEGAN}),
    Example("sentry", "issue assigned", f"{_SENTRY}/issues", {**SENTRY_ISSUE, "action": "assigned"}, None),
    Example("sentry", "a resource that is new there", _SENTRY, {"action": "created", "data": {"size": 1}}, None,
            {"sentry-hook-resource": "preprod_size_analysis"}),
    Example("sentry", "installed, without the header", _SENTRY,
            {"action": "created", "data": {"installation": {"status": "pending"}}}, None),
    Example("sentry", "installed", f"{_SENTRY}/installation", {"action": "created", "data": {}}, None,
            {"sentry-hook-resource": "installation"}),
    Example("opsgenie", "created", _OPSGENIE, OPSGENIE, {
        "external_id": "052652ac-5d1c-464a-812a-7dd18bbfba8c", "action": "created", "title": "mail queue grows",
        "service": "mail", "severity": "medium", "started_at": BEGAN, "description": "4000 mails wait",
        "runbook": "mail-queue"}),
    Example("opsgenie", "as it is documented, of no entity", _OPSGENIE, {
        "source": {"name": "web", "type": "API"}, "action": "Create", "integrationId": "37c8", "integrationName": "I",
        "alert": {"alertId": "0526", "message": " test alert", "tags": ["tag1", "tag2"], "teams": ["team1"],
                  "recipients": ["r"], "tinyId": "23", "alias": "aliastest", "entity": "", "username": "on@call",
                  "createdAt": MILLISECONDS, "updatedAt": MILLISECONDS * 1_000_000 + 2000, "userId": "daed"},
    }, {"external_id": "0526", "service": "test alert", "started_at": BEGAN}),
    Example("opsgenie", "acknowledged", _OPSGENIE, {**OPSGENIE, "action": "Acknowledge"}, {"action": "updated"}),
    Example("opsgenie", "closed", _OPSGENIE, {**OPSGENIE, "action": "Close"}, {"action": "resolved"}),
    Example("newrelic", "activated", _NEWRELIC, NEWRELIC, {
        "external_id": "0ea2df1c-adab-45d2-aae0-042b609d2322", "action": "created", "service": "billing",
        "severity": "critical", "started_at": BEGAN,
        "links": ("https://radar-api.service.newrelic.com/accounts/1/issues/0ea2df1c",)}),
    Example("newrelic", "closed", _NEWRELIC, {**NEWRELIC, "state": "CLOSED"}, {"action": "resolved"}),
    Example("newrelic", "an incident, as before workflows", _NEWRELIC, {
        "account_id": 1, "account_name": "Shop", "condition_id": 7, "condition_name": "Error percentage",
        "current_state": "open", "details": "over 5%", "duration": 99, "event_type": "INCIDENT", "metadata": None,
        "incident_id": 163450695, "incident_url": "https://alerts.newrelic.com/accounts/1/incidents/163450695",
        "owner": "", "policy_name": "Golden signals", "runbook_url": None, "severity": "CRITICAL",
        "targets": [{"id": "3", "name": "billing", "link": "https://one.newrelic.com/3", "product": "APM",
                     "labels": {"team": "money"}, "type": "Application"}],
        "timestamp": MILLISECONDS, "version": "1.0",
    }, {"external_id": "163450695", "action": "created", "service": "billing", "severity": "critical",
        "started_at": BEGAN, "title": "Error percentage", "description": "over 5%",
        "links": ("https://alerts.newrelic.com/accounts/1/incidents/163450695",)}),
    Example("newrelic", "an incident that is closed", _NEWRELIC, {
        "incident_id": 163450695, "current_state": "closed", "condition_name": "e", "timestamp": MILLISECONDS}, {
        "external_id": "163450695", "action": "resolved"}),
    Example("newrelic", "of two entities", _NEWRELIC, {**NEWRELIC, "impactedEntities": ["billing", "cart"]}, {
        "service": "billing"}),
    Example("newrelic", "grows", _NEWRELIC, {**NEWRELIC, "trigger": "INCIDENT_ADDED"}, {"action": "updated"}),
    Example("newrelic", "our template", _NEWRELIC, {
        **NEWRELIC, "service": ["invoices"], "runbookUrl": ["https://wiki.example.com/i"], "tags": {"team": ["money"]},
    }, {"service": "invoices", "runbook": "https://wiki.example.com/i"}),
    Example("dynatrace", "default body", _DYNATRACE, DYNATRACE, {
        "external_id": "-4729571837249102837_1795142880000V2", "action": "created", "title": "Failure rate increase",
        "service": "ledger-api", "severity": "medium", "started_at": BEGAN}),
    Example("dynatrace", "resolved", _DYNATRACE, {**DYNATRACE, "State": "RESOLVED"}, {"action": "resolved"}),
    Example("dynatrace", "our template", _DYNATRACE, {
        "PID": "1_2V2", "ProblemID": "P-1", "ProblemTitle": "down", "State": "OPEN", "ProblemSeverity": "AVAILABILITY",
        "ImpactedEntities": DYNATRACE["ImpactedEntities"], "Tags": "", "ProblemDetailsText": "no answer",
    }, {"service": "ledger", "severity": "critical", "started_at": NOW, "description": "no answer"}),
    Example("dynatrace", "placeholders that were not filled in", _DYNATRACE, {
        **DYNATRACE, "PID": "{PID}", "ProblemSeverity": "{ProblemSeverity}", "Tags": "{Tags}", "ImpactedEntities": "",
        "ImpactedEntity": "{ImpactedEntity}", "ProblemDetailsText": "{ProblemDetailsText}"}, {
        "external_id": "P-26111234", "service": "Failure rate increase", "description": "", "severity": "medium"}),
    Example("dynatrace", "of several entities that are not told", _DYNATRACE, {
        **DYNATRACE, "ImpactedEntities": None, "Tags": ""}, {"service": "Failure rate increase"}),
    Example("servicenow", "opened", _SERVICENOW, SERVICENOW, {
        "external_id": "INC0012345", "action": "created", "title": "customers cannot pay", "service": "payments",
        "severity": "high", "started_at": BEGAN}),
    Example("servicenow", "plain texts", _SERVICENOW, {
        **SERVICENOW, "operation": "update", "state": "2", "priority": "1", "business_service": "", "cmdb_ci": "db-3",
    }, {"action": "updated", "severity": "critical", "service": "db-3"}),
    Example("servicenow", "resolved", _SERVICENOW, {**SERVICENOW, "operation": "update", "state": "6"}, {
        "action": "resolved", "external_id": "INC0012345"}),
    Example("github", "failed deployment", f"{_GITHUB}#deployment_status", GITHUB_DEPLOYMENT, {
        "external_id": "shop/gateway:deployment:7", "service": "gateway", "severity": "high", "started_at": BEGAN,
        "title": "deployment of gateway to production failed", "description": "health check failed",
        "links": ("https://ci.example.com/1/log", "https://ci.example.com/1"),
    }, {"x-github-event": "deployment_status"}),
    Example("github", "failed run", f"{_GITHUB}#workflow_run", GITHUB_RUN, {
        "external_id": "shop/gateway:run:30433642", "service": "gateway", "severity": "medium", "started_at": BEGAN,
        "title": "workflow Release of gateway ended with failure"}, {"x-github-event": "workflow_run"}),
    Example("github", "failed run of a server that tells no start", f"{_GITHUB}#workflow_run",
            _run(run_started_at=None, created_at="2026-11-20T02:48:00Z"), {"started_at": BEGAN}),
    Example("github", "a check run", f"{_GITHUB}#check_run", {"action": "completed", "check_run": {
        "conclusion": "failure"}, "repository": {"name": "gateway"}}, None, {"x-github-event": "check_run"}),
    Example("github", "of a branch", f"{_GITHUB}#workflow_run", _run(head_branch="try"), None),
    Example("github", "of a pull request", f"{_GITHUB}#workflow_run", _run(event="pull_request"), None),
    Example("github", "that went well", f"{_GITHUB}#workflow_run", _run(conclusion="success"), None),
    Example("github", "a ping", f"{_GITHUB}#ping", {"zen": "Design for failure."}, None, {"x-github-event": "ping"}),
    Example("synthetic", "fails", _CHECKLY, SYNTHETIC, {
        "external_id": "b68422ae", "action": "created", "title": "check front page is failing",
        "service": "storefront", "severity": "high", "started_at": BEGAN,
        "description": "the title is missing\nit took 1204 ms"}),
    Example("synthetic", "passes", _CHECKLY, {**SYNTHETIC, "status": "ALERT_RECOVERY"}, {"action": "resolved"}),
    Example("synthetic", "is slow", _CHECKLY, {**SYNTHETIC, "status": "degraded"}, {"severity": "medium"}),
    Example("devops-agent", "created", _DEVOPS_AGENT, DEVOPS_AGENT, {
        "external_id": "incident-417", "action": "created", "title": "High CPU usage on production server",
        "service": "orders", "severity": "high", "started_at": BEGAN,
        "labels": {"region": "us-east-1", "environment": "production", "service": "orders"}}),
    Example("devops-agent", "without a service, which is optional there", _DEVOPS_AGENT,
        {key: value for key, value in DEVOPS_AGENT.items() if key != "service"}, {
        "service": "High CPU usage on production server", "severity": "high"}),
    Example("devops-agent", "closed", _DEVOPS_AGENT, {**DEVOPS_AGENT, "action": "closed", "priority": "MINIMAL"}, {
        "action": "resolved", "severity": "info", "external_id": "incident-417"}),
]  # fmt: skip
