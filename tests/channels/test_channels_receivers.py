"""Programs and mailboxes: signed CloudEvents that receivers check, and mails in one thread, over TLS and a login."""

import json
import ssl
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import Message as Mail
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import standardwebhooks
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cloudevents.core.bindings.http import HTTPMessage, from_structured_event
from cloudevents.core.formats.json import JSONFormat
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.channels.conftest import Opened, Story, settings_of, telling
from tests.channels.places import PLACES, WHSEC
from tests.channels.vendors import Sink

from midwatch.channels.opening import check_channels, send_test
from midwatch.channels.webhook import TYPES, Event
from midwatch.storage.journal import Journal
from midwatch_kit.evidence import EvidenceStore

pytestmark = pytest.mark.anyio
HOOK = next(place for place in PLACES if place.kind == "webhook")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_every_event_is_a_cloud_event_of_a_known_type_that_its_receiver_can_verify(
    story: Story, journal: Journal, kept: EvidenceStore
) -> None:
    sink, schema = Sink(), Event.model_json_schema()
    async with sink.running(), telling(journal, kept, hook=HOOK.told(sink.url)) as now:
        await now.settles(story)
        story.waits()
        story.is_cured()
        await now.settles(story)
    kinds = ["opened", "concluded", "approval_requested", "decided", "acted", "recovered"]
    assert [asked.body["type"] for asked in sink.taken] == [f"dev.midwatch.incident.{kind}.v1" for kind in kinds]
    assert {asked.body["type"] for asked in sink.taken} <= set(TYPES)
    for asked in sink.taken:
        standardwebhooks.Webhook(WHSEC).verify(asked.raw, asked.headers)
        event: Any = from_structured_event(HTTPMessage(asked.headers, asked.raw), JSONFormat())
        assert (event.get_id(), event.get_subject()) == (asked.headers["webhook-id"], story.id)
        assert event.get_source() == "/midwatch"
        jsonschema.validate(asked.body, schema)
    other = standardwebhooks.Webhook("whsec_" + "b3RoZXI=" * 4)
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        other.verify(sink.taken[0].raw, sink.taken[0].headers)


class Post(Controller):
    """A mail server that asks for STARTTLS and a login."""

    def __init__(self, certificate: Path) -> None:
        self.mails: list[Mail] = []
        self.answers: list[str] = []
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)

        def login(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
            good = LoginPassword(b"midwatch", b"mail-password")
            return AuthResult(success=data == good, handled=False)

        more = {"require_starttls": True, "tls_context": context, "authenticator": login, "auth_required": True}
        super().__init__(self, hostname="127.0.0.1", port=0, ready_timeout=10, **more)  # type: ignore[arg-type]

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        assert isinstance(envelope.content, bytes)
        self.mails.append(message_from_bytes(envelope.content))
        return self.answers.pop(0) if self.answers else "250 OK"

    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
        super()._trigger_server()  # type: ignore[no-untyped-call]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file with a key and a certificate for 127.0.0.1, good for a day."""
    import ipaddress  # noqa: PLC0415

    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    draft = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    draft = draft.not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(days=1))
    made = draft.add_extension(names, critical=False).sign(key, hashes.SHA256())
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = tmp_path_factory.mktemp("post") / "server.pem"
    path.write_bytes(key.private_bytes(*form) + made.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def post(certificate: Path) -> Iterator[Post]:
    server = Post(certificate)
    server.start()
    yield server
    server.stop()


def mailbox(post: Post, certificate: Path, **more: Any) -> Any:
    told = {
        "kind": "email", "host": "127.0.0.1", "port": post.port, "ca_file": certificate, "username": "midwatch",
        "password": "mail-password", "sender": "midwatch@example.com", "to": ["oncall@example.com"], "seconds": 5,
    }  # fmt: skip
    return settings_of(**{**told, **more})


@asynccontextmanager
async def told_by_mail(
    post: Post, certificate: Path, journal: Journal, kept: EvidenceStore, **more: Any
) -> AsyncGenerator[Any]:
    async with telling(journal, kept, mail=mailbox(post, certificate, **more)) as now:
        yield now


async def test_mails_come_over_tls_with_a_login_in_one_thread_as_text_and_html(
    post: Post, certificate: Path, story: Story, journal: Journal, kept: EvidenceStore
) -> None:
    async with told_by_mail(post, certificate, journal, kept) as now:
        story.waits()
        await now.settles(story)
        story.is_cured()
        await now.settles(story)
    assert [str(mail["Subject"]).partition("=?")[0] or "encoded" for mail in post.mails]
    assert len(post.mails) == 2
    assert len({mail["References"] for mail in post.mails}) == 1
    assert len({mail["Subject"] for mail in post.mails}) == 1, "Gmail makes no thread of others"
    assert len({mail["Message-ID"] for mail in post.mails}) == 2
    for mail in post.mails:
        plain, html = [part for part in mail.walk() if not part.is_multipart()]
        assert [part.get_content_type() for part in (plain, html)] == ["text/plain", "text/html"]
        assert "stock 2.4.1 made calls of stock fail" in bytes(plain.get_payload(decode=True)).decode()
        assert mail["Auto-Submitted"] == "auto-generated"


async def test_a_mail_that_may_have_been_taken_has_the_same_id_when_it_is_sent_again(
    post: Post, certificate: Path, story: Story, journal: Journal, kept: EvidenceStore
) -> None:
    post.answers = ["451 try again later"]
    story.waits()
    async with told_by_mail(post, certificate, journal, kept) as now:
        await now.settles(story)
    assert len(post.mails) == 2
    assert len({mail["Message-ID"] for mail in post.mails}) == 1


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"password": "another"}, "does not let us in"),
        ({"ca_file": None}, "cannot be reached: its certificate is not trusted here: "),
        ({"port": 9}, "cannot be reached: connection refused"),
    ],
)
async def test_a_mail_server_that_does_not_let_us_in_is_said_so_without_the_password(
    wrong: dict[str, Any], says: str, post: Post, certificate: Path
) -> None:
    (found,) = await check_channels({"mail": mailbox(post, certificate, **wrong)})
    assert not found.ok
    assert says in found.detail
    assert "another" not in repr(found)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://127.0.0.1:9", "127.0.0.1 cannot be reached: connection refused"),
        ("https://jira.invalid", "jira.invalid cannot be reached: nobody here knows that name"),
    ],
)
async def test_of_a_place_that_cannot_be_reached_it_is_said_why(url: str, says: str) -> None:
    told = settings_of(kind="jira", url=url, email="m@example.com", token="t", projects=["OPS"])
    (found,) = await check_channels({"notes": told})
    assert found.detail == says


