"""The builtin reasoner on what hurts most: where nothing was deployed, or too much; who is a victim; two at once."""

from dataclasses import replace

import pytest
from tests.host.scenes import a_scene, after, change, healthy, origin, reason, seen

from midwatch.builtin.planning import plan_for
from midwatch.builtin.scene import Scene
from midwatch.mcp_client.toolbox import Tool
from midwatch.records import HypothesisKind, Outcome
from midwatch_kit.records import Observation, ObservationKind, Signal
from midwatch_kit.server import Role

SHOP = """
service:gateway calls service:bot
service:bot calls service:forge
service:bot calls service:schedule
service:bot calls external:maps.example
service:schedule writes database:robots
service:schedule sends_to queue:jobs
service:action receives_from queue:jobs
service:action runs_on instance:action-1
service:forge runs_on instance:forge-1
service:forge runs_on instance:forge-2
service:bot runs_on instance:bot-1
"""

THIRD_PARTY = SHOP.replace("external:maps.example", "external:api.maps.example")


def fails(entity: str, error: str, failing: int = 100, caller: str | None = None) -> Observation:
    return origin(entity, failing, "", related=caller, attributes={"instances": "", "exception": error})


def busy(service: str, before: float, now: float) -> Observation:
    return seen(service, "request_rate", magnitude=now, baseline=before, unit="1/s")


def as_busy_as_before(service: str, rate: float = 20.0) -> Observation:
    return seen(
        service, "request_rate", ObservationKind.NORMAL, magnitude=rate, baseline=rate, attributes={"covers": "r"}
    )


def short(entity: str, service: str, seconds: float, subject: str = "process.memory.usage") -> Observation:
    return seen(entity, subject, signal=Signal.METRICS, related=service, onset=after(seconds))


def silent(entity: str, seconds: float) -> Observation:
    fields = {"signal": Signal.METRICS, "onset": after(seconds), "direction": "down"}
    return seen(entity, "metrics", ObservationKind.ABSENCE, **fields)


def test_who_is_refused_lacks_the_right_and_not_who_refuses() -> None:
    denied = fails("database:robots", "permission denied for table jobs", caller="service:schedule")
    judged = reason(a_scene(denied, graph=SHOP))
    assert judged.cause == (HypothesisKind.ACCESS, "service:schedule")
    assert judged.verdict(HypothesisKind.DEPENDENCY, "database:robots").result == "refuted"


def test_a_third_party_that_stops_answering_is_a_dependency_and_no_question_of_rights() -> None:
    judged = reason(a_scene(fails("external:maps.example", "ReadTimeout", caller="service:bot"), graph=SHOP))
    assert judged.cause == (HypothesisKind.DEPENDENCY, "external:maps.example")


def test_what_needs_a_process_that_fell_silent_is_its_victim() -> None:
    refusing = fails("service:schedule", "Refused: 240 jobs wait")
    judged = reason(a_scene(refusing, silent("instance:action-1", -8), graph=SHOP))
    assert judged.cause == (HypothesisKind.PLATFORM, "instance:action-1")
    assert judged.conclusion.root_causes[0].path[:3] == ("instance:action-1", "service:action", "queue:jobs")
    assert judged.verdict(HypothesisKind.STATE, "service:schedule").result == "refuted"


def test_who_takes_no_requests_any_more_while_they_are_still_sent_hangs() -> None:
    idle = seen("service:action", "request_rate", ObservationKind.DROP, direction="down", magnitude=0.0, baseline=8.0)
    idle = idle.model_copy(update={"onset": after(-8)})
    judged = reason(a_scene(fails("service:schedule", "Overloaded: backlog of 80 jobs"), idle, graph=SHOP))
    assert judged.cause == (HypothesisKind.PLATFORM, "instance:action-1")


def test_who_takes_no_requests_since_nothing_is_sent_has_starved() -> None:
    idle = seen("service:action", "request_rate", ObservationKind.DROP, direction="down", magnitude=0.0, baseline=8.0)
    idle = idle.model_copy(update={"onset": after(1)})
    judged = reason(a_scene(fails("service:schedule", "KeyError: depot"), idle, graph=SHOP))
    assert judged.cause == (HypothesisKind.STATE, "service:schedule")


