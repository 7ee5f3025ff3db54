"""Every backend of traces answers the same questions alike: what the store says of the same spans is the measure."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from tests.backends.fakes.jaeger import FakeJaeger
from tests.backends.fakes.otlp import Row
from tests.backends.fakes.tempo import FakeTempo
from tests.backends.serving import served

from midwatch_kit import Answer, NotFound, TopologyFragment, Window, resolve_window
from midwatch_traces import answers
from midwatch_traces.backend import Search, TraceBackend
from midwatch_traces.server import build
from midwatch_traces.settings import TracesSettings

BACKENDS = ["jaeger", "jaeger without v3", "tempo", "xray"]
PEERS = ("cart.internal", "pay.internal", "bank.example.com")
WHOLE = ("2026-11-20T02:44:00Z", "2026-11-20T02:48:00Z")
WINDOW = ("2026-11-20T02:47:00Z", "2026-11-20T02:48:00Z", "2026-11-20T02:44:00Z", "2026-11-20T02:47:00Z")

pytestmark = pytest.mark.xdist_group("trace backends")


@pytest.fixture
def store(connect: Callable[..., TraceBackend], settings_of: Callable[[str], Any]) -> TraceBackend:
    return connect(**settings_of("store"))


@pytest.fixture(params=BACKENDS)
def backend(
    request: pytest.FixtureRequest, connect: Callable[..., TraceBackend], settings_of: Callable[[str], Any]
) -> TraceBackend:
    return connect(**settings_of(request.param))


def found_by(answer: Answer) -> set[tuple[str, ...]]:
    findings = [cited.finding for cited in answer.findings or ()]
    return {(found.entity, found.kind, found.subject, found.direction, found.related or "") for found in findings}


def test_a_survey_finds_what_it_finds_in_the_store(backend: TraceBackend, store: TraceBackend) -> None:
    ours, theirs = (answers.survey(one, *WINDOW, ()) for one in (backend, store))
    assert found_by(ours) == found_by(theirs)
    assert ours.matched == theirs.matched
    [origin] = [c.finding for c in ours.findings or () if c.finding.subject == "error_origin" and not c.finding.related]
    assert origin.entity == "service:pay"
    assert origin.statement.endswith("FieldError: unknown field")
    assert ours.lag_seconds is None or ours.lag_seconds == 0


def test_a_map_has_the_same_services_instances_databases_queues_and_calls(
    backend: TraceBackend, store: TraceBackend
) -> None:
    ours, theirs = (answers.map_all(one, *WHOLE).fragment for one in (backend, store))
    assert ours is not None
    assert theirs is not None
    assert {entity.id for entity in theirs.entities} <= {entity.id for entity in ours.entities}
    kinds = [
        {(r.source, r.kind, r.target) for r in one.relations if r.learnt_from == "spans"} for one in (ours, theirs)
    ]
    assert kinds[0] == kinds[1]


@pytest.mark.parametrize(
    "wanted",
    [
        Search(service="pay", errors=True),
        Search(service="pay", operation="post /PAY"),
        Search(errors=True),
        Search(instance="pay-2"),
        Search(service="web", least_ms=25),
        Search(attributes={"server.address": "bank.example.com"}),
        Search(service="cart", operation="no such operation"),
    ],
    ids=lambda wanted: "-".join(name for name in wanted.__slots__ if getattr(wanted, name)),
)
def test_a_search_finds_the_same_traces_newest_first(
    backend: TraceBackend, store: TraceBackend, wanted: Search
) -> None:
    ours, theirs = (answers.search(one, wanted, *WINDOW[:2], 1_000, None) for one in (backend, store))
    assert ids_of(ours) == ids_of(theirs)
    assert ours.matched == theirs.matched
    assert bool(ids_of(ours)) is (wanted.operation != "no such operation")


def test_pages_lose_and_repeat_nothing(backend: TraceBackend, store: TraceBackend) -> None:
    page = backend.search(Search(service="web"), window_of(), 0, None, 40).page
    seen = list(page)
    while page:
        last = page[-1]
        page = backend.search(Search(service="web"), window_of(), 0, (last.first_match, last.trace_id), 40).page
        seen += page
    whole = store.search(Search(service="web"), window_of(), store.pin(), None, 1_000).page
    assert [trace.trace_id for trace in seen] == [trace.trace_id for trace in whole]


def test_a_trace_reads_the_same(backend: TraceBackend, store: TraceBackend) -> None:
    wanted = ids_of(answers.search(store, Search(service="pay", errors=True), *WINDOW[:2], 1, None))[0]
    ours, theirs = (answers.get(one, wanted, *WHOLE) for one in (backend, store))
    assert ours.matched == theirs.matched
    assert rounded(ours.lines) == rounded(theirs.lines)
    assert any("FAILED FieldError: unknown field" in line for line in ours.lines)


def test_a_trace_that_is_not_there_is_not_found(backend: TraceBackend) -> None:
    with pytest.raises(NotFound, match="no span of trace"):
        answers.get(backend, "f" * 32, *WHOLE)


def test_an_unknown_service_is_told_the_near_ones(backend: TraceBackend) -> None:
    hint = answers.search(backend, Search(service="cartt"), *WINDOW[:2], 10, None).hint
    assert "these did: cart, " in (hint or "")


def test_an_empty_window_is_no_error_and_says_what_to_do(backend: TraceBackend) -> None:
    for answer in (
        answers.survey(backend, "2026-11-01T00:00:00Z", "2026-11-01T01:00:00Z", None, None, ()),
        answers.map_all(backend, "2026-11-01T00:00:00Z", "2026-11-01T01:00:00Z"),
    ):
        assert answer.matched == 0
        assert answer.hint


@pytest.mark.parametrize(
    ("setting", "fake", "about"), [("jaeger_url", FakeJaeger, "about "), ("tempo_url", FakeTempo, "")]
)
def test_more_traces_than_are_fetched_are_sampled_evenly_and_said_to_be(
    setting: str, fake: Any, about: str, busier: list[Row], connect: Callable[..., TraceBackend]
) -> None:
    with served(fake(busier).app) as (url, _):
        answer = answers.survey(connect(**{setting: url}, traces_most=300), *WINDOW, ())
    assert re.match(rf"Read one trace in [2-4] \([\d,]+ of {about}[\d,]+ spans\)", answer.hint or "")
    assert 0.6 < answer.matched / len(busier) < 1.6
    begun = {c.finding.entity for c in answer.findings or () if c.finding.subject == "error_origin"}
    assert "service:pay" in begun
    assert not [c for c in answer.findings or () if c.finding.subject == "request_rate" and c.finding.score]


@pytest.mark.parametrize("name", BACKENDS)
async def test_the_tools_answer_over_mcp(name: str, settings_of: Callable[[str], Any], tmp_path: Path) -> None:
    asked = dict(zip(("start", "end", "baseline_start", "baseline_end"), WINDOW, strict=True))
    settings = TracesSettings(evidence_dir=tmp_path, deadline_seconds=300, **settings_of(name))
    async with Client(build(settings).build()) as client:
        survey = await client.call_tool("survey_traces", asked)
        check = await client.call_tool("check_traces", {})
    assert not survey.is_error
    assert "failing traces begin to fail in pay" in survey.content[0].text  # type: ignore[union-attr]
    assert f"ok   {name.split(maxsplit=1)[0]}: " in check.content[0].text  # type: ignore[union-attr]


def tied(fragment: TopologyFragment) -> set[tuple[str, str, str]]:
    return {(r.source, r.kind, r.target) for r in fragment.relations if r.learnt_from == "spans"}


def ids_of(answer: Answer) -> list[str]:
    return [str(row["trace_id"]) for row in answer.rows if isinstance(row, dict)]


def rounded(lines: Sequence[str]) -> list[str]:
    """Lines of a tree without their figures: Jaeger's older API counts in microseconds; links are not looked for.

    X-Ray names a call by whom it is to, and one to AWS by the operation.
    """
    trees = [line.replace("SQS.SendMessage", "send orders") for line in lines if not line.startswith("linked: ")]
    return [" ".join(word for word in line.split() if not is_figure(word) and word not in PEERS) for line in trees]


def is_figure(word: str) -> bool:
    return word.strip("+();,").replace(".", "").isdigit()


def window_of() -> Window:
    return resolve_window(*WINDOW[:2])
