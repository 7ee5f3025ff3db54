"""Intake: every trigger becomes the same thing. One module for each source, with one function from body to alerts.

Those functions store and decide nothing, and the clock is asked only to refuse what would begin in the future.
`BadAlert` says which field could not be used. Who sent it is proven in `verify.py` and `sns.py`; what comes by HTTP
is in `routes.py`.
"""

from midwatch.intake.sentence import from_sentence
from midwatch.intake.sources import SOURCES, alerts_from

__all__ = ["SOURCES", "alerts_from", "from_sentence"]
