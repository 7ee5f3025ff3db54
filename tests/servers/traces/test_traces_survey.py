"""What the survey of a store's spans finds, where it says that it begins, and what it leaves in peace."""

import random
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest

from midwatch_kit import Observation

Row = dict[str, object]
Survey = Callable[..., Awaitable[tuple[str, list[Observation]]]]
Moment = Callable[[float], datetime]
ONSET = 200.0


def loud(found: Sequence[Observation]) -> list[Observation]:
    return [one for one in found if one.kind not in ("normal", "absence")]


def of(found: Sequence[Observation], subject: str) -> dict[str, Observation]:
    """Findings of a subject by entity, without those of one operation or version."""
    whole = [one for one in found if one.subject == subject and not {"version"} & one.attributes.keys()]
    return {
        one.entity: one for one in reversed(whole) if subject == "error_origin" or "operation" not in one.attributes
    }


def holds(one: Observation, onset: datetime) -> bool:
    return bool(one.onset_earliest and one.onset_latest and one.onset_earliest <= onset <= one.onset_latest)


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_a_quiet_minute_raises_nothing_and_says_of_everything_that_it_is_as_before(
    survey: Survey, story: Any, seed: int
) -> None:
    _, found = await survey(story(seed=seed).tell())
    assert loud(found) == []
    healthy = {one.entity for one in found if one.kind == "normal"}
    services = {"service:web", "service:cart", "service:pay", "service:ship"}
    assert services <= healthy
    assert {"instance:web-1", "instance:cart-1", "instance:ship-1"} <= healthy
    assert {"database:shop", "external:bank.example.com", "queue:orders"} <= healthy


async def test_trouble_that_is_back_after_a_calm_begins_where_the_calm_ends(
    survey: Survey, span: Callable[..., Row], moment: Moment
) -> None:
    def failed(at: float) -> bool:
        return at >= ONSET + 20 or at < 30

    rows = [span(at=0.3 * i, trace=f"t{i}", service="web", failed=failed(0.3 * i)) for i in range(800)]
    _, found = await survey(rows)
    begun = of(found, "error_rate")["service:web"]
    assert begun.direction == "up"
    assert begun.ended is None
    assert holds(begun, moment(ONSET + 20))


@pytest.mark.parametrize("ms", [50, 5])
async def test_who_is_asked_less_often_is_said_to_answer_as_well_as_before(
    survey: Survey, span: Callable[..., Row], ms: int
) -> None:
    asked = [i for i in range(800) if 0.3 * i < ONSET or i % 3 == 0]
    taken = [50 if 0.3 * i < ONSET else ms for i in asked]
    rows = [span(at=0.3 * i, trace=f"t{i}", service="web", ms=t + i % 10) for i, t in zip(asked, taken, strict=True)]
    _, found = await survey(rows)
    (sound,) = (one for one in found if one.entity == "service:web" and one.kind == "normal")
    assert set(of(found, "request_rate")) == {"service:web"}
    assert sound.attributes["covers"] == "answers"
    assert "web answers as well as before: 0% errors" in sound.statement


async def test_who_is_asked_less_often_and_answers_slowly_is_not_said_to_be_as_before(
    survey: Survey, span: Callable[..., Row]
) -> None:
    asked = [i for i in range(800) if 0.3 * i < ONSET or i % 3 == 0]
    slow = [900 if 0.3 * i >= ONSET else 50 for i in asked]
    rows = [span(at=0.3 * i, trace=f"t{i}", service="web", ms=ms + i % 10) for i, ms in zip(asked, slow, strict=True)]
    _, found = await survey(rows)
    assert not [one for one in found if one.entity == "service:web" and one.kind == "normal"]


