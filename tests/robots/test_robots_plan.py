from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from robots.faults import FAULTS
from robots.load import OLD_CLIENT, WEAK_FLEET, WEAK_ROBOTS, Load
from robots.plan import NOISES, make_plan

OLD_HEADERS = {"user-agent": "fleet-sync/1.4", "x-api-version": "1"}
seeds = st.integers(0, 10_000)


@given(seeds)
def test_the_red_herrings_are_of_three_services_and_none_is_the_forge(seed: int) -> None:
    plan = make_plan(seed)
    involved = {plan.deployed, plan.restarted.partition("-")[0], NOISES[plan.noise]}
    assert len(involved) == 3
    assert "forge" not in involved


@given(seeds)
def test_the_red_herrings_come_in_the_later_half_of_the_baseline_and_before_the_fault(seed: int) -> None:
    plan = make_plan(seed)
    assert 0.5 <= plan.deployed_at < plan.restarted_at < plan.noise_at < 1


@given(seeds)
def test_a_seed_always_plans_the_same(seed: int) -> None:
    assert make_plan(seed) == make_plan(seed)


def test_seeds_differ_in_instance_and_red_herrings() -> None:
    plans = [make_plan(seed) for seed in range(30)]
    assert {plan.forge for plan in plans} == {"forge-1", "forge-2"}
    assert {plan.deployed for plan in plans} == {"gateway", "bot", "schedule"}
    assert {plan.noise for plan in plans} == {OLD_CLIENT, WEAK_FLEET}


@given(seeds)
def test_the_truth_of_each_fault_names_what_it_hits(seed: int) -> None:
    plan = make_plan(seed)
    truths = {name: fault.truth(fault.plan(seed)).document() for name, fault in FAULTS.items()}
    assert truths["forge-field"]["causes"] == [{"kind": "change", "entity": "service:forge"}]
    assert truths["forge-cache"]["causes"] == [{"kind": "operator", "entity": f"instance:{plan.forge}"}]
    assert (truths["clean"]["outcome"], truths["clean"]["causes"]) == ("no_incident", [])


def test_a_seed_always_asks_the_same_and_some_robots_are_far_more_popular() -> None:
    one, other = (Load("http://127.0.0.1:9", 20.0, seed=7) for _ in range(2))
    asked = [one.next() for _ in range(500)]
    assert asked == [other.next() for _ in range(500)]
    robots = Counter(ask.document["robot"] for ask in asked if ask.document)
    assert robots.most_common(1)[0][1] > 5 * sum(robots.values()) / len(robots)


def test_a_habit_changes_what_some_customers_do_and_nothing_else() -> None:
    usual, odd = (Load("http://127.0.0.1:9", 20.0, seed=7) for _ in range(2))
    odd.adopt(WEAK_FLEET)
    odd.adopt(OLD_CLIENT)
    pairs = [(usual.next(), odd.next()) for _ in range(400)]
    changed = [ask for before, ask in pairs if before != ask]
    assert 60 < len(changed) < 140
    assert all(OLD_HEADERS.items() <= (ask.headers or {}).items() for ask in changed)
    assert {ask.document["robot"] for ask in changed if ask.document} <= set(WEAK_ROBOTS)
    assert all(before.method == after.method for before, after in pairs)


@given(seeds, st.sampled_from([("bot",), ("schedule",), ("action",), ("gateway",), ("schedule", "bot")]))
def test_spared_services_are_no_red_herrings(seed: int, spared: tuple[str, ...]) -> None:
    plan = make_plan(seed, spared)
    assert not {plan.deployed, plan.restarted.partition("-")[0]} & set(spared)
    assert plan.deployed != plan.restarted.partition("-")[0]


@given(seeds)
def test_no_fault_wants_its_own_cause_ruled_out(seed: int) -> None:
    truths = [fault.truth(fault.plan(seed)) for fault in FAULTS.values()]
    assert not [truth for truth in truths if set(truth.causes) & set(truth.ruled_out)]
