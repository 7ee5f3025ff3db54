"""Stacks of CloudFormation and services of ECS: what was done to them, and that one deploy is told once."""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from tests.backends.deploys.asking import refusal, rows, told
from tests.backends.deploys.awsstories import CloudTrail, Ecs, Stacks
from tests.backends.deploys.worlds import AT, IN_WINDOW, WORLDS
from tests.backends.fakes.awsapi import AwsApi, aws

Connect = Callable[..., AbstractAsyncContextManager[Client]]
MINUTE = timedelta(minutes=1)
POLICY = Path(__file__).parents[3] / "docs" / "deploys-policy.json"


class Account:
    """What an account holds, and the settings of a server that reads it."""

    def __init__(self) -> None:
        self.stacks, self.ecs, self.trail = Stacks(), Ecs("prod"), CloudTrail()
        self.settings: dict[str, Any] = {}

    def reads(self, *backends: str, **more: Any) -> dict[str, Any]:
        """Return the settings with some backends on."""
        on = {"cloudformation": {"cloudformation_stacks": ["prod-*"]}, "ecs": {"ecs_clusters": ["prod"]}}
        return {**self.settings, **{k: v for name in backends for k, v in on.get(name, {name: True}).items()}, **more}


@pytest.fixture
def served() -> Iterator[tuple[Account, AwsApi]]:
    account = Account()
    answers = {**account.stacks.answers(), **account.ecs.answers(), **account.trail.answers()}
    with aws(answers) as (settings, api, _):
        account.settings = settings
        yield account, api


@pytest.fixture
def account(served: tuple[Account, AwsApi]) -> Account:
    return served[0]


async def test_an_update_of_a_stack_is_one_change_with_what_it_touched_and_when_it_ended(
    account: Account, deploys: Connect
) -> None:
    account.stacks.tags["prod-net"] = {"app": "forge"}
    account.stacks.updated("prod-net", AT, {"Queue": "AWS::SQS::Queue", "Topic": "AWS::SNS::Topic"})
    async with deploys(**account.reads("cloudformation", service_tag="app")) as client:
        (row,) = await rows(client, "survey_changes", **IN_WINDOW, entities=["forge"])
    assert (row["title"], row["outcome"]) == ("update of stack prod-net: Queue, Topic", "succeeded")
    assert (row["at"], row["ended"]) == ("2026-11-20T02:40:00Z", "2026-11-20T02:41:00Z")
    assert row["attributes"]["resources"] == "Queue (AWS::SQS::Queue), Topic (AWS::SNS::Topic)"


async def test_an_update_that_is_rolled_back_is_failed_and_says_why_and_shows_no_properties(
    account: Account, deploys: Connect
) -> None:
    account.stacks.updated("prod-net", AT, {"Queue": "AWS::SQS::Queue"}, failed="Database", reason="No such class")
    async with deploys(**account.reads("cloudformation")) as client:
        (row,) = await rows(client, "survey_changes", **IN_WINDOW)
        (whole,) = await rows(client, "get_change", change_id=row["change_id"])
    assert (row["outcome"], row["service"]) == ("failed", "prod-net")
    assert row["attributes"]["reason"] == "Database: No such class"
    assert "Database AWS::RDS::DBInstance UPDATE_FAILED No such class" in whole["diff"]
    assert "in-the-properties" not in str(whole)


async def test_what_drifted_is_told_by_its_path_without_its_values(account: Account, deploys: Connect) -> None:
    difference = {"PropertyPath": "/DelaySeconds", "ExpectedValue": "x-1", "ActualValue": "x-2"}
    account.stacks.drifts = [
        {
            "StackId": account.stacks.arn("prod-net"),
            "LogicalResourceId": "Queue",
            "ResourceType": "AWS::SQS::Queue",
            "StackResourceDriftStatus": "MODIFIED",
            "Timestamp": AT,
            "PropertyDifferences": [{**difference, "DifferenceType": "NOT_EQUAL"}],
        }
    ]
    account.stacks.updated("prod-net", AT, {"Queue": "AWS::SQS::Queue"})
    async with deploys(**account.reads("cloudformation")) as client:
        (row,) = await rows(client, "survey_changes", **IN_WINDOW)
        (whole,) = await rows(client, "get_change", change_id=row["change_id"])
    assert row["attributes"]["drift"] == "DRIFTED"
    assert whole["diff"].endswith(
        "drifted by 2026-11-20T02:40:00Z: Queue (AWS::SQS::Queue) MODIFIED /DelaySeconds NOT_EQUAL"
    )
    assert "x-1" not in str(whole)


