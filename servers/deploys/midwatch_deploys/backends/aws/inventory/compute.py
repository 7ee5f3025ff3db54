"""What runs in an account: services of ECS, functions, instances, databases; and as whom. They only describe."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from midwatch_deploys.backends.aws.account import Account, chunks, read, tags_of
from midwatch_deploys.backends.aws.inventory.found import Consumer, Thing
from midwatch_deploys.backends.parts import each_at_once
from midwatch_deploys.resources import last_part
from midwatch_deploys.settings import DeploysSettings
from midwatch_kit import KitError
from midwatch_kit.aws import in_words

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import InstanceTypeDef
    from mypy_boto3_ecs import ECSClient
    from mypy_boto3_ecs.type_defs import ServiceTypeDef
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_rds import RDSClient

_MOST: Final = 500
_MOST_DEFINITIONS: Final = 200
_AT_A_TIME: Final = 10
_THERE: Final = ["pending", "running", "stopping", "stopped"]


class EcsReader:
    """The services of all clusters of a region."""

    def __init__(self, settings: DeploysSettings) -> None:
        self._aws: Account[ECSClient] = Account(settings, lambda s, o: s.client("ecs", **o))

    def read(self) -> tuple[Sequence[Thing], list[str]]:
        """Return services with the roles of their tasks, and gaps; raises `BackendDown`."""
        services, cut = self._services()
        gaps = [f"only {len(services)} services of ECS were listed"] if cut else []
        definitions = list(dict.fromkeys(each["taskDefinition"] for each in services if each.get("taskDefinition")))
        if len(definitions) > _MOST_DEFINITIONS:
            gaps.append(f"{len(definitions) - _MOST_DEFINITIONS} more task definitions were left out")
        roles: dict[str, str] = {}
        try:
            told = each_at_once(self._role, definitions[:_MOST_DEFINITIONS])
            roles = dict(zip(definitions, told, strict=False))
        except KitError as error:
            gaps.append(f"roles of tasks: {error}")
        return [_of_service(each, roles.get(each.get("taskDefinition", ""), "")) for each in services], gaps

    def _services(self) -> "tuple[list[ServiceTypeDef], bool]":
        until = self._aws.until()
        with in_words("ECS", "ecs:ListClusters"):
            pages = self._aws.client.get_paginator("list_clusters").paginate()
            clusters, cut = read(pages, lambda page: page["clusterArns"], _MOST, until)
        found: list[ServiceTypeDef] = []
        for cluster in clusters:
            with in_words("ECS", "ecs:ListServices"):
                listing = self._aws.client.get_paginator("list_services").paginate(cluster=cluster)
                arns, more = read(listing, lambda page: page["serviceArns"], _MOST - len(found), until)
            cut = cut or more
            with in_words("ECS", "ecs:DescribeServices"):
                for some in chunks(arns, _AT_A_TIME):
                    answer = self._aws.client.describe_services(cluster=cluster, services=some, include=["TAGS"])
                    found += answer["services"]
            if len(found) >= _MOST:
                return found, True
        return found, cut

    def _role(self, definition: str) -> str:
        with in_words("ECS", "ecs:DescribeTaskDefinition"):
            return self._aws.client.describe_task_definition(taskDefinition=definition)["taskDefinition"].get(
                "taskRoleArn", ""
            )


class FunctionReader:
    """The functions of Lambda of a region, and what they consume."""

    def __init__(self, settings: DeploysSettings) -> None:
        self._aws: Account[LambdaClient] = Account(settings, lambda s, o: s.client("lambda", **o))

    def read(self) -> tuple[Sequence[Thing], Sequence[Consumer], list[str]]:
        """Return functions, which of them is given what comes where, and gaps; raises `BackendDown`."""
        with in_words("Lambda", "lambda:ListFunctions"):
            pages = self._aws.client.get_paginator("list_functions").paginate()
            found, cut = read(pages, lambda page: page["Functions"], _MOST, self._aws.until())
        things = [
            Thing(
                each["FunctionArn"],
                role=each.get("Role", ""),
                groups=frozenset(each.get("VpcConfig", {}).get("SecurityGroupIds", [])),
            )
            for each in found
        ]
        gaps = [f"only {len(found)} functions were listed"] if cut else []
        try:
            consumers, more = self._consumers()
        except KitError as error:
            return things, [], [*gaps, f"event sources: {error}"]
        return things, consumers, [*gaps, *(["not all event sources were listed"] if more else [])]

    def _consumers(self) -> tuple[list[Consumer], bool]:
        with in_words("Lambda", "lambda:ListEventSourceMappings"):
            pages = self._aws.client.get_paginator("list_event_source_mappings").paginate()
            found, cut = read(pages, lambda page: page["EventSourceMappings"], _MOST, self._aws.until())
        told = [
            Consumer(each.get("FunctionArn", ""), each.get("EventSourceArn", ""))
            for each in found
            if each.get("State") != "Disabled"
        ]
        return told, cut


class InstanceReader:
    """The instances of EC2 of a region."""

    def __init__(self, aws: "Account[EC2Client]") -> None:
        self._aws = aws

    def read(self) -> tuple[Sequence[Thing], list[str]]:
        """Return instances, and gaps; raises `BackendDown`."""
        with in_words("EC2", "ec2:DescribeInstances"):
            pages = self._aws.client.get_paginator("describe_instances").paginate(
                Filters=[{"Name": "instance-state-name", "Values": _THERE}], PaginationConfig={"PageSize": _MOST}
            )
            found, cut = read(
                pages,
                lambda page: [(each["OwnerId"], one) for each in page["Reservations"] for one in each["Instances"]],
                _MOST,
                self._aws.until(),
            )
            region = self._aws.client.meta.region_name
            partition = self._aws.client.meta.partition
        things = [_of_instance(one, f"arn:{partition}:ec2:{region}:{owner}:instance/") for owner, one in found]
        return things, [f"only {len(found)} instances were listed"] if cut else []


class DatabaseReader:
    """The database instances of RDS of a region."""

    def __init__(self, settings: DeploysSettings) -> None:
        self._aws: Account[RDSClient] = Account(settings, lambda s, o: s.client("rds", **o))

    def read(self) -> tuple[Sequence[Thing], list[str]]:
        """Return databases, and gaps; raises `BackendDown`."""
        with in_words("RDS", "rds:DescribeDBInstances"):
            pages = self._aws.client.get_paginator("describe_db_instances").paginate()
            found, cut = read(pages, lambda page: page["DBInstances"], _MOST, self._aws.until())
        things = [
            Thing(
                each["DBInstanceArn"],
                tags=tags_of(each.get("TagList", [])),
                groups=frozenset(one["VpcSecurityGroupId"] for one in each.get("VpcSecurityGroups", [])),
                about=_texts(
                    engine=each.get("Engine"),
                    status=each.get("DBInstanceStatus"),
                    cluster=each.get("DBClusterIdentifier"),
                    host=each.get("Endpoint", {}).get("Address"),
                ),
            )
            for each in found
        ]
        return things, [f"only {len(found)} databases were listed"] if cut else []


def _of_service(service: "ServiceTypeDef", role: str) -> Thing:
    network: Any = service.get("networkConfiguration", {}).get("awsvpcConfiguration", {})
    return Thing(
        service["serviceArn"],
        names=(f"{last_part(service['clusterArn'])}/{service['serviceName']}", service["serviceName"]),
        tags=tags_of(service.get("tags", [])),
        role=role,
        groups=frozenset(network.get("securityGroups", [])),
        registers=frozenset(arn for each in service.get("loadBalancers", []) if (arn := each.get("targetGroupArn"))),
    )


def _of_instance(instance: "InstanceTypeDef", prefix: str) -> Thing:
    tags = tags_of(instance.get("Tags", []))
    cards = instance.get("NetworkInterfaces", [])
    addresses = {instance.get("PrivateIpAddress"), *(each.get("PrivateIpAddress") for each in cards)}
    return Thing(
        prefix + instance["InstanceId"],
        names=tuple(name for tag in ("Name", "aws:autoscaling:groupName") if (name := tags.get(tag))),
        tags=tags,
        stack=tags.get("aws:cloudformation:stack-name", ""),
        role=instance.get("IamInstanceProfile", {}).get("Arn", ""),
        groups=frozenset(each["GroupId"] for each in instance.get("SecurityGroups", [])),
        addresses=frozenset(address for address in addresses if address),
        about=_texts(state=instance.get("State", {}).get("Name"), type=instance.get("InstanceType")),
    )


def _texts(**facts: str | None) -> dict[str, str]:
    return {name: text for name, text in facts.items() if text}
