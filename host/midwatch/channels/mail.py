"""E-mail over SMTP: one mail for each turning point that matters, all of an incident in one thread.

Nobody can ask a mail server what it took. A mail that may have been taken is sent again under the same Message-ID, by
which mailboxes know it for the same.
"""

import ssl
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any, Final

import aiosmtplib
from pydantic import JsonValue

from midwatch.channels import wording
from midwatch.channels.escaping import cut, html, one_line, plain
from midwatch.channels.http import why_not_reached
from midwatch.channels.letters import CannotBeAsked, Letter, Style, Undelivered, letter_id
from midwatch.channels.notices import Notice
from midwatch.settings.channels import EmailSettings

_MOST_SUBJECT: Final = 200
_STYLE: Final = "font-family:sans-serif;font-size:14px;line-height:1.4"


class Email:
    """Some people's mailboxes."""

    style = Style()

    def __init__(self, settings: EmailSettings) -> None:
        self._settings = settings
        self._domain = settings.sender.partition("@")[2]

    def has_place(self, notice: Notice) -> bool:
        """Return that any incident can be told."""
        return True

    def content(self, letter: Letter) -> JsonValue:
        """Return what the mail says."""
        return wording.plain_text(letter)

    async def send(self, letter: Letter) -> str:
        """Hand the mail to the server; returns its Message-ID."""
        mail = self._mail(letter)
        try:
            async with self._client() as client:
                refused, _ = await client.send_message(mail)
        except Exception as error:
            raise _undelivered(self._settings.host, error) from None
        if refused:
            raise Undelivered(f"{self._settings.host} does not take mail for {', '.join(refused)}", hopeless=True)
        return str(mail["Message-ID"])

    async def change(self, place: str, letter: Letter) -> None:
        """Do nothing: what is sent stays as it is."""

    async def find(self, letter: Letter) -> str | None:
        """Raise `CannotBeAsked`."""
        raise CannotBeAsked("a mail server does not say what it took")

    async def check(self) -> str:
        """Connect, log in, and leave."""
        try:
            async with self._client() as client:
                await client.noop()
        except Exception as error:
            raise _undelivered(self._settings.host, error) from None
        return f"{self._settings.host}:{self._settings.port} lets {self._settings.username or 'anybody'} in"

    async def aclose(self) -> None:
        """Nothing stays open between mails."""

    def _client(self) -> aiosmtplib.SMTP:
        s = self._settings
        context = ssl.create_default_context()
        if s.ca_file:
            context.load_verify_locations(s.ca_file)
        login: dict[str, Any] = {"username": s.username}
        login["password"] = s.password.get_secret_value() if s.password else None
        secure: dict[str, Any] = {"use_tls": s.encryption == "tls", "start_tls": s.encryption == "starttls"}
        if s.encryption != "none":
            secure["tls_context"] = context
        return aiosmtplib.SMTP(hostname=s.host, port=s.port, timeout=s.seconds, **secure, **login)

    def _mail(self, letter: Letter) -> EmailMessage:
        notice, mail = letter.notice, EmailMessage()
        # The same in each mail of an incident: Gmail makes no thread of mails whose subjects differ.
        mail["Subject"] = cut(one_line(f"[{notice.severity}] {notice.title}"), _MOST_SUBJECT)
        mail["From"] = Address("midwatch", addr_spec=self._settings.sender)
        mail["To"] = ", ".join(self._settings.to)
        mail["Date"] = format_datetime(letter.points[-1].at if letter.points else notice.started_at)
        mail["Message-ID"] = f"<{letter.id}@{self._domain}>"
        # No mail has the id of the thread: it is what all of them refer to, whichever was sent first.
        thread = f"<{letter_id(notice.incident, 'email', 'thread')}@{self._domain}>"
        mail["In-Reply-To"] = mail["References"] = thread
        mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no machine is to answer
        mail.set_content(plain(wording.plain_text(letter)))
        mail.add_alternative(_html(letter), subtype="html")
        return mail


def _html(letter: Letter) -> str:
    notice = letter.notice
    rows = "".join(
        f'<tr><td style="padding-right:12px"><b>{html(name)}</b></td><td>{html(value)}</td></tr>'
        for name, value in wording.facts(notice)
    )
    said = "".join(f"<p>{point.at:%H:%M:%S} UTC &nbsp; {html(point.text)}</p>" for point in letter.points)
    body = "".join(_part(part) for part in wording.parts(notice))
    commands = "<br>".join(f"<code>{html(line)}</code>" for line in wording.how_to_go_on(notice))
    return (
        f'<html><body style="{_STYLE}"><h2>{html(wording.title(notice))}</h2>{said}<table>{rows}</table>{body}'
        f'<p>{commands}</p><p style="color:#888">{html(wording.signature(letter))}</p></body></html>'
    )


def _part(part: wording.Part) -> str:
    if part.listed:
        return f"<h3>{html(part.heading)}</h3><ul>{''.join(f'<li>{html(line)}</li>' for line in part.lines)}</ul>"
    return f"<h3>{html(part.heading)}</h3><p>{'<br>'.join(map(html, part.lines))}</p>"


def _undelivered(host: str, error: Exception) -> Undelivered:
    """Return what an error of the client means: codes from 500 on are for good (RFC 5321)."""
    match error:
        case Undelivered():
            return error
        case aiosmtplib.SMTPAuthenticationError():
            return Undelivered(f"{host} does not let us in ({error.code}): see username and password", refused=True)
        case aiosmtplib.SMTPRecipientsRefused():
            codes = ", ".join(f"{one.recipient}: {one.code}" for one in error.recipients)
            passing = any(one.code < 500 for one in error.recipients)
            return Undelivered(f"{host} does not take mail for {codes}", hopeless=not passing)
        case aiosmtplib.SMTPResponseException():
            return Undelivered(f"{host} answers {error.code} ({error.message[:200]})", hopeless=error.code >= 550)
        case aiosmtplib.SMTPConnectError() | ssl.SSLError() | OSError() | aiosmtplib.SMTPNotSupported():
            return Undelivered(f"{host} cannot be reached: {why_not_reached(error)}")
        case aiosmtplib.SMTPException():
            return Undelivered(f"{host} broke off: {type(error).__name__}", perhaps=True)
        case _:
            raise error