async def test_an_update_by_a_change_set_tells_its_name_and_what_it_said_would_change(
    account: Account, deploys: Connect
) -> None:
    delay = {"Target": {"Attribute": "Properties", "Name": "DelaySeconds"}, "CausingEntity": "Delay"}
    modified = {"Action": "Modify", "LogicalResourceId": "Queue", "ResourceType": "AWS::SQS::Queue"}
    others = [{"Action": "Add", "LogicalResourceId": f"T{n}", "ResourceType": "AWS::SNS::Topic"} for n in range(5)]
    account.stacks.updated("prod-net", AT - 20 * MINUTE, {"Queue": "AWS::SQS::Queue"})
    account.stacks.updated("prod-net", AT, {"Queue": "AWS::SQS::Queue"})
    changed: dict[str, Any] = {**modified, "Replacement": "Conditional", "Details": [delay]}
    account.stacks.planned("slow-down", "prod-net", AT - MINUTE, changed, *others, Description="as agreed")
    async with deploys(**account.reads("cloudformation")) as client:
        latest, earlier = await rows(client, "survey_changes", **IN_WINDOW)
        (whole,) = await rows(client, "get_change", change_id=latest["change_id"])
        (before,) = await rows(client, "get_change", change_id=earlier["change_id"])
    assert whole["attributes"]["change_set"] == "slow-down"
    assert whole["diff"].splitlines()[:4] == [
        "change set slow-down of 2026-11-20T02:39:00Z said what would change (6):",
        "it is described as: as agreed",
        "Modify Queue (AWS::SQS::Queue), which may replace it: DelaySeconds (by Delay)",
        "Add T0 (AWS::SNS::Topic)",
    ]
    assert "Add T4" in whole["diff"]
    assert "change_set" not in before["attributes"]
    assert "change set" not in before["diff"]


async def test_an_update_after_the_one_that_a_change_set_made_is_not_ascribed_to_it(
    account: Account, deploys: Connect
) -> None:
    account.stacks.updated("prod-net", AT - 2 * MINUTE, {"Queue": "AWS::SQS::Queue"})
    account.stacks.updated("prod-net", AT, {"Queue": "AWS::SQS::Queue"})
    account.stacks.planned("slow-down", "prod-net", AT - 3 * MINUTE)
    async with deploys(**account.reads("cloudformation")) as client:
        by_hand, by_change_set = await rows(client, "survey_changes", **IN_WINDOW)
        (one,) = await rows(client, "get_change", change_id=by_hand["change_id"])
        (other,) = await rows(client, "get_change", change_id=by_change_set["change_id"])
        account.stacks.planned("slow-down", "prod-net", AT - 3 * MINUTE, ExecutionStatus="AVAILABLE")
        (waiting,) = await rows(client, "get_change", change_id=by_change_set["change_id"])
    assert [each["attributes"].get("change_set") for each in (one, other, waiting)] == [None, "slow-down", None]


async def test_without_the_permission_for_change_sets_an_update_is_told_still(
    served: tuple[Account, AwsApi], deploys: Connect
) -> None:
    account, api = served
    account.stacks.updated("prod-net", AT, {"Queue": "AWS::SQS::Queue"})
    account.stacks.planned("slow-down", "prod-net", AT - MINUTE)
    api.denied.add("cloudformation:DescribeChangeSet")
    async with deploys(**account.reads("cloudformation")) as client:
        (row,) = await rows(client, "survey_changes", **IN_WINDOW)
        (whole,) = await rows(client, "get_change", change_id=row["change_id"])
        lines = (await told(client, "check_deploys"))["lines"]
    assert "allow cloudformation:DescribeChangeSet" in whole["diff"].splitlines()[0]
    assert "Queue AWS::SQS::Queue UPDATE_COMPLETE" in whole["diff"]
    assert [line[:16] for line in lines if line.startswith("FAIL")] == ["FAIL change sets"]


async def test_only_stacks_of_the_settings_that_changed_near_the_window_are_looked_into(
    served: tuple[Account, AwsApi], deploys: Connect
) -> None:
    account, api = served
    account.stacks.updated("dev-net", AT, {"Queue": "AWS::SQS::Queue"})
    account.stacks.updated("prod-old", AT - timedelta(days=9), {"Queue": "AWS::SQS::Queue"})
    async with deploys(**account.reads("cloudformation")) as client:
        reply = await told(client, "survey_changes", **IN_WINDOW)
    assert reply["matched"] == 0
    assert {name for name, _ in api.asked} == {"cloudformation:ListStacks"}


