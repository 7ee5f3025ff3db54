"""What people say in Slack: questions, steers, and a yes or no by a button.

All of it is foreign. A question is answered as `midwatch ask` does, a steer is heeded as `midwatch steer` is, and only
a person whom the settings name decides on a plan, by the digest of the plan that waits. Nothing else is ever granted.
"""

import contextlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from html import unescape
from typing import Any, Final

import anyio
import anyio.lowlevel

from midwatch.channels import slack_blocks
from midwatch.channels.letters import Undelivered
from midwatch.channels.notices import notice_of
from midwatch.channels.outbox import Outbox
from midwatch.channels.slack import Slack
from midwatch.chat.talk import ENVIRONMENT, Talk
from midwatch.errors import HostError
from midwatch.host import Host
from midwatch.mitigation.approvals import decide_by_name
from midwatch.records import Decision, Incident, Message
from midwatch.steering.steers import meaning, tell
from midwatch.telling import Fields
from midwatch.understanding import understand
from midwatch_kit.errors import KitError
from midwatch_topology import UnknownEntity

_MENTION: Final = re.compile(r"<@[UW][A-Z0-9]+(?:\|[^>]*)?>")
_LINK: Final = re.compile(r"<((?:https?|mailto):[^|>]+)(?:\|([^>]*))?>")
_USER: Final = re.compile(r"[UW][A-Z0-9]{2,20}")
_EVENT: Final = re.compile(r"[\w.-]{1,60}")
_COMMAND: Final = re.compile(r"(?i)\s*(steer|look|model)\b[:\s]+(.*)", re.DOTALL)
_QUOTES: Final = str.maketrans("“”„‘’", '"""\'\'')  # noqa: RUF001 - as telephones type them
_MOST_WAITING: Final = 50
_AT_ONCE: Final = 3
_ANSWER_SECONDS: Final = 300.0
_HELP: Final = (
    "Ask in plain words, as: why not the database? `look …` asks the servers afresh, `model …` asks a model as well, "
    "`steer …` tells the investigation what you know, as: steer look only at the latest wave"
)
Work = Callable[[], Any]


