"""Who may do what: with which token, from which page, by which name."""

import base64
from collections.abc import Mapping
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.api.conftest import ALERT, Served, Serving, bearer, settings_in

from midwatch import webhook
from midwatch.api.tokens import BadToken, Scope, Tokens
from midwatch.errors import BadSettings
from midwatch.host import open_host
from midwatch.serving import listen
from midwatch.storage.database import Database


async def status(served: Served, method: str, path: str, headers: Mapping[str, str] | None = None, **more: Any) -> int:
    return (await served.client.request(method, path, headers=headers or {}, json=more or None)).status_code


async def test_before_there_is_a_token_this_machine_may_read_and_send_alerts_and_nothing_else(serving: Serving) -> None:
    async with serving() as served:
        incident = served.incident()
        digest = served.plan(incident).digest
        assert await status(served, "GET", "/v1/incidents") == 200
        assert await status(served, "POST", "/alerts", None, **ALERT) == 202
        for what in ("plan/approve", "plan/reject"):
            assert await status(served, "POST", f"/v1/incidents/{incident.id}/{what}", digest=digest) == 401
        assert await status(served, "POST", f"/v1/incidents/{incident.id}/steers", words="leave out forge") == 401
        assert await status(served, "GET", f"/v1/evidence/{'0' * 64}") == 401
        assert await status(served, "GET", "/v1/tokens") == 401


async def test_a_proxy_on_this_machine_is_not_this_machine(serving: Serving) -> None:
    async with serving() as served:
        assert await status(served, "GET", "/v1/incidents", {"x-forwarded-for": "203.0.113.7"}) == 401
        assert await status(served, "GET", "/v1/incidents", {"forwarded": "for=203.0.113.7"}) == 401


async def test_once_there_is_a_token_nothing_but_health_goes_without_one(serving: Serving) -> None:
    async with serving() as served:
        reader = served.token(Scope.READ)
        assert await status(served, "GET", "/v1/incidents") == 401
        assert await status(served, "POST", "/alerts", None, **ALERT) == 401
        assert await status(served, "GET", "/metrics") == 401
        assert await status(served, "GET", "/healthz") == 200
        assert await status(served, "GET", "/readyz") == 200
        assert await status(served, "GET", "/v1/incidents", reader) == 200


async def test_what_needed_a_token_is_not_open_again_when_the_last_token_has_ended(serving: Serving) -> None:
    async with serving() as served:
        admin = served.token(Scope.ADMIN, name="chief")
        reader = served.token(Scope.READ, name="robin")
        assert await status(served, "DELETE", "/v1/tokens/robin", admin) == 200
        Tokens(served.host.journal.database).revoke("chief")
        for headers in (None, reader, admin):
            assert await status(served, "GET", "/v1/incidents", headers) == 401
        assert await status(served, "POST", "/alerts", None, **ALERT) == 401


@pytest.mark.parametrize("scope", [*Scope])
async def test_a_token_does_what_its_scopes_say_and_no_more(serving: Serving, scope: Scope) -> None:
    async with serving() as served:
        incident, mine = served.incident(), served.token(scope)
        digest = served.plan(incident).digest
        of = f"/v1/incidents/{incident.id}"
        done = {
            Scope.READ: await status(served, "GET", of, mine),
            Scope.ALERTS: await status(served, "POST", "/alerts", mine, **ALERT),
            Scope.STEER: await status(served, "POST", f"{of}/feedback", mine, note="a drill"),
            Scope.APPROVE: await status(served, "POST", f"{of}/plan/reject", mine, digest=digest),
            Scope.ADMIN: await status(served, "GET", "/v1/tokens", mine),
        }
        allowed = {known for known, answered in done.items() if answered < 300}
    assert allowed == ({*Scope} if scope is Scope.ADMIN else {scope})
    assert {answered for known, answered in done.items() if known not in allowed} <= {403}


async def test_a_token_that_is_unknown_revoked_or_over_is_refused_with_what_to_do(serving: Serving) -> None:
    async with serving() as served:
        over = served.token(Scope.READ, name="over", lasts=timedelta(microseconds=200_000))
        gone, admin = served.token(Scope.READ, name="gone"), served.token(Scope.ADMIN, name="chief")
        assert await status(served, "GET", "/v1/incidents", gone) == 200
        assert await status(served, "DELETE", "/v1/tokens/gone", admin) == 200
        assert await status(served, "GET", "/v1/incidents", gone) == 401
        assert await status(served, "GET", "/v1/incidents", bearer("mw_" + "a" * 43)) == 401
        known = {each["name"]: each for each in (await served.client.get("/v1/tokens", headers=admin)).json()}
        while (answer := await served.client.get("/v1/incidents", headers=over)).status_code == 200:
            pass
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert "expired" in answer.json()["detail"]
    assert known["gone"]["revoked_at"] is not None
    assert not any("token" in each or "hash" in each for each in known.values())