def test_where_everybody_falls_silent_the_metrics_lag_and_nobody_is_to_blame_for_it() -> None:
    all_silent = [silent(f"service:{name}", -8) for name in ("gateway", "bot", "forge", "schedule", "action")]
    judged = reason(a_scene(fails("service:schedule", "Refused: 240 jobs wait"), *all_silent, graph=SHOP))
    assert all(h.kind is not HypothesisKind.PLATFORM for h in judged.hypotheses)


def test_a_surge_is_found_where_it_comes_in_and_not_where_it_is_passed_on() -> None:
    full = fails("service:gateway", "Overloaded: over capacity")
    judged = reason(a_scene(full, busy("service:gateway", 20, 90), busy("service:bot", 20, 60), graph=SHOP))
    assert judged.cause == (HypothesisKind.TRAFFIC, "service:gateway")
    passed_on = judged.verdict(HypothesisKind.TRAFFIC, "service:bot")
    assert passed_on.result == "refuted"
    assert any("further up" in argument.text for argument in passed_on.arguments)


@pytest.mark.parametrize(("now", "refuted"), [(21.0, True), (29.0, False)])
def test_that_no_more_requests_arrive_is_said_only_where_hardly_more_do(now: float, refuted: bool) -> None:
    rate = as_busy_as_before("service:gateway").model_copy(update={"magnitude": now})
    slower = seen("service:gateway", "latency_p95", magnitude=900.0, baseline=100.0, unit="ms")
    judged = reason(a_scene(rate, slow("service:bot", 800), symptoms=(slower,), graph=SHOP))
    traffic = judged.verdict(HypothesisKind.TRAFFIC, "service:gateway")
    assert (traffic.result == "refuted") is refuted
    assert any("no more requests" in argument.text for argument in traffic.arguments) is refuted


def test_calls_that_multiply_on_the_way_are_a_surge_of_who_gets_them() -> None:
    storm = fails("service:forge", "Busy: 503 try later")
    judged = reason(a_scene(storm, busy("service:forge", 12, 50), as_busy_as_before("service:bot"), graph=SHOP))
    assert judged.cause == (HypothesisKind.TRAFFIC, "service:forge")


def test_more_requests_that_are_all_served_as_well_are_no_incident() -> None:
    surge = busy("service:gateway", 20, 40)
    served = seen("service:gateway", "error_rate", ObservationKind.NORMAL, attributes={"covers": "error_rate"})
    judged = reason(a_scene(served, symptoms=(surge,), graph=SHOP))
    assert judged.conclusion.outcome is Outcome.NO_INCIDENT
    assert surge.statement in judged.conclusion.statement


def test_a_service_that_takes_a_little_longer_is_no_incident_where_its_users_are_answered_as_well() -> None:
    surge, well = busy("service:gateway", 20, 40), answers_as_before("service:gateway")
    longer = slow("service:bot", 570, score=4.0)
    judged = reason(a_scene(well, longer, symptoms=(surge,), graph=SHOP))
    assert judged.conclusion.outcome is Outcome.NO_INCIDENT


def test_a_change_after_which_all_went_well_for_long_must_show_that_it_bites_late() -> None:
    old, new = change("service:forge", -60), change("service:forge", -2)
    scene = a_scene(old, new, fails("service:forge", "ValueError: no"), as_busy_as_before("service:forge"), graph=SHOP)
    judged = reason(scene)
    assert judged.conclusion.root_causes[0].trigger == new
    assert "went well between" in " ".join(
        a.text for a in judged.verdict(HypothesisKind.CHANGE, "service:forge", old).arguments
    )


def test_memory_that_grows_since_a_deploy_is_the_deploys_doing() -> None:
    deploy = change("service:bot", -30)
    leak = short("instance:bot-1", "service:bot", -26)
    judged = reason(
        a_scene(deploy, leak, fails("service:bot", "RemoteProtocolError"), as_busy_as_before("service:bot"), graph=SHOP)
    )
    assert judged.cause == (HypothesisKind.CHANGE, "service:bot")


