"""Bodies as vendors' documentation describes them, with values of our own; each says where it is described."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

NOW = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)
BEGAN = datetime(2026, 11, 20, 2, 48, tzinfo=UTC)
MILLISECONDS = 1_795_142_880_000


@dataclass(frozen=True)
class Example:
    """One body, where its form is described, and what its alert is to say; `expected` None is no alert at all."""

    source: str
    what: str
    described: str
    body: dict[str, Any]
    expected: Mapping[str, object] | None
    headers: Mapping[str, str] = field(default_factory=dict)


def pagerduty(event_type: str = "incident.triggered", **more: Any) -> dict[str, Any]:
    incident = {
        "id": "PSHOP01",
        "type": "incident",
        "self": "https://api.pagerduty.com/incidents/PSHOP01",
        "html_url": "https://shop.pagerduty.com/incidents/PSHOP01",
        "number": 417,
        "status": "triggered",
        "incident_key": "checkout-5xx",
        "created_at": "2026-11-20T02:48:00Z",
        "title": "checkout answers with 5xx",
        "service": {"id": "PSVC1", "summary": "checkout", "type": "service_reference"},
        "assignees": [{"id": "PU1", "summary": "On Call", "type": "user_reference"}],
        "escalation_policy": {"id": "PE1", "summary": "Shop", "type": "escalation_policy_reference"},
        "teams": [{"id": "PT1", "summary": "payments", "type": "team_reference"}],
        "priority": {"id": "PP1", "summary": "P1", "type": "priority_reference"},
        "urgency": "high",
        "conference_bridge": None,
        "resolve_reason": None,
        **more,
    }
    event = {
        "id": "01DQ2Q5EVENT",
        "event_type": event_type,
        "resource_type": "incident",
        "occurred_at": "2026-11-20T02:55:00.169Z",
        "agent": {"id": "PU1", "summary": "On Call", "type": "user_reference"},
        "client": {"name": "PagerDuty"},
        "data": incident,
    }
    return {"event": event}


def alarm(state: str = "ALARM", **more: Any) -> dict[str, Any]:
    """Return what CloudWatch gives SNS of an alarm of one metric."""
    return {
        "AlarmName": "checkout-5xx-p2",
        "AlarmDescription": "target answers with 5xx",
        "AWSAccountId": "123456789012",
        "AlarmConfigurationUpdatedTimestamp": "2026-11-01T09:00:00.000+0000",
        "NewStateValue": state,
        "NewStateReason": "Threshold Crossed: 1 datapoint was greater than the threshold (5.0)",
        "StateChangeTime": "2026-11-20T02:48:00.000+0000",
        "Region": "EU (Ireland)",
        "AlarmArn": "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:checkout-5xx-p2",
        "OldStateValue": "OK",
        "OKActions": [],
        "AlarmActions": ["arn:aws:sns:eu-west-1:123456789012:alarms"],
        "InsufficientDataActions": [],
        "Trigger": {
            "MetricName": "HTTPCode_Target_5XX_Count",
            "Namespace": "AWS/ApplicationELB",
            "StatisticType": "Statistic",
            "Statistic": "SUM",
            "Unit": None,
            "Dimensions": [{"value": "app/shop/50dc6c495c0c9188", "name": "LoadBalancer"}],
            "Period": 60,
            "EvaluationPeriods": 1,
            "ComparisonOperator": "GreaterThanThreshold",
            "Threshold": 5.0,
        },
        **more,
    }


def envelope(message: object, kind: str = "Notification", **more: Any) -> dict[str, Any]:
    """Return SNS's envelope around a message, not yet signed."""
    return {
        "Type": kind,
        "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
        "TopicArn": "arn:aws:sns:eu-west-1:123456789012:alarms",
        "Subject": 'ALARM: "checkout-5xx-p2" in EU (Ireland)',
        "Message": message if isinstance(message, str) else json.dumps(message),
        "Timestamp": "2026-11-20T02:59:58.000Z",
        "SignatureVersion": "2",
        "Signature": "",
        "SigningCertURL": "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0123456789abcdef.pem",
        "UnsubscribeURL": "https://sns.eu-west-1.amazonaws.com/?Action=Unsubscribe&SubscriptionArn=arn",
        **more,
    }


