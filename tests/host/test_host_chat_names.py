"""What a question is about: by id, by name, or by what kind of thing it is where there is one of that kind."""

from datetime import UTC, datetime

import pytest

from midwatch.chat.questions import understood

KNOWN = ("database:shop", "queue:orders", "queue:mail", "service:cart", "service:queue")
NOW = datetime(2026, 11, 20, 2, 48, tzinfo=UTC)


@pytest.mark.parametrize(
    ("question", "about"),
    [
        ("why not the database?", ("database:shop",)),
        ("why not database:shop?", ("database:shop",)),
        ("why not shop?", ("database:shop",)),
        ("why not the queue?", ("service:queue",)),  # a name comes before a kind
        ("why not the cart or the database?", ("service:cart", "database:shop")),
        ("why not the service?", ()),  # there are several
        ("why not the cache?", ()),
    ],
)
def test_a_question_is_about_what_it_names(question: str, about: tuple[str, ...]) -> None:
    assert understood(question, KNOWN, NOW).entities == about
