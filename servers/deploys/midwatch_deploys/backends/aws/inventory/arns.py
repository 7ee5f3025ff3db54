"""What ARNs and the resources of CloudFormation name: a queue, a table, a function. Pure.

What is not named here (a log group, an alarm, a subnet) is nothing that an application calls.
"""

import re
from typing import Final, NamedTuple

_KINDS: Final = (
    (r"ecs:[^:]*:[^:]*:service/(?:[^/]+/)?(?P<name>[^/]+)", "service"),
    (r"lambda:[^:]*:[^:]*:function:(?P<name>[^:]+)(?::[^:]+)?", "service"),
    (r"states:[^:]*:[^:]*:stateMachine:(?P<name>[^:]+)", "service"),
    (r"apprunner:[^:]*:[^:]*:service/(?P<name>[^/]+)/.+", "service"),
    (r"elasticbeanstalk:[^:]*:[^:]*:environment/[^/]+/(?P<name>.+)", "service"),
    (r"ec2:[^:]*:[^:]*:instance/(?P<name>.+)", "instance"),
    (r"elasticloadbalancing:[^:]*:[^:]*:loadbalancer/(?:app|net|gwy)/(?P<name>[^/]+)/.+", "load_balancer"),
    (r"rds:[^:]*:[^:]*:(?:db|cluster):(?P<name>.+)", "database"),
    (r"dynamodb:[^:]*:[^:]*:table/(?P<name>[^/]+)", "database"),
    (r"redshift:[^:]*:[^:]*:cluster:(?P<name>.+)", "database"),
    (r"es:[^:]*:[^:]*:domain/(?P<name>[^/]+)", "database"),
    (r"elasticache:[^:]*:[^:]*:(?:cluster|replicationgroup|serverlesscache):(?P<name>.+)", "cache"),
    (r"sqs:[^:]*:[^:]*:(?P<name>.+)", "queue"),
    (r"sns:[^:]*:[^:]*:(?P<name>[^:]+)", "queue"),
    (r"kinesis:[^:]*:[^:]*:stream/(?P<name>[^/]+)", "queue"),
    (r"events:[^:]*:[^:]*:event-bus/(?P<name>.+)", "queue"),
    (r"kafka:[^:]*:[^:]*:cluster/(?P<name>[^/]+)/.+", "queue"),
    (r"s3:::(?P<name>[^/]+)", "bucket"),
)
_ARN: Final = tuple((re.compile(rf"arn:aws[\w-]*:{pattern}"), kind) for pattern, kind in _KINDS)
_OF_STACKS: Final = {
    "AWS::SQS::Queue": "sqs:{region}:{account}:{last}",
    "AWS::DynamoDB::Table": "dynamodb:{region}:{account}:table/{name}",
    "AWS::DynamoDB::GlobalTable": "dynamodb:{region}:{account}:table/{name}",
    "AWS::Kinesis::Stream": "kinesis:{region}:{account}:stream/{name}",
    "AWS::RDS::DBInstance": "rds:{region}:{account}:db:{name}",
    "AWS::RDS::DBCluster": "rds:{region}:{account}:cluster:{name}",
    "AWS::ElastiCache::CacheCluster": "elasticache:{region}:{account}:cluster:{name}",
    "AWS::ElastiCache::ReplicationGroup": "elasticache:{region}:{account}:replicationgroup:{name}",
    "AWS::Redshift::Cluster": "redshift:{region}:{account}:cluster:{name}",
    "AWS::OpenSearchService::Domain": "es:{region}:{account}:domain/{name}",
    "AWS::S3::Bucket": "s3:::{name}",
    "AWS::Events::EventBus": "events:{region}:{account}:event-bus/{name}",
    "AWS::Lambda::Function": "lambda:{region}:{account}:function:{name}",
    "AWS::EC2::Instance": "ec2:{region}:{account}:instance/{name}",
}
"""By the type of a resource in a stack, its ARN, where its physical id is only a name or a URL."""
DATA: Final = frozenset({"database", "cache", "queue", "bucket"})
"""Kinds of things that do nothing by themselves."""


class Named(NamedTuple):
    """What an ARN names: the kind of the entity, and its name."""

    kind: str
    name: str


def named(arn: str) -> Named | None:
    """Return what an ARN names; None for what is no part of an application."""
    for pattern, kind in _ARN:
        if found := pattern.fullmatch(arn):
            return Named(kind, found["name"])
    return None


def service_in(arn: str) -> str:
    """Return the AWS service in an ARN or a pattern of ARNs, as IAM names it; '' for what is none."""
    parts = arn.split(":", 3)
    return parts[2] if len(parts) == 4 and parts[0] == "arn" else ""


def arn_of(kind: str, physical: str, stack: str) -> str:
    """Return the ARN of a stack's resource by its type and its physical id; '' where it is not known.

    `stack` is the ARN of the stack, which has the account and the region.
    """
    if physical.startswith("arn:"):
        return physical
    form = _OF_STACKS.get(kind)
    parts = stack.split(":")
    if not form or not physical or len(parts) < 6:
        return ""
    last = physical.rstrip("/").rpartition("/")[2]
    return f"arn:{parts[1]}:{form.format(region=parts[3], account=parts[4], name=physical, last=last)}"