async def test_errors_begin_where_they_are_made_and_victims_only_pass_them_on(
    survey: Survey, story: Any, trouble: Any, moment: Moment
) -> None:
    chance = random.Random(5)

    def fault(at: float, place: str, _: str) -> Any:
        if place == "pay" and at >= ONSET and chance.random() < 0.5:
            return trouble(exception="FieldError", message="unknown field 'finish' in order 4711")
        return None

    text, found = await survey(story(fault=fault).tell())
    origins, rates = of(found, "error_origin"), of(found, "error_rate")
    assert {entity for entity in origins if entity.startswith("service:")} == {"service:pay"}
    assert {"service:pay", "service:web"} <= rates.keys()
    assert "service:cart" not in rates
    begun, passed = origins["service:pay"], rates["service:web"]
    assert all(holds(one, moment(ONSET)) for one in (begun, passed, rates["service:pay"]))
    assert begun.kind == "error_trace"
    assert begun.unit == "traces"
    assert begun.attributes["share"] == "100.0"
    assert begun.attributes["operation"] == "POST /pay"
    assert begun.attributes["exception"].startswith("FieldError: unknown field")
    assert 1 <= len(begun.attributes["exemplars"].split(",")) <= 3
    hosts = dict(part.split(":") for part in begun.attributes["instances"].split(","))
    assert set(hosts) == {"pay-1", "pay-2", "pay-3"}
    assert sum(map(int, hosts.values())) == begun.magnitude
    assert f"{begun.magnitude:.0f} of {begun.magnitude:.0f} failing traces begin to fail in pay" in text
    assert f"({passed.attributes['errors']} of {passed.attributes['requests']} requests)" in passed.statement
    assert of(found, "edge_error_rate")["service:pay"].related == "service:web"


async def test_latency_is_made_in_one_service_and_passed_on_by_its_callers(
    survey: Survey, story: Any, trouble: Any, moment: Moment
) -> None:
    def fault(at: float, place: str, _: str) -> Any:
        return trouble(slower_ms=60) if place == "pay" and at >= ONSET else None

    _, found = await survey(story(fault=fault).tell())
    made, felt = of(found, "self_time"), of(found, "latency_p95")
    assert {entity for entity in made if entity.startswith("service:")} == {"service:pay"}
    assert {"service:pay", "service:web"} <= felt.keys()
    assert "service:cart" not in felt
    assert all(holds(one, moment(ONSET)) for one in (made["service:pay"], felt["service:web"]))
    assert made["service:pay"].unit == "ms"
    assert made["service:pay"].magnitude == pytest.approx(64, abs=5)
    assert made["service:pay"].baseline == pytest.approx(5, abs=1)
    slow = of(found, "edge_latency_p95")["service:pay"]
    assert (slow.kind, slow.related, slow.direction) == ("slow_edge", "service:web", "up")


async def test_of_three_instances_the_one_that_fails_is_named_and_the_others_are_as_before(
    survey: Survey, story: Any, trouble: Any
) -> None:
    def fault(at: float, place: str, instance: str) -> Any:
        return (
            trouble(exception="OSError", message="disk full")
            if place == "pay" and at >= ONSET and instance == "pay-2"
            else None
        )

    _, found = await survey(story(fault=fault).tell())
    bad, begun = of(found, "error_rate"), of(found, "error_origin")
    assert {one for one in bad if one.startswith("instance:pay")} == {"instance:pay-2"}
    assert bad["instance:pay-2"].related == "service:pay"
    assert {one for one in begun if one.startswith("instance:")} == {"instance:pay-2"}
    assert begun["service:pay"].attributes["instances"].startswith("pay-2:")
    assert {"instance:pay-1", "instance:pay-3"} <= {one.entity for one in found if one.kind == "normal"}


