"""Slack, by its own SDK: one message for each incident that changes, and a thread with its turning points.

What was said is found again by the metadata that Slack keeps with a message, which people do not see.
"""

import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

import aiohttp
from pydantic import JsonValue
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from midwatch.channels import slack_blocks
from midwatch.channels.http import pause_of, why_not_reached
from midwatch.channels.letters import EVERY, Letter, Style, Undelivered
from midwatch.channels.notices import Notice
from midwatch.settings.channels import SlackSettings

EVENT: Final = "midwatch_notice"
_A_PAGE, _PAGES = 200, 5
"""Messages of a channel, or of a thread, among which one is looked for that may have been sent."""
_REFUSED: Final = {
    "invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired", "missing_scope",
    "not_in_channel", "channel_not_found", "is_archived", "no_permission", "org_login_required", "access_denied",
    "not_allowed_token_type", "restricted_action", "ekm_access_denied", "team_access_not_granted",
}  # fmt: skip
"""What somebody has to put right, in the settings or at Slack."""
_PASSING: Final = {"internal_error", "fatal_error", "service_unavailable", "request_timeout", "team_added_to_org"}
_QUIET: Final = logging.getLogger("midwatch.channels.slack")


class Slack:
    """One Slack channel."""

    style = Style(edits=True, stages=EVERY - {"opened"})

    def __init__(self, settings: SlackSettings) -> None:
        self.settings = settings
        # No retries here: the outbox asks first whether what was sent is there.
        self.client = AsyncWebClient(
            token=settings.bot_token.get_secret_value(),
            base_url=f"{settings.api}/",
            timeout=int(settings.seconds) or 1,
            retry_handlers=[],
            logger=_QUIET,
        )

    def has_place(self, notice: Notice) -> bool:
        """Return that any incident can be told."""
        return True

    def content(self, letter: Letter) -> JsonValue:
        """Return the text and the blocks."""
        return self._content(letter)

    async def send(self, letter: Letter) -> str:
        """Post it, in the incident's thread if it is about a turning point; returns channel and timestamp."""
        thread = letter.within.partition("/")[2] if letter.within else None
        more = {"thread_ts": thread} if thread else {}
        return await self.post(metadata=_metadata(letter), **self._content(letter), **more)

    async def post(self, **message: Any) -> str:
        """Post a message to the channel, in which no address is unfolded and no name notifies anybody."""
        quiet = {"unfurl_links": False, "unfurl_media": False, "link_names": False, "parse": "none"}
        told = await self.call(self.client.chat_postMessage, channel=self.settings.channel, **quiet, **message)
        return f"{told['channel']}/{told['ts']}"

    async def change(self, place: str, letter: Letter) -> None:
        """Change the message; who took it away has said enough, so it is not posted anew."""
        channel, _, ts = place.partition("/")
        content = self._content(letter)
        await self.call(self.client.chat_update, channel=channel, ts=ts, metadata=_metadata(letter), **content)

    async def find(self, letter: Letter) -> str | None:
        """Look through the latest messages of the channel, or of the thread, for one with this id."""
        asked: dict[str, Any] = {"channel": self.settings.channel, "limit": _A_PAGE, "include_all_metadata": True}
        if letter.within:
            method, asked["ts"] = self.client.conversations_replies, letter.within.partition("/")[2]
        else:
            method, asked["oldest"] = self.client.conversations_history, _since(letter)
        for _ in range(_PAGES):
            told = await self.call(method, **asked)
            for each in told.get("messages", []):
                if _id_of(each) == letter.id:
                    return f"{self.settings.channel}/{each['ts']}"
            asked["cursor"] = (told.get("response_metadata") or {}).get("next_cursor")
            if not asked["cursor"]:
                return None
        return None

    async def check(self) -> str:
        """Ask who the token is, and whether it may read the channel that it writes to."""
        told = await self.call(self.client.auth_test)
        await self.call(self.client.conversations_history, channel=self.settings.channel, limit=1)
        return f"{told.get('user', 'a bot')} in {told.get('team', 'a workspace')} reaches {self.settings.channel}"

    async def call(self, method: Callable[..., Awaitable[AsyncSlackResponse]], **arguments: Any) -> dict[str, Any]:
        """Call a method of the SDK's client and return what Slack answers; raises `Undelivered`."""
        name = getattr(method, "__name__", "a method").replace("_", ".", 1)
        writes = name.startswith("chat.")
        try:
            answer = await method(**arguments)
        except SlackApiError as error:
            raise _undelivered(name, error, writes) from None
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise Undelivered(f"Slack cannot be reached: {why_not_reached(error)}") from None
        except (aiohttp.ClientError, SlackClientError, TimeoutError, OSError, ValueError) as error:
            raise Undelivered(f"Slack broke off {name}: {type(error).__name__}", perhaps=writes) from None
        return answer.data if isinstance(answer.data, dict) else {}

    def _content(self, letter: Letter) -> dict[str, Any]:
        return slack_blocks.reply(letter) if letter.points else slack_blocks.message(letter, buttons=self._answerable)

    @property
    def _answerable(self) -> bool:
        """Whether a press of a button would reach us, from somebody who may decide."""
        return bool(self.settings.approvers) and bool(self.settings.app_token or self.settings.signing_secret)

    async def aclose(self) -> None:
        """Nothing stays open between calls."""


def _metadata(letter: Letter) -> dict[str, Any]:
    return {"event_type": EVENT, "event_payload": {"id": letter.id, "incident": letter.notice.incident}}


def _id_of(message: dict[str, Any]) -> str:
    metadata = message.get("metadata") or {}
    return str((metadata.get("event_payload") or {}).get("id")) if metadata.get("event_type") == EVENT else ""


def _since(letter: Letter) -> str:
    """Return a moment before which the message cannot have been sent, whoever's clock is wrong by an hour."""
    return f"{letter.notice.points[0].at.timestamp() - 3600:.6f}"


def _undelivered(method: str, error: SlackApiError, writes: bool) -> Undelivered:
    """Return what an answer of Slack's means; `error` names it in one word."""
    response: Any = error.response
    status = getattr(response, "status_code", 0) or getattr(response, "status", 0)
    data = getattr(response, "data", None)
    name = str(data.get("error", "")) if isinstance(data, dict) else ""
    said = f"Slack answers {method} with {name or status}"
    if status == 429 or name in ("ratelimited", "rate_limited"):
        pause = pause_of(_lower(response.headers))
        return Undelivered(said, pause=30.0 if pause is None else pause)
    if name in _REFUSED or status in (401, 403):
        needed = f" (needs {data['needed']})" if isinstance(data, dict) and "needed" in data else ""
        return Undelivered(
            f"{said}{needed}: see the app's scopes, its token, and whether it is in the channel", refused=True
        )
    if status >= 500 or name in _PASSING or not name:
        return Undelivered(said, perhaps=writes)
    return Undelivered(said, hopeless=True)


def _lower(headers: Any) -> dict[str, str]:
    return {str(name).lower(): str(value) for name, value in dict(headers or {}).items()}
