"""One call of a model: streamed, within a deadline and a purse, and every way in which it can end told apart.

Speaks the Messages API through Anthropic's own client, version 2; whatever speaks that API may be behind it. What the
service itself says of overload and of rates is heeded by the client: it tries again twice, as late as it is asked to.
"""

import json
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Literal, NamedTuple, TypeAlias

import anthropic
import anyio
from anthropic.lib.streaming import AsyncMessageStream

from midwatch.claude.prices import Usage, cost, dearest
from midwatch.claude.purse import Held, Purse
from midwatch.errors import HostError
from midwatch.settings.models import Price
from midwatch.storage.places import NoPlace, Places
from midwatch.storage.privacy import hidden

Block: TypeAlias = dict[str, Any]
"""A content block as the API has it."""

BYTES_PER_TOKEN: Final = 2
"""A token of text is rarely shorter: how many there are at most is told before the service counts them."""

Client: TypeAlias = anthropic.AsyncAnthropic | anthropic.AsyncAnthropicBedrock | anthropic.AsyncAnthropicVertex

Stream: TypeAlias = AsyncMessageStream[None]

Stop = Literal["done", "tools", "cut", "refused", "full", "paused"]
_STOPS: Final[Mapping[str, Stop]] = {
    "end_turn": "done",
    "stop_sequence": "done",
    "tool_use": "tools",
    "max_tokens": "cut",
    "refusal": "refused",
    "model_context_window_exceeded": "full",
    "pause_turn": "paused",
}
_UNMARKED: Final = frozenset({"thinking", "redacted_thinking"})
"""Blocks at which nothing can be kept."""


class ModelDown(HostError):
    """Raised when the model cannot be used: no key, no answer, no money there; the message says which."""


class NoSense(HostError):
    """Raised when an answer came that cannot be read: it broke off, or is not what the API promises."""


class Counted(NamedTuple):
    """How many tokens the service counted in so many bytes that were sent."""

    sent: int
    tokens: int


NOTHING: Final = Counted(0, 0)


