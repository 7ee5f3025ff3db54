"""Calls between services, and versions of a service side by side, read out of metrics that name both ends."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from midwatch_kit import Finding, ObservationKind, Window
from midwatch_metrics import answers
from midwatch_metrics.backend import Cells, Form, Gathered, Series
from midwatch_metrics.backends.store import StoreMetrics
from midwatch_metrics.survey import survey_metrics
from midwatch_metrics.timeline import SECOND, slice_time, to_ns
from midwatch_store.writer import Writer

END = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)
MINUTES = 30
IN_WINDOW = 5
Findings = Callable[..., Sequence[Finding]]


def minutes_ago(minutes: float) -> datetime:
    return END - timedelta(minutes=minutes)


class Cart:
    """Points a minute apart, of the service `cart` and who calls it; what succeeds is told in percent."""

    def __init__(self) -> None:
        self.points: dict[Series, dict[int, float]] = {}

    def instance(self, name: str, version: str, success: float, since: int = MINUTES, caller: str = "shop") -> None:
        """Have an instance answer a caller since so many minutes ago."""
        self._add("cart", "server", caller, dict.fromkeys(range(since, 0, -1), success), name, version)

    def step(self, name: str, version: str, success: Sequence[float | None]) -> None:
        """Have an instance answer `shop` in the last minutes, None where nobody asked it."""
        told = zip(range(len(success), 0, -1), success, strict=True)
        known = {minute: value for minute, value in told if value is not None}
        self._add("cart", "server", "shop", known, name, version)

    def calls(self, caller: str, callee: str, before: float, now: float | None) -> None:
        """Have a service call another one, as the caller tells it; None where calls end no more since three minutes."""
        earlier = dict.fromkeys(range(MINUTES, 3, -1), before)
        later = {} if now is None else dict.fromkeys((3, 2, 1), now)
        self._add(caller, "client", callee, {**earlier, **later})

    def busy(self, name: str, version: str) -> None:
        """Have an instance use CPU."""
        used = Series("k8s.pod.cpu.utilization", Form.GAUGE, "1", "cart", name, version=version)
        self.points[used] = dict.fromkeys(range(MINUTES, 0, -1), 0.1)

    def _add(
        self, service: str, side: str, peer: str, told: dict[int, float], instance: str = "", version: str = ""
    ) -> None:
        attributes = (("peer.service", peer),)
        metric = f"{side}.request.success_rate"
        self.points[Series(metric, Form.GAUGE, "%", service, instance, attributes, version=version)] = told


@pytest.fixture
def cart() -> Cart:
    return Cart()


@pytest.fixture
def findings(cart: Cart) -> Findings:
    """Returns what a survey of the last five minutes finds about an entity and a subject."""

    def ask(entity: str, subject: str) -> Sequence[Finding]:
        baseline = Window(start=minutes_ago(MINUTES), end=minutes_ago(IN_WINDOW))
        timeline = slice_time(Window(start=baseline.end, end=END), baseline, least=60 * SECOND)
        told = [(n, minute, value) for n, told in enumerate(cart.points.values()) for minute, value in told.items()]
        numbers, minutes, values = (np.array(column) for column in zip(*told, strict=True))
        ones, nothing = np.ones(len(told)), np.zeros(len(told))
        last = np.array([to_ns(minutes_ago(minute)) for _, minute, _ in told])
        filled = np.zeros((len(told), 0))
        cells = Cells(numbers, MINUTES - minutes, values, ones, nothing, values, values, last, filled)
        surveyed = survey_metrics(Gathered(tuple(cart.points), cells, len(told), 0, ""), timeline, ())
        every = [cited.finding for cited in surveyed.found]
        return [one for one in every if (one.entity, one.subject) == (entity, subject)]

    return ask


def of_version(found: Sequence[Finding], version: str) -> Finding | None:
    return next((one for one in found if one.attributes.get("version") == version), None)


def test_a_version_that_fails_where_the_others_do_not_is_said_to_be_worse(cart: Cart, findings: Findings) -> None:
    cart.instance("cart-1", "v1", 100)
    cart.instance("cart-2", "v1", 100)
    cart.instance("cart-3", "v2", 30, since=3)
    found = findings("service:cart", "error_rate")
    new = of_version(found, "v2")
    assert new is not None
    assert (new.kind, new.direction, new.magnitude, new.baseline) == (ObservationKind.SPIKE, "up", 70.0, 0.0)
    assert new.statement == ("share of failing requests from shop of cart at version v2 is 70%, at other versions 0%")
    assert of_version(found, "v1") is None


def test_a_version_that_fails_as_the_others_do_is_said_to_be_like_them(cart: Cart, findings: Findings) -> None:
    cart.step("cart-1", "v1", [100.0] * 27 + [40, 60, 50])
    cart.step("cart-2", "v1", [100.0] * 27 + [70, 20, 60])
    cart.step("cart-3", "v2", [50, 60, 30])
    new = of_version(findings("service:cart", "error_rate"), "v2")
    assert new is not None
    assert (new.kind, new.baseline) == (ObservationKind.NORMAL, 50.0)  # what was before the new one is no witness


def test_a_version_is_judged_by_the_caller_that_it_fails_most(cart: Cart, findings: Findings) -> None:
    for caller, success in (("shop", 100), ("desk", 10)):
        cart.instance("cart-1", "v1", 100, caller=caller)
        cart.instance("cart-2", "v2", success, since=3, caller=caller)
    new = of_version(findings("service:cart", "error_rate"), "v2")
    assert new is not None
    assert (new.magnitude, new.baseline) == (90.0, 0.0)
    assert "from desk" in new.statement


def test_failures_that_go_with_the_share_of_new_instances_are_told_to_follow_it(cart: Cart, findings: Findings) -> None:
    cart.step("cart-1", "v1", [100.0] * 20 + [None] * 10)
    cart.step("cart-2", "v1", [100.0] * 24 + [None] * 4 + [100.0] * 2)
    cart.step("cart-3", "v1", [100.0] * 30)
    cart.step("cart-4", "v2", [20.0] * 10)
    cart.step("cart-5", "v2", [20.0] * 6)
    new = of_version(findings("service:cart", "error_rate"), "v2")
    assert new is not None
    assert float(new.attributes["follows"]) > 0.9


def test_where_nothing_fails_there_is_no_response_to_a_dose(cart: Cart, findings: Findings) -> None:
    cart.step("cart-1", "v1", [100.0] * 30)
    cart.step("cart-2", "v2", [100.0] * 10)
    cart.step("cart-3", "v2", [100.0] * 6)
    new = of_version(findings("service:cart", "error_rate"), "v2")
    assert new is not None
    assert "follows" not in new.attributes


def test_one_step_of_a_rollout_is_no_dose_to_follow(cart: Cart, findings: Findings) -> None:
    cart.instance("cart-1", "v1", 100)
    cart.instance("cart-2", "v2", 20, since=3)
    new = of_version(findings("service:cart", "error_rate"), "v2")
    assert new is not None
    assert "follows" not in new.attributes


def test_it_is_told_which_instances_took_requests_and_when_the_last_came(cart: Cart, findings: Findings) -> None:
    cart.instance("cart-1", "v1", 100)
    cart.instance("cart-2", "v1", 100)
    cart.busy("cart-3", "v2")
    (served,) = findings("service:cart", "served_by")
    assert served.attributes == {"instances": "cart-1,cart-2", "last": "2026-11-20T02:59:00Z"}


def test_a_call_that_fails_more_is_told_of_who_is_called(cart: Cart, findings: Findings) -> None:
    cart.calls("shop", "cart", before=100, now=60)
    (edge,) = findings("service:cart", "edge_error_rate")
    assert (edge.related, edge.kind, edge.direction) == ("service:shop", ObservationKind.SPIKE, "up")
    assert "from shop to cart rose" in edge.statement


def test_a_call_that_fails_as_before_is_not_told(cart: Cart, findings: Findings) -> None:
    cart.calls("shop", "cart", before=95, now=95)
    assert not findings("service:cart", "edge_error_rate")


def test_an_entrance_fails_as_often_as_the_call_that_fails_most(cart: Cart, findings: Findings) -> None:
    cart.calls("shop", "cart", before=100, now=60)
    cart.calls("shop", "ads", before=100, now=100)
    (entrance,) = findings("service:shop", "error_rate")
    assert (entrance.kind, entrance.magnitude) == (ObservationKind.SPIKE, 24.0)  # 40 % in three of five minutes


def test_calls_that_end_no_more_are_not_well_again(cart: Cart, findings: Findings) -> None:
    cart.calls("shop", "cart", before=50, now=None)
    cart.calls("shop", "ads", before=100, now=100)
    (entrance,) = findings("service:shop", "error_rate")
    assert entrance.magnitude == 50.0


def test_who_is_measured_by_its_own_callers_does_not_fail_with_its_calls(cart: Cart, findings: Findings) -> None:
    cart.instance("cart-1", "v1", 100)
    cart.calls("cart", "stock", before=100, now=20)
    whole = [one for one in findings("service:cart", "error_rate") if "version" not in one.attributes]
    assert [one.kind for one in whole] == [ObservationKind.NORMAL]


def test_the_store_knows_the_version_of_an_instance_by_its_resource(tmp_path: Path) -> None:
    named = {"ServiceName": "cart", "MetricName": "server.request.success_rate", "MetricUnit": "%", "Value": 100.0}
    with Writer(tmp_path / "store") as writer:
        for version, since in (("v1", 30), ("v2", 3)):
            resource = {"service.instance.id": f"cart-{version}", "service.version": version}
            times = [{"TimeUnix": minutes_ago(minute)} for minute in range(since, 0, -1)]
            writer.append({"otel_metrics_gauge": [{**named, "ResourceAttributes": resource, **at} for at in times]})
    first, start, end = (moment.isoformat() for moment in (minutes_ago(MINUTES), minutes_ago(IN_WINDOW), END))
    answer = answers.survey(StoreMetrics(tmp_path / "store"), start, end, first, start, ())
    told = {cited.finding.attributes.get("version") for cited in answer.findings or ()}
    assert {"v1", "v2"} <= told
