"""Whether CloudWatch is well: does it answer, may these credentials ask what the tools need, do samples arrive."""

import time
from collections.abc import Callable, Iterator, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

from midwatch_kit import BackendDown, Check, KitError
from midwatch_kit.aws import Denied, in_words
from midwatch_metrics.backends.cloudwatch.catalogue import MOST_LISTED, PLACE, Catalogue
from midwatch_metrics.backends.cloudwatch.meanings import NAMESPACES
from midwatch_metrics.backends.freshness import lag_check
from midwatch_metrics.timeline import SECOND, from_ns

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_cloudwatch.type_defs import MetricDataQueryTypeDef, MetricTypeDef

STALE_SECONDS: Final = 600.0
_AGE: Final = "the newest period began {:.0f} s ago"
_SILENT: Final = "see that what sends metrics still runs"
_WITHOUT: Final = {
    "cloudwatch:GetMetricData": "the server needs it: no metric has figures without",
    "cloudwatch:DescribeAlarms": "alarms are then not known",
    "cloudwatch:DescribeAlarmHistory": "how alarms changed is then not known",
}


def checks_of(client: "CloudWatchClient", catalogue: Catalogue, newest: Callable[[], int | None]) -> Sequence[Check]:
    """Return the checks; raises nothing."""
    where = f"{client.meta.endpoint_url}, region {client.meta.region_name}"
    try:
        listed = catalogue.listed()
    except Denied as error:
        return [Check("cloudwatch", False, str(error), f"the server needs it: allow {error.permission}")]
    except KitError as error:
        return [Check("cloudwatch", False, str(error), "correct what the error names, or ask again later")]
    up = Check("cloudwatch", True, where)
    may = Check("may call cloudwatch:ListMetrics", True, "yes")
    there = {one.namespace for one in listed.kept}
    empty = [name for name in catalogue.namespaces if "*" not in name and name not in there]
    amount = f"{len(listed.kept):,} metrics in {len(there)} namespaces"
    room = Check(
        "listed",
        not listed.cut,
        f"{amount}, and there are more" if listed.cut else amount,
        f"name fewer in MIDWATCH_CLOUDWATCH_NAMESPACES: {MOST_LISTED:,} are listed at most" if listed.cut else "",
    )
    return [up, may, *_permissions(client), room, *map(_empty, empty), lag_check(newest, STALE_SECONDS, _AGE, _SILENT)]


def _permissions(client: "CloudWatchClient") -> Iterator[Check]:
    now = time.time_ns()
    metric: MetricTypeDef = {"Namespace": "midwatch", "MetricName": "none"}
    nothing: MetricDataQueryTypeDef = {"Id": "none", "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Sum"}}
    asked: dict[str, Callable[[], object]] = {
        "cloudwatch:GetMetricData": lambda: client.get_metric_data(
            MetricDataQueries=[nothing], StartTime=from_ns(now - 60 * SECOND), EndTime=from_ns(now)
        ),
        "cloudwatch:DescribeAlarms": lambda: client.describe_alarms(MaxRecords=1),
        "cloudwatch:DescribeAlarmHistory": lambda: client.describe_alarm_history(MaxRecords=1),
    }
    for permission, ask in asked.items():
        name = f"may call {permission}"
        try:
            with in_words(PLACE, permission):
                ask()
            yield Check(name, True, "yes")
        except Denied as error:
            yield Check(name, False, str(error), _WITHOUT[permission])
        except BackendDown as error:
            yield Check(name, False, str(error), "ask again later")


def _empty(namespace: str) -> Check:
    near = get_close_matches(namespace, NAMESPACES, n=1, cutoff=0.7)
    meant = f"is {near[0]} meant? " if near and near[0] != namespace else ""
    return Check(
        f"namespace {namespace}",
        False,
        "it has no metrics of the last two weeks",
        f"{meant}see `aws cloudwatch list-metrics --namespace {namespace}`, and that the region is right",
    )
