"""How an argument is made: a name, a weight in log-odds, words for a reader, and the observations it rests on."""

import math

from midwatch.records import Argument
from midwatch_kit.records import Observation

KILLS = -math.inf


def argument(name: str, weight: float, text: str, *seen: Observation | None, decisive: bool = False) -> Argument:
    """Return an argument; a weight of `KILLS` ends the hypothesis, whatever else speaks for it."""
    named = tuple(dict.fromkeys(o.id for o in seen if o))
    return Argument(name=name, weight=max(weight, -1e9), text=text, observations=named, decisive=decisive)