async def test_a_page_of_another_site_can_do_nothing_even_where_no_token_is_needed(serving: Serving) -> None:
    async with serving() as served:
        own = f"http://127.0.0.1:{served.client.base_url.port}"
        assert await status(served, "POST", "/alerts", {"origin": "https://evil.example"}, **ALERT) == 403
        assert await status(served, "POST", "/alerts", {"origin": "null"}, **ALERT) == 403
        for site in ("cross-site", "same-site"):
            assert await status(served, "GET", "/v1/topology", {"sec-fetch-site": site}) == 403
        assert await status(served, "POST", "/alerts", {"origin": own}, **ALERT) == 202
        answer = await served.client.options("/v1/incidents", headers={"origin": own})
        assert "access-control-allow-origin" not in answer.headers


async def test_a_name_that_was_bound_to_this_machine_by_somebody_else_is_not_answered(serving: Serving) -> None:
    async with serving(api={"hosts": ["midwatch.example.com"]}) as served:
        assert await status(served, "GET", "/v1/incidents", {"host": "evil.example"}) == 421
        assert await status(served, "GET", "/v1/incidents", {"host": "midwatch.example.com"}) == 200
        assert await status(served, "GET", "/v1/incidents", {"host": "localhost:8750"}) == 200
        assert await status(served, "GET", "/v1/incidents", {"host": "[::1]:8750"}) == 200


async def test_what_a_form_can_send_approves_nothing(serving: Serving) -> None:
    async with serving() as served:
        incident, mine = served.incident(), served.token(Scope.APPROVE)
        body = f'{{"digest": "{served.plan(incident).digest}"}}'.encode()
        where = f"/v1/incidents/{incident.id}/plan/approve"
        for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
            headers = {**mine, "content-type": kind}
            assert (await served.client.post(where, content=body, headers=headers)).status_code == 415


async def test_other_machines_are_not_let_in_before_there_is_a_token(tmp_path: Path) -> None:
    listening = listen("0.0.0.0", 0)
    with closing(listening):
        async with open_host(settings_in(tmp_path)) as host:
            with pytest.raises(BadSettings, match="midwatch token create"):
                async with webhook.serve(host, listening):
                    pass


async def test_other_machines_may_send_what_is_signed_before_there_is_a_token_and_do_nothing_else(
    tmp_path: Path,
) -> None:
    listening = listen("0.0.0.0", 0)
    signed = {"alertmanager": {"secrets": ["a secret that Alertmanager has"]}}
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    async with (
        open_host(settings_in(tmp_path, intake=signed)) as host,
        webhook.serve(host, listening),
        httpx2.AsyncClient(base_url=url) as client,
    ):
        served = Served(host, client)
        assert await status(served, "GET", "/v1/incidents") == 401
        assert await status(served, "POST", "/alerts", None, **ALERT) == 401
        assert await status(served, "GET", "/healthz", {"host": "10.0.0.7:8750"}) == 200
        labels = {"alertname": "Slow", "service": "forge"}
        body = {"version": "4", "alerts": [{"status": "firing", "labels": labels, "startsAt": ALERT["started_at"]}]}
        signed_by = bearer("a secret that Alertmanager has")
        assert await status(served, "POST", "/v1/alerts/alertmanager", signed_by, **body) == 202


async def test_whoever_deploys_can_bring_the_first_token(tmp_path: Path) -> None:
    brought = "from a secret of the cluster, by chance"
    token = None
    for _ in range(2):  # the same one again is known already
        listening = listen("0.0.0.0", 0)
        async with (
            open_host(settings_in(tmp_path, api={"first_token": brought})) as host,
            webhook.serve(host, listening),
        ):
            token = Tokens(host.journal.database).known(brought)
    assert token is not None
    assert token.scopes == [Scope.ADMIN]


def test_a_database_that_is_stolen_holds_no_token(tmp_path: Path) -> None:
    with closing(Database(tmp_path / "journal.db")) as database:
        made = Tokens(database).create("robin", [Scope.ADMIN])
    stored = b"".join(path.read_bytes() for path in tmp_path.glob("journal.db*"))
    assert made.token.removeprefix("mw_").encode() not in stored
    assert b"robin" in stored


def test_a_token_is_256_bits_of_chance(tmp_path: Path) -> None:
    with closing(Database(tmp_path / "journal.db")) as database:
        made = [Tokens(database).create(name, [Scope.READ]).token.removeprefix("mw_") for name in ("robin", "ann")]
    assert [len(base64.urlsafe_b64decode(f"{token}=")) for token in made] == [32, 32]
    assert made[0] != made[1]


@pytest.mark.parametrize("name", ["Robin", "", "a b", "x" * 65, "-x", "ro\x00bin"])
def test_a_name_that_cannot_stand_on_record_is_refused(tmp_path: Path, name: str) -> None:
    with closing(Database(tmp_path / "journal.db")) as database, pytest.raises(BadToken, match="is no name of a token"):
        Tokens(database).create(name, [Scope.READ])


def test_a_name_stays_taken_after_its_token_was_revoked(tmp_path: Path) -> None:
    with closing(Database(tmp_path / "journal.db")) as database:
        tokens = Tokens(database)
        tokens.create("robin", [Scope.READ])
        tokens.revoke("robin")
        with pytest.raises(BadToken, match="is taken, for good"):
            tokens.create("robin", [Scope.READ])
        with pytest.raises(BadToken, match="there is no token 'ann'"):
            tokens.revoke("ann")