async def test_a_stack_that_is_named_and_not_there_is_told_with_near_names(account: Account, deploys: Connect) -> None:
    account.stacks.updated("prod-net", AT, {})
    async with deploys(**account.reads("cloudformation", cloudformation_stacks=["prod-nett"])) as client:
        code, words = await refusal(client, "survey_changes", **IN_WINDOW)
    assert code == "backend_down"
    assert "there is no stack 'prod-nett': there is prod-net" in words


async def test_a_deployment_tells_what_it_changed_by_name_and_what_ecs_said_meanwhile(
    account: Account, deploys: Connect
) -> None:
    ecs = account.ecs
    ecs.defined("forge:1", "registry.example/forge:9a8b7c6", {"MODEL": "small-model", "OLD": "1"}, memory=512)
    ecs.defined("forge:2", "registry.example/forge:3f2c1ab", {"MODEL": "large-model", "NEW": "1"}, memory=256)
    ecs.deployed("forge", AT, "forge:2", before="forge:1")
    async with deploys(**account.reads("ecs")) as client:
        (row,) = await rows(client, "survey_changes", **IN_WINDOW)
        (whole,) = await rows(client, "get_change", change_id=row["change_id"])
        good = await told(client, "get_last_good_version", service="forge", before="2026-11-20T03:00:00Z")
    assert (row["version"], row["previous_version"], row["outcome"]) == ("3f2c1ab", "9a8b7c6", "succeeded")
    assert whole["diff"].splitlines() == [
        "forge: image: registry.example/forge:9a8b7c6 -> registry.example/forge:3f2c1ab",
        "forge: memory: 512 -> 256",
        "forge: environment MODEL: (hidden) -> (hidden), another value",
        "forge: + environment NEW = (hidden)",
        "forge: - environment OLD",
        "2026-11-20T02:40:03Z (service forge) has started 1.",
        "2026-11-20T02:41:31Z (service forge) is steady.",
    ]
    assert "large-model" not in str(whole)
    assert good["lines"][0].startswith("last good: 9a8b7c6")


async def test_a_deployment_that_ecs_rolled_back_is_failed_with_its_reason(account: Account, deploys: Connect) -> None:
    account.ecs.defined("forge:1", "forge:v1", {})
    account.ecs.defined("forge:2", "forge:v2", {})
    rollback = {"reason": "Service deployment rolled back because the circuit breaker threshold was exceeded."}
    account.ecs.deployed("forge", AT, "forge:2", "forge:1", status="ROLLBACK_SUCCESSFUL", rollback=rollback)
    async with deploys(**account.reads("ecs")) as client:
        (row,) = await rows(client, "survey_changes", **IN_WINDOW)
    assert (row["outcome"], row["version"]) == ("failed", "v2")
    assert "circuit breaker" in row["title"]


async def test_without_the_history_the_deployments_still_there_are_told_and_that_it_is_a_gap(
    served: tuple[Account, AwsApi], deploys: Connect
) -> None:
    account, api = served
    account.ecs.defined("forge:1", "forge:v1", {})
    account.ecs.deployed("forge", AT, "forge:1")
    api.denied.add("ecs:ListServiceDeployments")
    async with deploys(**account.reads("ecs")) as client:
        reply = await told(client, "survey_changes", **IN_WINDOW)
        lines = (await told(client, "check_deploys"))["lines"]
    assert reply["matched"] == 1
    assert "only the deployments that are still there are known" in reply["caveats"][0]
    assert "allow ecs:ListServiceDeployments" in reply["caveats"][0]
    assert [line[:12] for line in lines] == ["ok   service", "FAIL history", "ok   task de"]


async def test_one_deploy_seen_by_cloudtrail_cloudformation_and_ecs_is_one_change_with_its_person(
    account: Account, deploys: Connect
) -> None:
    ecs, arn = account.ecs, account.ecs.arn("service/prod/forge")
    ecs.defined("forge:1", "registry.example/forge:9a8b7c6", {})
    ecs.defined("forge:2", "registry.example/forge:3f2c1ab", {})
    account.trail.happened("UpdateStack", "cloudformation", AT, "ada", {"stackName": "prod-app"})
    resources = {"Service": "AWS::ECS::Service"}
    account.stacks.updated("prod-app", AT + MINUTE / 60, resources, physical={"Service": arn})
    ecs.deployed("forge", AT + MINUTE / 6, "forge:2", before="forge:1")
    async with deploys(**account.reads("cloudtrail", "cloudformation", "ecs")) as client:
        (row,) = await rows(client, "survey_changes", **IN_WINDOW)
        other = row["attributes"]["also"].split(", ")
        (whole,) = await rows(client, "get_change", change_id=other[-1])
    assert (row["service"], row["author"], row["version"]) == ("forge", "ada", "3f2c1ab")
    assert (row["at"], row["outcome"]) == ("2026-11-20T02:40:00Z", "succeeded")
    assert row["attributes"]["seen_by"] == "ecs deployment, cloudformation stack, cloudtrail event"
    assert len(row["links"]) == 3
    assert whole["change_id"] == row["change_id"]


