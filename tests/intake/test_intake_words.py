"""Words of a refusal: the field, what stands there and what is needed; nothing that only the code's authors know."""

import copy
import re
from typing import Any

import pytest
from tests.intake.bodies import NOW, Example
from tests.intake.examples import EXAMPLES
from tests.intake.test_intake_properties import places

from midwatch.errors import BadAlert
from midwatch.intake import SOURCES
from midwatch.settings.intake import SourceSettings

WRONG: list[Any] = [3, True, None, "", [3], {"a": []}, "password=hunter2-and-more"]
OF_OURS = re.compile(
    r"\b_[A-Z]|instance of|pydantic|validat|Input should|Value error|function-|\b(dict|str|None|True)\b|\[str|hunter2"
)


def refused(source: str, body: Any, headers: dict[str, str] | None = None) -> str:
    """Return what is said in refusing a body; '' where it is taken."""
    try:
        SOURCES[source].alerts(body, SourceSettings(), headers or {}, NOW)
    except BadAlert as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("source", "body", "said"),
    [
        ("pagerduty", {"event": 3}, "event: must be an object, not 3"),
        ("pagerduty", 3, "body: must be an object, not 3"),
        ("datadog", {"tags": {}}, "tags: must be a text or a list, not an object"),
        ("datadog", {"tags": [3]}, "tags.0: must be a text, not 3"),
        ("alertmanager", {"version": "4", "alerts": []}, "alerts: it is empty"),
        ("generic", {"tilte": "x"}, "tilte: there is no such field"),
        ("generic", {"title": "x" * 500}, "title: it has 500 characters, and 400 or fewer are taken"),
        ("generic", {"action": "opened"}, "action: must be 'created', 'updated' or 'resolved', not 'opened'"),
        (
            "generic",
            {"started_at": "yesterday"},
            "started_at: must be a time as RFC 3339 has it (2026-11-20T02:48:00Z), not 'yesterday'",
        ),
        ("generic", {"title": {"token": "x"}}, "title: must be a text, not an object"),
        ("generic", {"labels": {"api_token": 7310295}}, "labels.api_token: must be a text, not what is given"),
        ("generic", {"labels": {"a": ["x"]}}, "labels.a: must be a text, not a list"),
        ("generic", {"action": "password=hunter2-and-more"}, "not '<secret>'"),
        ("generic", {"action": "x" * 5000}, f"not '{'x' * 40}…'"),
    ],
)
def test_a_refusal_says_the_field_and_what_stands_there_and_what_is_needed(source: str, body: Any, said: str) -> None:
    assert said in refused(source, body)


@pytest.mark.parametrize("example", EXAMPLES, ids=[example.source for example in EXAMPLES])
def test_no_refusal_speaks_of_the_code_whatever_is_wrong_and_wherever(example: Example) -> None:
    said = {refused(example.source, wrong, dict(example.headers)) for wrong in WRONG}
    for *way, last in places(example.body):
        for wrong in WRONG:
            body: Any = copy.deepcopy(example.body)
            place = body
            for step in way:
                place = place[step]
            place[last] = wrong
            said.add(refused(example.source, body, dict(example.headers)))
    assert len(said) > len(WRONG) or example.expected is None
    assert [words for words in said if OF_OURS.search(words)] == []
