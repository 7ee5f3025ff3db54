"""What an Elasticsearch that throttles, stalls, breaks off, refuses or talks nonsense costs: an answer in words."""

import datetime
import ssl
import threading
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import ValidationError
from tests.backends.fakes.elasticsearch import FakeElasticsearch
from tests.backends.logs.conftest import ECS, Connect, Settings, ecs_document
from tests.backends.logs.story import HOUR, tell
from tests.backends.logs.test_logs_contract import answer
from tests.backends.serving import Trouble, served

from midwatch_logs.backends.elasticsearch import api

SECRET = "s3cr3t-k3y"
READER = {"read", "view_index_metadata"}


def some_lines(granted: dict[str, set[str]] | None = None) -> FakeElasticsearch:
    return FakeElasticsearch({"logs-app-prod": [ecs_document(line) for line in tell()[:50]]}, ECS, granted=granted)


@pytest.fixture
def troubled() -> Generator[tuple[Settings, Trouble]]:
    """An Elasticsearch with some lines, and what may go wrong with it."""
    with ExitStack() as stack:
        url, trouble = stack.enter_context(served(some_lines().app))
        yield {"elasticsearch_url": url, "elasticsearch_api_key": SECRET}, trouble


async def refusal(connect: Connect, settings: Settings, **arguments: Any) -> str:
    async with connect(**settings) as client:
        reply = await client.call_tool("search_logs", {**HOUR, **arguments})
    assert reply.is_error
    said = str(reply.content)
    assert SECRET not in said
    return said


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("429", "Elasticsearch is too busy (HTTP 429) after 3 tries"),
        ("503", "Elasticsearch is too busy (HTTP 503) after 3 tries"),
        ("stall", "Elasticsearch did not answer in 0.5 s"),
        ("cut", "Elasticsearch cannot be reached at http://127.0.0.1"),
        ("500", "Elasticsearch answered HTTP 500: no, said the backend"),
        ("401", "refuses these credentials (HTTP 401): no, said the backend: see MIDWATCH_ELASTICSEARCH_API_KEY"),
        ("403", "(HTTP 403): no, said the backend"),
        ("garbage", "is not Elasticsearch: is this its address, without a login page before?"),
    ],
)
async def test_a_trouble_is_told_in_words_and_in_time(
    connect: Connect,
    troubled: tuple[Settings, Trouble],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    kind: str,
    said: str,
) -> None:
    if kind == "stall":
        monkeypatch.setattr(api, "READ_SECONDS", 0.5)
    settings, trouble = troubled
    trouble.kind = kind
    began = time.monotonic()
    assert said in await refusal(connect, settings)
    assert time.monotonic() - began < 30
    assert not [told for told in caplog.records if told.name.startswith("elastic")], "it is in the answer already"


async def test_throttling_that_passes_is_waited_out(connect: Connect, troubled: tuple[Settings, Trouble]) -> None:
    settings, trouble = troubled
    trouble.kind, trouble.times = "429", 2
    async with connect(**settings) as client:
        assert (await answer(client, "search_logs", **HOUR))["matched"] == 50


async def test_an_answer_beyond_all_bounds_is_not_read(
    connect: Connect, troubled: tuple[Settings, Trouble], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "MOST_BYTES", 4_000)
    assert "answered more than 0 MiB: narrow the window" in await refusal(connect, troubled[0])


async def test_a_port_where_nobody_listens_is_named_without_its_login(connect: Connect) -> None:
    said = await refusal(connect, {"elasticsearch_url": "http://user:hidden@127.0.0.1:9"})
    assert "Elasticsearch cannot be reached at http://127.0.0.1:9" in said
    assert "hidden" not in said


async def test_some_shards_that_fail_are_not_told_as_the_whole(connect: Connect) -> None:
    fake = some_lines()
    shards = {"total": 3, "successful": 2, "skipped": 0, "failed": 1}
    reason = {"type": "script_exception", "reason": "runtime error"}
    fake.shards = {**shards, "failures": [{"shard": 1, "index": "i", "reason": reason}]}
    with served(fake.app) as (url, _):
        assert "1 of 3 shards of Elasticsearch failed: runtime error" in await refusal(
            connect, {"elasticsearch_url": url}
        )


