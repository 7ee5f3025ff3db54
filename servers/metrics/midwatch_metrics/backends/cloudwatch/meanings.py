"""What CloudWatch's metrics are: which are counted (Sum), which are levels, and which users feel. A table, and guesses.

CloudWatch lists neither types nor units, so those of AWS' own services stand here, as their pages in AWS' documentation
have them. What isn't in the table is guessed by its name.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Final

from midwatch_metrics.backend import Form, Meaning

AVERAGE: Final = "Average"
MAXIMUM: Final = "Maximum"


@dataclass(frozen=True, slots=True)
class Known:
    """What a metric is; `statistic` is the one that a gauge's level is read by. Meaning is None where nobody knows."""

    form: Form
    unit: str = ""
    meaning: Meaning | None = Meaning.OTHER
    statistic: str = AVERAGE


REQUESTS: Final = Known(Form.COUNTER, "1", Meaning.REQUESTS)
ERRORS: Final = Known(Form.COUNTER, "1", Meaning.ERRORS)
COUNT: Final = Known(Form.COUNTER, "1")
BYTES: Final = Known(Form.COUNTER, "By")
SECONDS: Final = Known(Form.HISTOGRAM, "s", Meaning.LATENCY)
MILLISECONDS: Final = Known(Form.HISTOGRAM, "ms", Meaning.LATENCY)
OTHER_MILLISECONDS: Final = Known(Form.HISTOGRAM, "ms")
LEVEL: Final = Known(Form.GAUGE)
HIGHEST: Final = Known(Form.GAUGE, statistic=MAXIMUM)
PERCENT: Final = Known(Form.GAUGE, "%")
BYTES_HELD: Final = Known(Form.GAUGE, "By")

