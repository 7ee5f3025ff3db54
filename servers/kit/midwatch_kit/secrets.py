"""What leaves a text before anybody sees it: values that open doors.

Known by form are tokens of GitHub, Slack, AWS, Google and model services, private keys, JSON web tokens, bearer tokens
and passwords in URLs; known by name are the values of whatever is called a password, a secret, a token or a key.
"""

import re
from collections.abc import Callable
from typing import Final

HIDDEN: Final = "(hidden)"

_NAME: Final = (
    r"[\w.-]*(?:passw(?:or)?d|passphrase|secret|token|credential|api_?-?key|private_?-?key|access_?-?key)[\w.-]*"
)
_HARMLESS: Final = r"(?:none|null|nil|true|false|str|string|bytes|int|bool)\b"
_NAMED: Final = re.compile(
    rf"""(?P<name>\b{_NAME}["']?\s*(?:[:=]|=>)\s*)(?!{_HARMLESS})(?P<value>"[^"\n]+"|'[^'\n]+'|[^\s"'(\[{{<$,;]+(?![\w(.\[]))""",
    re.IGNORECASE,
)
_FORMS: Final = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
    r"|\b(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|xox[abeprs]-[A-Za-z0-9-]{10,}|glpat-[\w-]{20,}|sk-[\w-]{20,})"
    r"|\bya29\.[\w.-]{20,}"
    r"|\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"
    r"|\beyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]*"
    r"|(?i:(?<=\bbearer )|(?<=\bbasic ))(?=\S*[\d=])[A-Za-z0-9._~+/=-]{8,}"
    r"|(?<=://)[^/\s:@]*:[^/\s@]+(?=@)"
)


def without_secrets(text: str) -> str:
    """Return a text with `(hidden)` in place of what must not be shown: for configuration, diffs and transcripts."""
    return _NAMED.sub(rf"\g<name>{HIDDEN}", without_known_secrets(text))


def without_known_secrets(text: str, instead: str | Callable[[re.Match[str]], str] = HIDDEN) -> str:
    """Return a text without secrets that are known by form; for sentences, where a name says little of what follows.

    `instead` is what stands in their places, or makes it of what was found.
    """
    return _FORMS.sub(instead, text)