async def test_each_of_two_updates_of_a_stack_has_its_own_person(account: Account, deploys: Connect) -> None:
    for minutes, who in ((0, "ada"), (5, "grace")):
        at = AT + minutes * MINUTE
        account.trail.happened("UpdateStack", "cloudformation", at, who, {"stackName": account.stacks.arn("prod-app")})
        account.stacks.updated("prod-app", at + MINUTE / 60, {"Queue": "AWS::SQS::Queue"})
    async with deploys(**account.reads("cloudtrail", "cloudformation")) as client:
        seen = await rows(client, "survey_changes", **IN_WINDOW)
    assert [(row["author"], row["kind"]) for row in seen] == [("grace", "infrastructure"), ("ada", "infrastructure")]


async def test_a_stack_with_several_services_is_no_deployment_of_any_of_them(
    account: Account, deploys: Connect
) -> None:
    ecs = account.ecs
    names = ("forge", "bot")
    physical = {name: ecs.arn(f"service/prod/{name}") for name in names}
    account.stacks.updated("prod-app", AT, dict.fromkeys(names, "AWS::ECS::Service"), physical=physical)
    for name in names:
        ecs.defined(f"{name}:1", f"{name}:v1", {})
        ecs.deployed(name, AT + MINUTE / 6, f"{name}:1")
    of_all = {"service_resources": {"prod-app": "*"}}
    async with deploys(**account.reads("cloudformation", "ecs", **of_all)) as client:
        seen = await rows(client, "survey_changes", **IN_WINDOW)
    assert sorted((row["kind"], row["service"]) for row in seen) == [
        ("deploy", "bot"),
        ("deploy", "forge"),
        ("infrastructure", ""),
    ]


async def test_missing_permissions_are_named_one_by_one(served: tuple[Account, AwsApi], deploys: Connect) -> None:
    account, api = served
    account.stacks.updated("prod-net", AT, {"Queue": "AWS::SQS::Queue"})
    api.denied |= {"cloudformation:DescribeStackEvents", "cloudformation:DescribeStackResourceDrifts"}
    async with deploys(**account.reads("cloudformation")) as client:
        reply = await told(client, "survey_changes", **IN_WINDOW)
        lines = (await told(client, "check_deploys"))["lines"]
    assert "prod-net: CloudFormation refused (AccessDenied): allow cloudformation:DescribeStackEvents" in str(
        reply["caveats"]
    )
    assert [line[:11] for line in lines] == ["ok   stacks", "ok   stack:", "FAIL events", "FAIL drift:", "ok   change"]


async def test_credentials_that_are_not_known_are_told_as_such(
    account: Account, deploys: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDSOMEBODYELSE")
    async with deploys(**account.reads("ecs")) as client:
        code, words = await refusal(client, "survey_changes", **IN_WINDOW)
    assert code == "backend_down"
    assert "the access key is not known there" in words
    assert "AKIDSOMEBODYELSE" not in words


async def test_without_a_region_it_says_what_to_set(
    account: Account, deploys: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    async with deploys(**account.reads("ecs", aws_region=None)) as client:
        _, words = await refusal(client, "survey_changes", **IN_WINDOW)
    assert "set MIDWATCH_AWS_REGION" in words


@pytest.mark.parametrize("name", ["cloudtrail", "cloudformation", "ecs", "codepipeline", "autoscaling"])
async def test_the_policy_in_the_documentation_allows_just_what_is_asked(
    name: str, tmp_path: Path, deploys: Connect
) -> None:
    policy = json.loads(POLICY.read_text())
    (allowed,) = [s["Action"] for s in policy["Statement"] if s["Sid"].lower() == name]
    with ExitStack() as stack:
        world = WORLDS[name](tmp_path, stack)
        api = world.api
        assert api is not None
        async with deploys(**world.settings) as client:
            (row, *_) = await rows(client, "survey_changes", **IN_WINDOW)
            await told(client, "get_change", change_id=row["change_id"])
            await told(client, "check_deploys")
    assert {asked for asked, _ in api.asked} == set(allowed)
