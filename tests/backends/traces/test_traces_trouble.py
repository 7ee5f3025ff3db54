"""When a backend of traces is in trouble, the answer says so within the deadline, and what to do; never a secret."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.backends.fakes.jaeger import FakeJaeger
from tests.backends.fakes.otlp import Row
from tests.backends.fakes.tempo import FakeTempo
from tests.backends.fakes.xray import FakeXRay
from tests.backends.serving import Trouble, served

from midwatch_kit import BackendDown, BadInput
from midwatch_traces import answers
from midwatch_traces.backend import Search, TraceBackend
from midwatch_traces.backends import chosen
from midwatch_traces.settings import TracesSettings

WINDOW = ("2026-11-20T02:47:30Z", "2026-11-20T02:48:00Z")
SECRET = "s3cret-of-the-team"
ALLOWED_SECONDS = 20  # deadline, pauses before asking again, a busy machine: a stalled backend is silent for a minute

pytestmark = pytest.mark.xdist_group("trace backends")


@pytest.fixture(params=["jaeger", "tempo", "xray"])
def troubled(
    request: pytest.FixtureRequest, told: list[Row], connect: Callable[..., TraceBackend]
) -> Iterator[tuple[TraceBackend, Trouble]]:
    """A backend with a short deadline, and the trouble before it."""
    fakes: dict[str, Any] = {"jaeger": FakeJaeger, "tempo": FakeTempo, "xray": FakeXRay}
    with served(fakes[request.param](told[:30]).app) as (url, trouble):
        address = {"xray": True, "aws_endpoint_url": url} if request.param == "xray" else {f"{request.param}_url": url}
        stalls = "stall" in request.node.name  # nothing can come of waiting longer
        yield connect(**address, deadline_seconds=1 if stalls else 5), trouble


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("stall", "in time|too slow|does not answer"),
        ("cut", "broke off its answer|does not answer"),
        ("garbage", "no JSON|too slow|does not answer"),
        ("500", r"failed (with 500|\(500\)): "),
        ("429", r"answered 429|failed \(429\)|no more room"),
        ("401", r"refused with 401: give it (a token in )?MIDWATCH|failed \(401\)"),
        ("403", r"refused.*403.*: (give it (a token in )?MIDWATCH|allow xray:GetTraceSummaries)"),
    ],
)
def test_a_trouble_is_told_within_the_deadline(troubled: tuple[TraceBackend, Trouble], kind: str, words: str) -> None:
    backend, trouble = troubled
    trouble.kind = kind
    began = time.monotonic()
    with pytest.raises(BackendDown, match=words):
        answers.search(backend, Search(), *WINDOW, 10, None)
    assert time.monotonic() - began < ALLOWED_SECONDS


def test_a_check_of_a_backend_that_refuses_says_what_to_do(troubled: tuple[TraceBackend, Trouble]) -> None:
    backend, trouble = troubled
    trouble.kind = "403"
    assert [check for check in backend.checks() if not check.ok and check.do]


def test_a_backend_that_asks_to_wait_is_asked_again(troubled: tuple[TraceBackend, Trouble]) -> None:
    backend, trouble = troubled
    trouble.kind, trouble.times = "429", 2
    assert answers.search(backend, Search(), "2026-11-20T02:44:00Z", WINDOW[1], 10, None).rows


def test_a_backend_that_is_not_there_is_told(connect: Callable[..., TraceBackend]) -> None:
    nowhere = connect(jaeger_url="http://127.0.0.1:9")
    with pytest.raises(BackendDown, match="cannot be reached: is it up"):
        answers.search(nowhere, Search(), *WINDOW, 10, None)


def test_a_malformed_trace_id_gets_the_backends_own_words(troubled: tuple[TraceBackend, Trouble]) -> None:
    with pytest.raises(
        BadInput,
        match=r"malformed parameter trace_id|can only contain hex characters: invalid|no trace 'not-an-id'",
    ):
        answers.get(troubled[0], "not-an-id", *WINDOW)


def test_a_token_reaches_the_backend_and_no_text(
    told: list[Row], tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text(SECRET + "\n")
    monkeypatch.setenv("MIDWATCH_JAEGER_TOKEN_FILE", str(tmp_path / "token"))
    with served(FakeJaeger(told[:200], token=SECRET).app) as (url, _):
        allowed = chosen(TracesSettings(jaeger_url=url))
        assert all(check.ok for check in allowed.checks()[:3])
        refused = chosen(TracesSettings(jaeger_url=url, jaeger_token="wrong-" + SECRET))
        with pytest.raises(BackendDown) as caught:
            answers.search(refused, Search(), *WINDOW, 10, None)
        told_to_all = f"{caught.value} {refused.checks()}"
    assert SECRET not in told_to_all
    assert "MIDWATCH_JAEGER_TOKEN" in told_to_all


def test_with_no_backend_on_the_start_error_lists_what_turns_one_on() -> None:
    with pytest.raises(
        BadInput, match=r"MIDWATCH_STORE.*MIDWATCH_JAEGER_URL, MIDWATCH_TEMPO_URL and MIDWATCH_XRAY=true"
    ):
        chosen(TracesSettings())


def test_several_backends_answer_as_one_and_name_themselves(
    connect: Callable[..., TraceBackend], settings_of: Callable[[str], Any], told: list[Row]
) -> None:
    half = [row for row in told if int(row["TraceId"], 16) % 2]
    with served(FakeJaeger(half).app) as (url, _):
        both = connect(**settings_of("store"), jaeger_url=url)
        whole = answers.search(both, Search(errors=True), *WINDOW, 1_000, None)
        alone = answers.search(connect(**settings_of("store")), Search(errors=True), *WINDOW, 1_000, None)
        loaded = answers.map_all(both, "2026-11-20T02:44:00Z", WINDOW[1])
    assert [row["trace_id"] for row in whole.rows] == [row["trace_id"] for row in alone.rows]  # type: ignore[call-overload, index]
    assert "store: SELECT" in whole.query
    assert "jaeger: /api/traces" in whole.query
    assert loaded.lines[0].startswith("cart")


def test_one_backend_of_several_that_is_down_is_a_gap_that_is_told(
    connect: Callable[..., TraceBackend], settings_of: Callable[[str], Any]
) -> None:
    both = connect(**settings_of("store"), jaeger_url="http://127.0.0.1:9")
    answer = answers.search(both, Search(errors=True), *WINDOW, 10, None)
    assert answer.rows
    assert any("jaeger is missing from this answer" in caveat for caveat in answer.caveats)
