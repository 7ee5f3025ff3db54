"""The story as services in AWS would tell CloudWatch of it: their own metrics, an alarm, and a composite one."""

from datetime import timedelta

from tests.backends.fakes.cloudwatch import CloudWatch, changed
from tests.backends.metrics.story import FAULT, LENGTH, STEP, Told, points

SPACE = "Shop"
ARN = "arn:aws:cloudwatch:eu-west-1:1:alarm:"


def telling(told: Told) -> CloudWatch:
    """A CloudWatch that has the story."""
    kept, start = CloudWatch(), int(told.start.timestamp())
    for pod in ("checkout-1", "checkout-2"):
        who = {"ServiceName": "checkout", "InstanceId": pod}
        for at in range(0, LENGTH, STEP):
            failed, second = (3.0 * STEP if at >= FAULT else 0.0), start + at
            kept.put(SPACE, "http_requests_total", {**who, "StatusCode": "200"}, second, 10.0 * STEP - failed, 1)
            if failed:
                kept.put(SPACE, "http_requests_total", {**who, "StatusCode": "500"}, second, failed, 1)
            seconds = 0.3 if at >= FAULT else 0.01
            kept.put(SPACE, "http_request_duration_seconds", who, second, seconds, 10.0 * STEP)
    for one in points():
        labels = dict(one.labels)
        dead = (
            labels["pod"] == "stock-2" and one.at >= FAULT - 120
        )  # silence is told after six periods, of a minute here
        if one.name == "jobs_queue_depth" and not dead:
            who = {"ServiceName": labels["service"], "InstanceId": labels["pod"]}
            kept.put(SPACE, one.name, who, start + one.at, one.value, 1)
    _alarms(kept, told)
    return kept


def _alarms(kept: CloudWatch, told: Told) -> None:
    """`checkout-errors` has been in alarm for four minutes, and with it `shop`; it was so half an hour ago, too."""
    since = told.fault + timedelta(minutes=1, milliseconds=250)
    own = {"StateUpdatedTimestamp": since, "StateTransitionedTimestamp": since, "StateReason": "Threshold Crossed"}
    kept.alarms = [
        {
            **own,
            "AlarmName": "checkout-errors",
            "AlarmArn": f"{ARN}checkout-errors",
            "StateValue": "ALARM",
            "Namespace": SPACE,
            "MetricName": "http_requests_total",
            "Dimensions": [{"Name": "ServiceName", "Value": "checkout"}, {"Name": "StatusCode", "Value": "500"}],
            "Threshold": 10.0,
        },
        {
            "AlarmName": "stock-depth",
            "StateValue": "OK",
            "StateUpdatedTimestamp": told.start,
            "Metrics": [
                {
                    "Id": "m1",
                    "MetricStat": {
                        "Metric": {
                            "Namespace": SPACE,
                            "MetricName": "jobs_queue_depth",
                            "Dimensions": [{"Name": "ServiceName", "Value": "stock"}],
                        },
                        "Period": 60,
                        "Stat": "Maximum",
                    },
                },
                {"Id": "e1", "Expression": "m1*2"},
            ],
        },
    ]
    rule = f'ALARM("checkout-errors") OR ALARM({ARN}checkout-errors)'
    kept.composite = [{**own, "AlarmName": "shop", "StateValue": "ALARM", "AlarmRule": rule}]
    crossed = "Threshold Crossed: 1 datapoint [180.0] was greater than the threshold (10.0)."
    kept.history = [
        changed("checkout-errors", told.start + timedelta(minutes=20), "OK", "ALARM", reason="a drill"),
        changed("checkout-errors", told.start + timedelta(minutes=30), "ALARM", "OK", reason="over"),
        changed(
            "checkout-errors", since, "OK", "ALARM", reason=crossed, recentDatapoints=[180.0], threshold=10.0, period=60
        ),
        {**changed("shop", since, "OK", "ALARM", reason=f"{ARN}checkout-errors"), "AlarmType": "CompositeAlarm"},
        {**changed("stock-depth", since, "OK", "OK"), "HistoryItemType": "ConfigurationUpdate"},
    ]