@dataclass
class People:
    """What people say through one host's Slack channels, handled one after the other by `run`.

    `heard` takes what Slack sent and says whether there was room for it; it never waits and never raises.
    """

    host: Host
    outbox: Outbox
    slacks: Mapping[str, Slack]
    _waiting: list[Work] = field(default_factory=list)
    _wake: anyio.Event = field(default_factory=anyio.Event)

    def heard(self, payload: object) -> bool:
        """Take what Slack sent; False says that too much waits, and that it may be sent again."""
        work = self._work(payload)
        if work is None:
            return True
        if len(self._waiting) >= _MOST_WAITING:
            return False
        self._waiting.append(work)
        self._wake.set()
        return True

    async def run(self) -> None:
        """Handle what was heard, a few at once, until cancelled."""
        room = anyio.CapacityLimiter(_AT_ONCE)
        async with anyio.create_task_group() as group:
            while True:
                self._wake = anyio.Event()
                while self._waiting and room.available_tokens:
                    group.start_soon(self._handle, self._waiting.pop(0), room)
                    await anyio.lowlevel.checkpoint()
                await self._wake.wait()

    async def _handle(self, work: Work, room: anyio.CapacityLimiter) -> None:
        async with room:
            with contextlib.suppress(Undelivered, HostError), anyio.move_on_after(_ANSWER_SECONDS):
                await work()
        self._wake.set()

    def _work(self, payload: object) -> Work | None:
        """Return what a payload asks for; None for what is not meant for us, whatever it is."""
        if not isinstance(payload, dict):
            return None
        if payload.get("type") == "event_callback" and isinstance(event := payload.get("event"), dict):
            name = str(payload.get("event_id", ""))
            wanted = event.get("type") == "app_mention" and not event.get("bot_id") and _EVENT.fullmatch(name)
            return (lambda: self._mentioned(event, name)) if wanted else None
        if payload.get("type") == "block_actions":
            return lambda: self._pressed(payload)
        return None

    async def _mentioned(self, event: dict[str, Any], name: str) -> None:
        """Answer whoever mentioned us, in the thread, once for each event however often it is sent."""
        user, channel, ts = (str(event.get(key, "")) for key in ("user", "channel", "ts"))
        thread = str(event.get("thread_ts") or ts)
        if not _USER.fullmatch(user):
            return
        if (found := self._at(channel)) is None:
            if self.slacks:
                await _whisper(next(iter(self.slacks.values())), channel, user, "midwatch answers in its own channels")
            return
        entry, slack = found
        incident = self._incident_of(entry, channel, str(event.get("thread_ts") or ""))
        if not self.outbox.once(incident.id if incident else ENVIRONMENT, entry, f"answer:{name}"):
            return
        by = f"{slack.settings.approvers.get(user, 'a person')} (Slack {user})"
        lines = await self._answered(_words(str(event.get("text", ""))), incident, by)
        await slack.post(thread_ts=thread, **slack_blocks.answer(lines))

    async def _answered(self, words: str, incident: Incident | None, by: str) -> list[str]:
        """Return the answer to what somebody said, or what is wrong with it."""
        told = _COMMAND.fullmatch(words)
        command, rest = (told[1].casefold(), told[2]) if told else ("", words)
        if not rest.strip() or words.casefold() == "help":
            return [_HELP]
        try:
            if command == "steer":
                return await self._steered(rest.strip(), incident, by)
            reply = await self._talk().ask(rest, incident, look=command == "look", model=command == "model", by=by)
        except (HostError, KitError, UnknownEntity) as error:
            return [str(error)]
        about = [f"About {incident.title}:"] if incident else []
        return [*about, *reply.lines]

    async def _steered(self, words: str, incident: Incident | None, by: str) -> list[str]:
        if incident is None:
            return ["There is no investigation to steer here: say it in the thread of an incident."]
        steer = await understand(self.host.journal, self.host.settings, incident, words, by, Fields())
        tell(self.host.journal, incident.id, steer)
        return [f"Understood: {meaning(steer)}. midwatch looks again."]

    async def _pressed(self, payload: dict[str, Any]) -> None:
        """Decide on a plan, if the person may, and if it is the plan that waits; say so to that person alone if not."""
        press = _Press.of(payload)
        if press is None or (found := self._at(press.channel)) is None:
            return
        entry, slack = found
        if said := self._decide(entry, slack, press):
            await _whisper(slack, press.channel, press.user, said, press.ts)

    def _decide(self, entry: str, slack: Slack, press: "_Press") -> str:
        """Put a decision on record and return '', or return why not, for the person who pressed."""
        journal = self.host.journal
        if why_not := self._may_not(entry, slack, press):
            return why_not
        by = f"{slack.settings.approvers[press.user]} (Slack {press.user})"
        reason = f"said in Slack, in {press.channel}"
        try:
            made = decide_by_name(journal, press.incident, press.digest, approved=press.approved, by=by, reason=reason)
        except HostError as error:
            return str(error)
        return "" if (made.by, made.approved) == (by, press.approved) else f"It was decided already. {made.said}"

    def _may_not(self, entry: str, slack: Slack, press: "_Press") -> str:
        """Return why somebody cannot decide on a plan, for that person; '' for nothing."""
        journal = self.host.journal
        if self.outbox.incident_at(entry, f"{press.channel}/{press.ts}") != press.incident:
            return "That message is not about this plan: read it again."
        if press.user not in slack.settings.approvers:
            said = Message(text=f"Slack {press.user} wanted to decide on plan {press.digest[:12]}, and may not")
            journal.note(press.incident, "message", f"pressed:{entry}:{press.user}:{press.digest[:16]}", said, entry)
            return "You may not decide on plans: approvers, in midwatch's settings, does not name you. It is on record."
        if known := journal.recall(press.incident, "decision", press.digest, Decision):
            return f"It was decided already. {known.said}"
        notice = notice_of(journal, press.incident)
        plan = notice.plan if notice else None
        if plan is None or plan.digest != press.digest:
            return f"That plan ({press.digest[:12]}) is not the one that waits any more: read the new one."
        return "" if plan.waits else "No plan waits for a decision now."

    def _at(self, channel: str) -> tuple[str, Slack] | None:
        """Return the channel of the settings that has an id; None for any other."""
        return next(((name, slack) for name, slack in self.slacks.items() if slack.settings.channel == channel), None)

    def _incident_of(self, entry: str, channel: str, thread: str) -> Incident | None:
        """Return the incident of a thread, or outside of any the latest that was told here and is not over."""
        journal = self.host.journal
        if thread:
            name = self.outbox.incident_at(entry, f"{channel}/{thread}")
            return journal.incident(name) if name else None
        for name in self.outbox.latest_in(entry):
            notice = notice_of(journal, name)
            if notice and not notice.over:
                return journal.incident(name)
        return None

    def _talk(self) -> Talk:
        @contextlib.asynccontextmanager
        async def door(_: Incident | None) -> Any:
            yield self.host

        return Talk(self.host.settings, self.host.journal, self.host.eyes.kept, door)


@dataclass(frozen=True)
class _Press:
    """One press of a button, as far as it can be read."""

    user: str
    channel: str
    ts: str
    incident: str
    digest: str
    approved: bool

    @classmethod
    def of(cls, payload: dict[str, Any]) -> "_Press | None":
        try:
            action, where = payload["actions"][0], payload["container"]
            incident, digest = slack_blocks.value_of(action["value"])
            chosen = {slack_blocks.APPROVE: True, slack_blocks.REJECT: False}[action["action_id"]]
            told = (str(payload["user"]["id"]), str(where["channel_id"]), str(where["message_ts"]))
        except (KeyError, IndexError, TypeError, ValueError):
            return None
        return cls(*told, incident, digest, chosen) if _USER.fullmatch(told[0]) else None


def _words(text: str) -> str:
    """Return what somebody typed: without the mention, and as it was before Slack wrote it in its own way."""
    bare = _MENTION.sub(" ", text)
    text = unescape(_LINK.sub(lambda found: found[2] or found[1], bare)).translate(_QUOTES)
    return " ".join(text.split())


async def _whisper(slack: Slack, channel: str, user: str, text: str, thread: str = "") -> None:
    """Say something that only one person sees."""
    more = {"thread_ts": thread} if thread else {}
    message = slack_blocks.answer([text])
    with contextlib.suppress(Undelivered):
        await slack.call(slack.client.chat_postEphemeral, channel=channel, user=user, **message, **more)
