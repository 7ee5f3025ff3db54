"""CloudWatch's alarms, as SNS delivers them and as EventBridge's API destinations do.

docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch-and-eventbridge.html,
docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html
"""

import re
from collections.abc import Mapping
from typing import Literal
from urllib.parse import quote

from pydantic import Field, JsonValue

from midwatch.errors import BadAlert
from midwatch.intake.parts import (
    Action,
    Began,
    Draft,
    Labels,
    Shape,
    Text,
    Told,
    finished,
    runbook,
    severity,
    validated,
)
from midwatch.intake.strict_json import parsed
from midwatch.records import Alert, Severity

LABELS = (
    "service", "Service", "ServiceName", "FunctionName", "ApiName", "DBInstanceIdentifier", "DBClusterIdentifier",
    "QueueName", "TableName", "CacheClusterId", "LoadBalancer", "TargetGroup", "ClusterName", "AutoScalingGroupName",
    "InstanceId",
)  # fmt: skip
_STATES: Mapping[str, Action] = {"ALARM": "created", "OK": "resolved"}
_SEVERITY = re.compile(r"(?<![a-z])(critical|sev-?[1-5]|p[1-5]|high|low)(?![a-z])", re.IGNORECASE)


class _Dimension(Shape):
    name: Text = ""
    value: Text = ""


class _Metric(Shape):
    name: Text = Field("", alias="MetricName")
    namespace: Text = Field("", alias="Namespace")
    dimensions: list[_Dimension] | None = Field(None, alias="Dimensions")


class _Stat(Shape):
    metric: _Metric = Field(_Metric(), alias="Metric")


class _Query(Shape):
    stat: _Stat | None = Field(None, alias="MetricStat")


class _Trigger(_Metric):
    metrics: list[_Query] | None = Field(None, alias="Metrics")


class _Alarm(Shape):
    """What SNS has in `Message` of an alarm, of one metric, of several, or composite."""

    name: Text = Field(alias="AlarmName", min_length=1)
    description: Text = Field("", alias="AlarmDescription")
    account: Text = Field("", alias="AWSAccountId")
    arn: Text = Field("", alias="AlarmArn")
    region: Text = Field("", alias="Region")
    state: Text = Field(alias="NewStateValue", min_length=1)
    reason: Text = Field("", alias="NewStateReason")
    changed: Began = Field(alias="StateChangeTime")
    trigger: _Trigger | None = Field(None, alias="Trigger")
    tags: JsonValue = Field(None, alias="AlarmTags")


class _Envelope(Shape):
    type: Literal["Notification", "SubscriptionConfirmation", "UnsubscribeConfirmation"] = Field(alias="Type")
    message: str = Field(alias="Message")
    topic: Text = Field("", alias="TopicArn")


class _State(Shape):
    value: Text = Field(min_length=1)
    reason: Text = ""
    timestamp: Began


class _EventMetric(Shape):
    name: Text = ""
    namespace: Text = ""
    dimensions: Labels = Field(default_factory=dict)


class _EventStat(Shape):
    metric: _EventMetric = _EventMetric()


class _EventQuery(Shape):
    stat: _EventStat | None = Field(None, alias="metricStat")


class _Configuration(Shape):
    description: Text = ""
    metrics: list[_EventQuery] = Field(default_factory=list)


class _Detail(Shape):
    name: Text = Field(alias="alarmName", min_length=1)
    state: _State
    previous: _State | None = Field(None, alias="previousState")
    configuration: _Configuration = _Configuration()
    tags: JsonValue = Field(None, alias="alarmTags")


class _Event(Shape):
    kind: Text = Field(alias="detail-type", min_length=1)
    account: Text = ""
    region: Text = ""
    resources: list[Text] = Field(default_factory=list)


class _StateChange(Shape):
    detail: _Detail


