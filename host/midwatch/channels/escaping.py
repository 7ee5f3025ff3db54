"""Foreign texts, made harmless for each medium: titles of alerts and lines of logs may hold markup, links and mentions.

Nothing that stands in a text may notify anybody, look like a link to somewhere else, or end the element it is in.
"""

import re
from html import escape
from typing import Final

_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\u2028\u2029]|[\u202a-\u202e\u2066-\u2069]")
_GAP: Final = "\u200b"
"""A space of no width: it breaks a mention, and nobody sees it."""
_SLACK_MARKS: Final = re.compile(r"([*_~`])")
_MENTION: Final = re.compile(r"@(?=\w)")
_MARKDOWN: Final = re.compile(r"([\\`*_{}\[\]()<>#+!|~-])")
_CARD_MARKS: Final = re.compile(r"[&<>\\`*_\[\]~|]")
_CARD_BLOCK: Final = re.compile(r"^(?=\s*(?:[#+=-]|\d+[.)]))")
_ADDRESS: Final = re.compile(r"(?i)\b(https?|ftp|mailto|www)(:|\.)")
_REFERENCE: Final = re.compile(r"(?i)\b(GH)(?=-|\\-)")


def clean(text: str) -> str:
    """Return a text without control characters and without those that turn the direction of writing."""
    return _CONTROL.sub(" ", text)


def cut(text: str, most: int) -> str:
    """Return a text of at most so many characters, with a mark where it was cut."""
    return text if len(text) <= most else f"{text[: most - 2]} …"


def slack(text: str) -> str:
    """Return a text for Slack's mrkdwn: no markup, no link, and no mention, written `<!here>` or `@here`."""
    safe = clean(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _MENTION.sub(f"@{_GAP}", _SLACK_MARKS.sub(rf"{_GAP}\1", safe))


def html(text: str) -> str:
    """Return a text for HTML, inside elements and attributes."""
    return escape(clean(text), quote=True)


def card(text: str) -> str:
    """Return a text for Markdown as cards of Teams have it: no markup, link or mention.

    By entities, since Teams on telephones shows the backslashes that Markdown escapes with.
    """
    safe = _CARD_MARKS.sub(lambda found: f"&#{ord(found[0])};", clean(text).replace("\n", " "))
    safe = _ADDRESS.sub(rf"\1{_GAP}\2", safe)
    return _MENTION.sub(f"@{_GAP}", _CARD_BLOCK.sub(_GAP, safe))


def markdown(text: str) -> str:
    """Return a text for Markdown as GitHub has it: no markup, link, mention or reference."""
    safe = _MARKDOWN.sub(r"\\\1", clean(text).replace("\n", " "))
    safe = safe.replace("&", "&amp;").replace("\\<", "&lt;").replace("\\>", "&gt;")
    safe = _REFERENCE.sub(rf"\1{_GAP}", _ADDRESS.sub(rf"\1{_GAP}\2", safe))
    return _MENTION.sub(f"@{_GAP}", safe.replace("\\#", f"\\#{_GAP}"))


def plain(text: str) -> str:
    """Return a text for places that know no markup, in which an address may still become a link."""
    return clean(text)


def one_line(text: str) -> str:
    """Return a text for the header of a mail: no line break, whatever stands in it."""
    return " ".join(clean(text).split())
