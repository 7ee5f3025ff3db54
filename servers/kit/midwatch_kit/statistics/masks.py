"""The variable parts of a log line made placeholders. Line by line and without memory: what varies is templates' part.

`MASKS` is written in what Python's `re` and RE2 share, so that DuckDB can do the same before it groups lines:
`regexp_replace(text, pattern, replacement, 'g')` for each pair in order, of `left(text, LONGEST_LINE)`, gives what
`mask` gives but for a blank at either end.

Kept on purpose, because incidents are told apart by them: quoted names (`'customer_id'`), HTTP status classes, routes,
single digits within words (`v2`, `ec2`).
"""

import re
from collections.abc import Iterable

LONGEST_LINE = 2000
"""Characters of a line that are looked at: what follows says nothing of the kind of line."""

MASKS: tuple[tuple[str, str], ...] = (
    (r"\x1b\[[0-9;]*[A-Za-z]", ""),
    (r"[\x00-\x1f\x7f][\x00-\x20\x7f]*| [\x00-\x20\x7f]+", " "),  # a single blank is one already: most of them are
    (r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?", "<time>"),
    (r"\b(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d\d? \d\d:\d\d:\d\d\b", "<time>"),
    (r"\b\d\d:\d\d:\d\d(?:[.,]\d+)?\b", "<time>"),
    (r"\b[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\b", "<uuid>"),
    (r"\bhttps?://[^ \"'<>\n]+", "<url>"),
    (r"\b[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+", "<email>"),
    (r"\b\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}(?::\d+)?\b", "<ip>"),
    (r"\b(?:[0-9a-fA-F]{1,4}:){4,7}[0-9a-fA-F]{1,4}\b", "<ip>"),
    (r"([=(]|[A-Za-z] )\"[A-Za-z_.-]*[^A-Za-z_.\"\n-][^\"\n]*\"", r"\1<str>"),
    (r"([=(]|[A-Za-z] )'[A-Za-z_.-]*[^A-Za-z_.'\n-][^'\n]*'", r"\1<str>"),
    (r"/(?:data|home|mnt|proc|root|run|srv|tmp|var|Users)(?:/[A-Za-z0-9_.@+~-]+)+/?", "<path>"),
    (r"(\bHTTP/[0-9.]+\"? |\b(?:GET|POST|PUT|PATCH|DELETE|HEAD) /[^ \n]* )([1-5])\d\d\b", r"\1\2xx"),
    (
        r"\b([1-5])\d\d( (?:OK|Internal|Bad|Not|Service|Gateway|Forbidden|Unauthorized|Too|Created|Conflict)\b)",
        r"\1xx\2",
    ),
    (r"\b([Ss]tatus(?:_?[Cc]ode)?[\"']?[=: ] ?[\"']?)([1-5])\d\d\b", r"\1\2xx"),
    (r"\b0x[0-9a-fA-F]+\b", "<hex>"),
    (r"\b[0-9a-fA-F]{8,}\b", "<hex>"),
    (r"\b\d+(?:\.\d+)?(?:ns|us|ms|s|m|h|d|B|[KMGT]i?B)?\b", "<num>"),
    (r"\d\d+", "<num>"),
)
"""Pairs of pattern and replacement, to be applied in order."""

_COMPILED = tuple((re.compile(pattern, re.ASCII), replacement) for pattern, replacement in MASKS)


def mask(text: str) -> str:
    """One line, cut to `LONGEST_LINE` characters, with its variable parts as placeholders; idempotent."""
    return mask_all([text])[0]


def mask_all(texts: Iterable[str]) -> list[str]:
    """The same for many lines at once: each pattern runs once over all of them, which is several times as fast."""
    (colours, nothing), (blanks, blank), *variable = _COMPILED
    lines = [blanks.sub(blank, colours.sub(nothing, text[:LONGEST_LINE])).strip(blank) for text in texts]
    if not lines:
        return []
    joined = "\n".join(lines)
    for pattern, replacement in variable:
        joined = pattern.sub(replacement, joined)
    return joined.split("\n")
