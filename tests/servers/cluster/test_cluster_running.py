"""Services that lead nowhere, limits that are near, nodes and components that are not well."""

from typing import Any

import pytest
from tests.servers.cluster.objects import (
    ago,
    container,
    deployment,
    node,
    pod,
    service,
    state,
    thing,
    told,
    waiting_pod,
)

from midwatch_cluster.checks import nodes, performance, routing

BOT = "Deployment shop/bot"


def test_a_service_must_select_the_pods_that_it_is_for() -> None:
    astray = state(deployment("bot"), pod("bot"), service("bot", {"app": "bott"}))
    problems = list(routing.selects_nothing(astray))
    assert told(problems) == [("Service shop/bot", "service_selects_nothing")]
    assert problems[0].certain
    assert str(problems[0].victim) == BOT
    assert not list(routing.selects_nothing(state(deployment("bot"), service("bot"))))


def test_a_service_that_nobody_asks_for_and_nothing_is_like_may_be_meant_so() -> None:
    assert [problem.certain for problem in routing.selects_nothing(state(service("flagd")))] == [False]


@pytest.mark.parametrize(
    ("target", "protocol", "reasons"),
    [
        (8080, "TCP", []),
        (8081, "TCP", ["service_leads_to_no_port"]),
        ("http", "TCP", ["service_leads_to_no_port"]),
        (8080, "UDP", ["service_speaks_other_protocol"]),
    ],
)
def test_a_service_must_lead_to_a_port_on_which_its_pods_listen(
    target: int | str, protocol: str, reasons: list[str]
) -> None:
    leads = service("bot", target=target)
    leads["spec"]["ports"][0]["protocol"] = protocol
    found = routing.leads_to_no_port(state(deployment("bot"), pod("bot"), leads))
    assert [problem.reason for problem in found] == reasons