def test_what_fills_up_bites_late_so_requests_that_went_well_do_not_clear_the_change_before() -> None:
    deploy, busy_as_ever = change("service:bot", -12), as_busy_as_before("service:bot")
    killed = seen(
        "service:bot", "template", ObservationKind.NEW_PATTERN, attributes={"exemplar": "bot-1 was OOMKilled"}
    )
    judged = reason(a_scene(deploy, killed, fails("service:bot", "RemoteProtocolError"), busy_as_ever, graph=SHOP))
    assert judged.cause == (HypothesisKind.CHANGE, "service:bot")
    assert judged.verdict(HypothesisKind.RESOURCE, "service:bot").result == "refuted"


@pytest.mark.parametrize(("said", "late"), [("ConnectError", True), ("ValueError: no", False)])
def test_what_no_longer_runs_was_ended_some_time_after_the_change_that_made_it_unhealthy(said: str, late: bool) -> None:
    unhealthy, busy_as_ever = change("service:forge", -12, "config"), as_busy_as_before("service:forge")
    judged = reason(a_scene(unhealthy, fails("service:forge", said, 5, "service:bot"), busy_as_ever, graph=SHOP))
    arguments = judged.verdict(HypothesisKind.CHANGE, "service:forge").arguments
    assert [argument.weight > 0 for argument in arguments if argument.name == "time"] == [late]


def test_a_shortage_that_ends_with_a_restart_lasted_for_as_long_as_it_could() -> None:
    deploy, busy_as_ever = change("service:bot", -12), as_busy_as_before("service:bot")
    leak = short("instance:bot-1", "service:bot", -8).model_copy(update={"ended": after(1)})
    judged = reason(a_scene(deploy, leak, fails("service:bot", "ConnectError"), busy_as_ever, graph=SHOP))
    assert f"since then {leak.statement}" in [
        a.text for a in judged.verdict(HypothesisKind.CHANGE, "service:bot").arguments
    ]


def test_memory_that_grows_without_a_change_is_the_cause_itself() -> None:
    leak = short("instance:bot-1", "service:bot", -6).model_copy(update={"kind": ObservationKind.SATURATION})
    judged = reason(a_scene(leak, fails("service:bot", "MemoryError"), graph=SHOP))
    assert judged.cause[0] is HypothesisKind.RESOURCE


def test_two_troubles_without_a_tie_are_both_named_and_their_shares_are_theirs() -> None:
    on_forge = change("service:forge", -3)
    denied = fails("database:robots", "permission denied for table jobs", failing=40, caller="service:schedule")
    judged = reason(a_scene(on_forge, fails("service:forge", "KeyError: mass", failing=60), denied, graph=SHOP))
    named = [(cause.kind, cause.entity) for cause in judged.conclusion.root_causes]
    assert named == [(HypothesisKind.CHANGE, "service:forge"), (HypothesisKind.ACCESS, "service:schedule")]


def test_the_plan_for_two_troubles_names_a_step_for_each_and_leaves_both_to_a_person() -> None:
    denied = fails("database:robots", "permission denied for table jobs", failing=40, caller="service:schedule")
    scene = a_scene(
        change("service:forge", -3), fails("service:forge", "KeyError: mass", failing=60), denied, graph=SHOP
    )
    roll_back = Tool(
        "deploys", "roll_back", Role.ACT, "changes", None, frozenset({"service", "to_version"}), read_only=False
    )
    plan = plan_for(reason(scene).conclusion, scene, [roll_back])
    steps = [step for step in plan.steps if step.phase == "apply"]
    assert [step.title for step in steps] == [
        "roll service:forge back to what ran before",
        "restore what service:schedule may do: permission, credential, certificate or quota",
    ]
    assert all(step.call is None for step in steps)


BROKEN_CACHE = origin("service:forge", 27, "forge-2:27")
GIVEN_UP = fails("service:schedule", "ReadTimeout", 7, "service:bot")
ITS_CALLS_FAIL = seen(
    "service:schedule", "edge_error_rate", related="service:bot", magnitude=36.8, baseline=0.0, unit="%"
)