@dataclass(frozen=True)
class Asked:
    """What one call sends; `tools` and `system` come first and stay the same from call to call, so that they cache.

    `counted` is what the service said of the same conversation when it was shorter.
    """

    system: Sequence[Block]
    messages: Sequence[Block]
    tools: Sequence[Block] = ()
    most_output: int = 4096
    choice: Mapping[str, Any] | None = None
    counted: Counted = NOTHING

    @cached_property
    def sent(self) -> int:
        """How many bytes are sent."""
        return len(json.dumps([*self.system, *self.messages, *self.tools], ensure_ascii=False).encode())

    @property
    def most_prompt(self) -> int:
        """How many tokens are sent at most."""
        return self.counted.tokens + max(0, -(-(self.sent - self.counted.sent) // BYTES_PER_TOKEN))


@dataclass(frozen=True)
class Turn:
    """What came back: content blocks as they are to be sent back, how it ended, what it took, and for how long (s)."""

    blocks: tuple[Block, ...]
    stop: Stop
    usage: Usage
    usd: float
    seconds: float

    @property
    def text(self) -> str:
        """What was said in words."""
        return "\n".join(block["text"] for block in self.blocks if block["type"] == "text")

    @property
    def uses(self) -> list[Block]:
        """The tools that are to be used, in order; of an answer that was cut short the last one is not whole."""
        uses = [block for block in self.blocks if block["type"] == "tool_use"]
        whole = self.stop != "cut" or self.blocks[-1:] != tuple(uses[-1:])
        return uses if whole else uses[:-1]


@dataclass
class Model:
    """A model by its name, at a service; `seconds` are for one call with all its tries.

    Calls of one `account` take its `places`, where they are limited: `at_once` of them, over all hosts.
    """

    client: Client
    name: str
    price: Price
    seconds: float
    places: Places | None = None
    account: str = ""
    at_once: int | None = None

    async def answer(self, asked: Asked, purse: Purse) -> Turn:
        """Return the model's answer; raises `Spent` before anything is sent, `ModelDown`, and `NoSense`."""
        if self.places is None:
            return await self._answer(asked, purse)
        try:
            async with self.places.holding(f"model {self.account}", self.at_once, self.seconds):
                return await self._answer(asked, purse)
        except NoPlace as error:
            raise ModelDown(f"{self.name} was not asked: {error}") from None

    async def _answer(self, asked: Asked, purse: Purse) -> Turn:
        prompt = asked.most_prompt
        with purse.holding(prompt + asked.most_output, dearest(prompt, asked.most_output, self.price)) as held:
            began = time.monotonic()
            with anyio.move_on_after(self.seconds):
                turn = await self._told(asked, held)
                return Turn(*turn, seconds=round(time.monotonic() - began, 3))
            raise ModelDown(f"{self.name} did not answer within {self.seconds:g} s")

    async def _told(self, asked: Asked, held: Held) -> tuple[tuple[Block, ...], Stop, Usage, float]:
        async with AsyncExitStack() as open_until_read:
            stream = await self._begun(asked, held, open_until_read)
            try:
                message = await stream.get_final_message()
            except anthropic.APIStatusError as error:
                raise NoSense(f"{self.name} broke off in the middle of its answer: {_said(error)}") from None
            except Exception as error:  # each service has a framing of its own, and each framing its own errors
                raise NoSense(f"{self.name} gave an answer that cannot be read: {hidden(str(error))[:200]}") from None
        if (stop := _STOPS.get(message.stop_reason or "")) is None:
            raise NoSense(f"{self.name} broke off in the middle of its answer ({message.stop_reason or 'no end'})")
        usage = _usage(message.usage)
        usd = cost(usage, self.price)
        held.cost(usage, usd)
        return tuple(block.to_dict(warnings=False) for block in message.content), stop, usage, usd

    async def _begun(self, asked: Asked, held: Held, until: AsyncExitStack) -> Stream:
        """Send what is asked, and return the answer as it begins; what is refused, or never sent, is not billed."""
        try:
            return await until.enter_async_context(self.client.messages.stream(**self._request(asked)))
        except anthropic.APIStatusError as error:
            held.cost(Usage(), 0.0)
            raise ModelDown(_refusal(self.name, error, self._needs)) from None
        except anthropic.APIConnectionError as error:
            held.cost(Usage(), 0.0)
            raise ModelDown(f"{self.name} cannot be reached at {self._where}: {_cause(error)}") from None
        except Exception as error:  # clouds look for credentials before they send, each with errors of its own
            held.cost(Usage(), 0.0)
            raise ModelDown(f"{self.name} cannot be asked: {_cause(error)}: {self._needs}") from None

    def _request(self, asked: Asked) -> dict[str, Any]:
        """The last block of system and of the messages are where the service may keep what came before them."""
        request: dict[str, Any] = {
            "model": self.name,
            "max_tokens": asked.most_output,
            "system": [*asked.system],
            "messages": _kept_until_the_end(asked.messages),
        }
        if asked.tools:
            request["tools"] = [*asked.tools]
        if asked.choice:
            request["tool_choice"] = dict(asked.choice)
        return request

    @property
    def _where(self) -> str:
        return str(self.client.base_url)

    @property
    def _needs(self) -> str:
        """What to do when the service does not let us in."""
        if isinstance(self.client, anthropic.AsyncAnthropicBedrock):
            return (
                "set AWS credentials that may invoke it (AWS_PROFILE, AWS_BEARER_TOKEN_BEDROCK, a role), and its region"
            )
        if isinstance(self.client, anthropic.AsyncAnthropicVertex):
            return "set Google credentials that may use it (GOOGLE_APPLICATION_CREDENTIALS, a role), and the project"
        return "set a key that may use it: ANTHROPIC_API_KEY or MIDWATCH_MODEL_API_KEY_FILE"


def _kept_until_the_end(messages: Sequence[Block]) -> list[Block]:
    """Return messages with a mark at their end, for the service's cache; not every service has one for the whole."""
    *before, last = messages
    content = last["content"]
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else [*content]
    places = [n for n, block in enumerate(blocks) if block["type"] not in _UNMARKED]
    if places:
        blocks[places[-1]] = {**blocks[places[-1]], "cache_control": {"type": "ephemeral"}}
    return [*before, {**last, "content": blocks}]


def _usage(told: anthropic.types.Usage) -> Usage:
    return Usage(
        input=told.input_tokens or 0,
        cache_write=told.cache_creation_input_tokens or 0,
        cache_read=told.cache_read_input_tokens or 0,
        output=told.output_tokens or 0,
    )


def _said(error: anthropic.APIStatusError) -> str:
    """Return the service's own words; Bedrock has them at the top, Vertex sometimes in a list."""
    body = error.body
    first = body[0] if isinstance(body, list) and body else body
    told = first.get("error", first) if isinstance(first, dict) else None
    return hidden(str(told.get("message") or told.get("Message") or ""))[:200] if isinstance(told, dict) else ""


def _refusal(name: str, error: anthropic.APIStatusError, needs: str) -> str:
    """Say what the service said, and what to do about it."""
    said = _said(error)
    match error.status_code:
        case 401 | 403:
            do = needs
        case 400:
            do = "it does not take what was sent: is MIDWATCH_MODEL a name that it has?"
        case 404:
            do = "is MIDWATCH_MODEL right, and MIDWATCH_MODEL_BASE_URL?"
        case 429 | 529:
            do = "it is overloaded, or the account's rate is used up: it was asked again, and then no more"
        case _:
            do = "see the service's status"
    return f"{name} answers {error.status_code}{f' ({said})' if said else ''}: {do}"


def _cause(error: BaseException) -> str:
    """The innermost reason of an error, in words."""
    while error.__cause__ is not None:
        error = error.__cause__
    return hidden(str(error))[:200] or type(error).__name__