def from_sns(body: JsonValue, told: Told) -> list[Alert]:
    """Return the alert of an SNS message; none of one that confirms; raises `BadAlert`.

    A bare message, as SNS sends it with raw delivery, is taken as well, and so is an event that EventBridge sent to a
    topic.
    """
    message = body
    if isinstance(body, dict) and "Type" in body:
        envelope = validated(_Envelope, body)
        if envelope.type != "Notification":
            return []
        try:
            message = parsed(envelope.message.encode("utf-8", "surrogatepass"))
        except BadAlert:
            raise BadAlert("Message: it is no CloudWatch alarm, which would be JSON") from None
    if isinstance(message, dict) and "detail-type" in message:
        return _of_event(message, body, told)
    alarm = validated(_Alarm, message)
    if alarm.state not in _STATES:
        return []
    trigger = alarm.trigger or _Trigger()
    metrics = [trigger, *(query.stat.metric for query in trigger.metrics or [] if query.stat)]
    dimensions = {each.name: each.value for metric in metrics for each in metric.dimensions or []}
    labels = {"metric": next((f"{metric.namespace}/{metric.name}" for metric in metrics if metric.name), "")}
    labels |= {**dimensions, **_tags(alarm.tags), "account": alarm.account, "region": alarm.region}
    draft = Draft(
        source="cloudwatch",
        external=alarm.arn or alarm.name,
        title=alarm.name,
        started_at=alarm.changed,
        ended_at=alarm.changed,
        raw=body,
        labels={key: value for key, value in labels.items() if key and value},
        action=_STATES[alarm.state],
        description="\n".join(text for text in (alarm.description, alarm.reason) if text),
        severity=_severity(labels, alarm.name, alarm.description),
        links=(_console(alarm.arn),),
        runbook=runbook(labels),
    )
    return [finished(draft, told)]


def from_eventbridge(body: JsonValue, told: Told) -> list[Alert]:
    """Return the alert of a `CloudWatch Alarm State Change` event; none of other events; raises `BadAlert`."""
    return _of_event(body, body, told)


def _of_event(message: JsonValue, body: JsonValue, told: Told) -> list[Alert]:
    event = validated(_Event, message)
    if event.kind != "CloudWatch Alarm State Change":
        return []
    detail = validated(_StateChange, message).detail
    if detail.state.value not in _STATES:
        return []
    metrics = [query.stat.metric for query in detail.configuration.metrics if query.stat]
    labels = {"metric": next((f"{metric.namespace}/{metric.name}" for metric in metrics if metric.name), "")}
    labels |= {name: value for metric in metrics for name, value in metric.dimensions.items()}
    labels |= {**_tags(detail.tags), "account": event.account, "region": event.region}
    arn = event.resources[0] if event.resources else ""
    ended = detail.previous if detail.state.value == "OK" and detail.previous else None
    draft = Draft(
        source="cloudwatch",
        external=arn or detail.name,
        title=detail.name,
        ended_at=detail.state.timestamp,
        started_at=ended.timestamp if ended and ended.value == "ALARM" else detail.state.timestamp,
        raw=body,
        labels={key: value for key, value in labels.items() if key and value},
        action=_STATES[detail.state.value],
        description="\n".join(text for text in (detail.configuration.description, detail.state.reason) if text),
        severity=_severity(labels, detail.name, detail.configuration.description),
        links=(_console(arn),),
        runbook=runbook(labels),
    )
    return [finished(draft, told)]


def _tags(given: JsonValue) -> dict[str, str]:
    """Return an alarm's tags, which come as an object or as a list of keys and values."""
    if isinstance(given, dict):
        pairs = list(given.items())
    else:
        listed = [each for each in given if isinstance(each, dict)] if isinstance(given, list) else []
        pairs = [(str(each.get("Key") or each.get("key")), each.get("Value") or each.get("value")) for each in listed]
    return {key: value for key, value in pairs if isinstance(value, str)}


def _severity(labels: Mapping[str, str], *said: str) -> Severity:
    """Return the severity that a tag, the name or the description of an alarm tells; alarms have none of their own."""
    word = labels.get("severity") or labels.get("Severity") or labels.get("priority")
    found = _SEVERITY.search(" ".join(said))
    return severity(word or (found[1].replace("-", "") if found else ""))


def _console(arn: str) -> str:
    """Return the page of an alarm in the console."""
    parts = arn.split(":", 6)
    if len(parts) < 7 or parts[2] != "cloudwatch" or not re.fullmatch(r"[a-z0-9-]+", parts[3]):
        return ""
    host = "console.amazonaws.cn" if parts[1] == "aws-cn" else "console.aws.amazon.com"
    return f"https://{parts[3]}.{host}/cloudwatch/home?region={parts[3]}#alarmsV2:alarm/{quote(parts[6])}"