@pytest.mark.parametrize("seen_there", [GIVEN_UP, ITS_CALLS_FAIL], ids=["in both", "in who gives up alone"])
def test_a_second_trouble_may_show_in_who_gives_up_as_well_as_in_who_is_given_up_on(seen_there: Observation) -> None:
    session, hasty = change("instance:forge-2", -1, "session"), change("service:bot", -1, "config")
    gives_up, well = fails("service:bot", "ReadTimeout", 7), as_busy_as_before("service:schedule")
    judged = reason(
        watching_errors(session, hasty, BROKEN_CACHE, gives_up, seen_there, well, healthy("instance:forge-1"))
    )
    assert {(c.kind, c.entity) for c in judged.conclusion.root_causes} == {
        (HypothesisKind.OPERATOR, "instance:forge-2"),
        (HypothesisKind.CHANGE, "service:bot"),
    }


def test_a_trouble_that_the_first_one_may_have_brought_about_is_not_named_beside_it() -> None:
    deploy = change("service:forge", -3)
    passed_on = fails("service:bot", "UpstreamFailed: forge failed", failing=45)
    judged = reason(a_scene(deploy, fails("service:forge", "KeyError: mass", failing=55), passed_on, graph=SHOP))
    assert [cause.entity for cause in judged.conclusion.root_causes] == ["service:forge"]


def test_the_one_instance_that_is_slow_is_told_from_its_siblings() -> None:
    slow = seen("service:gateway", "latency_p95", magnitude=2000.0, baseline=40.0, unit="ms")
    own = seen("service:forge", "self_time", magnitude=1500.0, baseline=10.0, unit="ms")
    one = seen("instance:forge-2", "self_time", related="service:forge", magnitude=1800.0, baseline=10.0, unit="ms")
    hog = short("instance:forge-2", "service:forge", -1, "process.cpu.utilization")
    scene = a_scene(own, one, hog, healthy("instance:forge-1"), graph=SHOP, symptoms=(slow,))
    scene = replace(scene, scope=scene.scope.model_copy(update={"watched": ("latency_p95",)}))
    assert reason(scene).cause == (HypothesisKind.RESOURCE, "instance:forge-2")


def watching_errors(*observations: Observation) -> Scene:
    scene = a_scene(*observations, graph=SHOP)
    return replace(scene, scope=scene.scope.model_copy(update={"watched": ("error_rate",)}))


def slow(entity: str, ms: float, service: str | None = None, score: float = 20.0) -> Observation:
    return seen(entity, "self_time", magnitude=ms, baseline=10.0, unit="ms", related=service, score=score)


def test_where_calls_time_out_it_begins_where_the_time_goes_and_not_with_who_waited() -> None:
    waited = fails("service:bot", "httpx.ReadTimeout", caller="service:gateway")
    hog = short("instance:forge-2", "service:forge", -4, "process.cpu.utilization")
    one, whole = slow("instance:forge-2", 1500, "service:forge"), slow("service:forge", 1200, score=40.0)
    judged = reason(watching_errors(waited, hog, one, whole, slow("service:bot", 2000), healthy("instance:forge-1")))
    assert judged.cause == (HypothesisKind.RESOURCE, "instance:forge-2")


def test_the_time_that_one_instance_loses_is_its_services_even_where_its_caller_is_more_clearly_slow() -> None:
    waited = fails("service:bot", "httpx.ReadTimeout", caller="service:gateway")
    hog = short("instance:forge-2", "service:forge", -1, "process.cpu.utilization")
    one, caller = slow("instance:forge-2", 5500, "service:forge", score=15.0), slow("service:bot", 4400, score=28.0)
    judged = reason(watching_errors(waited, hog, one, caller, change("service:bot", -8), healthy("instance:forge-1")))
    assert judged.cause == (HypothesisKind.RESOURCE, "instance:forge-2")


def test_who_asks_again_waits_again_and_loses_more_time_than_who_holds_it_up() -> None:
    waited = fails("service:forge", "httpx.ReadTimeout", caller="service:bot")
    calls = seen("service:forge", "edge_latency_p95", related="service:bot", magnitude=1600, baseline=150, unit="ms")
    held_up, asked = slow("service:bot", 3600, score=50.0), slow("service:forge", 2700, score=37.0)
    flood = seen("service:forge", "edge_request_rate", related="service:bot", magnitude=25.0, baseline=12.0, unit="1/s")
    judged = reason(watching_errors(waited, calls, held_up, asked, flood))
    assert judged.cause == (HypothesisKind.TRAFFIC, "service:forge")