@pytest.mark.parametrize(
    ("settings", "header"),
    [
        ({"elasticsearch_api_key": SECRET}, f"ApiKey {SECRET}"),
        ({"elasticsearch_token": SECRET}, f"Bearer {SECRET}"),
        ({"elasticsearch_username": "m1", "elasticsearch_password": "pw"}, "Basic bTE6cHc="),
    ],
    ids=["key", "token", "login"],
)
async def test_each_way_to_authenticate_is_sent_and_another_is_refused(
    connect: Connect, settings: dict[str, str], header: str
) -> None:
    with served(some_lines({header: READER}).app) as (url, _):
        async with connect(elasticsearch_url=url, **settings) as client:
            assert (await answer(client, "search_logs", **HOUR))["matched"] == 50
        said = await refusal(connect, {"elasticsearch_url": url, "elasticsearch_api_key": f"{SECRET}?"})
    assert "unable to authenticate user [m1] for REST request" in said


async def test_a_missing_privilege_is_named_by_the_tools_and_by_the_check(connect: Connect) -> None:
    fake = some_lines({f"ApiKey {SECRET}": {"view_index_metadata"}})
    with served(fake.app) as (url, _):
        settings = {"elasticsearch_url": url, "elasticsearch_api_key": SECRET}
        said = await refusal(connect, settings)
        async with connect(**settings) as client:
            checked = (await answer(client, "check_logs"))["lines"]
    assert "action [indices:data/read/open_point_in_time] is unauthorized for user [m1]" in said
    assert "grant one of the index privileges [read,all]" in said
    assert "FAIL privileges: m1 may view_index_metadata on logs-* → grant read on logs-* to the role" in checked


async def test_with_the_least_role_everything_is_well_but_the_version_s_number(connect: Connect) -> None:
    with served(some_lines({f"ApiKey {SECRET}": READER}).app) as (url, _):
        async with connect(elasticsearch_url=url, elasticsearch_api_key=SECRET) as client:
            checked = (await answer(client, "check_logs"))["lines"]
    assert checked[0] == f"ok   elasticsearch: {url} of unknown version"
    assert checked[1] == "ok   privileges: m1 may read, view_index_metadata on logs-*"


def self_signed(folder: Path) -> Path:
    """A certificate for 127.0.0.1 with its key, as one PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    built = x509.CertificateBuilder().issuer_name(name).subject_name(name).public_key(key.public_key())
    built = built.serial_number(x509.random_serial_number())
    built = built.not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
    built = built.add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
    built = built.add_extension(x509.BasicConstraints(True, None), critical=True)
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (path := folder / "own.pem").write_bytes(secret + built.sign(key, hashes.SHA256()).public_bytes(pem))
    return path


class Refusing(BaseHTTPRequestHandler):
    """Answers everybody that it knows nobody: whoever reads that has trusted its certificate."""

    def do_POST(self) -> None:
        """Refuse."""
        self.send_response(401)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


class Patient(HTTPServer):
    """Does not mind that a client breaks a handshake off."""

    def handle_error(self, request: object, client_address: object) -> None:
        """Go on."""


@contextmanager
def refusing(certificate: Path) -> Generator[str]:
    """Serve `Refusing` over TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with Patient(("127.0.0.1", 0), Refusing) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield f"https://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


async def test_an_authority_of_ones_own_is_trusted_by_its_file_alone(connect: Connect, tmp_path: Path) -> None:
    certificate = self_signed(tmp_path)
    with refusing(certificate) as url:
        trusting = await refusal(connect, {"elasticsearch_url": url, "elasticsearch_ca_file": certificate})
        said = await refusal(connect, {"elasticsearch_url": url})
    assert "refuses these credentials (HTTP 401)" in trusting
    assert "certificate verify failed" in said
    with pytest.raises(ValidationError, match="does not point to a file"):
        connect(elasticsearch_url=url, elasticsearch_ca_file=tmp_path / "none.pem")