def state_change(value: str = "ALARM", previous: str = "OK", **more: Any) -> dict[str, Any]:
    """Return EventBridge's event of an alarm that changed its state."""
    at = {"ALARM": "2026-11-20T02:48:00.000+0000", "OK": "2026-11-20T02:59:00.000+0000"}
    metric = {"namespace": "AWS/Lambda", "name": "Errors", "dimensions": {"FunctionName": "invoices"}}
    return {
        "version": "0",
        "id": "c4c1c1c9-6542-e61b-6ef0-8c4d36933a92",
        "detail-type": "CloudWatch Alarm State Change",
        "source": "aws.cloudwatch",
        "account": "123456789012",
        "time": "2026-11-20T02:59:00Z",
        "region": "eu-west-1",
        "resources": ["arn:aws:cloudwatch:eu-west-1:123456789012:alarm:invoices-errors"],
        "detail": {
            "alarmName": "invoices-errors",
            "configuration": {
                "description": "the function fails",
                "metrics": [{"id": "m1", "metricStat": {"metric": metric, "period": 60, "stat": "Sum"}}],
            },
            "previousState": {"reason": "before", "timestamp": at.get(previous, at["OK"]), "value": previous},
            "state": {"reason": "Threshold Crossed", "timestamp": at.get(value, at["OK"]), "value": value},
        },
        **more,
    }


