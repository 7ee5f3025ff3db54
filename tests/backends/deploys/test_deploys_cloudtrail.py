"""Who did what in AWS: people, roles and services, sessions, and what of a request may be seen."""

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from mcp import Client
from tests.backends.deploys.asking import refusal, rows, told
from tests.backends.deploys.awsstories import CloudTrail
from tests.backends.deploys.worlds import AT, IN_WINDOW
from tests.backends.fakes.awsapi import AwsApi, Refusal, aws
from tests.backends.serving import Trouble

Connect = Callable[..., AbstractAsyncContextManager[Client]]
LONG = {"start": "2026-11-20T02:00:00Z", "end": "2026-11-20T03:00:00Z"}
ROLE = "AWSReservedSSO_Admin_0123456789abcdef"


def assumed(role: str, session: str, **more: Any) -> dict[str, Any]:
    """Return the identity of whoever took on a role."""
    arn = f"arn:aws:sts::123456789012:assumed-role/{role}/{session}"
    issuer = {"type": "Role", "userName": role, "arn": f"arn:aws:iam::123456789012:role/{role}"}
    context = {"sessionIssuer": issuer, "attributes": {"mfaAuthenticated": "true"}}
    return {"type": "AssumedRole", "arn": arn, "sessionContext": context, **more}


@pytest.fixture
def trail() -> CloudTrail:
    return CloudTrail()


@pytest.fixture
def served(trail: CloudTrail) -> Iterator[tuple[dict[str, Any], AwsApi, Trouble]]:
    """The settings of a server that reads the trail, the API, and the trouble before it."""
    with aws(trail.answers()) as (settings, api, trouble):
        yield {**settings, "cloudtrail": True}, api, trouble


@pytest.fixture
def settings(served: tuple[dict[str, Any], AwsApi, Trouble]) -> dict[str, Any]:
    return served[0]


async def test_who_acted_is_a_user_the_name_of_a_persons_session_a_machines_role_or_a_service(
    trail: CloudTrail, settings: dict[str, Any], deploys: Connect
) -> None:
    asked = {"autoScalingGroupName": "forge", "desiredCapacity": 4}
    by_service = {"type": "AWSService", "invokedBy": "autoscaling.amazonaws.com"}
    for number, (who, identity) in enumerate(
        {
            "ada": {"type": "IAMUser", "userName": "ada"},
            "grace@example.com": assumed(ROLE, "grace@example.com"),
            "i-0123456789abcdef0": assumed("forge-instances", "i-0123456789abcdef0"),
            "autoscaling.amazonaws.com": by_service,
        }.items()
    ):
        at = AT + timedelta(seconds=number)
        trail.happened("SetDesiredCapacity", "autoscaling", at, who, asked, userIdentity=identity)
    async with deploys(**settings) as client:
        seen = await rows(client, "survey_changes", **IN_WINDOW, entities=["forge"])
    assert [row["author"] for row in reversed(seen)] == [
        "ada",
        "grace@example.com",
        "forge-instances",
        "autoscaling.amazonaws.com",
    ]
    assert seen[2]["attributes"]["role"] == ROLE
    assert seen[2]["attributes"]["mfa"] == "true"


async def test_sessions_of_people_are_told_and_those_that_machines_and_services_begin_are_not(
    trail: CloudTrail, settings: dict[str, Any], deploys: Connect
) -> None:
    person, machine = {"type": "IAMUser", "userName": "ada"}, {"type": "AWSService", "invokedBy": "ecs.amazonaws.com"}
    role = {"roleArn": "arn:aws:iam::123456789012:role/breakglass"}
    trail.happened("AssumeRole", "sts", AT, "ada", role, userIdentity=person, readOnly=True)
    trail.happened("AssumeRole", "sts", AT, "ecs", role, userIdentity=machine, readOnly=True)
    trail.happened("DescribeInstances", "ec2", AT, "ada", {}, userIdentity=person, readOnly=True)
    trail.happened("CreateLogStream", "logs", AT, "ada", {"logGroupName": "forge"}, userIdentity=person)
    failed = {"responseElements": {"ConsoleLogin": "Failure"}, "errorMessage": "Failed authentication"}
    trail.happened("ConsoleLogin", "signin", AT + timedelta(seconds=1), "eve", {}, **failed)
    target = {"target": "i-0123456789abcdef0"}
    trail.happened("StartSession", "ssm", AT + timedelta(seconds=2), "grace", target)
    async with deploys(**settings) as client:
        seen = await rows(client, "survey_changes", **IN_WINDOW)
        on_instance = await rows(client, "survey_changes", **IN_WINDOW, entities=["instance:i-0123456789abcdef0"])
    assert [(row["kind"], row["author"], row["outcome"]) for row in seen] == [
        ("session", "grace", "succeeded"),
        ("session", "eve", "failed"),
        ("session", "ada", "succeeded"),
    ]
    assert seen[0]["instance"] == "i-0123456789abcdef0"
    assert on_instance[0]["title"] == "StartSession of i-0123456789abcdef0"


