"""What telemetry says of persons is not passed on: hidden by its form, and nothing that only looks alike."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.host.scenes import change, seen

from midwatch.storage.privacy import hidden, without_personal_data
from midwatch_kit.records import Citation


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("no such user ada.byron+x@example.com", "no such user <email>"),
        ("card 4111 1111 1111 1111 refused", "card <card> refused"),
        ("card=4111-1111-1111-1111;", "card=<card>;"),
        ("pan 378282246310005", "pan <card>"),
        ("Authorization: Bearer eyJhbGciOi.J9.x-y_z", "Authorization: Bearer <secret>"),
        ("cannot connect with password=hunter2, retrying", "cannot connect with <secret>, retrying"),
        ("postgresql://app:hunter2@db.internal/shop", "postgresql://<secret>@db.internal/shop"),
        ("pushed with ghp_0123456789abcdefghijABCDEFGHIJ012345", "pushed with <secret>"),
        ("key AKIAIOSFODNN7EXAMPLE is unknown", "key <secret> is unknown"),
    ],
)
def test_personal_data_and_secrets_are_hidden(said: str, told: str) -> None:
    assert hidden(said) == told


@pytest.mark.parametrize(
    "said",
    [
        "card 4111 1111 1111 1112 has a wrong check digit",
        "at 1763606820000000000 ns, trace 4bf92f3577b34da6a3ce929d0e0e4736",
        "order 4111111111111111-77 of 3 items",
        "service:web@v7 calls https://pay.example.com/charges?id=4",
        "the password is wrong",
        "basic authentication failed, bearer authentication was not tried",
    ],
)
def test_what_only_looks_alike_is_told(said: str) -> None:
    assert hidden(said) == said


@given(st.text(max_size=200))
def test_what_is_hidden_once_stays_as_it_is(said: str) -> None:
    assert hidden(hidden(said)) == hidden(said)


def test_a_quote_is_cut_so_that_what_is_left_still_stands_in_the_evidence() -> None:
    stored = "cannot charge card 4111 1111 1111 1111 of anna@example.org"
    told = without_personal_data(
        seen(
            "service:pay",
            "template",
            statement=stored,
            attributes={"exemplar": stored},
            citations=(Citation(evidence="e" * 64, where="/rows/0/line", quote=stored),),
        )
    )
    assert told.statement == told.attributes["exemplar"] == "cannot charge card <card> of <email>"
    assert [citation.quote for citation in told.citations] == ["cannot charge card "]


def test_who_made_a_change_is_named() -> None:
    made = change("service:pay", 0, author="sam@example.org")
    assert without_personal_data(made) == made