async def test_a_password_is_not_sent_in_the_clear() -> None:
    told = {"kind": "email", "host": "mail.example.com", "sender": "m@example.com", "to": ["a@example.com"]}
    with pytest.raises(ValueError, match="in the clear"):
        settings_of(**told, encryption="none", username="midwatch", password="mail-password")
    with pytest.raises(ValueError, match="in the clear"):
        settings_of(kind="github", token="t", repositories=["a/b"], api="http://github.example.com/api/v3")


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.kind)
async def test_every_place_is_checked_without_a_word_and_takes_a_test_message(place: Any) -> None:
    vendor = place.vendor()
    async with vendor.running():
        (found,) = await check_channels({"ops": place.told(vendor.url)})
        assert found.ok, found
        assert vendor.said() == []
        said = await send_test("ops", place.told(vendor.url))
        needs_a_record = place.kind in ("pagerduty", "servicenow", "jira", "github")
        assert bool(vendor.said()) is not needs_a_record
        assert ("belongs to no issue or record" in said) is needs_a_record


@pytest.mark.parametrize(
    ("kind", "alert", "place"),
    [
        ("github", {"links": ["{url}/other/repo/issues/12"]}, None),
        ("github", {"links": ["https://evil.example/shop/stock/issues/12"]}, None),
        ("github", {"links": ["{url}/shop/../issues/12"]}, None),
        ("github", {"links": ["{url}/shop/stock/actions/runs/99"]}, "commits"),
        ("github", {"labels": {"repository": "shop/stock", "sha": "ab" * 20}}, "commits"),
        ("jira", {"links": ["{url}/browse/SECRET-7"]}, None),
        ("jira", {"labels": {"jira": "OPS-7"}}, "OPS-7"),
        ("jira", {"labels": {"jira": "OPS-7/../../user"}}, None),
        ("servicenow", {"source": "servicenow", "external_id": "INC0010001^ORnumber!=1"}, None),
        ("pagerduty", {"links": ["https://acme.pagerduty.com/incidents/Q2INCIDENT"]}, "Q2INCIDENT"),
        ("pagerduty", {"source": "pagerduty", "external_id": "../services"}, None),
    ],
)
async def test_an_alert_leads_to_nothing_that_the_settings_do_not_allow(
    kind: str, alert: dict[str, Any], place: str | None, opens: Opened, journal: Journal, kept: EvidenceStore
) -> None:
    where = next(each for each in PLACES if each.kind == kind)
    vendor = where.vendor()
    async with vendor.running():
        links = [link.replace("{url}", vendor.url) for link in alert.get("links", [])]
        story = opens(**{**alert, "links": links})
        story.waits()
        async with telling(journal, kept, ops=where.told(vendor.url)) as now:
            await now.settles(story)
    written = [asked.path for asked in vendor.asked if asked.method != "GET"]
    assert (place is None) is (written == [])
    assert place is None or place in written[0]
    assert json.dumps(story.gaps()) == "[]"