async def test_of_what_a_request_carried_numbers_and_known_names_are_shown_and_nothing_else(
    trail: CloudTrail, settings: dict[str, Any], deploys: Connect
) -> None:
    trail.happened(
        "CreateDBInstance",
        "rds",
        AT,
        "ada",
        {
            "dBInstanceIdentifier": "forge-db",
            "allocatedStorage": 20,
            "publiclyAccessible": True,
            "masterUserPassword": "pa55word-of-it",
            "tags": [{"key": "x", "value": "also-not-shown"}],
            "dBInstanceClass": "db.t4g.small",
        },
    )
    async with deploys(**settings, service_resources={"forge-*": "forge"}) as client:
        (row,) = await rows(client, "survey_changes", **IN_WINDOW, entities=["forge"])
        (whole,) = await rows(client, "get_change", change_id=row["change_id"])
    assert whole["diff"].splitlines() == [
        "dBInstanceIdentifier: forge-db",
        "allocatedStorage: 20",
        "publiclyAccessible: True",
        "masterUserPassword: (hidden)",
        "tags[0].key: (hidden)",
        "tags[0].value: (hidden)",
        "dBInstanceClass: db.t4g.small",
    ]
    assert "pa55word" not in str(whole)


async def test_what_was_refused_is_a_failed_change_with_the_code_of_the_error(
    trail: CloudTrail, settings: dict[str, Any], deploys: Connect
) -> None:
    trail.happened(
        "DeleteTable", "dynamodb", AT, "ada", {"tableName": "forge"}, errorCode="AccessDenied", errorMessage="no"
    )
    async with deploys(**settings) as client:
        (row,) = await rows(client, "survey_changes", **IN_WINDOW)
    assert (row["outcome"], row["attributes"]["error"], row["service"]) == ("failed", "AccessDenied", "forge")


async def test_more_events_than_one_question_reads_are_told_and_nothing_is_called_unchanged(
    trail: CloudTrail, settings: dict[str, Any], deploys: Connect
) -> None:
    trail.page = 20
    for number in range(70):
        trail.happened("RunInstances", "ec2", AT + timedelta(seconds=number), "ada", {})
    async with deploys(**settings, cloudtrail_most_events=50) as client:
        reply = await told(client, "survey_changes", **LONG, entities=["forge", "bot"])
    assert reply["matched"] == 50
    assert reply["caveats"][0] == (
        "write events: only the newest 50 events were read, back to 2026-11-20T02:40:20Z: narrow the window"
    )
    assert not [line for line in reply["lines"] if line.startswith("no change of")]


async def test_a_window_up_to_now_says_that_cloudtrail_lags(
    trail: CloudTrail, settings: dict[str, Any], deploys: Connect
) -> None:
    async with deploys(**settings) as client:
        reply = await told(client, "survey_changes", start="-15m", end="now")
        lines = (await told(client, "check_deploys"))["lines"]
    assert "may not have reached CloudTrail yet" in reply["caveats"][0]
    assert lines == ["ok   events: can be looked up; there are none"]


async def test_the_lag_of_the_newest_event_is_checked(
    trail: CloudTrail, settings: dict[str, Any], deploys: Connect
) -> None:
    trail.happened("RunInstances", "ec2", datetime.now(UTC) - timedelta(seconds=300), "ada", {})
    async with deploys(**settings) as client:
        (line,) = (await told(client, "check_deploys"))["lines"]
    assert line.startswith("ok   events: can be looked up; the newest is 30")


async def test_a_missing_permission_is_named_in_the_answer_and_in_the_check(
    served: tuple[dict[str, Any], AwsApi, Trouble], deploys: Connect
) -> None:
    settings, api, _ = served
    api.denied.add("cloudtrail:LookupEvents")
    async with deploys(**settings) as client:
        code, words = await refusal(client, "survey_changes", **IN_WINDOW)
        (line,) = (await told(client, "check_deploys"))["lines"]
    assert code == "backend_down"
    assert "allow cloudtrail:LookupEvents to these credentials" in words
    assert line.startswith("FAIL events: CloudTrail refused (AccessDeniedException)")


async def test_throttling_is_waited_for(
    trail: CloudTrail, served: tuple[dict[str, Any], AwsApi, Trouble], deploys: Connect
) -> None:
    settings, api, _ = served
    trail.happened("RunInstances", "ec2", AT, "ada", {})
    api.refusals = [Refusal("ThrottlingException", "Rate exceeded")]
    async with deploys(**settings) as client:
        (row,) = await rows(client, "survey_changes", **IN_WINDOW)
    assert row["author"] == "ada"


@pytest.mark.parametrize(
    ("kind", "words_of_it"),
    [
        ("stall", "no answer within 1 s|nothing of CloudTrail can be read: "),
        ("cut", "nothing of CloudTrail can be read: "),
        ("500", "nothing of CloudTrail can be read: "),
        ("garbage", "nothing of CloudTrail can be read: "),
    ],
)
async def test_whatever_goes_wrong_before_cloudtrail_is_an_error_in_words_within_the_deadline(
    kind: str, words_of_it: str, served: tuple[dict[str, Any], AwsApi, Trouble], deploys: Connect
) -> None:
    settings, _, trouble = served
    trouble.kind = kind
    seconds = 1 if kind == "stall" else 30
    async with deploys(**settings, cloudtrail_roles=False, backend_seconds=seconds) as client:
        code, words = await refusal(client, "survey_changes", **IN_WINDOW)
    assert code == "backend_down"
    assert re.match(words_of_it, words)
    assert "not-secret" not in words


async def test_an_event_in_a_strange_shape_is_a_gap_and_no_crash(
    trail: CloudTrail, settings: dict[str, Any], deploys: Connect
) -> None:
    trail.happened("RunInstances", "ec2", AT, "ada", {})
    trail.events[0]["CloudTrailEvent"] = "{not json"
    async with deploys(**settings, cloudtrail_roles=False) as client:
        code, words = await refusal(client, "survey_changes", **IN_WINDOW)
    assert code == "backend_down"
    assert "in a shape that is not one of CloudTrail" in words
