"""A fake of Slack, over real sockets: the methods of the Web API that are used, Socket Mode, and signed requests.

Blocks are read by the SDK's own models, which know Slack's limits.
"""

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import WSMsgType, web
from slack_sdk.models.blocks import Block
from tests.channels.vendors import Asked, Refused, Vendor

CHANNEL = "C0OPS"
BOT_TOKEN, APP_TOKEN, SIGNING = "xoxb-bot", "xapp-app", "signing-secret"
OF_A_PERSON = "1763000000.000050"
"""When somebody mentions the app: the timestamp of that message."""
ROBIN, STRANGER = "U0ROBIN", "U0STRANGER"
_MOST_BLOCKS, _MOST_TEXT = 50, 3000


class Workspace(Vendor):
    """Slack with one channel, in which one app is."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: dict[str, Any] = {}
        self.whispered: list[tuple[str, str]] = []
        self.edits: list[str] = []
        self.acknowledged: list[str] = []
        self.sockets: list[web.WebSocketResponse] = []
        self._count = 0

    def writes(self, asked: Asked) -> bool:
        return asked.path.startswith("/api/chat.")

    async def answer(self, asked: Asked) -> Any:
        method = asked.path.removeprefix("/api/")
        token = asked.headers.get("authorization", "").removeprefix("Bearer ")
        if token != (APP_TOKEN if method == "apps.connections.open" else BOT_TOKEN):
            raise Refused(200, {"ok": False, "error": "invalid_auth"})
        body = asked.query if asked.method == "GET" else _form_or_json(asked)
        if body.get("channel", CHANNEL) != CHANNEL:
            raise Refused(200, {"ok": False, "error": "channel_not_found"})
        return {"ok": True, **getattr(self, f"_{method.replace('.', '_').lower()}")(body)}

    def said(self) -> list[str]:
        return [f"{ts}: {message['text']}" for ts, message in self.messages.items()]

    @property
    def roots(self) -> list[Any]:
        """The messages that are not in a thread."""
        return [message for message in self.messages.values() if not message.get("thread_ts")]

    def replies(self) -> list[str]:
        """What the threads say, without the markup."""
        inside = [message for message in self.messages.values() if message.get("thread_ts")]
        return ["\n".join(b["text"]["text"] for b in message["blocks"]).replace("\u200b", "") for message in inside]

    def button(self, action: str, user: str = ROBIN, *, ts: str = "", value: str = "") -> dict[str, Any]:
        """Return what Slack sends when somebody presses a button of the first message, as its documentation has it."""
        root = self.roots[0]
        pressed = [e for b in root["blocks"] if b["type"] == "actions" for e in b["elements"]]
        chosen = next((e for e in pressed if e["action_id"] == action), {"action_id": action, "value": value})
        return {
            "type": "block_actions",
            "user": {"id": user, "username": "someone", "team_id": "T1"},
            "api_app_id": "A1",
            "container": {"type": "message", "message_ts": ts or root["ts"], "channel_id": CHANNEL},
            "trigger_id": f"trigger-{time.monotonic_ns()}",
            "channel": {"id": CHANNEL, "name": "ops"},
            "actions": [{**chosen, "type": "button", "value": value or chosen["value"], "action_ts": "1.1"}],
        }

    def mention(self, text: str, *, thread: str = "", user: str = ROBIN, event: str = "Ev1") -> dict[str, Any]:
        """Return what Slack sends when somebody mentions the app."""
        said = {
            "type": "app_mention", "user": user, "text": f"<@U0BOT> {text}", "ts": OF_A_PERSON,
            "channel": CHANNEL, "event_ts": OF_A_PERSON,
        }  # fmt: skip
        if thread:
            said["thread_ts"] = thread
        return {"type": "event_callback", "team_id": "T1", "api_app_id": "A1", "event_id": event, "event": said}

    async def sends(self, kind: str, payload: dict[str, Any]) -> str:
        """Send an envelope through the socket, and return its id."""
        envelope = f"envelope-{time.monotonic_ns()}"
        told = {"type": kind, "envelope_id": envelope, "accepts_response_payload": False, "payload": payload}
        await self.sockets[-1].send_str(json.dumps(told))
        return envelope

    async def special(self, request: web.Request, asked: Asked) -> web.StreamResponse | None:
        if asked.path != "/socket":
            return None
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_str(json.dumps({"type": "hello", "num_connections": 1}))
        self.sockets.append(socket)
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                self.acknowledged.append(json.loads(message.data)["envelope_id"])
        return socket

    @asynccontextmanager
    async def running(self, port: int = 0) -> AsyncGenerator["Workspace"]:
        async with super().running(port):
            try:
                yield self
            finally:
                for socket in self.sockets:
                    await socket.close()
                await asyncio.sleep(0)

    def _chat_postmessage(self, body: Any) -> Any:
        _check(body)
        if body.get("thread_ts") and body["thread_ts"] not in {*self.messages, OF_A_PERSON}:
            raise Refused(200, {"ok": False, "error": "thread_not_found"})
        self._count += 1
        ts = f"{1763000000 + self._count}.000100"
        self.messages[ts] = {**body, "ts": ts}
        return {"channel": CHANNEL, "ts": ts}

    def _chat_update(self, body: Any) -> Any:
        _check(body)
        if body["ts"] not in self.messages:
            raise Refused(200, {"ok": False, "error": "message_not_found"})
        self.messages[body["ts"]] |= body
        self.edits.append(body["ts"])
        return {"channel": CHANNEL, "ts": body["ts"]}

    def _chat_postephemeral(self, body: Any) -> Any:
        self.whispered.append((body["user"], body["text"]))
        return {"message_ts": "1.2"}

    def _conversations_history(self, body: Any) -> Any:
        return {"messages": _seen([m for m in self.messages.values() if not m.get("thread_ts")][::-1], body)}

    def _conversations_replies(self, body: Any) -> Any:
        if body["ts"] not in self.messages:
            raise Refused(200, {"ok": False, "error": "thread_not_found"})
        inside = [m for m in self.messages.values() if body["ts"] in (m["ts"], m.get("thread_ts"))]
        return {"messages": _seen(inside, body)}

    def _auth_test(self, body: Any) -> Any:
        return {"user": "midwatch", "team": "Shop", "user_id": "U0BOT"}

    def _apps_connections_open(self, body: Any) -> Any:
        return {"url": f"{self.url.replace('http', 'ws')}/socket"}


def signed(body: bytes, *, secret: str = SIGNING, at: float | None = None) -> dict[str, str]:
    """Return the headers that Slack signs a request with, by its documentation and not by the SDK."""
    timestamp = str(int(time.time() if at is None else at))
    mac = hmac.new(secret.encode(), b"v0:" + timestamp.encode() + b":" + body, hashlib.sha256).hexdigest()
    return {"x-slack-request-timestamp": timestamp, "x-slack-signature": f"v0={mac}"}


def _form_or_json(asked: Asked) -> Any:
    return asked.body if asked.headers.get("content-type", "").startswith("application/json") else {}


def _seen(messages: list[Any], body: Any) -> list[Any]:
    """Return messages as history gives them: metadata only to who asks for it."""
    whole = str(body.get("include_all_metadata", "")) in ("1", "true", "True")
    return [m if whole else {k: v for k, v in m.items() if k != "metadata"} for m in messages]


def _check(body: Any) -> None:
    """Refuse what Slack would: a message has a text, and blocks within limits that the SDK's models can read."""
    blocks = body.get("blocks", [])
    parsed = Block.parse_all(blocks)
    assert len(parsed) == len(blocks) <= _MOST_BLOCKS
    for block in parsed:
        block.validate_json()
    texts = [block["text"]["text"] for block in blocks if block["type"] == "section" and "text" in block]
    if not body.get("text") or any(not text or len(text) > _MOST_TEXT for text in texts):
        raise Refused(200, {"ok": False, "error": "invalid_blocks"})
