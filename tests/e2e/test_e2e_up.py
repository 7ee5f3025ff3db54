"""`midwatch up` with alerts that come in: killed and taken up again, approved and rejected from another process."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx2
import psutil
import pytest
from tests.e2e.conftest import SERVERS, Desk, RecordT, Running, eventually, findings, interrupt
from tests.e2e.story import BAD, BROKEN_AT, GOOD, SEEN_AT, Story, alarms, changes, rolled_back

from midwatch.records import Action, Budget, Conclusion, Decision, Health, Plan, Report, ToolCall
from midwatch.storage.journal import Journal
from midwatch_store.writer import Writer

# A whole host is five more servers: beside a live application on another worker they would starve it.
pytestmark = pytest.mark.xdist_group("live")


def seen_now(**more: Any) -> Story:
    """Return a story in which the alert has just come."""
    return Story(start=datetime.now(UTC) - timedelta(seconds=SEEN_AT), **more)


def host(desk: Desk, data: str = "data", **settings: str) -> Running:
    """Start `midwatch up` over the snapshot."""
    where = {"MIDWATCH_STORE": str(desk.folder / "snapshot"), "MIDWATCH_DATA_DIR": str(desk.folder / data)}
    return desk.start("up", "--no-store", "--port", "0", **where, **settings)


def post(running: Running, alert: dict[str, str]) -> str:
    """Send an alert to a host, and return the id of the incident that it opens."""
    url = running.waits_for(r"webhook +(http://\S+)")[1]
    answer = httpx2.post(url, json=alert, timeout=20)
    assert answer.status_code == 202
    (incident,) = answer.json()["incidents"]
    return str(incident)


def servers_of(running: Running) -> list[psutil.Process]:
    """Return the processes of all of a host's servers."""
    return [found for name in SERVERS if (found := running.server(name))]


def test_a_host_that_is_killed_takes_up_where_it_was_and_concludes_the_same(desk: Desk) -> None:
    story = seen_now(per_second=40)
    story.write(desk.folder / "snapshot", 90)
    killed = host(desk)
    post(killed, story.alert())
    desk.asked(killed, calls=3)
    servers = servers_of(killed)
    killed.kill()
    assert (desk.folder / "data").stat().st_mode & 0o077 == 0
    kept = desk.noted(ToolCall)
    assert desk.noted(Conclusion) == []
    assert len(servers) == len(SERVERS)
    assert psutil.wait_procs(servers, timeout=20)[1] == []

    resumed = host(desk)
    resumed.waits_for("unfinished")
    conclusion = desk.concludes()
    assert conclusion.root_causes[0].entity == "service:stock"
    assert desk.noted(ToolCall)[: len(kept)] == kept
    asked_again = desk.noted(Budget)[0].tool_calls
    assert len(kept) + asked_again == desk.kinds()[: desk.kinds().index("conclusion")].count("tool_call")
    assert interrupt(resumed)[1] < 10

    with closing(Journal(desk.folder / "other" / "journal.db")) as journal:
        journal.note(desk.incident().id, "incident", "1", desk.incident())
    undisturbed = host(desk, "other")
    assert findings(desk.concludes(data="other")) == findings(conclusion)
    assert interrupt(undisturbed)[1] < 10
    assert desk.left_behind() == []


class Deployer:
    """A deployer in HTTP that notes what is posted; to go back to the good version heals the shop."""

    def __init__(self) -> None:
        self.posted: list[Any] = []
        self.healed = threading.Event()
        deployer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                deployer.posted.append(body)
                if body["to_version"] == GOOD:
                    deployer.healed.set()
                answer = json.dumps({"outcome": "succeeded", "version": body["to_version"]}).encode()
                self.send_response(200)
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *arguments: object) -> None:
                """Stay silent."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=[0.05])
        self._thread.start()

    @property
    def url(self) -> str:
        """Where to post."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/roll-back"

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def deployer() -> Iterator[Deployer]:
    made = Deployer()
    yield made
    made.close()


@pytest.fixture
def shop(desk: Desk, deployer: Deployer) -> Iterator[Story]:
    """The shop, alive: its telemetry comes in as time goes by, and is sound again once the deployer went back."""
    story = replace(seen_now(), broken=lambda at: at >= BROKEN_AT and not deployer.healed.is_set())
    over = threading.Event()
    with Writer(desk.folder / "snapshot") as writer:
        writer.append({"changes": changes(story), "alarms": alarms(story)})
        feeder = threading.Thread(target=_feed, args=[story, writer, over])
        feeder.start()
        yield story
        over.set()
        feeder.join()


def _feed(story: Story, writer: Writer, over: threading.Event) -> None:
    since, was_broken = 0.0, False
    while not over.wait(0.25):
        until = time.time() - story.start.timestamp()
        writer.append(story.telemetry(since, until))
        if was_broken and not story.broken(until):
            writer.append({"changes": [rolled_back(story, until)]})
        since, was_broken = until, story.broken(until)


def waiting_plan(desk: Desk, incident: str) -> Plan:
    """Return the plan that waits for a decision, as soon as it does."""
    return eventually(lambda: _of(desk, incident, Plan), 60, f"a plan of {incident}")


def _of(desk: Desk, incident: str, shape: type[RecordT]) -> RecordT | None:
    with closing(Journal(desk.folder / "data" / "journal.db")) as journal:
        return next(iter(journal.values(incident, shape)), None)


def test_a_plan_runs_when_another_process_approves_it_and_not_when_it_is_rejected(
    desk: Desk, shop: Story, deployer: Deployer
) -> None:
    patience = {"MIDWATCH_SETTLE_SECONDS": "3", "MIDWATCH_RECOVERY_SECONDS": "30", "MIDWATCH_APPROVAL_SECONDS": "90"}
    running = host(desk, MIDWATCH_ROLL_BACK_URL=deployer.url, **patience)
    of_cart = post(running, {**shop.alert(), "service": "cart", "title": "Error rate of cart above 5 %"})
    of_web = post(running, shop.alert())
    assert of_cart != of_web

    refused = waiting_plan(desk, of_cart)
    assert desk.run("reject", of_cart, refused.digest[:12], "--by", "robin").returncode == 0
    report = eventually(lambda: _of(desk, of_cart, Report), 20, "a report on what was rejected")
    assert (report.mitigated, deployer.posted) == (False, [])

    plan = waiting_plan(desk, of_web)
    assert desk.run("approve", of_web, plan.digest[:12], "--by", "robin").returncode == 0
    report = eventually(lambda: _of(desk, of_web, Report), 60, "a report on what was approved")
    assert report.mitigated
    assert deployer.posted == [{"service": "stock", "to_version": GOOD}]
    decision = _of(desk, of_web, Decision)
    assert decision
    assert (decision.approved, decision.by, decision.digest) == (True, "robin", plan.digest)
    before, *_, after = desk.noted(Health)
    assert (before.healthy, after.healthy) == (False, True)
    done = [(action.phase, action.outcome) for action in desk.noted(Action)]
    assert done == [("pre_validate", "done"), ("apply", "begun"), ("apply", "done"), ("post_validate", "done")]
    assert BAD in plan.steps[2].title
    assert interrupt(running)[1] < 10
    assert desk.left_behind() == []
