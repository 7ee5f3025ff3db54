"""What a model's tokens cost, and what one call may cost at most.

List prices are of https://platform.claude.com/docs/en/about-claude/pricing, read in November 2026: US dollars for a
million tokens; a cache that is kept for five minutes is written for a quarter more than the input costs.
"""

from collections.abc import Mapping
from typing import Final

from pydantic import Field

from midwatch.errors import BadSettings
from midwatch.model_settings import Price
from midwatch_kit.records import Record

_MILLION: Final = 1_000_000


class Usage(Record):
    """Tokens of one call as the service counts them; `input` are those that no cache was written or read with."""

    input: int = Field(0, ge=0)
    cache_write: int = Field(0, ge=0)
    cache_read: int = Field(0, ge=0)
    output: int = Field(0, ge=0)

    @property
    def prompt(self) -> int:
        """All tokens that were sent."""
        return self.input + self.cache_write + self.cache_read

    @property
    def total(self) -> int:
        """All tokens that were sent and received."""
        return self.prompt + self.output


LISTED: Final[Mapping[str, Price]] = {
    "claude-opus-5-5": Price(input=4.0, output=20.0, cache_write=5.0, cache_read=0.2),
    "claude-sonnet-5-5": Price(input=2.0, output=10.0, cache_write=2.5, cache_read=0.1),
    "claude-haiku-5-5": Price(
        input=0.1, output=0.5, cache_write=0.125, cache_read=0.01, long_from=100_000, long_factor=5.0
    ),
}


def price_of(model: str, prices: Mapping[str, Price]) -> Price:
    """Return a model's price; raises `BadSettings` for one that nobody gave a price: its cost could not be limited."""
    known = {**LISTED, **prices}
    if (price := known.get(model)) is None:
        raise BadSettings(
            f"no price is known for the model {model!r}, so that what it costs could not be limited: add it to "
            f"MIDWATCH_MODEL_PRICES, or choose one of {', '.join(sorted(known))}"
        )
    return price


def cost(usage: Usage, price: Price) -> float:
    """Return what a call cost, in US dollars."""
    factor = price.long_factor if price.long_from is not None and usage.prompt >= price.long_from else 1.0
    tokens = (
        usage.input * price.input
        + usage.cache_write * price.cache_write
        + usage.cache_read * price.cache_read
        + usage.output * price.output
    )
    return factor * tokens / _MILLION


def dearest(prompt: int, output: int, price: Price) -> float:
    """Return what a call with so many tokens costs at most, in US dollars: all of them new, and put into the cache."""
    most = max(price.input, price.cache_write)
    return cost(Usage(input=prompt, output=output), price.model_copy(update={"input": most}))
