"""Executions of CodePipeline, and what Auto Scaling did to groups of instances."""

from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Any

import pytest
from mcp import Client
from tests.backends.deploys.asking import observed, refusal, rows, told
from tests.backends.deploys.awsdeliveries import Groups, Pipelines
from tests.backends.deploys.awsstories import CloudTrail, Ecs
from tests.backends.deploys.worlds import AT, IN_WINDOW
from tests.backends.fakes.awsapi import AwsApi, aws
from tests.backends.serving import Trouble

Connect = Callable[..., AbstractAsyncContextManager[Client]]
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
V0, V1, V2 = (each + "0" * 33 for each in ("1a2b3c4", "9a8b7c6", "3f2c1ab"))
INSTANCE = "i-0123456789abcdef0"


class Account:
    """What an account holds, and the settings of a server that reads it."""

    def __init__(self) -> None:
        self.pipelines, self.groups, self.ecs, self.trail = Pipelines(), Groups(), Ecs("prod"), CloudTrail()
        self.settings: dict[str, Any] = {}

    @property
    def reads_pipelines(self) -> dict[str, Any]:
        """The settings of a server that reads pipelines alone."""
        return {**self.settings, "codepipelines": ["*"]}

    @property
    def reads_groups(self) -> dict[str, Any]:
        """The settings of a server that reads groups alone."""
        return {**self.settings, "auto_scaling_groups": ["*"]}


@pytest.fixture
def served() -> Iterator[tuple[Account, AwsApi, Trouble]]:
    account = Account()
    parts = (account.pipelines, account.groups, account.ecs, account.trail)
    with aws({name: answer for part in parts for name, answer in part.answers().items()}) as (settings, api, trouble):
        account.settings = settings
        yield account, api, trouble


@pytest.fixture
def account(served: tuple[Account, AwsApi, Trouble]) -> Account:
    return served[0]


async def test_an_execution_tells_its_commit_its_person_and_what_ran_before(account: Account, deploys: Connect) -> None:
    account.pipelines.ran("forge", AT - 2 * DAY, V0, "Begin")
    account.pipelines.ran("forge", AT - DAY, V1, "Try", status="Failed")
    account.pipelines.ran("forge", AT, V2, "Carry the finish through\n\nIt was lost.", who="ada")
    async with deploys(**account.reads_pipelines) as client:
        (row,) = await rows(client, "survey_changes", **IN_WINDOW, entities=["forge"])
        good = await told(client, "get_last_good_version", service="forge", before="2026-11-20T03:00:00Z")
    assert (row["title"], row["author"], row["outcome"]) == ("Carry the finish through", "ada", "succeeded")
    assert (row["version"], row["previous_version"]) == ("3f2c1ab", "1a2b3c4")
    assert (row["at"], row["ended"]) == ("2026-11-20T02:40:00Z", "2026-11-20T02:43:00Z")
    assert row["links"][1] == f"https://github.example/robots/forge/commit/{V2}"
    assert good["lines"][0].startswith("last good: 1a2b3c4")


async def test_a_failed_execution_shows_which_action_failed_and_nothing_of_its_configuration(
    account: Account, deploys: Connect
) -> None:
    number = account.pipelines.ran("forge", AT, V2, "Two", status="Failed")
    account.pipelines.acted(number, "Source/GitHub", AT, "Succeeded")
    account.pipelines.acted(number, "Deploy/Ecs", AT + MINUTE, "Failed", "The service could not be found.")
    async with deploys(**account.reads_pipelines) as client:
        (whole,) = await rows(client, "get_change", change_id=f"codepipeline:forge@{number}")
    assert (whole["outcome"], whole["author"]) == ("failed", "")
    assert whole["diff"].splitlines() == [
        "2026-11-20T02:40:00Z Source/GitHub Succeeded",
        "2026-11-20T02:41:00Z Deploy/Ecs Failed The service could not be found.",
    ]
    assert "in-the-configuration" not in str(whole)


async def test_a_roll_back_marks_the_version_that_it_takes_back(account: Account, deploys: Connect) -> None:
    first = account.pipelines.ran("forge", AT - 2 * DAY, V1, "One")
    account.pipelines.ran("forge", AT - DAY, V2, "Two")
    metadata = {"rollbackTargetPipelineExecutionId": first}
    account.pipelines.ran("forge", AT, V1, "One", executionType="ROLLBACK", rollbackMetadata=metadata)
    async with deploys(**account.reads_pipelines) as client:
        (row,) = await rows(client, "survey_changes", **IN_WINDOW)
    assert (row["version"], row["attributes"]["rolls_back"]) == ("9a8b7c6", "3f2c1ab")