NAMESPACES: Final[Mapping[str, Mapping[str, Known]]] = {
    "AWS/ApplicationELB": {
        "RequestCount": REQUESTS,
        "HTTPCode_Target_5XX_Count": ERRORS,
        "HTTPCode_ELB_5XX_Count": ERRORS,
        "TargetResponseTime": SECONDS,
        "HTTPCode_Target_2XX_Count": COUNT,
        "HTTPCode_Target_3XX_Count": COUNT,
        "HTTPCode_Target_4XX_Count": COUNT,
        "HTTPCode_ELB_3XX_Count": COUNT,
        "HTTPCode_ELB_4XX_Count": COUNT,
        "TargetConnectionErrorCount": COUNT,
        "RejectedConnectionCount": COUNT,
        "NewConnectionCount": COUNT,
        "ProcessedBytes": BYTES,
        "RequestCountPerTarget": COUNT,
        "ActiveConnectionCount": COUNT,
    },
    "AWS/Lambda": {
        "Invocations": REQUESTS,
        "Errors": ERRORS,
        "Duration": MILLISECONDS,
        "Throttles": COUNT,
        "DeadLetterErrors": COUNT,
        "PostRuntimeExtensionsDuration": OTHER_MILLISECONDS,
        "ConcurrentExecutions": HIGHEST,
        "IteratorAge": Known(Form.GAUGE, "ms", statistic=MAXIMUM),
    },
    "AWS/ApiGateway": {
        "Count": REQUESTS,
        "5XXError": ERRORS,
        "5xx": ERRORS,
        "Latency": MILLISECONDS,
        "4XXError": COUNT,
        "4xx": COUNT,
        "IntegrationLatency": OTHER_MILLISECONDS,
        "CacheHitCount": COUNT,
        "CacheMissCount": COUNT,
        "DataProcessed": BYTES,
    },
    "AWS/ECS": {
        "RequestCount": REQUESTS,  # this and the next two of Service Connect
        "HTTPCode_Target_5XX_Count": ERRORS,
        "TargetResponseTime": MILLISECONDS,
        "CPUUtilization": PERCENT,
        "MemoryUtilization": PERCENT,
        "NewConnectionCount": COUNT,
    },
    "AWS/RDS": {
        "ReadIOPS": Known(Form.GAUGE, "1/s", Meaning.REQUESTS),
        "WriteIOPS": Known(Form.GAUGE, "1/s", Meaning.REQUESTS),
        "ReadLatency": Known(Form.GAUGE, "s", Meaning.LATENCY),
        "WriteLatency": Known(Form.GAUGE, "s", Meaning.LATENCY),
        "CPUUtilization": PERCENT,
        "DatabaseConnections": HIGHEST,
        "FreeStorageSpace": BYTES_HELD,
        "FreeableMemory": BYTES_HELD,
        "ReplicaLag": Known(Form.GAUGE, "s"),
        "Deadlocks": Known(Form.GAUGE, "1/s"),
    },
    "AWS/SQS": {
        "NumberOfMessagesSent": REQUESTS,
        "ApproximateAgeOfOldestMessage": Known(Form.GAUGE, "s", Meaning.LATENCY, MAXIMUM),
        "NumberOfMessagesReceived": COUNT,
        "NumberOfMessagesDeleted": COUNT,
        "NumberOfEmptyReceives": COUNT,
        "ApproximateNumberOfMessagesVisible": HIGHEST,
        "ApproximateNumberOfMessagesNotVisible": HIGHEST,
        "ApproximateNumberOfMessagesDelayed": HIGHEST,
    },
    "AWS/DynamoDB": {
        "SuccessfulRequestLatency": MILLISECONDS,  # its samples are the requests
        "SystemErrors": ERRORS,
        "ThrottledRequests": ERRORS,
        "UserErrors": COUNT,
        "ReadThrottleEvents": COUNT,
        "WriteThrottleEvents": COUNT,
        "ConsumedReadCapacityUnits": COUNT,
        "ConsumedWriteCapacityUnits": COUNT,
        "ConditionalCheckFailedRequests": COUNT,
        "TransactionConflict": COUNT,
    },
    "AWS/EC2": {
        "CPUUtilization": PERCENT,
        "NetworkIn": BYTES,
        "NetworkOut": BYTES,
        "DiskReadBytes": BYTES,
        "DiskWriteBytes": BYTES,
        "StatusCheckFailed": HIGHEST,
        "CPUCreditBalance": LEVEL,
    },
    "ApplicationSignals": {
        "Latency": MILLISECONDS,  # its samples are the requests
        "Fault": ERRORS,
        "Error": COUNT,
    },
}
"""By namespace and metric. Of these namespaces, what is not listed is no figure of what users feel."""

_TIME: Final = re.compile(r"(latency|duration|response[._ ]?time|time|seconds|millis|milliseconds|[._]ms)$", re.I)
_SHARE: Final = re.compile(r"(utilization|utilisation|percent|percentage|used_percent)$", re.I)
_HELD: Final = re.compile(r"(bytes|memory|storage|storagespace)$", re.I)
_TIME_UNITS: Final = ((re.compile(r"(millis|milliseconds|[._]ms)$", re.I), "ms"), (re.compile(r"seconds$", re.I), "s"))


def known_of(namespace: str, name: str, counters: Sequence[str]) -> Known:
    """Return what a metric is: as the table has it, or by its name; `counters` are patterns of names that are counted.

    The meaning of what is not of a namespace in the table is left to those who read names and units.
    """
    table = NAMESPACES.get(namespace, {})
    if name in table:
        return table[name]
    return replace(_guessed(name, counters), meaning=Meaning.OTHER if table else None)


def _guessed(name: str, counters: Sequence[str]) -> Known:
    if any(fnmatchcase(name.lower(), pattern) for pattern in counters):
        return COUNT
    if _SHARE.search(name):
        return PERCENT
    if _TIME.search(name):
        return Known(Form.HISTOGRAM, next((unit for words, unit in _TIME_UNITS if words.search(name)), ""))
    return BYTES_HELD if _HELD.search(name) else LEVEL
