"""HTTP for backends: patient with what passes, bounded in what it reads, and silent about logins."""

import pytest
from starlette.responses import PlainTextResponse
from tests.backends.serving import served

from midwatch_kit.http import Failed, Http, HttpFailure

SAYS_SO = PlainTextResponse("all is well")


def test_who_is_busy_is_asked_again() -> None:
    with served(SAYS_SO) as (url, trouble):
        trouble.kind, trouble.times = "429", 2
        answer = Http(url, seconds=5).get("/health")
    assert (answer.status, answer.body) == (200, b"all is well")
    assert trouble.paths == ["/health"] * 3


def test_who_stays_busy_has_said_so_in_the_end() -> None:
    with served(SAYS_SO) as (url, trouble):
        trouble.kind = "429"
        assert Http(url, seconds=5, attempts=2).get("/health").status == 429
    assert len(trouble.paths) == 2


def test_an_answer_that_is_cut_off_every_time_is_no_answer() -> None:
    with served(SAYS_SO) as (url, trouble):
        trouble.kind = "cut"
        with pytest.raises(HttpFailure) as told:
            Http(url, seconds=5, attempts=2).get("/health")
    assert told.value.kind is Failed.BROKEN_OFF
    assert len(trouble.paths) == 2


def test_no_more_is_read_than_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("midwatch_kit.http.MOST_BYTES", 10)
    with served(SAYS_SO) as (url, _), pytest.raises(HttpFailure) as told:
        Http(url, seconds=5).get("/health")
    assert told.value.kind is Failed.TOO_LARGE


@pytest.mark.parametrize(
    "url", ["http://sam:s3cret@nowhere.example:port", "ftp://sam:s3cret@nowhere.example", "sam:s3cret@[", "//s3cret@a"]
)
def test_an_address_that_cannot_be_used_is_told_without_its_login(url: str) -> None:
    with pytest.raises(HttpFailure) as told:
        Http(url, seconds=5, attempts=1).get("/health")
    assert "s3cret" not in str(told.value)
