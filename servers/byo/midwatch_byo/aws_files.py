"""Files that AWS writes into a bucket, as mappings: what a source of these formats is, unless it says otherwise.

Written after the pages on access logs of Application Load Balancers, on VPC flow logs in their default format (version
2), and on CloudTrail log files. Lines are filed by when AWS delivered them, which the slack allows for.
"""

from collections.abc import Mapping
from typing import Any, Final

_ALB: Final = (
    r"^\S+ (?P<time>\S+) (?:app/)?(?P<service>[^/ ]+)\S* (?P<client>\S+) (?P<instance>\S+) "
    r"(?P<request_seconds>\S+) (?P<target_seconds>\S+) (?P<response_seconds>\S+) "
    r'(?P<message>(?P<status>(?P<level>[\d-])\S*) (?P<target_status>\S+) \S+ \S+ "(?P<request>[^"]*)") '
    r'"[^"]*" \S+ \S+ (?P<target_group>\S+) "(?:[^"]*Root=)?(?P<trace_id>[^";]*)[^"]*"'
    r'(?: "(?P<domain>[^"]*)" "[^"]*" \S+ \S+ "(?P<actions>[^"]*)" "[^"]*" "(?P<error_reason>[^"]*)")?'
)
_VPC_FLOW: Final = (
    r"^\d+ (?P<account>\S+) (?P<service>\S+) (?P<message>(?P<source>\S+) (?P<target>\S+) (?P<source_port>\S+) "
    r"(?P<target_port>\S+) (?P<protocol>\S+) (?P<packets>\S+) (?P<bytes>\S+) (?P<time>\d+) (?P<end>\d+) "
    r"(?P<level>\S+) (?P<log_status>\S+))$"
)
_DENIED: Final = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "Client.UnauthorizedOperation")

FORMATS: Final[Mapping[str, Mapping[str, Any]]] = {
    "alb": {
        "format": "text",
        "pattern": _ALB,
        "layout": "AWSLogs/{*}/elasticloadbalancing/{*}/{yyyy}/{mm}/{dd}/",
        "files": "*.log.gz",
        "levels": {"5": "ERROR", "4": "WARN", "3": "INFO", "2": "INFO", "1": "INFO", "-": "WARN"},
        "slack": "PT10M",
    },
    "vpc_flow": {
        "format": "text",
        "pattern": _VPC_FLOW,
        "skip": "^version ",
        "layout": "AWSLogs/{*}/vpcflowlogs/{*}/{yyyy}/{mm}/{dd}/",
        "files": "*.log.gz",
        "levels": {"REJECT": "WARN", "ACCEPT": "INFO", "-": "INFO"},
        "slack": "PT20M",
    },
    "cloudtrail": {
        "format": "jsonl",
        "records": "Records",
        "layout": "AWSLogs/{*}/CloudTrail/{*}/{yyyy}/{mm}/{dd}/",
        "files": "*.json.gz",
        "fields": {
            "time": "eventTime",
            "level": "errorCode",
            "service": "eventSource",
            "instance": "awsRegion",
            "message": "eventName",
            "attributes": (
                *("errorCode", "errorMessage", "userIdentity.arn", "userIdentity.type", "sourceIPAddress"),
                *("userAgent", "readOnly", "recipientAccountId", "eventID"),
            ),
        },
        "levels": dict.fromkeys(_DENIED, "WARN"),
        "slack": "PT30M",
    },
}
"""The fields of a source by the name of its format."""
