import json
from functools import partial
from pathlib import Path

import anyio
from hypothesis import given
from hypothesis import strategies as st

from app.errors import Overloaded, Refused
from app.gateway.tenants import BURST_SECONDS, Admission, Bucket
from app.settings import Settings
from robots.load import STRONG_ROBOTS, TENANTS, Load, tenant_of
from robots.ongoing import Ongoing


class Clock:
    """A clock that stands still until it's told to go on."""

    def __init__(self) -> None:
        self.at = 100.0

    def __call__(self) -> float:
        return self.at


def admission(folder: Path, clock: Clock, **settings: object) -> Admission:
    (folder / "settings.json").write_text(json.dumps(settings))
    return Admission(Settings(folder / "settings.json"), clock)


def let_in(gate: Admission, tenant: str, times: int) -> list[int]:
    """Return the status that each of some requests would get."""
    got = []
    for _ in range(times):
        try:
            gate.admit(tenant)
            got.append(200)
        except (Refused, Overloaded) as error:
            got.append(error.status)
    return got


@given(st.floats(0.5, 100), st.lists(st.floats(0, 5), min_size=1, max_size=200))
def test_a_bucket_never_gives_more_than_its_burst_and_what_has_come_in_since(rate: float, pauses: list[float]) -> None:
    bucket, at, given_out = Bucket(rate, 0.0), 0.0, 0
    for pause in pauses:
        at += pause
        given_out += bucket.take(at)
        assert given_out <= rate * (BURST_SECONDS + at) + 1e-6
    burst = int(rate * BURST_SECONDS)
    assert sum(bucket.take(at + 1e6) for _ in range(burst + 3)) <= burst


def test_beyond_its_capacity_the_gateway_turns_every_tenant_away(tmp_path: Path) -> None:
    gate = admission(tmp_path, Clock(), requests_per_second=5)
    assert let_in(gate, "acme", 10) == [200] * 10
    assert let_in(gate, "fjord", 3) == [503] * 3


def test_a_tenant_with_a_limit_of_its_own_leaves_the_room_to_the_others(tmp_path: Path) -> None:
    gate = admission(tmp_path, Clock(), requests_per_second=5, tenants={"acme": 1})
    assert let_in(gate, "acme", 50) == [200] * 2 + [429] * 48
    assert let_in(gate, "fjord", 8) == [200] * 8


def test_a_limit_that_is_set_while_the_gateway_runs_counts_from_then_on(tmp_path: Path) -> None:
    clock = Clock()
    gate = admission(tmp_path, clock, requests_per_second=5)
    assert 503 in let_in(gate, "acme", 50)
    fresh = tmp_path / "fresh.json"
    fresh.write_text(json.dumps({"requests_per_second": 5, "tenants": {"acme": 1}}))
    fresh.replace(tmp_path / "settings.json")
    clock.at += 2
    assert let_in(gate, "acme", 50) == [200] * 2 + [429] * 48
    assert let_in(gate, "fjord", 8) == [200] * 8


def test_every_request_says_whose_robot_it_is_about() -> None:
    load = Load("http://127.0.0.1:9", 20.0, seed=3)
    assert {tenant_of(robot) for robot in STRONG_ROBOTS} == set(TENANTS)
    for ask in (load.next() for _ in range(100)):
        robot = str(ask.document["robot"]) if ask.document else ask.path.rpartition("/")[2]
        assert (ask.headers or {})["x-tenant"] == tenant_of(robot)


async def test_what_goes_on_beside_the_timeline_ends_when_it_is_told_to() -> None:
    ended: list[str] = []

    async def work(name: str) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            ended.append(name)

    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            ongoing = Ongoing(tasks)
            for name in ("flood", "flood", "test"):
                ongoing.begin(name, partial(work, name))
            await anyio.wait_all_tasks_blocked()
            ongoing.end("flood")
            ongoing.end("nothing")
            await anyio.wait_all_tasks_blocked()
            assert ended == ["flood", "flood"]
            ongoing.end("test")
