"""What there is in AWS and how it is tied: an account in moto, its stacks in a fake, read into the topology."""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from pydantic import ValidationError
from tests.backends.deploys.asking import rows, stored, told
from tests.backends.deploys.awsaccount import FORGE, MotoAccount, allow, arn
from tests.backends.deploys.awsstories import Stacks
from tests.backends.fakes.awsapi import KEY, AwsApi
from tests.backends.fakes.awsfront import AwsFront, aws_front
from tests.backends.motoserver import moto_server

from midwatch_deploys.answers import map_deployments
from midwatch_deploys.backends import backend_of
from midwatch_deploys.settings import DeploysSettings
from midwatch_kit import Basis, TopologyFragment

Connect = Callable[..., AbstractAsyncContextManager[Client]]
Ties = dict[tuple[str, str, str], str]
POLICY = Path(__file__).parents[3] / "docs" / "deploys-policy.json"
JOBS, PARTS = arn("sqs", "jobs"), arn("dynamodb", "table/parts")
NOW = datetime(2026, 11, 22, tzinfo=UTC)


@dataclass(frozen=True)
class Account:
    """The settings of a server that reads the account, what stands before it, and what it tells when all is well."""

    settings: dict[str, Any]
    front: AwsFront
    rows: list[dict[str, Any]]
    bot: str

    @property
    def ties(self) -> Ties:
        """Basis and reason of each tie."""
        return {
            (row["source"], row["kind"], row["target"]): f"{row['basis']}: {row['because']}"
            for row in self.rows
            if "source" in row
        }

    def about(self, resource: str) -> dict[str, Any]:
        """Return what is told of one resource."""
        return next(row for row in self.rows if row.get("resource") == resource)


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    with pytest.MonkeyPatch.context() as patch, moto_server() as moto:
        patch.setenv("AWS_ACCESS_KEY_ID", KEY)
        patch.setenv("AWS_SECRET_ACCESS_KEY", "not-secret")
        bot = _furnish(MotoAccount(moto))
        stacks = Stacks()
        stacks.made("prod-forge", {"Table": ("AWS::DynamoDB::Table", "parts"), "Log": ("AWS::Logs::LogGroup", "x")})
        stacks.made("staging", {"Table": ("AWS::DynamoDB::Table", "drafts")})
        on = {
            "cloudformation_stacks": ["prod-*"],
            "service_resources": {"prod-forge": "forge"},
            "service_tag": "service",
        }
        with aws_front(AwsApi(stacks.answers()), moto) as (here, front):
            settings = {**here, **on, "aws_inventory": True}
            read = DeploysSettings(evidence_dir=tmp_path_factory.mktemp("evidence"), **settings)
            answer = map_deployments(backend_of(read), "deploys", NOW)
            assert not answer.caveats
            yield Account(settings, front, [row for row in answer.rows if isinstance(row, dict)], bot)


@pytest.fixture(autouse=True)
def _well(account: Account) -> Iterator[None]:
    yield
    account.front.denied.clear()
    account.front.stalled.clear()


def _furnish(aws: MotoAccount) -> str:
    groups: dict[str, list[tuple[int, str]]] = {
        "web": [(443, "0.0.0.0/0")],
        "app": [(8080, "web"), (7946, "app")],
        "bot": [(8080, "app"), (8080, "10.0.0.0/8")],
        "data": [(5432, "app"), (22, "bot")],
        "old": [],
    }
    for name, lets_in in groups.items():
        aws.group(name)
        aws.group(name, *lets_in)
    forge = aws.role(
        "forge-task",
        allow(["sqs:SendMessage", "sqs:ReceiveMessage"], JOBS),
        allow("dynamodb:*", PARTS),
        allow(["s3:GetObject", "s3:ListBucket"], ["*", "arn:aws:s3:::*/*", "arn:aws:s3:::listed"]),
        allow("s3:Put*", "arn:aws:s3:::models/trained/*"),
        allow("sqs:Receive*", "*", effect="Deny"),
        allow("dynamodb:GetItem", PARTS, effect="Deny", Condition={"Bool": {"aws:SecureTransport": "false"}}),
    )
    aws.role("bot", allow("sqs:*", arn("sqs", "jo*")), boundary=[allow("sqs:ReceiveMessage", "*")])
    notify = aws.role("notify", allow("lambda:InvokeFunction", arn("lambda", "function:*")))
    bot = aws.instance("bot-1", "bot", "bot", service="bot", owner="ada@robots.example")
    old = aws.instance("old-1", "old", service="old")
    forge_group, bot_group = aws.target_group("forge"), aws.target_group("bot", bot)
    aws.balancer("front", "web", forge_group, nothing_to=aws.target_group("old", old), bots=bot_group)
    aws.ecs_service("forge", "app", forge, forge_group)
    aws.database("forge-db", "data")
    aws.queue("jobs", **FORGE)
    aws.function("notify", notify, "jobs")
    return f"instance:{bot}"


