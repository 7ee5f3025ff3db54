"""From log-odds to a confidence that means what it says: of those that are named with 0.7, seven in ten are right.

The reasoner's arguments are not quite independent, so their sum is too sure or not sure enough. A logistic curve over
the log-odds mends that (Platt, "Probabilistic outputs for support vector machines", 1999), one for causes with decisive
evidence and one for those without. `calibration.json` holds the two, and says where they are from.
"""

import math
from importlib.resources import files

from pydantic import Field

from midwatch.records import Limit
from midwatch_kit.records import Record


class Curve(Record):
    """A logistic curve: confidence is 1 / (1 + exp(-(slope * log-odds + intercept))), and at most `highest`."""

    slope: float = Field(ge=0)
    intercept: float
    highest: float = Field(gt=0, lt=1, description="nothing is ever certain")

    def confidence(self, log_odds: float) -> float:
        """Return how sure one can be, in 0 to 1, at log-odds against all rivals; those beyond `MOST` tell no more."""
        within = max(-MOST, min(MOST, log_odds))
        return min(self.highest, 1 / (1 + math.exp(-(self.slope * within + self.intercept))))


class Calibration(Record):
    """The curves for causes with decisive evidence and without, the bounds for limited ones, and where all is from."""

    decisive: Curve
    indecisive: Curve
    limits: dict[Limit, float] = Field(default_factory=dict, description="confidence at most, in 0 to 1")
    provenance: dict[str, str]


MOST = 9.0
"""Probabilities are kept to four digits: log-odds beyond these cannot be told apart."""
CALIBRATION = Calibration.model_validate_json(
    files("midwatch.builtin").joinpath("calibration.json").read_text(encoding="utf-8")
)
