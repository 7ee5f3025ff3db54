"""What a model's tokens cost, and what one call may cost at most.

List prices are of https://platform.claude.com/docs/en/about-claude/pricing, read in November 2026: US dollars for a
million tokens; a cache that is kept for five minutes is written for a quarter more than the input costs. Clouds have
names of their own for the same models, and their regional endpoints cost a tenth more than their global ones.
"""

import re
from collections.abc import Mapping
from typing import Final

from pydantic import Field

from midwatch.errors import BadSettings
from midwatch.settings.models import Price
from midwatch_kit.records import Record

_MILLION: Final = 1_000_000
_REGIONAL: Final = 1.1
_CLOUDS_NAME: Final = re.compile(
    r"(?:(?P<where>[a-z]{2,6})\.)?(?:anthropic\.)?(?P<name>claude-[a-z0-9-]+?)(?:[@-]\d{8}|@default)?(?:-v\d+(?::\d+)?)?"
)
"""A listed name as clouds spell it: global.anthropic.NAME-20261001-v1:0 at Bedrock, NAME@20261001 at Vertex."""


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


def price_of(model: str, prices: Mapping[str, Price], *, regional: bool = False) -> Price:
    """Return a model's price, the settings' before the listed one; `regional` says that an endpoint is no global one.

    Raises `BadSettings` for a model that nobody gave a price: its cost could not be limited.
    """
    if model in prices:
        return prices[model]
    known = {**LISTED, **prices}
    found = _CLOUDS_NAME.fullmatch(model)
    if found is None or (price := known.get(found["name"])) is None:
        raise BadSettings(
            f"no price is known for the model {model!r}, so that what it costs could not be limited: add it to "
            f"MIDWATCH_MODEL_PRICES, or choose one of {', '.join(sorted(known))}"
        )
    return _dearer(price, _REGIONAL) if regional or found["where"] not in (None, "global") else price


def _dearer(price: Price, factor: float) -> Price:
    of_tokens = ("input", "output", "cache_write", "cache_read")
    return price.model_copy(update={name: getattr(price, name) * factor for name in of_tokens})


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
