"""What must not stand in the journal, whatever telemetry says: personal data, and what opens doors.

The journal is what people pass on; the bytes behind it stay as they are in the evidence, which only its owner can
read. Known by form alone are e-mail addresses, numbers of payment cards, passwords in `name=value` form, and what
`midwatch_kit.secrets` knows. Names and postal addresses have no form to be known by.
"""

import re
from collections.abc import Callable

from pydantic import JsonValue

from midwatch_kit.records import Citation, Observation, Signal
from midwatch_kit.secrets import without_known_secrets

_EMAIL = re.compile(r"\b[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")
_DIGITS = re.compile(r"(?<![\w.-])\d+(?:[ -]\d+)*(?![\w-])")
_MOST_GROUPS = 5
_GROUP = re.compile(r"\d+")
_PASSWORD = re.compile(r"(?i:\b(?:password|passwd|pwd|secret|api[_-]?key|access[_-]?token)\s*[=:]\s*)[^\s,;&\"']+")

Placeholder = Callable[[str, str], str]
"""Returns what stands in the place of something: gets its kind (secret, email, card) and the thing itself."""


def hidden(text: str, instead: Placeholder = lambda kind, _: f"<{kind}>") -> str:
    """Return a text with placeholders in place of what must not be passed on."""
    known = without_known_secrets(text, lambda found: instead("secret", found[0]))
    named = _PASSWORD.sub(lambda found: instead("secret", found[0]), known)
    mailed = _EMAIL.sub(lambda found: instead("email", found[0]), named)
    return _DIGITS.sub(lambda found: _without_cards(found[0], instead), mailed)


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


def _without_cards(run: str, instead: Placeholder) -> str:
    """Return groups of digits without those that are a card, one card after the other."""
    groups = [(found.start(), found.end()) for found in _GROUP.finditer(run)]
    for first, (start, _) in enumerate(groups):
        for _, end in groups[first : first + _MOST_GROUPS]:
            if "-" not in (run[start - 1 : start], run[end : end + 1]) and _is_card(run[start:end]):
                return run[:start] + instead("card", run[start:end]) + _without_cards(run[end:], instead)
    return run


def _is_card(text: str) -> bool:
    """Whether digits are as many as a payment card has, and their last checks the others (ISO/IEC 7812-1, Luhn)."""
    digits = [int(c) for c in text if c.isdigit()]
    if text[0] not in "3456":
        return False
    doubled = [d * 2 - 9 * (d > 4) for d in digits[-2::-2]]
    return 13 <= len(digits) <= 19 and (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0