async def test_an_instance_that_fails_a_little_is_not_called_as_before_where_its_service_fails(
    survey: Survey, span: Callable[..., Row]
) -> None:
    rows: list[Row] = []
    for name, failing in (("forge-1", 9), ("forge-2", 8), ("forge-3", 2), ("forge-4", 0)):
        bad = {25 + 15 * i // 10 for i in range(failing)}
        rows += [span(at=1.125 * i, instance=name) for i in range(160)]
        rows += [span(at=180 + 1.5 * i, instance=name, failed=i in bad) for i in range(40)]
    _, found = await survey(rows)
    healthy = {one.entity for one in found if one.kind == "normal"}
    assert "service:forge" in of(found, "error_rate")
    assert {one for one in healthy if one.startswith("instance:")} == {"instance:forge-4"}


@pytest.mark.parametrize(("failing", "told"), [(1, False), (2, False), (6, True), (10, True)])
async def test_six_of_a_hundred_failures_after_four_hundred_sound_requests_are_told_and_two_are_not(
    survey: Survey, span: Callable[..., Row], failing: int, told: bool
) -> None:
    before = [span(at=180 * i / 400, trace=f"a{i}") for i in range(400)]
    bad = {20 + 70 * i // failing for i in range(failing)}
    now = [span(at=180 + 60 * i / 100, trace=f"b{i}", failed=i in bad) for i in range(100)]
    _, found = await survey([*before, *now])
    assert ("service:forge" in of(found, "error_rate")) == told
    assert ("service:forge" in of(found, "error_origin")) == told
    if told:
        assert of(found, "error_origin")["service:forge"].magnitude == failing


async def test_a_version_that_serves_alone_is_not_blamed_for_what_its_callee_does(
    survey: Survey, story: Any, trouble: Any
) -> None:
    def fault(at: float, place: str, _: str) -> Any:
        return trouble(exception="OSError", message="gone") if place == "pay" and at >= ONSET else None

    new = story(fault=fault, version=lambda at, _: "v2" if at >= 120 else "v1")
    _, found = await survey(new.tell())
    assert [one.statement for one in found if "version" in one.attributes] == []


async def test_a_consumer_fails_in_its_own_trace_and_its_producer_is_as_before(
    survey: Survey, story: Any, trouble: Any, moment: Moment
) -> None:
    def fault(at: float, place: str, _: str) -> Any:
        return trouble(exception="ValueError", message="bad order") if place == "ship" and at >= ONSET else None

    _, found = await survey(story(fault=fault).tell())
    origins = of(found, "error_origin")
    assert set(origins) == {"service:ship", "instance:ship-1"}
    assert holds(origins["service:ship"], moment(ONSET))
    assert {"service:cart", "service:web"} <= {one.entity for one in found if one.kind == "normal"}


async def test_messages_that_wait_longer_are_found_by_their_links(survey: Survey, span: Callable[..., Row]) -> None:
    def message(i: int, at: float, wait: float) -> list[Row]:
        queue = {"messaging.destination.name": "jobs"}
        sent = span(
            at=at, trace=f"a{i}", service="cart", kind="Producer", span=f"s{i}", parent=f"r{i}", attributes=queue
        )
        root = span(at=at, trace=f"a{i}", service="cart", span=f"r{i}")
        taken = span(at=at + 0.01 + wait, trace=f"c{i}", service="ship", kind="Consumer", attributes=queue)
        return [root, sent, {**taken, "Links.TraceId": [f"a{i}"], "Links.SpanId": [f"s{i}"]}]

    chance = random.Random(3)
    before = [message(i, 0.45 * i, chance.uniform(0.01, 0.02)) for i in range(400)]
    now = [message(400 + i, 180 + 0.3 * i, chance.uniform(1.0, 1.5)) for i in range(190)]
    _, found = await survey([row for rows in (*before, *now) for row in rows])
    waited = of(found, "queue_time")["queue:jobs"]
    assert waited.related == "service:ship"
    assert waited.magnitude == pytest.approx(1475, abs=40)
    assert of(found, "self_time") == {}


@pytest.mark.parametrize(
    ("peer", "entity"),
    [("database", "database:shop"), ("bank", "external:bank.example.com")],
)
async def test_a_peer_that_sends_no_spans_is_where_calls_to_it_begin_to_fail(
    survey: Survey, story: Any, trouble: Any, peer: str, entity: str
) -> None:
    def fault(at: float, place: str, _: str) -> Any:
        return trouble(exception="TimeoutError", message="no answer") if place == f"to:{peer}" and at >= ONSET else None

    _, found = await survey(story(fault=fault).tell())
    origins = of(found, "error_origin")
    assert set(origins) == {entity}
    assert origins[entity].related == "service:pay"
    assert origins[entity].attributes["exception"] == "TimeoutError: no answer"
    assert {"service:pay", "service:web"} <= of(found, "error_rate").keys()


async def test_a_slow_database_is_where_the_time_is_spent(survey: Survey, story: Any, trouble: Any) -> None:
    def fault(at: float, place: str, _: str) -> Any:
        return trouble(slower_ms=50) if place == "to:database" and at >= ONSET else None

    _, found = await survey(story(fault=fault).tell())
    assert set(of(found, "self_time")) == {"database:shop"}
    assert of(found, "edge_latency_p95")["database:shop"].related == "service:pay"


async def test_a_service_that_no_longer_answers_is_where_calls_to_it_begin_to_fail(
    survey: Survey, story: Any, trouble: Any
) -> None:
    def fault(at: float, place: str, _: str) -> Any:
        return trouble(exception="ConnectError", message="refused") if place == "to:cart" and at >= ONSET else None

    _, found = await survey(story(fault=fault).tell())
    begun = of(found, "error_origin")["service:cart"]
    assert begun.related == "service:web"
    assert begun.attributes["exception"] == "ConnectError: refused"
    assert "drop" in {one.kind for one in found if one.entity == "service:cart" and one.subject == "request_rate"}


async def test_a_service_that_serves_nothing_any_more_is_an_absence(survey: Survey, story: Any) -> None:
    rows = [row for row in story().tell() if row["ServiceName"] != "ship" or row["Timestamp"] < STORY_WINDOW]
    _, found = await survey(rows)
    [gone] = [one for one in found if one.entity == "service:ship" and one.subject == "request_rate"]
    assert gone.magnitude == 0.0
    assert gone.kind in ("drop", "absence")


STORY_WINDOW = int(datetime.fromisoformat("2026-11-20T02:47:00+00:00").timestamp()) * 10**9


async def test_more_requests_are_a_spike_of_the_rate_with_its_onset(
    survey: Survey, span: Callable[..., Row], moment: Moment
) -> None:
    calm = [span(at=0.2 * i, trace=f"a{i}") for i in range(1200)]
    rush = [span(at=ONSET + 0.05 * i, trace=f"b{i}") for i in range(799)]
    _, found = await survey([*calm, *rush])
    more = of(found, "request_rate")["service:forge"]
    assert (more.kind, more.direction, more.unit) == ("spike", "up", "1/s")
    assert more.baseline == pytest.approx(5, abs=0.1)
    assert holds(more, moment(ONSET))


async def test_a_fault_that_is_over_within_the_window_has_its_end(
    survey: Survey, story: Any, trouble: Any, moment: Moment
) -> None:
    def fault(at: float, place: str, _: str) -> Any:
        return trouble(exception="OSError", message="gone") if place == "pay" and 190 <= at < 210 else None

    _, found = await survey(story(fault=fault).tell())
    for one in (of(found, "error_rate")["service:pay"], of(found, "error_origin")["service:pay"]):
        assert one.onset is not None
        assert one.ended is not None
        assert abs(one.onset - moment(190)) <= timedelta(seconds=2)
        assert abs(one.ended - moment(210)) <= timedelta(seconds=2)


async def test_errors_that_a_caller_handled_begin_nowhere(survey: Survey, span: Callable[..., Row]) -> None:
    def request(i: int, at: float, *, failed: bool) -> list[Row]:
        root = span(at=at, trace=f"t{i}", span=f"r{i}", service="web")
        call = span(at=at, trace=f"t{i}", span=f"c{i}", parent=f"r{i}", service="web", kind="Client", failed=failed)
        return [root, span(at=at, trace=f"t{i}", parent=f"c{i}", service="pay", failed=failed), call]

    rows = [row for i in range(800) for row in request(i, 0.3 * i, failed=0.3 * i >= ONSET)]
    _, found = await survey(rows)
    assert set(of(found, "error_rate")) == {"service:pay", "instance:pay-1"}
    assert set(of(found, "error_origin")) == {"service:pay", "instance:pay-1"}
    web = [one for one in found if one.entity == "service:web" and one.subject in ("error_rate", "error_origin")]
    assert web == []


async def test_a_request_that_handled_a_failure_does_not_hide_where_its_caller_fails(
    survey: Survey, span: Callable[..., Row]
) -> None:
    def request(i: int, *, failed: bool) -> list[Row]:
        known = {"at": 0.3 * i, "trace": f"t{i}"}
        cache = {"db.system.name": "redis", "server.address": "cache"}
        return [
            span(**known, span=f"r{i}", service="web", failed=failed, status="broken page"),
            span(**known, span=f"c{i}", parent=f"r{i}", service="web", kind="Client"),
            span(**known, span=f"s{i}", parent=f"c{i}", service="pay"),
            span(**known, parent=f"s{i}", service="pay", kind="Client", failed=True, attributes=cache),
        ]

    _, found = await survey([row for i in range(800) for row in request(i, failed=0.3 * i >= ONSET)])
    assert set(of(found, "error_origin")) == {"service:web", "instance:web-1"}
    assert of(found, "error_origin")["service:web"].attributes["exception"] == "broken page"


HTTP = {"http.request.method": "POST"}
GRPC = {"rpc.system": "grpc"}


@pytest.mark.parametrize(
    ("said", "answer_ms", "begins"),
    [
        pytest.param({}, 900, "service:pay", id="shorter than its answer took"),
        pytest.param({}, 90, "service:web", id="longer than its answer took"),
        pytest.param(HTTP, 90, "service:pay", id="no response, though it was nearly there"),
        pytest.param(HTTP | {"http.status_code": "0"}, 90, "service:pay", id="a proxy's word for no response"),
        pytest.param(HTTP | {"http.response.status_code": "403"}, 90, "service:web", id="refused in time"),
        pytest.param(HTTP | {"http.response.status_code": "413"}, 900, "service:web", id="refused while work went on"),
        pytest.param(GRPC | {"rpc.grpc.status_code": "4"}, 90, "service:pay", id="gRPC's deadline"),
        pytest.param(GRPC | {"rpc.response.status_code": "UNAVAILABLE"}, 90, "service:pay", id="gRPC's lost link"),
        pytest.param(GRPC | {"rpc.grpc.status_code": "7"}, 90, "service:web", id="gRPC's refusal"),
    ],
)
async def test_a_call_whose_answer_went_well_fails_in_the_callee_when_the_caller_never_got_it(
    survey: Survey, span: Callable[..., Row], said: Row, answer_ms: float, begins: str
) -> None:
    def request(i: int, *, fails: bool) -> list[Row]:
        known = {"at": 0.3 * i, "trace": f"t{i}"}
        call = {"ms": 100, "failed": fails, "attributes": said}
        return [
            span(**known, span=f"r{i}", service="web", ms=110, failed=fails),
            span(**known, span=f"c{i}", parent=f"r{i}", service="web", kind="Client", **call),
            span(**known, parent=f"c{i}", service="pay", ms=answer_ms if fails else 80),
        ]

    _, found = await survey([row for i in range(800) for row in request(i, fails=0.3 * i >= ONSET)])
    origins = of(found, "error_origin")
    assert {entity for entity in origins if entity.startswith("service:")} == {begins}
    assert origins[begins].related == ("service:web" if begins == "service:pay" else None)


@pytest.mark.parametrize(("every", "caller"), [(1, "service:web"), (2, None), (20, None)])
async def test_a_caller_is_named_where_most_failures_are_calls_that_it_never_got_an_answer_to(
    survey: Survey, span: Callable[..., Row], every: int, caller: str | None
) -> None:
    def request(i: int, *, fails: bool) -> list[Row]:
        known = {"at": 0.3 * i, "trace": f"t{i}"}
        lost = fails and i % every == 0
        said = HTTP if lost else HTTP | {"http.response.status_code": "500" if fails else "200"}
        return [
            span(**known, span=f"r{i}", service="web", ms=110, failed=fails),
            span(**known, span=f"c{i}", parent=f"r{i}", service="web", kind="Client", failed=fails, attributes=said),
            span(**known, parent=f"c{i}", service="pay", failed=fails and not lost),
        ]

    _, found = await survey([row for i in range(800) for row in request(i, fails=0.3 * i >= ONSET)])
    assert of(found, "error_origin")["service:pay"].related == caller


async def test_what_a_consumer_does_meanwhile_hides_no_time_of_its_producer(
    survey: Survey, span: Callable[..., Row]
) -> None:
    def order(i: int, ms: float) -> list[Row]:
        known = {"at": 0.3 * i, "trace": f"t{i}"}
        taken = span(**known, parent=f"r{i}", service="ship", kind="Consumer", ms=500 + i % 10)
        return [span(**known, span=f"r{i}", service="cart", ms=ms + i % 10), taken]

    _, found = await survey([row for i in range(800) for row in order(i, 80 if 0.3 * i >= ONSET else 20)])
    assert set(of(found, "self_time")) == {"service:cart", "instance:cart-1"}
    assert of(found, "edge_latency_p95") == {}


@pytest.mark.parametrize(("now_ms", "later_ms", "p95"), [(80, 5, 89), (20, 15_000, None)])
async def test_work_that_goes_on_after_the_answer_is_no_time_of_the_request(
    survey: Survey, span: Callable[..., Row], now_ms: float, later_ms: float, p95: float | None
) -> None:
    def order(i: int, ms: float, after_ms: float) -> list[Row]:
        known = {"at": 0.3 * i, "trace": f"t{i}", "service": "cart"}
        later = span(**known, parent=f"r{i}", kind="Internal", ms=15_000 if i % 50 == 0 else after_ms)
        return [span(**known, span=f"r{i}", ms=ms + i % 10), later]

    orders = [order(i, now_ms, later_ms) if 0.3 * i >= ONSET else order(i, 20, 5) for i in range(800)]
    _, found = await survey([row for rows in orders for row in rows])
    spent = of(found, "self_time")
    assert (spent["service:cart"].magnitude if spent else None) == p95


async def test_orphans_circles_and_doubles_are_surveyed_like_any_other_span(
    survey: Survey, span: Callable[..., Row]
) -> None:
    rows: list[Row] = []
    for i in range(600):
        bad = 0.4 * i >= ONSET
        rows.append(span(at=0.4 * i, trace=f"o{i}", parent="missing", failed=bad))
        rows.append(span(at=0.4 * i, trace=f"x{i}", span="one", parent="two", kind="Internal"))
        rows.append(span(at=0.4 * i, trace=f"x{i}", span="two", parent="one", kind="Internal"))
        rows.append(span(at=0.4 * i, trace=f"y{i}", span="self", parent="self", kind="Internal"))
    random.Random(1).shuffle(rows)
    _, found = await survey([*rows, *rows[:300]])
    begun = of(found, "error_origin")["service:forge"]
    assert begun.magnitude == sum(0.4 * i >= ONSET for i in range(600))


async def test_without_a_baseline_nothing_is_called_as_before(survey: Survey, story: Any, trouble: Any) -> None:
    def fault(_: float, place: str, __: str) -> Any:
        return trouble(exception="OSError", message="gone") if place == "pay" else None

    rows = [row for row in story(fault=fault).tell() if row["Timestamp"] >= STORY_WINDOW]
    text, found = await survey(rows)
    assert "as before" not in text
    assert "service:pay" in of(found, "error_origin")
    assert "service:pay" not in {one.entity for one in found if one.kind == "normal"}
    assert "No requests in the baseline" in text


async def test_a_new_instance_is_said_to_have_no_past_rather_than_to_be_as_before(survey: Survey, story: Any) -> None:
    rows = story().tell()
    for row in rows:
        resource = row["ResourceAttributes"]
        if resource["service.instance.id"] == "pay-3" and row["Timestamp"] < STORY_WINDOW:
            resource["service.instance.id"] = "pay-0"
    _, found = await survey(rows)
    [new] = [one for one in found if one.entity == "instance:pay-3"]
    assert (new.kind, new.subject, new.related) == ("absence", "baseline", "service:pay")
    assert "no requests in the baseline" in new.statement


async def test_a_long_baseline_does_not_inflate_rates(survey: Survey, span: Callable[..., Row], moment: Moment) -> None:
    rows = [span(at=0.5 * i - 3000, trace=f"a{i}") for i in range(6480)]
    _, found = await survey(rows, baseline_start=moment(-3000).isoformat(), baseline_end=moment(180).isoformat())
    [calm] = [one for one in found if one.entity == "service:forge"]
    assert calm.kind == "normal"
    assert calm.subject == "request_rate"
    assert calm.baseline == pytest.approx(2, abs=0.05)
    assert calm.magnitude == pytest.approx(2, abs=0.05)


async def test_a_baseline_shorter_than_a_bucket_still_compares_shares(
    survey: Survey, span: Callable[..., Row], moment: Moment
) -> None:
    rows = [span(at=0.02 * i, trace=f"a{i}", failed=0.02 * i >= ONSET) for i in range(12_000)]
    before = {"baseline_start": moment(7).isoformat(), "baseline_end": moment(10).isoformat()}
    asked = {"start": moment(10).isoformat(), **before}
    _, found = await survey(rows, **asked)
    assert of(found, "error_rate")["service:forge"].baseline == 0.0


async def test_entities_narrow_the_findings_and_unknown_ones_are_an_absence(survey: Survey, story: Any) -> None:
    _, found = await survey(story().tell(), entities=["pay", "service:nowhere"])
    assert {one.entity for one in found if one.kind == "normal"} >= {"service:pay", "instance:pay-1"}
    assert {one.related for one in found if one.entity.startswith("instance:")} == {"service:pay"}
    [gone] = [one for one in found if one.kind == "absence"]
    assert gone.entity == "service:nowhere"
