"""What must not stand in the journal, whatever telemetry says: personal data, and what opens doors.

The journal is what people pass on; the bytes behind it stay as they are in the evidence, which only its owner can
read. Known by form alone are e-mail addresses, numbers of payment cards, passwords in `name=value` form, and what
`midwatch_kit.secrets` knows. Names and postal addresses have no form to be known by.
"""

import re

from pydantic import JsonValue

from midwatch_kit.records import Citation, Observation, Signal
from midwatch_kit.secrets import without_known_secrets

_EMAIL = re.compile(r"\b[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")
_CARD = re.compile(r"(?<![\w.-])[3-6]\d{3}(?:[ -]?\d{2,6}){2,4}(?![\w-])")
_PASSWORD = re.compile(r"(?i:\b(?:password|passwd|pwd|secret|api[_-]?key|access[_-]?token)\s*[=:]\s*)[^\s,;&\"']+")


def hidden(text: str) -> str:
    """Return a text with placeholders in place of what must not be passed on."""
    without = _PASSWORD.sub("<secret>", without_known_secrets(text, "<secret>"))
    return _CARD.sub(lambda found: "<card>" if _is_card(found[0]) else found[0], _EMAIL.sub("<email>", without))


def without_personal_data(seen: Observation) -> Observation:
    """Return an observation fit for the journal; who made a change may be named, since that is whom one asks.

    A quoted text is cut where it would say too much: what is left still stands in the evidence.
    """
    if seen.signal is Signal.CHANGES:
        return seen
    attributes = {name: hidden(text) for name, text in seen.attributes.items()}
    citations = tuple(map(_cut, seen.citations))
    return seen.model_copy(
        update={"statement": hidden(seen.statement), "attributes": attributes, "citations": citations}
    )


def _cut(citation: Citation) -> Citation:
    quote: JsonValue = citation.quote
    if not isinstance(quote, str) or (masked := hidden(quote)) == quote:
        return citation
    sound = next((n for n, (a, b) in enumerate(zip(quote, masked, strict=False)) if a != b), len(masked))
    return citation.model_copy(update={"quote": quote[:sound]})


def _is_card(text: str) -> bool:
    """Whether digits are as many as a payment card has, and their last checks the others (ISO/IEC 7812-1, Luhn)."""
    digits = [int(c) for c in text if c.isdigit()]
    doubled = [d * 2 - 9 * (d > 4) for d in digits[-2::-2]]
    return 13 <= len(digits) <= 19 and (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0