@pytest.mark.parametrize(("lost", "named"), [(290, ["service:bot"]), (80, [])])
def test_who_lost_less_time_than_users_feel_is_not_named_under_an_alarm_about_errors(
    lost: float, named: list[str]
) -> None:
    slower = seen("service:gateway", "latency_p95", magnitude=535.0, baseline=228.0, unit="ms")
    judged = reason(watching_errors(slower, slow("service:bot", lost)))
    assert [cause.entity for cause in judged.conclusion.root_causes] == named


@pytest.mark.parametrize(("lost", "begins"), [(400, "external:maps.example"), (1400, "service:bot")])
def test_time_that_is_little_of_what_users_wait_is_no_beginning_where_requests_fail(lost: float, begins: str) -> None:
    slower = seen("service:gateway", "latency_p95", magnitude=2500.0, baseline=200.0, unit="ms")
    gone = fails("external:maps.example", "httpx.ReadTimeout", 39, "service:bot")
    calls = seen(
        "external:maps.example", "edge_latency_p95", related="service:bot", magnitude=2100, baseline=50, unit="ms"
    )
    scene = a_scene(slower, gone, calls, slow("service:bot", lost), symptoms=(slower,), graph=SHOP)
    scene = replace(scene, scope=scene.scope.model_copy(update={"watched": ("latency_p95",)}))
    assert list(scene.beginnings) == [begins]


def test_of_two_that_need_each_other_never_both_are_taken_for_held_up() -> None:
    waited = fails("service:bot", "httpx.ReadTimeout", caller="service:gateway")
    one, other = slow("service:bot", 2000, score=20.0), slow("service:forge", 1500, score=30.0)
    ring = a_scene(waited, one, other, graph=SHOP + "service:forge calls service:bot\n")
    ring = replace(ring, scope=ring.scope.model_copy(update={"watched": ("error_rate",)}))
    assert list(ring.beginnings) == ["service:forge"]


@pytest.mark.parametrize(("seconds", "named"), [(1, ["service:bot"]), (9, [])])
def test_who_loses_time_only_after_the_symptom_began_is_not_named_where_the_alarm_is_about_something_else(
    seconds: float, named: list[str]
) -> None:
    slower = seen("service:gateway", "latency_p95", magnitude=960.0, baseline=380.0, unit="ms")
    lost = slow("service:bot", 390).model_copy(update={"onset": after(seconds)})
    judged = reason(watching_errors(slower, lost))
    assert [cause.entity for cause in judged.conclusion.root_causes] == named


def test_what_metrics_say_is_lost_is_not_measured_by_what_one_request_feels() -> None:
    slower = seen("service:gateway", "latency_p95", magnitude=535.0, baseline=228.0, unit="ms")
    lost = seen("service:bot", "latency_excess", signal=Signal.METRICS, magnitude=3.0, baseline=0.0, unit="s/s")
    judged = reason(watching_errors(slower, lost))
    assert [cause.entity for cause in judged.conclusion.root_causes] == ["service:bot"]


def test_who_lost_little_time_is_not_where_the_time_of_long_waits_went() -> None:
    said = {"instances": "forge-1:35", "exception": "httpx.ReadTimeout"}
    waited = origin("service:forge", 35, related="service:bot", attributes=said)
    calls = seen("service:forge", "edge_latency_p95", related="service:bot", magnitude=3500, baseline=80, unit="ms")
    hog = short("instance:forge-1", "service:forge", -1, "process.cpu.utilization")
    judged = reason(watching_errors(waited, calls, hog, slow("service:bot", 300), healthy("instance:forge-2")))
    assert judged.cause == (HypothesisKind.RESOURCE, "instance:forge-1")


