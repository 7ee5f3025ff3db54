"""What the API server refuses to make, and why."""

from typing import Any

import pytest
from tests.servers.cluster.objects import container, deployment, event, pod, state, thing, told

from midwatch_cluster.checks import admission
from midwatch_cluster.state import State

FORBIDDEN = 'Error creating: pods "bot-7d-" is forbidden: '
OVER = "exceeded quota: compute, requested: {asked}, used: {asked}, limited: {asked}"


def refused(message: str, replicas_made: int = 0) -> list[Any]:
    top, controller = deployment("bot")
    controller["status"] = {"replicas": replicas_made}
    return [top, controller, event(controller, "FailedCreate", FORBIDDEN + message)]


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ("requests.cpu=200m", "quota_of_cpu_exceeded"),
        ("limits.memory=1Gi", "quota_of_memory_exceeded"),
        ("pods=1", "quota_of_pods_exceeded"),
        ("count/deployments.apps=1", "quota_of_deployments_exceeded"),
    ],
)
def test_a_quota_without_room_is_named_with_what_it_lacks(asked: str, reason: str) -> None:
    key = asked.partition("=")[0]
    quota = thing("ResourceQuota", "compute", spec={"hard": {key: "1"}})
    problems = list(admission.quota_exceeded(state(refused(OVER.format(asked=asked)), quota)))
    assert told(problems) == [("ResourceQuota shop/compute", reason)]
    assert str(problems[0].victim) == "Deployment shop/bot"


def test_a_refusal_that_is_over_says_nothing() -> None:
    assert not list(admission.quota_exceeded(state(refused(OVER.format(asked="pods=1"), replicas_made=1))))


@pytest.mark.parametrize(("used", "reasons"), [("2", ["quota_of_services_used_up"]), ("1", [])])
def test_a_quota_that_is_used_to_its_limit_is_told(used: str, reasons: list[str]) -> None:
    quota = thing("ResourceQuota", "few", status={"hard": {"services": "2"}, "used": {"services": used}})
    assert [problem.reason for problem in admission.quota_used_up(state(quota))] == reasons


def running_as(account: str, *more: Any, unread: tuple[str, ...] = ()) -> State:
    return state(deployment("bot", serviceAccountName=account), *more, unread=unread)


def test_a_workload_needs_the_account_that_it_is_to_run_as() -> None:
    account = thing("ServiceAccount", "bot")
    assert told(admission.service_account_missing(running_as("bots", account))) == [
        ("Deployment shop/bot", "service_account_missing")
    ]
    assert not list(admission.service_account_missing(running_as("bot", account)))


def test_accounts_that_may_not_be_read_are_not_missing() -> None:
    assert not list(admission.service_account_missing(running_as("bots", unread=("ServiceAccount",))))


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ('violates PodSecurity "restricted:latest": privileged', "pod_security_violated"),
        ('admission webhook "policy.example" denied the request: no', "webhook_denied"),
        ("maximum memory usage per Container is 1Gi, but limit is 2Gi", "limit_range_violated"),
    ],
)
def test_a_policy_that_refuses_pods_is_told_by_its_sort(message: str, reason: str) -> None:
    assert told(admission.refused_by_policy(state(refused(message)))) == [("Deployment shop/bot", reason)]


def test_a_quota_says_nothing_of_a_cluster_that_is_well() -> None:
    well = state(deployment("bot"), pod("bot", containers=[container()]))
    assert not [problem for look in admission.CHECKS for problem in look(well)]