def test_a_load_balancer_routes_to_the_services_behind_its_listeners_and_rules_but_not_by_a_weight_of_0(
    account: Account,
) -> None:
    assert {tie: why for tie, why in account.ties.items() if tie[1] == "routes_to"} == {
        ("load_balancer:front", "routes_to", "service:forge"): "declared: listener HTTP 80, 0 of 0 targets well",
        ("load_balancer:front", "routes_to", "service:bot"): "declared: listener HTTP 80 /bots/*, 1 of 1 targets well",
    }


def test_a_security_group_that_names_another_ties_what_is_in_them_and_no_group_to_itself_or_to_addresses(
    account: Account,
) -> None:
    assert {tie: why for tie, why in account.ties.items() if "security group" in why} == {
        ("service:forge", "calls", "service:bot"): "inferred: security group bot lets app in on tcp 8080",
        ("service:forge", "uses", "database:forge-db"): "inferred: security group data lets app in on tcp 5432",
    }


def test_a_role_ties_its_service_to_what_it_may_reach_and_a_permission_for_everything_to_nothing(
    account: Account,
) -> None:
    assert {tie: why for tie, why in account.ties.items() if ": role " in why} == {
        ("service:forge", "sends_to", "queue:jobs"): "inferred: role forge-task may sqs:SendMessage",
        ("service:forge", "reads", "database:parts"): "inferred: role forge-task may dynamodb:GetItem",
        ("service:forge", "writes", "database:parts"): "inferred: role forge-task may dynamodb:PutItem",
        ("service:forge", "writes", "bucket:models"): "inferred: role forge-task may s3:PutObject",
        ("service:bot", "receives_from", "queue:jobs"): "inferred: role bot may sqs:ReceiveMessage",
    }


def test_settings_tags_and_stacks_say_whose_a_resource_is_and_who_owns_it(account: Account) -> None:
    ties, table = account.ties, account.about("database:parts")
    assert ties["service:forge", "uses", "queue:jobs"] == "declared: tag service"
    assert ties["service:forge", "uses", "database:parts"] == "inferred: stack prod-forge"
    assert ties["service:bot", "runs_on", account.bot] == "declared: tag service"
    assert ties["database:parts", "deployed_by", "stack:prod-forge"].startswith("declared")
    assert ties["queue:jobs", "owned_by", "team:makers"] == "declared: its tag says so"
    assert (account.bot, "owned_by", "person:ada@robots.example") in ties
    assert account.about("queue:jobs")["environment"] == "prod"
    assert (table["service"], table["stack"], table["arn"]) == ("forge", "prod-forge", PARTS)
    assert account.about("stack:prod-forge")["resources"] == "1 AWS::DynamoDB::Table, 1 AWS::Logs::LogGroup"
    assert not [row for row in account.rows if row.get("resource") in ("stack:staging", "database:drafts")]


def test_a_function_receives_from_the_queue_that_it_is_mapped_to(account: Account) -> None:
    assert account.ties["service:notify", "receives_from", "queue:jobs"] == "declared: event source of the function"


async def test_a_host_gets_all_of_it_as_a_fragment_of_the_topology(account: Account, deploys: Connect) -> None:
    async with deploys(**account.settings) as client:
        meta = (await client.call_tool("map_deployments", {})).meta or {}
        fragment = TopologyFragment.model_validate(
            json.loads(await stored(client, meta["midwatch/records"]))["fragment"]
        )
    known = {(one.source, one.kind, one.target): one for one in fragment.relations}
    assert known.keys() == account.ties.keys()
    assert known["service:forge", "sends_to", "queue:jobs"].basis == Basis.INFERRED
    ends = {end for one in fragment.relations for end in (one.source, one.target)}
    assert ends <= {entity.id for entity in fragment.entities}


