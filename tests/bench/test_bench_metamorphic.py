"""Cases in disguise: other names, another time, another order of rows, and all else the same."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from tests.bench.published import POD

from midwatch_bench.accuracy.measured import Measured
from midwatch_bench.accuracy.metamorphic import Names, differences, later, names_for, renamed, shuffled
from midwatch_bench.importers import changerca, nezha
from midwatch_bench.importers.case import Case

NAMES = Names({"cart": "svc-1", "cart-db": "svc-2", "stock": "svc-0"})


@pytest.fixture
def case(changerca_data: Path) -> Case:
    """`front` calls `stock` and `cart`; `stock` is at fault."""
    (found,) = changerca.cases(changerca_data)
    return found


@pytest.mark.parametrize(
    ("text", "put"),
    [
        ("cart", "svc-1"),
        ("service:cart-db", "service:svc-2"),
        ("cart-7f9-x2", "svc-1-7f9-x2"),
        ("http://cart.shop:80/cart?from=stock", "http://svc-1.shop:80/svc-1?from=svc-0"),
        ("cartography, a_cart and restock", "cartography, a_cart and restock"),
    ],
)
def test_a_new_name_stands_wherever_the_old_one_was_a_word(text: str, put: str) -> None:
    assert NAMES.put(text) == put


def test_the_new_names_are_in_the_reverse_order_of_the_old_ones(case: Case) -> None:
    assert names_for(case).new == {"stock": "svc-000", "front": "svc-001", "cart": "svc-002"}


def test_a_renamed_case_has_no_old_name_left_and_the_same_shape(case: Case) -> None:
    other = renamed(case, names_for(case))
    told = json.dumps([other.telemetry(), other.calls, other.alert.body(), sorted(other.answers)], default=str)
    assert not [old for old in names_for(case).new if f"{old}-" in told or f'"{old}"' in told or f":{old}" in told]
    assert other.calls == (("svc-001", "svc-002"), ("svc-001", "svc-000"))
    assert other.answers == {"service:svc-000", "instance:svc-000-v2-bb-new", "instance:svc-000-v2-bb-two"}
    assert {name: len(rows) for name, rows in other.telemetry().items()} == {
        name: len(rows) for name, rows in case.telemetry().items()
    }


def test_a_later_case_is_later_in_all_its_times_and_by_the_same(case: Case) -> None:
    other, days = later(case), 3 * 86_400 * 10**9
    for column, table in (("TimeUnix", "otel_metrics_gauge"), ("Timestamp", "changes"), ("EndTime", "changes")):
        moved = [int(str(row[column])) for row in other.telemetry()[table]]
        assert moved == [int(str(row[column])) + days for row in case.telemetry()[table]]
    assert (other.alert.started_at - case.alert.started_at).days == 3
    assert (other.alert.seen_at - case.alert.seen_at).days == 3


def test_times_that_stand_in_texts_are_later_as_well(case: Case) -> None:
    object_ = {"Timestamp": 1, "Object": '{"at": "2026-02-27T23:59:58.5Z", "image": "cart:2026-02"}'}
    (row,) = later(replace(case, telemetry=lambda: {"objects": [object_]})).telemetry()["objects"]
    assert row["Object"] == '{"at": "2026-03-02T23:59:58.5Z", "image": "cart:2026-02"}'


def test_a_shuffled_case_has_the_same_rows(nezha_data: Path) -> None:
    (case,) = nezha.cases(nezha_data)
    for name, rows in shuffled(case).telemetry().items():
        plain = case.telemetry()[name]
        assert rows != plain
        assert sorted(map(repr, rows)) == sorted(map(repr, plain))


def test_what_differs_is_told_in_the_names_of_the_disguise() -> None:
    plain = Measured("x", "fit", "g", ("service:cart",), ("service:cart", "service:stock"), 1, "root_cause")
    plain = replace(plain, confidence=0.5)
    same = replace(plain, ranked=("service:svc-1", "service:svc-0"))
    assert list(differences(plain, same, NAMES)) == []
    other = replace(same, ranked=("service:svc-0", "service:svc-1"), place=2, confidence=0.4)
    assert list(differences(plain, other, NAMES)) == [
        "held service:svc-0, service:svc-1, not service:svc-1, service:svc-0",
        "root_cause at place 2, not root_cause at 1",
        "confidence 0.4, not 0.5",
    ]


def test_instances_are_renamed_with_their_service(nezha_data: Path) -> None:
    (case,) = nezha.cases(nezha_data)
    names = names_for(case)
    assert names.put(POD) == POD.replace("ts-stock-service", names.new["ts-stock-service"])