def test_who_gets_slow_only_after_calls_timed_out_is_not_where_their_time_went() -> None:
    waited = fails("external:maps.example", "httpx.ReadTimeout", caller="service:bot")
    passed_on = fails("service:bot", "UpstreamBusy: a call failed: ReadTimeout", 30).model_copy(
        update={"onset": after(5)}
    )
    late = slow("service:bot", 1200).model_copy(update={"onset": after(4)})
    assert reason(watching_errors(waited, passed_on, late)).cause == (
        HypothesisKind.DEPENDENCY,
        "external:maps.example",
    )


def test_who_gives_up_earlier_than_before_is_to_blame_and_not_who_is_as_quick_as_ever() -> None:
    given_up = fails("service:schedule", "httpx.ConnectTimeout", caller="service:bot")
    judged = reason(
        watching_errors(given_up, change("service:bot", -1, "config"), as_busy_as_before("service:schedule"))
    )
    assert judged.cause == (HypothesisKind.CHANGE, "service:bot")
    assert judged.verdict(HypothesisKind.DEPENDENCY, "service:schedule").result == "refuted"


def answers_as_before(service: str) -> Observation:
    return seen(service, "latency_p95", ObservationKind.NORMAL, attributes={"covers": "answers"})


def test_who_is_asked_less_since_requests_fail_before_is_still_as_quick_as_ever() -> None:
    given_up = fails("service:schedule", "httpx.ConnectTimeout", caller="service:bot")
    fewer = seen("service:schedule", "request_rate", ObservationKind.DROP, direction="down", magnitude=5, baseline=11)
    hasty = change("service:bot", -1, "config")
    judged = reason(watching_errors(given_up, hasty, fewer, answers_as_before("service:schedule")))
    assert judged.cause == (HypothesisKind.CHANGE, "service:bot")


def test_whose_calls_last_longer_hangs_however_quick_the_answers_are_that_it_does_give() -> None:
    hung = fails("service:schedule", "httpx.ReadTimeout", caller="service:bot")
    longer = seen("service:schedule", "edge_latency_p95", related="service:bot", magnitude=5000, baseline=20, unit="ms")
    hasty = change("service:bot", -1, "config")
    judged = reason(watching_errors(hung, hasty, longer, answers_as_before("service:schedule")))
    assert judged.verdict(HypothesisKind.DEPENDENCY, "service:schedule").result == "supported"


def test_what_was_done_to_who_is_given_up_on_is_not_the_cause_either() -> None:
    given_up = fails("service:schedule", "httpx.ReadTimeout", caller="service:bot")
    restart, hasty = change("service:schedule", -5, "infrastructure"), change("service:bot", -1, "config")
    judged = reason(watching_errors(given_up, restart, hasty, as_busy_as_before("service:schedule")))
    assert judged.cause == (HypothesisKind.CHANGE, "service:bot")
    assert judged.verdict(HypothesisKind.CHANGE, "service:schedule").result == "refuted"


def test_who_hangs_and_answers_nobody_is_not_taken_for_as_quick_as_ever() -> None:
    hung = fails("service:schedule", "httpx.ReadTimeout", caller="service:bot")
    judged = reason(watching_errors(hung, change("service:bot", -1, "config")))
    assert judged.verdict(HypothesisKind.DEPENDENCY, "service:schedule").result == "supported"


def test_a_database_that_serves_its_other_callers_and_says_what_is_wrong_is_not_the_cause() -> None:
    graph = SHOP + "service:bot reads database:robots\n"
    flag = change("service:schedule", -40, "flag")
    named = {"change_id": flag.attributes["change_id"], "names": "dock_tickets"}
    touched = seen("service:schedule", "content", ObservationKind.CHANGE, attributes=named)
    full = fails(
        "database:robots", 'nextval: reached maximum value of sequence "dock_tickets"', caller="service:schedule"
    )
    judged = reason(a_scene(flag, touched, full, as_busy_as_before("service:schedule"), graph=graph))
    assert judged.cause == (HypothesisKind.CHANGE, "service:schedule")
    assert judged.verdict(HypothesisKind.DEPENDENCY, "database:robots").result == "refuted"