async def test_a_permission_that_is_missing_is_named_and_the_rest_is_told(account: Account, deploys: Connect) -> None:
    account.front.denied |= {"ec2:DescribeSecurityGroups", "iam:GetAccountAuthorizationDetails"}
    async with deploys(**account.settings) as client:
        caveats = " ".join((await told(client, "map_deployments"))["caveats"])
        seen = {row["because"] for row in await rows(client, "map_deployments") if "because" in row}
    assert "security groups: EC2 refused (UnauthorizedOperation): allow ec2:DescribeSecurityGroups" in caveats
    assert "roles: IAM refused (AccessDenied): allow iam:GetAccountAuthorizationDetails" in caveats
    assert {"tag service", "listener HTTP 80, 0 of 0 targets well"} <= seen
    assert not [why for why in seen if "security group" in why or "role" in why]


@pytest.mark.parametrize(
    "denied",
    [
        {
            "cloudformation:ListStackResources",
            "ecs:DescribeTaskDefinition",
            "elasticloadbalancing:DescribeTargetHealth",
            "lambda:ListEventSourceMappings",
            "ec2:DescribeInstances",
            "ec2:DescribeSecurityGroups",
            "iam:GetAccountAuthorizationDetails",
            "rds:DescribeDBInstances",
            "tag:GetResources",
        },
        {"ecs:ListServices", "elasticloadbalancing:DescribeRules", "lambda:ListFunctions"},
    ],
)
async def test_the_check_names_each_permission_that_is_missing(
    denied: set[str], account: Account, deploys: Connect
) -> None:
    account.front.denied |= denied
    async with deploys(**account.settings) as client:
        lines = (await told(client, "check_deploys"))["lines"]
    failed = [line for line in lines if line.startswith("FAIL aws inventory")]
    assert len(failed) == len(denied)
    assert [name for name in denied if not any(f"allow {name} " in line for line in failed)] == []


async def test_a_service_of_aws_that_stalls_is_left_out_within_the_deadline(account: Account, deploys: Connect) -> None:
    account.front.stalled.add("rds:DescribeDBInstances")
    async with deploys(**{**account.settings, "backend_seconds": 6}) as client:
        reply = await told(client, "map_deployments")
    assert "inventory of databases: " in str(reply["caveats"])
    assert reply["matched"] > 10


async def test_the_inventory_is_told_while_changes_cannot_be_and_the_other_way_round(
    account: Account, deploys: Connect
) -> None:
    account.front.denied.add("cloudformation:ListStacks")
    async with deploys(**account.settings) as client:
        reply = await told(client, "map_deployments")
    assert "allow cloudformation:ListStacks" in str(reply["caveats"])
    assert reply["matched"] == len(account.rows)
    account.front.denied = {name for name in account.front.asked if name != "cloudformation:ListStacks"}
    async with deploys(**account.settings) as client:
        reply = await told(client, "map_deployments")
    assert reply["matched"] == 0
    assert "nothing of the AWS inventory can be read" in str(reply["caveats"])


async def test_the_policy_in_the_documentation_allows_just_what_the_inventory_asks(
    account: Account, deploys: Connect
) -> None:
    policy = json.loads(POLICY.read_text())
    (allowed,) = [set(s["Action"]) for s in policy["Statement"] if s["Sid"] == "AwsInventory"]
    account.front.asked.clear()
    async with deploys(**account.settings) as client:
        lines = (await told(client, "check_deploys"))["lines"]
    assert len([line for line in lines if line.startswith("ok   aws inventory")]) == 9
    of_changes = {name for name in account.front.asked if name.startswith("cloudformation:")}
    assert account.front.asked - of_changes == {name for name in allowed if not name.startswith("cloudformation:")}
    assert allowed & of_changes == {"cloudformation:DescribeStacks", "cloudformation:ListStackResources"}


async def test_without_its_setting_nothing_of_it_is_asked(account: Account, deploys: Connect) -> None:
    account.front.asked.clear()
    async with deploys(**{**account.settings, "aws_inventory": False}) as client:
        await told(client, "map_deployments")
    assert {name.partition(":")[0] for name in account.front.asked} == {"cloudformation"}


def test_the_inventory_alone_tells_no_changes_so_the_server_wants_a_place_that_does(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="no place to read changes from"):
        DeploysSettings(evidence_dir=tmp_path, aws_inventory=True)
