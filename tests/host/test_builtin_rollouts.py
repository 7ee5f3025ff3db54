"""Which of several rollouts is at fault: new instances beside old ones, who took requests, who passes failures on."""

import pytest
from tests.host.scenes import Judged, a_scene, after, change, reason, seen

from midwatch.records import Argument, HypothesisKind
from midwatch_kit.records import Observation, ObservationKind, Signal
from midwatch_kit.window import rfc3339

CHANGE, STATE = HypothesisKind.CHANGE, HypothesisKind.STATE


def rollout(service: str, began: float, ready: float | None, new: str, version: str = "v2") -> Observation:
    """Return a deploy that names its new instance, so many seconds after the onset."""
    ended = {} if ready is None else {"ended": rfc3339(after(ready))}
    return change(f"service:{service}", began, version=version, previous_version="v1", instances=new, **ended)


def served(service: str, instances: str, until: float = 60) -> Observation:
    """Return which instances of a service took requests, until so many seconds after the onset."""
    told = {"instances": instances, "last": rfc3339(after(until))}
    return measured(f"service:{service}", "served_by", ObservationKind.NORMAL, attributes=told)


def beside(service: str, new: float, old: float, version: str = "v2", **more: str) -> Observation:
    """Return how many percent of the requests fail at the new version, and at others at the same time."""
    kind = ObservationKind.SPIKE if new > old + 20 else ObservationKind.NORMAL
    told = {"magnitude": new, "baseline": old, "unit": "%", "attributes": {"version": version, **more}}
    return measured(f"service:{service}", "error_rate", kind, **told)


def fails(service: str, percent: float = 40.0) -> Observation:
    """Return that more of a service's requests fail than before, beyond what its callees fail."""
    told = {"magnitude": percent / 100, "baseline": 0.0, "unit": "1/s"}
    return measured(f"service:{service}", "error_excess", ObservationKind.SPIKE, **told)


def edge(caller: str, callee: str, percent: float) -> Observation:
    """Return that more of the calls from one service to another fail than before."""
    told = {"magnitude": percent, "baseline": 0.0, "unit": "%", "related": f"service:{caller}"}
    return measured(f"service:{callee}", "edge_error_rate", ObservationKind.SPIKE, **told)


def measured(entity: str, subject: str, kind: ObservationKind, **fields: object) -> Observation:
    return seen(entity, subject, kind, signal=Signal.METRICS, **fields)


def of(judged: Judged, service: str, name: str, kind: HypothesisKind = CHANGE) -> Argument | None:
    """Return an argument about the hypothesis of a kind at a service."""
    verdict = judged.verdict(kind, f"service:{service}")
    return next((argument for argument in verdict.arguments if argument.name == name), None)


def test_the_rollout_whose_new_instance_alone_fails_is_at_fault_not_a_later_one() -> None:
    guilty = (rollout("forge", -90, -30, "forge-new"), beside("forge", 80, 0))
    later = (rollout("schedule", -20, -5, "schedule-new"), beside("schedule", 0, 0))
    judged = reason(a_scene(*guilty, *later, fails("forge")))
    assert judged.cause == (CHANGE, "service:forge")
    canary = of(judged, "forge", "canary")
    assert canary is not None
    assert canary.decisive
    assert of(judged, "schedule", "canary") is None


def test_a_version_that_fails_no_more_than_the_old_one_beside_it_is_no_cause() -> None:
    judged = reason(a_scene(rollout("bot", -60, -5, "bot-new"), beside("bot", 50, 48), fails("bot")))
    canary = of(judged, "bot", "canary")
    assert canary is not None
    assert canary.weight < 0
    assert not canary.decisive


def test_a_version_that_fails_in_traces_more_than_its_siblings_counts_alike() -> None:
    worse = seen("service:forge", "error_rate", magnitude=80.0, baseline=1.0, attributes={"version": "v2"})
    judged = reason(a_scene(rollout("forge", -90, -30, "forge-new"), worse))
    canary = of(judged, "forge", "canary")
    assert canary is not None
    assert canary.weight > 0


def test_another_version_that_fails_says_nothing_of_this_one() -> None:
    judged = reason(a_scene(rollout("forge", -90, -30, "forge-new"), beside("forge", 80, 0, version="v1")))
    assert of(judged, "forge", "canary") is None


def test_a_new_instance_that_nobody_reaches_while_others_serve_is_broken() -> None:
    stuck = (rollout("forge", -150, -90, "forge-new"), served("forge", "forge-1,forge-2"))
    sound = (rollout("schedule", -100, -60, "schedule-new"), served("schedule", "schedule-1,schedule-new"))
    judged = reason(a_scene(*stuck, *sound, fails("bot")))
    assert judged.cause == (CHANGE, "service:forge")


