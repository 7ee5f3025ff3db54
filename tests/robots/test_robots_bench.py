"""The forge's bench and ratings, and how bot asks the forge again."""

import asyncio
import json
import threading
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from app.bot.rigging import Forges
from app.errors import Overloaded, UpstreamBusy, UpstreamFailed
from app.forge.bench import Bench
from app.forge.planner import MODELS, torques
from app.forge.ratings import HEAVIEST_KG, LIMIT_NM, Ratings
from app.settings import Settings


def told(folder: Path, **values: float) -> Settings:
    (folder / "settings.json").write_text(json.dumps(values))
    return Settings(folder / "settings.json")


async def test_a_site_without_a_bench_proves_nothing_and_lets_nobody_wait(tmp_path: Path) -> None:
    bench = Bench(told(tmp_path, bench_queue=1))
    await asyncio.wait_for(asyncio.gather(*(bench.prove() for _ in range(50))), 10)


async def test_riggings_are_proven_one_after_the_other_and_in_turn(tmp_path: Path) -> None:
    bench, done = Bench(told(tmp_path, bench_seconds=0.02)), []

    async def prove(number: int) -> None:
        await bench.prove()
        done.append(number)

    began = time.monotonic()
    await asyncio.gather(*map(prove, range(5)))
    assert time.monotonic() - began >= 5 * 0.02
    assert done == [0, 1, 2, 3, 4]


async def test_a_bench_with_a_full_queue_refuses_and_takes_again_once_it_has_worked_some_off(tmp_path: Path) -> None:
    bench = Bench(told(tmp_path, bench_seconds=0.02, bench_queue=2))
    came = await asyncio.gather(*(bench.prove() for _ in range(5)), return_exceptions=True)
    refused = [error for error in came if isinstance(error, Overloaded)]
    assert 2 <= len(refused) <= 3
    assert str(refused[0]) == "2 riggings wait for the bench already"
    await bench.prove()


async def test_a_rating_is_the_last_step_that_no_joint_is_overloaded_at() -> None:
    ratings = Ratings()
    await ratings.renew(4.0)
    assert set(ratings.kilograms) == set(MODELS)
    for model, rated in ratings.kilograms.items():
        assert rated == 0 or max(torques(model, rated)) <= LIMIT_NM
        assert rated + 4 > HEAVIEST_KG or max(torques(model, rated + 4)) > LIMIT_NM


async def test_ratings_that_take_minutes_are_given_up_when_the_service_stops() -> None:
    ratings = Ratings()
    renewing = asyncio.create_task(ratings.renew(0.0001))
    await asyncio.sleep(0)
    ratings.stop()
    await asyncio.wait_for(renewing, 30)


@contextmanager
def forge(answers: Sequence[int | float]) -> Generator[tuple[str, list[str]]]:
    """Answer each request in turn with a status, or with 200 after so many seconds."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            answer = answers[min(len(asked), len(answers)) - 1]
            if isinstance(answer, float):
                time.sleep(answer)
            body = b'{"joints": [], "error": "no"}'
            self.send_response(200 if isinstance(answer, float) else answer)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            """Stay silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=[0.02])
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


async def ask(url: str, known: Settings) -> None:
    async with httpx.AsyncClient(trust_env=False) as http:
        await Forges(http, (url,), known).blueprint("porter", 5)


async def test_an_overloaded_forge_is_asked_once_unless_the_settings_say_more(tmp_path: Path) -> None:
    with forge([503, 200]) as (url, asked), pytest.raises(UpstreamBusy, match="503 no"):
        await ask(url, told(tmp_path))
    assert len(asked) == 1


async def test_a_silent_or_overloaded_forge_is_asked_again_as_often_as_the_settings_say(tmp_path: Path) -> None:
    known = told(tmp_path, forge_tries=4, forge_timeout_seconds=1.0)
    with forge([503, 1.5, 200]) as (url, asked):
        await ask(url, known)
    assert asked == ["/blueprints/porter?load_kg=5"] * 3
    with forge([503]) as (url, asked), pytest.raises(UpstreamBusy):
        await ask(url, known)
    assert len(asked) == 4


async def test_what_a_forge_fails_at_is_not_asked_again(tmp_path: Path) -> None:
    with forge([500, 200]) as (url, asked), pytest.raises(UpstreamFailed, match="500 no"):
        await ask(url, told(tmp_path, forge_tries=4))
    assert len(asked) == 1
