"""What the account holds for each backend, and a server that reads it: enough that every permission is asked for."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from tests.backends.policies.account import REGION, Account, Policy, policy_in

from midwatch_byo.server import build as build_byo
from midwatch_byo.settings import ByoSettings
from midwatch_deploys.server import build as build_deploys
from midwatch_deploys.settings import DeploysSettings
from midwatch_kit import EvidenceServer
from midwatch_logs.server import build as build_logs
from midwatch_logs.settings import LogSettings
from midwatch_metrics.server import build as build_metrics
from midwatch_metrics.settings import MetricsSettings
from midwatch_traces.server import build as build_traces
from midwatch_traces.settings import TracesSettings

_NOW: Final = datetime.now(UTC)
_TRUST: Final = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "codepipeline.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ],
}
_TEMPLATE: Final = {"AWSTemplateFormatVersion": "2010-09-09", "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}


@dataclass(frozen=True)
class Backend:
    """A backend: the policy that its page gives, what fills the account, its server, and the tools that moto bears."""

    policy: Policy
    fill: Callable[[Account], None]
    build: Callable[[Account, Path], EvidenceServer]
    tools: tuple[str, ...]

    @property
    def check(self) -> str:
        """The tool that looks at each permission."""
        return self.tools[-1]


def _logs(account: Account) -> None:
    logs, group = account.client("logs"), "/ecs/forge"
    logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName="s/1")
    event = {"timestamp": int(_NOW.timestamp() * 1000) - 60_000, "message": "ERROR broken"}
    logs.put_log_events(logGroupName=group, logStreamName="s/1", logEvents=[event])


def _metrics(account: Account) -> None:
    named = [{"Name": "service.name", "Value": "forge"}]
    point = {"MetricName": "requests", "Value": 3, "Timestamp": _NOW - timedelta(minutes=3), "Dimensions": named}
    account.client("cloudwatch").put_metric_data(Namespace="Shop", MetricData=[point])


def _traces(account: Account) -> None:
    began = _NOW.timestamp() - 100
    told = {"trace_id": f"1-{int(began):08x}-bd862e3fe1be46a994272793", "id": "1" * 16, "name": "shop"}
    document = json.dumps({**told, "start_time": began, "end_time": began + 1})
    account.client("xray").put_trace_segments(TraceSegmentDocuments=[document])


def _bucket(account: Account) -> None:
    s3 = account.client("s3")
    s3.create_bucket(Bucket="company-alb", CreateBucketConfiguration={"LocationConstraint": REGION})
    line = json.dumps({"time": (_NOW - timedelta(minutes=1)).isoformat(), "level": "info", "message": "x"})
    s3.put_object(Bucket="company-alb", Key=f"AWSLogs/1/{_NOW:%Y/%m/%d}/a.jsonl", Body=line.encode())


def _stack(account: Account) -> None:
    account.client("cloudformation").create_stack(StackName="prod", TemplateBody=json.dumps(_TEMPLATE))


def _ecs(account: Account) -> None:
    ecs = account.client("ecs")
    ecs.create_cluster(clusterName="prod")
    main = {"name": "main", "image": "forge:1", "memory": 1}
    ecs.register_task_definition(family="forge", containerDefinitions=[main])
    ecs.create_service(cluster="prod", serviceName="forge", taskDefinition="forge", desiredCount=1)


def _pipeline(account: Account) -> None:
    role = account.client("iam").create_role(RoleName="forge", AssumeRolePolicyDocument=json.dumps(_TRUST))["Role"]
    stages = []
    for name, provider in (("Source", "S3"), ("Deploy", "CloudFormation")):
        kind = {"category": name, "owner": "AWS", "provider": provider, "version": "1"}
        stages.append({"name": name, "actions": [{"name": name, "actionTypeId": kind}]})
    kept = {"type": "S3", "location": "bucket"}
    pipeline = {"name": "forge", "roleArn": role["Arn"], "version": 1, "artifactStore": kept, "stages": stages}
    account.client("codepipeline").create_pipeline(pipeline=pipeline)


def _group(account: Account) -> None:
    scaling = account.client("autoscaling")
    scaling.create_launch_configuration(LaunchConfigurationName="l", ImageId="ami-12345678", InstanceType="t2.micro")
    of = {"LaunchConfigurationName": "l", "AvailabilityZones": [f"{REGION}a"]}
    scaling.create_auto_scaling_group(AutoScalingGroupName="forge", MinSize=0, MaxSize=0, **of)


def _byo(account: Account, folder: Path) -> EvidenceServer:
    source = {
        "name": "alb",
        "location": "s3://company-alb/AWSLogs",
        "format": "jsonl",
        "layout": "{*}/{yyyy}/{mm}/{dd}/",
    }
    mapping = folder / "mapping.json"
    mapping.write_text(json.dumps({"sources": [{**source, "endpoint": account.url, "region": REGION}]}))
    settings = {"mapping": mapping, "cache_dir": folder / "cache", "evidence_dir": folder / "evidence"}
    return build_byo(ByoSettings.model_validate(settings))


def _reader(build: Callable[[Any], EvidenceServer], settings: type[Any], **on: Any) -> Callable[..., EvidenceServer]:
    """Return a maker of servers with one backend on."""

    def made(account: Account, folder: Path) -> EvidenceServer:
        place = {"aws_endpoint_url": account.url, "aws_region": REGION, "evidence_dir": folder}
        return build(settings.model_validate({**place, **on}))

    return made


def _deploys(sid: str, fill: Callable[[Account], None], **on: Any) -> Backend:
    tools = ("map_deployments", "survey_changes", "check_deploys")
    return Backend(policy_in("deploys-policy.json", sid), fill, _reader(build_deploys, DeploysSettings, **on), tools)


BACKENDS: Final = {
    "CloudWatch Logs": Backend(
        policy_in("logs.md"),
        _logs,
        _reader(build_logs, LogSettings, cloudwatch_log_groups=["/ecs/*"]),
        ("check_logs",),  # moto's queries give rows that Logs Insights does not
    ),
    "CloudWatch": Backend(
        policy_in("metrics.md"),
        _metrics,
        _reader(build_metrics, MetricsSettings, cloudwatch_namespaces=["Shop"]),
        ("list_metrics", "survey_metrics", "list_alarms", "check_metrics"),
    ),
    "X-Ray": Backend(
        policy_in("traces.md"),
        _traces,
        _reader(build_traces, TracesSettings, xray=True),
        ("map_services", "survey_traces", "search_traces", "check_traces"),
    ),
    "S3": Backend(policy_in("byo.md"), _bucket, _byo, ("search_byo", "survey_byo", "check_byo")),
    "CloudTrail": _deploys("CloudTrail", lambda _: None, cloudtrail=True),
    "CloudFormation": _deploys("CloudFormation", _stack, cloudformation_stacks=["*"]),
    "ECS": _deploys("Ecs", _ecs, ecs_clusters=["*"]),
    "CodePipeline": _deploys("CodePipeline", _pipeline, codepipelines=["*"]),
    "Auto Scaling": _deploys("AutoScaling", _group, auto_scaling_groups=["*"]),
}
