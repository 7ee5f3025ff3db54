"""What a run's model was sent and cost, counted the same for everybody: by the bridge's bill, at list prices.

Without caching every token that is sent costs what new input costs.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from midwatch.claude.prices import Usage, cost, price_of
from midwatch_kit.records import Record


class Billed(Record):
    """Calls of models, tokens and US dollars of one run; `input_tokens` are all that were sent, cached or not.

    `largest` is the longest prompt of one call, `by_model` how often each model was asked.
    """

    calls: int = 0
    by_model: Mapping[str, int] = {}
    input_tokens: int = 0
    new_tokens: int = 0
    cache_write_tokens: int = 0
    cache_read_tokens: int = 0
    output_tokens: int = 0
    largest: int = 0
    usd_uncached: float = 0.0
    usd_cached: float = 0.0


def billed(seat: Path) -> Billed:
    """Return what was billed at a seat; nothing where nobody was asked."""
    path = seat / "bill.json"
    calls: Sequence[Mapping[str, Any]] = json.loads(path.read_bytes()) if path.exists() else []
    usages = [(str(call["model"]), _usage(call)) for call in calls]
    names = [model for model, _ in usages]
    return Billed(
        calls=len(usages),
        by_model={name: names.count(name) for name in sorted(set(names))},
        input_tokens=sum(usage.prompt for _, usage in usages),
        new_tokens=sum(usage.input for _, usage in usages),
        cache_write_tokens=sum(usage.cache_write for _, usage in usages),
        cache_read_tokens=sum(usage.cache_read for _, usage in usages),
        output_tokens=sum(usage.output for _, usage in usages),
        largest=max((usage.prompt for _, usage in usages), default=0),
        usd_uncached=round(sum(_usd(model, Usage(input=u.prompt, output=u.output)) for model, u in usages), 6),
        usd_cached=round(sum(_usd(model, usage) for model, usage in usages), 6),
    )


def _usage(call: Mapping[str, Any]) -> Usage:
    return Usage(
        input=call["input_tokens"],
        cache_write=call["cache_creation_input_tokens"],
        cache_read=call["cache_read_input_tokens"],
        output=call["output_tokens"],
    )


def _usd(model: str, usage: Usage) -> float:
    return cost(usage, price_of(model, {}))