def test_a_port_by_name_leads_somewhere_where_the_endpoints_say_so() -> None:
    known = thing("Endpoints", "bot", subsets=[{"addresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 8080}]}])
    assert not list(routing.leads_to_no_port(state(deployment("bot"), service("bot", target="http"), known)))


def reaching(address: str) -> list[Any]:
    return deployment("gateway", containers=[container(env=[{"name": "BOT_URL", "value": address}])])


@pytest.mark.parametrize(
    ("address", "reasons"),
    [
        ("bot:80", []),
        ("http://bot:80/v1", []),
        ("http://bot.shop.svc.cluster.local:80", []),
        ("bot:81", ["address_has_wrong_port"]),
        ("http://bot.shop:8080/v1", ["address_has_wrong_port"]),
        ("bots:80", ["address_of_no_service"]),
        ("api.example.com:443", []),
        ("bot.other:81", []),
    ],
)
def test_the_addresses_that_a_workload_is_given_must_exist(address: str, reasons: list[str]) -> None:
    found = routing.address_leads_nowhere(state(reaching(address), deployment("bot"), service("bot")))
    assert [problem.reason for problem in found] == reasons


def ingress(name: str, number: int) -> dict[str, Any]:
    backend = {"service": {"name": name, "port": {"number": number}}}
    return thing("Ingress", "front", spec={"rules": [{"http": {"paths": [{"path": "/", "backend": backend}]}}]})


@pytest.mark.parametrize(
    ("name", "number", "reasons"),
    [("bot", 80, []), ("bots", 80, ["ingress_leads_nowhere"]), ("bot", 81, ["ingress_leads_to_no_port"])],
)
def test_an_ingress_must_send_requests_to_what_is_there(name: str, number: int, reasons: list[str]) -> None:
    found = routing.ingress_leads_nowhere(state(ingress(name, number), service("bot")))
    assert [problem.reason for problem in found] == reasons


@pytest.mark.parametrize(("replicas", "about"), [(0, [(BOT, "scaled_to_nothing")]), (1, [])])
def test_a_workload_that_is_to_have_no_pods_serves_nobody(replicas: int, about: list[tuple[str, str]]) -> None:
    assert told(routing.scaled_to_nothing(state(deployment("bot", replicas=replicas), service("bot")))) == about


def policy(name: str, **spec: Any) -> dict[str, Any]:
    selects = {"podSelector": {"matchLabels": {"app": "bot"}}, "policyTypes": ["Ingress"]}
    return thing("NetworkPolicy", name, spec=selects | spec)


def test_a_policy_that_lets_nobody_in_is_told_unless_another_one_does() -> None:
    shut, bot = policy("shut"), [*deployment("bot"), pod("bot")]
    assert told(routing.policy_lets_nobody_in(state(shut, bot))) == [
        ("NetworkPolicy shop/shut", "policy_denies_all_ingress")
    ]
    assert not list(routing.policy_lets_nobody_in(state(shut, policy("open", ingress=[{}]), bot)))


@pytest.mark.parametrize(
    ("cpu", "memory", "reasons"),
    [("100m", "50Mi", []), ("490m", "50Mi", ["cpu_near_limit"]), ("100m", "99Mi", ["memory_near_limit"])],
)
def test_a_container_that_uses_nearly_all_that_it_may_is_told(cpu: str, memory: str, reasons: list[str]) -> None:
    limited = pod("bot", containers=[container(resources={"limits": {"cpu": "500m", "memory": "100Mi"}})])
    used = thing("PodMetrics", "bot-7d-x", containers=[{"name": "main", "usage": {"cpu": cpu, "memory": memory}}])
    assert [problem.reason for problem in performance.near_its_limit(state(limited, used))] == reasons


@pytest.mark.parametrize(
    ("conditions", "reasons"),
    [
        ([{"type": "Ready", "status": "True"}], []),
        ([{"type": "Ready", "status": "False"}], ["node_not_ready"]),
        ([{"type": "Ready", "status": "Unknown"}], ["kubelet_silent"]),
        ([{"type": "DiskPressure", "status": "True"}], ["node_short_of_disk"]),
        ([{"type": "KubeProxyUnhealthy", "status": "True"}], ["kube_proxy_unhealthy"]),
        ([{"type": "KubeProxyUnhealthy", "status": "False"}], []),
    ],
)
def test_a_node_says_what_it_lacks_in_its_conditions(conditions: list[Any], reasons: list[str]) -> None:
    sick = state(node(conditions=conditions))
    assert [problem.reason for look in nodes.CHECKS for problem in look(sick)] == reasons


def test_a_kubelet_that_renews_no_lease_is_silent_before_its_node_counts_as_lost() -> None:
    lease = thing("Lease", "node-1", "kube-node-lease", spec={"renewTime": ago(60)})
    assert told(nodes.kubelet_lease_old(state(node(), lease))) == [("Node node-1", "kubelet_silent")]
    lease["spec"]["renewTime"] = ago(5)
    assert not list(nodes.kubelet_lease_old(state(node(), lease)))


def test_a_daemon_set_of_the_system_must_run_on_all_its_nodes() -> None:
    proxy = thing("DaemonSet", "kube-proxy", "kube-system", status={"desiredNumberScheduled": 3, "numberReady": 2})
    assert told(nodes.system_pods_missing(state(proxy))) == [("DaemonSet kube-system/kube-proxy", "kube_proxy_unready")]


def test_a_pod_that_a_node_would_take_and_nobody_looked_at_means_that_nobody_schedules() -> None:
    unseen = waiting_pod("bot")
    unseen["status"].pop("conditions")
    assert [problem.reason for problem in nodes.nobody_schedules(state(unseen, node()))] == ["scheduler_away"]
    assert not list(nodes.nobody_schedules(state(waiting_pod("bot"), node())))


def test_a_deployment_that_nobody_has_looked_at_since_it_was_changed_means_that_nobody_controls() -> None:
    changed, _ = deployment("bot")
    changed["metadata"]["generation"], changed["status"]["observedGeneration"] = 3, 2
    assert [problem.reason for problem in nodes.nobody_controls(state(changed))] == ["controller_manager_away"]