def test_a_disturbance_that_is_over_is_not_what_goes_on_when_a_flood_of_requests_does() -> None:
    blip = change("service:forge", -3, "infrastructure", ended=after(0).isoformat())
    storm = fails("service:forge", "httpx.ReadTimeout", caller="service:bot")
    judged = reason(a_scene(blip, storm, busy("service:forge", 11, 40), as_busy_as_before("service:bot"), graph=SHOP))
    assert judged.cause == (HypothesisKind.TRAFFIC, "service:forge")
    assert judged.verdict(HypothesisKind.CHANGE, "service:forge").result == "refuted"


def test_nothing_runs_short_where_no_figure_rose_and_no_error_says_so() -> None:
    judged = reason(a_scene(change("service:forge", -2), fails("service:forge", "KeyError: mass"), graph=SHOP))
    assert judged.verdict(HypothesisKind.RESOURCE, "database:robots").result == "refuted"


def test_who_quotes_a_failure_of_who_it_calls_passes_it_on_even_where_the_spans_between_came_late() -> None:
    quoting = fails("service:bot", "UpstreamFailed: schedule failed: 500 KeyError: depot", failing=60)
    judged = reason(a_scene(quoting, fails("service:schedule", "KeyError: depot", failing=40), graph=SHOP))
    assert judged.cause == (HypothesisKind.STATE, "service:schedule")


def test_who_quotes_a_third_party_by_the_name_of_its_domain_passes_its_failure_on() -> None:
    quoting = fails("service:bot", "UpstreamBusy: maps failed: ReadTimeout", failing=60)
    judged = reason(a_scene(quoting, fails("external:api.maps.example", "ReadTimeout", 40), graph=THIRD_PARTY))
    assert judged.cause == (HypothesisKind.DEPENDENCY, "external:api.maps.example")


LOCKED = fails("database:robots", "LockNotAvailable: canceling statement due to lock timeout", 40, "service:schedule")
NO_CONNECTION = fails("queue:jobs", "PoolTimeout: couldn't get a connection after 2.00 sec", 60, "service:schedule")


def test_who_waits_for_a_connection_that_others_hold_is_a_victim_of_what_holds_them() -> None:
    judged = reason(a_scene(LOCKED, NO_CONNECTION.model_copy(update={"onset": after(2)}), graph=SHOP))
    assert judged.cause == (HypothesisKind.RESOURCE, "database:robots")
    assert judged.verdict(HypothesisKind.DEPENDENCY, "queue:jobs").result == "refuted"


def test_who_runs_out_of_connections_while_who_it_asks_keeps_it_waiting_is_a_victim_of_that() -> None:
    asked = fails("service:forge", "httpx.ReadTimeout", 32, "service:bot")
    later = fails("service:bot", "PoolTimeout: couldn't get a connection", 50).model_copy(update={"onset": after(5)})
    assert list(a_scene(asked, later, graph=SHOP).beginnings) == ["service:forge"]
    sooner = later.model_copy(update={"onset": after(-9)})
    assert set(a_scene(asked, sooner, graph=SHOP).beginnings) == {"service:forge", "service:bot"}


def test_who_lacks_connections_is_short_of_them_and_not_who_it_wanted_to_reach() -> None:
    judged = reason(a_scene(LOCKED.model_copy(update={"onset": after(30)}), NO_CONNECTION, graph=SHOP))
    assert judged.cause == (HypothesisKind.RESOURCE, "service:schedule")


def test_calls_that_nobody_answered_count_as_a_surge_of_whom_they_asked() -> None:
    asked = seen("service:forge", "edge_request_rate", related="service:bot", magnitude=42.0, baseline=12.0, unit="1/s")
    judged = reason(a_scene(fails("service:forge", "httpx.ReadTimeout", caller="service:bot"), asked, graph=SHOP))
    assert judged.cause == (HypothesisKind.TRAFFIC, "service:forge")
    assert judged.conclusion.root_causes[0].trigger == asked


def test_answers_that_come_quicker_than_before_are_no_incident() -> None:
    quicker = seen(
        "service:gateway", "latency_p95", ObservationKind.DROP, direction="down", magnitude=90.0, baseline=400.0
    )
    served = seen("service:gateway", "error_rate", ObservationKind.NORMAL, attributes={"covers": "error_rate"})
    assert reason(a_scene(served, symptoms=(quicker,), graph=SHOP)).conclusion.outcome is Outcome.NO_INCIDENT
