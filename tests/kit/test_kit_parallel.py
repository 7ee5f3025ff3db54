"""Several backends at once: one that fails or hangs is told apart from those that answer; threads know who waits."""

import threading
from contextvars import copy_context

import pytest

from midwatch_kit import BackendDown, BadInput, KitError
from midwatch_kit.abandoned import given_up, giving_up
from midwatch_kit.parallel import Threads, ask_each, at_once


def answer(_: str, said: object) -> str:
    """Say what the backend says, or raise it."""
    if isinstance(said, KitError):
        raise said
    return str(said)


def test_who_fails_leaves_the_answers_of_the_others() -> None:
    asked = ask_each({"loki": "3 lines", "store": BackendDown("no such directory")}, answer).by_some()
    assert asked.said == {"loki": "3 lines"}
    assert str(asked.silent["store"]) == "no such directory"


def test_when_all_are_down_the_error_names_each() -> None:
    down = {"loki": BackendDown("cannot be reached"), "store": BackendDown("no such directory")}
    with pytest.raises(BackendDown, match="loki: cannot be reached; store: no such directory"):
        ask_each(down, answer).by_some()


def test_when_none_answers_bad_input_counts_more_than_who_is_down() -> None:
    with pytest.raises(BadInput, match="at column 3"):
        ask_each({"store": BackendDown("gone"), "loki": BadInput("unexpected ) at column 3")}, answer).by_some()


def test_where_all_must_answer_the_error_keeps_its_kind_and_says_whose_it_is() -> None:
    with pytest.raises(BadInput, match="loki: unexpected"):
        ask_each({"store": "3 lines", "loki": BadInput("unexpected )")}, answer).by_all()


def test_who_hangs_is_left_behind() -> None:
    leave = threading.Event()
    try:
        asked = ask_each({"fast": True, "hung": False}, lambda name, fast: name if fast else leave.wait(30), 1.0)
    finally:
        leave.set()
    assert asked.said == {"fast": "fast"}
    assert "no answer within 1 s" in str(asked.silent["hung"])


def test_threads_know_that_nobody_waits_any_more() -> None:
    with giving_up():
        afterwards = copy_context()
    with Threads(1) as threads:
        told = afterwards.run(threads.submit, given_up)
    assert told.result().is_set()
    assert all(event.is_set() for event in afterwards.run(at_once, [given_up, given_up]))
    assert not given_up().is_set()