GRAFANA: dict[str, Any] = {
    "receiver": "midwatch",
    "status": "firing",
    "orgId": 1,
    "alerts": [
        {
            "status": "firing",
            "labels": {"alertname": "High latency", "service": "search", "severity": "critical"},
            "annotations": {
                "summary": "search is slow",
                "description": "p95 is over a second",
                "runbook_url": "https://wiki.example.com/search",
            },
            "startsAt": "2026-11-20T04:48:00+02:00",
            "endsAt": "0001-01-01T00:00:00Z",
            "values": {"B": 1.44, "C": 1},
            "valueString": "[ var='B' value=1.44 ]",
            "generatorURL": "https://grafana.example.com/alerting/grafana/abc/view",
            "fingerprint": "c6eadffa33fcdf37",
            "silenceURL": "https://grafana.example.com/alerting/silence/new",
            "dashboardURL": "https://grafana.example.com/d/abc",
            "panelURL": "",
        }
    ],
    "groupLabels": {},
    "commonLabels": {"team": "search"},
    "commonAnnotations": {},
    "externalURL": "https://grafana.example.com/",
    "version": "1",
    "groupKey": "{}:{}",
    "truncatedAlerts": 0,
    "title": "[FIRING:1] High latency",
    "state": "alerting",
    "message": "**Firing**",
}
DATADOG: dict[str, Any] = {
    "id": "7301234567890123456",
    "title": "[Triggered on {service:cart}] cart fails",
    "body": "%%%\ntoo many errors\n%%%",
    "date": str(MILLISECONDS),
    "last_updated": str(MILLISECONDS),
    "event_type": "query_alert_monitor",
    "alert_id": "1234567",
    "alert_title": "cart fails",
    "alert_status": "errors over service:cart was > 5 on average during the last 5m",
    "alert_transition": "Triggered",
    "alert_type": "error",
    "alert_priority": "P2",
    "alert_cycle_key": "16029283746",
    "alert_metric": "trace.http.request.errors",
    "alert_query": "avg(last_5m):…",
    "alert_scope": "service:cart,env:prod",
    "hostname": "i-0a1b",
    "link": "https://app.datadoghq.eu/monitors/1234567",
    "tags": "env:prod,service:cart,team:shop,monitor",
}
DATADOG_DEFAULT: dict[str, Any] = {
    "id": "7301234567890123456",
    "last_updated": str(MILLISECONDS),
    "event_type": "query_alert_monitor",
    "title": "[Recovered on {service:cart}] cart fails",
    "date": str(MILLISECONDS),
    "body": "all is well",
    "org": {"id": "11023", "name": "Shop"},
}
SENTRY_EVENT: dict[str, Any] = {
    "action": "triggered",
    "actor": {"id": "sentry", "name": "Sentry", "type": "application"},
    "data": {
        "event": {
            "event_id": "e4874d664c3540c1a32eab185f12c5ab",
            "issue_id": "1117540176",
            "issue_url": "https://sentry.io/api/0/issues/1117540176/",
            "url": "https://sentry.io/api/0/projects/shop/storefront/events/e4874d664c3540c1a32eab185f12c5ab/",
            "web_url": "https://shop.sentry.io/issues/1117540176/events/e4874d664c3540c1a32eab185f12c5ab/",
            "title": "KeyError: 'voucher'",
            "culprit": "storefront.views.cart",
            "datetime": "2026-11-20T02:48:00.000000Z",
            "level": "fatal",
            "message": "",
            "platform": "python",
            "project": 1,
            "release": None,
            "tags": [["environment", "prod"], ["level", "fatal"]],
            "timestamp": 1795142880.0,
            "exception": {"values": [{"type": "KeyError", "stacktrace": {"frames": [{"lineno": 3}]}}]},
        },
        "triggered_rule": "New errors in the storefront",
        "issue_alert": {"title": "New errors in the storefront", "settings": []},
    },
    "installation": {"uuid": "a8e5d37a-696c-4c54-adb5-b3f28d64c7de"},
}
SENTRY_METRIC: dict[str, Any] = {
    "action": "warning",
    "actor": {"id": "sentry", "name": "Sentry", "type": "application"},
    "data": {
        "description_text": "1200 events in the last 10 minutes",
        "description_title": "Warning: many errors",
        "metric_alert": {
            "id": "4",
            "identifier": "1",
            "date_started": "2026-11-20T02:48:00.000000Z",
            "date_detected": "2026-11-20T02:49:00.000000Z",
            "date_closed": None,
            "projects": ["storefront"],
            "status": 20,
            "title": "Sacred Marmot",
            "alert_rule": {
                "id": "7",
                "name": "many errors",
                "aggregate": "count()",
                "query": "level:error",
                "environment": None,
                "triggers": [],
            },
        },
        "web_url": "https://shop.sentry.io/alerts/rules/details/7/",
    },
    "installation": {"uuid": "a8e5d37a-696c-4c54-adb5-b3f28d64c7de"},
}
SENTRY_ISSUE: dict[str, Any] = {
    "action": "resolved",
    "data": {
        "issue": {
            "id": "1117540176",
            "shortId": "STOREFRONT-1",
            "title": "KeyError: 'voucher'",
            "culprit": "storefront.views.cart",
            "level": "error",
            "status": "resolved",
            "project": {"id": "1", "name": "Storefront", "slug": "storefront", "platform": "python"},
            "firstSeen": "2026-11-20T02:48:00.000Z",
            "lastSeen": "2026-11-20T02:50:00.000Z",
            "web_url": "https://shop.sentry.io/issues/1117540176/",
        }
    },
    "actor": {"type": "user", "id": 1, "name": "On Call"},
    "installation": {"uuid": "a8e5d37a-696c-4c54-adb5-b3f28d64c7de"},
}
OPSGENIE: dict[str, Any] = {
    "action": "Create",
    "alert": {
        "alertId": "052652ac-5d1c-464a-812a-7dd18bbfba8c",
        "message": "mail queue grows",
        "tags": ["service:mail", "prod"],
        "tinyId": "23",
        "entity": "mail-1",
        "alias": "mail-queue",
        "createdAt": MILLISECONDS,
        "updatedAt": MILLISECONDS * 1_000_000,
        "username": "On Call",
        "userId": "daed1180-0ce8-438b-8f8e-57e1a5920a2d",
        "description": "4000 mails wait",
        "team": "platform",
        "responders": [],
        "details": {"runbook": "mail-queue"},
        "priority": "P3",
        "source": "prometheus",
    },
    "source": {"name": "", "type": "api"},
    "integrationName": "midwatch",
    "integrationId": "37c8f316-17c6-49d7-899b-9c7e540c048d",
    "integrationType": "Webhook",
}
NEWRELIC: dict[str, Any] = {
    "id": "0ea2df1c-adab-45d2-aae0-042b609d2322",
    "issueUrl": "https://radar-api.service.newrelic.com/accounts/1/issues/0ea2df1c",
    "title": "Error percentage > 5% for at least 5 minutes on 'billing'",
    "priority": "CRITICAL",
    "impactedEntities": ["billing"],
    "totalIncidents": 1,
    "state": "ACTIVATED",
    "trigger": "STATE_CHANGE",
    "isCorrelated": False,
    "createdAt": MILLISECONDS,
    "updatedAt": MILLISECONDS + 5000,
    "sources": ["newrelic"],
    "alertPolicyNames": ["Golden signals"],
    "alertConditionNames": ["Error percentage"],
    "workflowName": "midwatch",
}
DYNATRACE: dict[str, Any] = {
    "ImpactedEntities": [
        {"type": "HOST", "name": "node-7", "entity": "HOST-0000000000000001"},
        {"type": "SERVICE", "name": "ledger", "entity": "SERVICE-0000000000000002"},
    ],
    "ImpactedEntity": "2 impacted entities",
    "PID": "-4729571837249102837_1795142880000V2",
    "ProblemDetailsHTML": "<h1>Failure rate increase</h1>",
    "ProblemDetailsJSON": {"id": "-4729571837249102837_1795142880000V2", "startTime": MILLISECONDS, "endTime": -1},
    "ProblemID": "P-26111234",
    "ProblemImpact": "SERVICE",
    "ProblemTitle": "Failure rate increase",
    "ProblemURL": "https://abc12345.live.dynatrace.com/#problems/problemdetails;pid=-4729571837249102837_1795142880000V2",
    "State": "OPEN",
    "Tags": "team:money, [Kubernetes]app:ledger-api",
}
SERVICENOW: dict[str, Any] = {
    "operation": "insert",
    "number": "INC0012345",
    "sys_id": "9d385017c611228701d22104cc95c371",
    "short_description": "customers cannot pay",
    "description": "since a quarter to three",
    "state": {"value": "1", "display_value": "New"},
    "priority": {"value": "2", "display_value": "2 - High"},
    "urgency": {"value": "1", "display_value": "1 - High"},
    "impact": {"value": "2", "display_value": "2 - Medium"},
    "category": "software",
    "assignment_group": {"value": "287ebd7da9fe198100f92cc8d1d2154e", "display_value": "Payments"},
    "business_service": {"value": "26da329f0a0a0bb400f69d8159bc753d", "display_value": "payments"},
    "cmdb_ci": "",
    "opened_at": "2026-11-20 02:48:00",
    "url": "https://shop.service-now.com/nav_to.do?uri=incident.do?sys_id=9d385017c611228701d22104cc95c371",
}
REPOSITORY: dict[str, Any] = {
    "id": 17,
    "name": "gateway",
    "full_name": "shop/gateway",
    "default_branch": "main",
    "custom_properties": {"tier": "1", "reviewers": ["a", "b"]},
}
GITHUB_DEPLOYMENT: dict[str, Any] = {
    "action": "created",
    "deployment_status": {
        "id": 11,
        "state": "failure",
        "description": "health check failed",
        "environment": "production",
        "target_url": "https://ci.example.com/1",
        "log_url": "https://ci.example.com/1/log",
        "environment_url": "",
        "created_at": "2026-11-20T02:48:00Z",
        "updated_at": "2026-11-20T02:48:00Z",
    },
    "deployment": {"id": 7, "sha": "c0ffee", "ref": "v1.9.0", "task": "deploy", "environment": "production"},
    "repository": REPOSITORY,
    "sender": {"login": "deployer"},
}
GITHUB_RUN: dict[str, Any] = {
    "action": "completed",
    "workflow_run": {
        "id": 30433642,
        "name": "Release",
        "display_title": "Release 1.9.0",
        "event": "push",
        "status": "completed",
        "conclusion": "failure",
        "head_branch": "main",
        "head_sha": "c0ffee",
        "run_attempt": 1,
        "run_started_at": "2026-11-20T02:48:00Z",
        "html_url": "https://github.com/shop/gateway/actions/runs/30433642",
    },
    "workflow": {"id": 1, "name": "Release"},
    "repository": REPOSITORY,
}
SYNTHETIC: dict[str, Any] = {
    "check": "front page",
    "check_id": "b68422ae",
    "status": "ALERT_FAILURE",
    "started_at": "2026-11-20T02:48:00.000Z",
    "service": "storefront",
    "url": "https://shop.example.com",
    "region": "eu-west-1",
    "error": "the title is missing",
    "response_ms": "1204",
    "link": "https://app.checklyhq.com/checks/b68422ae",
    "tags": ["team:web"],
}
DEVOPS_AGENT: dict[str, Any] = {
    "eventType": "incident",
    "incidentId": "incident-417",
    "action": "created",
    "priority": "HIGH",
    "title": "High CPU usage on production server",
    "description": "host ABC in account 1234, region us-east-1",
    "timestamp": "2026-11-20T02:48:00.000Z",
    "service": "orders",
    "data": {"metadata": {"region": "us-east-1", "environment": "production"}, "alarm": {"deep": [1, 2]}},
}
