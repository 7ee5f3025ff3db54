"""Paths that lead to another Service than the one that they name, and name servers that know no Service."""

from datetime import timedelta
from typing import Any

from tests.servers.cluster.objects import AT, ago, deployment, node, pod, service, starting_pod, state, thing, told

from midwatch_cluster.checks import admission, routes, routing
from midwatch_cluster.survey import concerns, problems
from midwatch_kit import Window

SERVICES = ("cart", "orders", "prices", "routes", "users")


def ingress(**leads: str) -> dict[str, Any]:
    """Return an Ingress in which each path leads to the Service of its name, but for those given."""
    paths = [
        {"path": f"/api/{name}", "backend": {"service": {"name": leads.get(name, f"shop-{name}")}}} for name in SERVICES
    ]
    return thing("Ingress", "front", spec={"rules": [{"http": {"paths": paths}}]})


def shop(*more: Any) -> Any:
    return state(*(service(f"shop-{name}") for name in SERVICES), deployment("shop-cart"), pod("shop-cart"), *more)


def test_a_path_that_leads_to_another_service_than_all_its_siblings_is_a_mistake() -> None:
    found = list(routes.path_leads_elsewhere(shop(ingress(cart="shop-users"))))
    assert told(found) == [("Ingress shop/front", "path_leads_elsewhere")]
    assert str(found[0].victim) == "Deployment shop/shop-cart"
    assert "/api/cart" in found[0].statement


def test_paths_that_go_by_name_are_well() -> None:
    assert not list(routes.path_leads_elsewhere(shop(ingress())))


def test_a_table_whose_paths_don_t_go_by_name_says_nothing() -> None:
    turned = dict(zip(SERVICES, [f"shop-{name}" for name in (*SERVICES[1:], SERVICES[0])], strict=True))
    assert not list(routes.path_leads_elsewhere(shop(ingress(**turned))))


def test_a_service_that_another_path_leads_to_is_not_cut_off() -> None:
    both = ingress(cart="shop-users")
    both["spec"]["rules"][0]["http"]["paths"].append({"path": "/v2", "backend": {"service": {"name": "shop-cart"}}})
    assert not list(routes.path_leads_elsewhere(shop(both)))


def test_a_gateway_s_routes_are_read_out_of_its_configuration() -> None:
    lines = ["spring:", "  cloud:", "    gateway:", "      routes:"]
    for name in SERVICES:
        to = "shop-prices" if name == "orders" else f"shop-{name}"
        lines += [f"      - uri: lb://${{{name.upper()}_HOST:{to}}}", f"        predicates: ['Path=/api/{name}/**']"]
    table = thing("ConfigMap", "gateway", data={"application.yml": "\n".join(lines)})
    found = list(routes.path_leads_elsewhere(shop(table)))
    assert told(found) == [("ConfigMap shop/gateway", "path_leads_elsewhere")]
    assert "shop-orders" in found[0].statement
    assert not list(routes.path_leads_elsewhere(shop(thing("ConfigMap", "odd", data={"x": "gateway: ["}))))


def dns(*servers: str) -> Any:
    return deployment("bot", dnsPolicy="None", dnsConfig={"nameservers": [*servers]})


def test_a_foreign_name_server_is_wrong_where_the_pods_are_unwell() -> None:
    unwell = starting_pod("bot", "CrashLoopBackOff")
    found = list(routing.name_server_of_its_own(state(dns("10.9.9.9"), unwell)))
    assert told(found) == [("Deployment shop/bot", "name_server_of_its_own")]
    assert found[0].certain
    assert not next(routing.name_server_of_its_own(state(dns("10.9.9.9"), pod("bot")))).certain


def test_the_cluster_s_own_name_server_and_its_cache_on_the_node_are_well() -> None:
    own = thing("Service", "kube-dns", "kube-system", spec={"clusterIP": "10.0.0.10"})
    for known in ("10.0.0.10", "169.254.20.10"):
        assert not list(routing.name_server_of_its_own(state(dns(known), own, pod("bot"))))
    assert not list(routing.name_server_of_its_own(state(deployment("bot"), own, pod("bot"))))


def test_a_policy_says_since_when_it_is_there() -> None:
    shut = thing("NetworkPolicy", "shut", metadata={"creationTimestamp": ago(3600)}, spec={"podSelector": {}})
    (found,) = routing.policy_lets_nobody_in(state(deployment("bot"), pod("bot"), shut))
    assert found.since is not None


def test_what_began_shortly_before_the_window_may_be_what_the_alert_is_about() -> None:
    def was_so_before(minutes: int) -> bool:
        began = ago(60 * minutes)
        shut = thing("NetworkPolicy", "shut", metadata={"creationTimestamp": began}, spec={"podSelector": {}})
        known = state(deployment("bot"), pod("bot"), shut)
        (seen,) = problems(known, state(), Window(start=AT - timedelta(minutes=10), end=AT))
        return seen.before

    assert [was_so_before(minutes) for minutes in (5, 14, 16)] == [False, False, True]


def asking(address: str) -> Any:
    bot = deployment("bot", containers=[{"name": "main", "env": [{"name": "CART", "value": address}]}])
    return next(routing.address_leads_nowhere(state(bot, service("cart-store"))))


def test_an_address_that_is_nearly_that_of_a_service_is_a_mistake_and_another_may_never_be_used() -> None:
    assert asking("cart-stores:80").certain
    assert asking("cart-store-invalid:80").certain
    assert not asking("assistant:80").certain


def test_a_quota_of_services_counts_where_a_service_is_missing_that_is_asked_for() -> None:
    used = thing("ResourceQuota", "few", status={"hard": {"services": "1"}, "used": {"services": "1"}})
    bot = deployment("bot", containers=[{"name": "main", "env": [{"name": "CART", "value": "cart:80"}]}])
    assert next(admission.quota_used_up(state(used, bot, deployment("cart")))).certain
    assert not next(admission.quota_used_up(state(used, bot, deployment("cart"), service("cart")))).certain


def test_what_is_wrong_with_a_node_concerns_whoever_asks() -> None:
    lost = node(conditions=[{"type": "KubeletUnhealthy", "status": "True", "message": "dead"}])
    known = state(lost, deployment("bot"), pod("bot"))
    (seen,) = problems(known, state(), Window(start=AT - timedelta(minutes=5), end=AT))
    assert concerns(seen, ["service:bot"], known)


def test_what_is_wrong_with_another_workload_concerns_only_who_asks_for_it() -> None:
    known = state(dns("10.9.9.9"), starting_pod("bot", "CrashLoopBackOff"))
    seen = problems(known, state(), Window(start=AT - timedelta(minutes=5), end=AT))
    assert seen
    assert all(concerns(each, ["service:bot"], known) for each in seen)
    assert not any(concerns(each, ["service:other"], known) for each in seen)
