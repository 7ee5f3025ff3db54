"""The clock of a run starts when its customers are served well, and not before."""

import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import anyio
import pytest

from robots import calm
from robots.alarm import is_error
from robots.calm import WARM_REQUESTS, wait_for_calm, warm_up
from robots.load import Load
from robots.processes import NotStarted

CALM_SECONDS = 2.0
"""How long it has to be calm here. Eighty requests are sent in that time, four times those that it takes to tell."""


@pytest.fixture(autouse=True)
def _sooner(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for seconds of calm, but for fewer."""
    monkeypatch.setattr(calm, "CALM_SECONDS", CALM_SECONDS)


@contextmanager
def gateway(status: Callable[[int], int]) -> Generator[str]:
    """Serve every request with what `status` says of its number."""
    served = 0

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.do_POST()

        def do_POST(self) -> None:
            nonlocal served
            served += 1
            self.rfile.read(int(self.headers.get("content-length", 0)))
            self.send_response(status(served))
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:
            """Stay silent."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=[0.05]).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.mark.parametrize(("seconds", "first"), [(0.3, 200), (0.0, 503)], ids=["slow", "failing"])
async def test_customers_come_once_a_cold_application_answers_soundly_and_quickly(seconds: float, first: int) -> None:
    served: list[int] = []

    def status(number: int) -> int:
        served.append(number)
        time.sleep(seconds if number <= 5 else 0.0)
        return first if number <= 5 else 200

    with gateway(status) as url:
        await warm_up(url)
    assert len(served) >= 5 + WARM_REQUESTS - 2


async def test_an_application_that_stays_slow_gets_its_customers_all_the_same() -> None:
    release = threading.Event()
    with gateway(lambda _: 200 if release.wait(30) else 503) as url:
        with anyio.fail_after(10):
            await warm_up(url, 0.5)
        release.set()


async def waited_for(url: str, most: float) -> Load:
    load = Load(url, 40.0, 1)
    async with anyio.create_task_group() as group:
        group.start_soon(load.run)
        try:
            await wait_for_calm(load, most)
        finally:
            group.cancel_scope.cancel()
    return load


async def test_failures_of_a_start_are_over_before_the_clock_starts() -> None:
    with gateway(lambda number: 503 if number < 40 else 200) as url:
        load = await waited_for(url, 30)
    failed = [outcome.at for outcome in load.outcomes if is_error(outcome)]
    assert failed
    assert max(outcome.at for outcome in load.outcomes) - max(failed) >= CALM_SECONDS - 0.5


async def test_requests_that_hang_are_answered_before_the_clock_starts() -> None:
    hung = threading.Event()

    def status(number: int) -> int:
        if 20 <= number < 40:
            hung.wait(CALM_SECONDS + 1)
        return 200

    with gateway(status) as url:
        load = await waited_for(url, 30)
        hung.set()
    slow = [outcome for outcome in load.outcomes if outcome.seconds > CALM_SECONDS]
    assert len(slow) >= 20  # a busy machine lets others wait as well


async def test_an_application_that_never_gets_calm_is_told_as_such() -> None:
    with gateway(lambda number: 503 if number % 10 == 0 else 200) as url, pytest.raises(ExceptionGroup) as raised:
        await waited_for(url, CALM_SECONDS + 1)
    told = raised.value.exceptions[0]
    assert isinstance(told, NotStarted)
    assert "is not calm after 3 s" in str(told)
    assert "of requests fail" in str(told)