def test_a_new_instance_that_nobody_reaches_is_trouble_even_where_nothing_fails_yet() -> None:
    stuck = (rollout("forge", -150, -90, "forge-new"), served("forge", "forge-1,forge-2"))
    judged = reason(a_scene(*stuck, symptoms=()))
    assert judged.cause == (CHANGE, "service:forge")


@pytest.mark.parametrize("until", [-40, 20], ids=["nobody asks the old ones either", "it is ready for a minute only"])
def test_a_rollout_whose_instances_nobody_asked_yet_broke_nothing(until: float) -> None:
    idle = (rollout("forge", -100, -40, "forge-new"), served("forge", "forge-1", until=until))
    taken = of(reason(a_scene(*idle, fails("bot"))), "forge", "taken up")
    assert taken is not None
    assert taken.weight < 0


def test_nothing_is_said_of_requests_where_nobody_tells_who_took_them() -> None:
    judged = reason(a_scene(rollout("forge", -150, -90, "forge-new"), fails("bot")))
    assert of(judged, "forge", "taken up") is None


@pytest.mark.parametrize(
    ("ready", "with_it"), [(0.0, True), (-10.0, True), (-60.0, False), (30.0, False), (None, False)]
)
def test_a_rollout_is_suspect_when_failures_begin_as_its_instances_are_ready(
    ready: float | None, with_it: bool
) -> None:
    judged = reason(a_scene(rollout("forge", -70, ready, "forge-new"), fails("bot")))
    assert (of(judged, "forge", "sudden") is not None) is with_it


def test_a_changed_caller_that_passes_its_callees_failures_on_is_a_victim() -> None:
    both = (rollout("bot", -60, -5, "bot-new"), rollout("forge", -60, -5, "forge-new"))
    judged = reason(a_scene(*both, edge("gateway", "bot", 40), edge("bot", "forge", 30), fails("bot"), fails("forge")))
    passing, begun = of(judged, "bot", "passes on"), of(judged, "forge", "passes on")
    assert passing is not None
    assert passing.weight < 0
    assert begun is None


def test_a_callees_few_failures_do_not_excuse_a_caller_that_fails_far_more() -> None:
    judged = reason(a_scene(rollout("bot", -60, -5, "bot-new"), edge("gateway", "bot", 40), edge("bot", "forge", 2)))
    assert of(judged, "bot", "passes on") is None


@pytest.mark.parametrize(("rank", "weighs"), [("0.9", 1), ("-0.4", -1), ("0.3", 0)])
def test_failures_that_follow_the_share_of_new_instances_speak_for_the_rollout(rank: str, weighs: int) -> None:
    judged = reason(a_scene(rollout("forge", -90, -30, "forge-new"), beside("forge", 80, 0, follows=rank)))
    dose = of(judged, "forge", "dose")
    assert (dose is not None) is (weighs != 0)
    assert dose is None or dose.weight * weighs > 0


def test_a_change_may_break_who_needs_what_it_answers_though_its_own_figures_are_well() -> None:
    judged = reason(a_scene(rollout("forge", -60, -1, "forge-new"), beside("forge", 0, 0), fails("bot")))
    assert judged.cause == (CHANGE, "service:forge")


def test_a_change_may_break_whom_the_same_caller_asks_next() -> None:
    judged = reason(a_scene(rollout("schedule", -60, -1, "schedule-new"), fails("forge")))
    assert judged.cause == (CHANGE, "service:schedule")


def test_what_was_seen_to_begin_in_failing_traces_is_not_handed_on() -> None:
    begun = seen("service:bot", "error_origin", ObservationKind.ERROR_TRACE, magnitude=100.0, baseline=0.0)
    judged = reason(a_scene(rollout("forge", -60, -1, "forge-new"), begun))
    assert judged.verdict(CHANGE, "service:forge").result == "refuted"


def test_what_nobody_changed_seldom_breaks_in_the_minute_of_a_rollout() -> None:
    judged = reason(a_scene(rollout("schedule", -60, -1, "schedule-new"), fails("forge")))
    unchanged = of(judged, "forge", "unchanged", STATE)
    assert unchanged is not None
    assert unchanged.weight < 0


def test_a_deploy_that_names_no_instances_is_judged_as_before() -> None:
    plain = change("service:forge", -60, ended=rfc3339(after(-1)))
    judged = reason(a_scene(plain, served("forge", "forge-1"), fails("forge")))
    names = {argument.name for argument in judged.verdict(CHANGE, "service:forge").arguments}
    assert not names & {"canary", "taken up", "sudden", "passes on", "dose"}