async def test_an_execution_whoever_started_it_and_the_deployment_it_made_are_one_change(
    account: Account, deploys: Connect
) -> None:
    number = account.pipelines.ran("forge", AT, V2, "Carry the finish through", who="ada")
    answered = {"responseElements": {"pipelineExecutionId": number}}
    account.trail.happened("StartPipelineExecution", "codepipeline", AT, "ada", {"name": "forge"}, **answered)
    account.ecs.defined("forge:2", "registry.example/forge:3f2c1ab", {})
    account.ecs.deployed("forge", AT + 2 * MINUTE, "forge:2")
    async with deploys(**account.reads_pipelines, ecs_clusters=["prod"], cloudtrail=True) as client:
        (row,) = await rows(client, "survey_changes", **IN_WINDOW)
    assert row["attributes"]["seen_by"] == "ecs deployment, codepipeline execution, cloudtrail event"
    assert (row["title"], row["author"]) == ("Carry the finish through", "ada")


async def test_an_activity_of_a_group_is_a_change_of_its_service_and_of_the_instance(
    account: Account, deploys: Connect
) -> None:
    account.groups.group("forge-group", app="forge")
    account.groups.acted("forge-group", AT, f"Launching a new EC2 instance: {INSTANCE}")
    full = "We currently do not have sufficient capacity."
    account.groups.acted("forge-group", AT + MINUTE, "Launching a new EC2 instance", "Failed", StatusMessage=full)
    async with deploys(**account.reads_groups, service_tag="app") as client:
        failed, launched = await rows(client, "survey_changes", **IN_WINDOW, entities=["forge"])
        (seen,) = await observed(client, **IN_WINDOW, entities=[f"instance:{INSTANCE}"])
    assert (launched["instance"], launched["ended"]) == (INSTANCE, "2026-11-20T02:40:40Z")
    assert launched["attributes"]["cause"].endswith("in response to a difference.")
    assert (failed["outcome"], failed["title"]) == ("failed", f"Launching a new EC2 instance: {full}")
    assert seen.attributes["title"] == f"Launching a new EC2 instance: {INSTANCE}"


async def test_an_instance_refresh_is_a_deploy_of_a_launch_template(account: Account, deploys: Connect) -> None:
    account.groups.refreshed("forge", AT - DAY, "forge:7")
    account.groups.refreshed("forge", AT, "forge:8", status="RollbackSuccessful", StatusReason="alarm: errors")
    async with deploys(**account.reads_groups) as client:
        (row,) = await rows(client, "survey_changes", **IN_WINDOW)
        (whole,) = await rows(client, "get_change", change_id=row["change_id"])
    assert (row["version"], row["previous_version"], row["outcome"]) == ("forge:8", "forge:7", "failed")
    assert row["title"] == "instance refresh of forge: alarm: errors"
    assert whole["change_id"] == row["change_id"]


async def test_a_missing_permission_is_named_and_the_rest_is_told(
    served: tuple[Account, AwsApi, Trouble], deploys: Connect
) -> None:
    account, api, _ = served
    account.groups.refreshed("forge", AT, "forge:8")
    account.pipelines.ran("forge", AT, V2, "Two")
    api.denied |= {"autoscaling:DescribeScalingActivities", "codepipeline:ListActionExecutions"}
    async with deploys(**account.reads_groups, codepipelines=["*"]) as client:
        reply = await told(client, "survey_changes", **IN_WINDOW)
        lines = (await told(client, "check_deploys"))["lines"]
    assert reply["matched"] == 2
    assert "allow autoscaling:DescribeScalingActivities" in str(reply["caveats"])
    assert [line.partition(":")[0] for line in lines if line.startswith("FAIL")] == [
        "FAIL codepipeline actions",
        "FAIL autoscaling activities",
    ]


@pytest.mark.parametrize("which", ["codepipelines", "auto_scaling_groups"])
async def test_what_is_named_and_not_there_is_told_with_near_names(
    which: str, account: Account, deploys: Connect
) -> None:
    account.groups.group("forge-prod")
    account.pipelines.ran("forge-prod", AT, V2, "Two")
    async with deploys(**account.settings, **{which: ["forge-prd"]}) as client:
        code, words = await refusal(client, "survey_changes", **IN_WINDOW)
    assert (code, "'forge-prd': there is forge-prod" in words) == ("backend_down", True)


@pytest.mark.parametrize("kind", ["garbage", "500"])
@pytest.mark.parametrize("which", ["codepipelines", "auto_scaling_groups"])
async def test_an_answer_that_is_no_answer_of_aws_is_an_error_in_words(
    which: str, kind: str, served: tuple[Account, AwsApi, Trouble], deploys: Connect
) -> None:
    account, _, trouble = served
    trouble.kind = kind
    async with deploys(**account.settings, **{which: ["*"]}) as client:
        code, words = await refusal(client, "survey_changes", **IN_WINDOW)
        lines = (await told(client, "check_deploys"))["lines"]
    assert (code, "can be read: " in words) == ("backend_down", True)
    assert lines[0].startswith("FAIL")
