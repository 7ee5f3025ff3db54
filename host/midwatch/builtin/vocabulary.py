"""The words in which software says what is wrong with it, by the kind of cause they point to.

These are the standard vocabularies: errno names and texts (POSIX), SQLSTATE classes (ISO/IEC 9075), HTTP and gRPC
status names, TLS alerts. They suggest a kind; they never decide a cause.
"""

import re

from midwatch.records import HypothesisKind

_WORDS: tuple[tuple[HypothesisKind, str], ...] = (
    (
        HypothesisKind.ACCESS,
        r"permission|access ?denied|unauthori[sz]ed|forbidden|credential|certificate|token|expired|EACCES|EPERM"
        r"|authentication failed|insufficient ?privilege|quota|\b401\b|\b403\b|\b42501\b|\b28P01\b",
    ),
    (
        HypothesisKind.TRAFFIC,
        r"over ?capacity|too many requests|rate.?limit|overload|throttl|\b429\b|load shed",
    ),
    (
        HypothesisKind.RESOURCE,
        r"out of memory|OOM|MemoryError|ENOMEM|no space left|ENOSPC|disk (is )?full|too many open files|EMFILE"
        r"|too many connections|pool (is )?(exhausted|timeout)|PoolTimeout|resource ?exhausted|\b53\d{3}\b"
        r"|disk is full|lock ?timeout|LockNotAvailable|could not obtain lock|deadlock|\b55P03\b|\b40P01\b",
    ),
    (
        HypothesisKind.DEPENDENCY,
        r"connection (refused|reset|timed out)|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ConnectError|(Read|Connect)Timeout"
        r"|upstream|bad gateway|service unavailable|\b50[234]\b|name or service not known|\b08\d{3}\b",
    ),
    (
        HypothesisKind.STATE,
        r"deseriali[sz]|unexpected (field|key|keyword)|unknown (field|column)|extra inputs|validation ?error|schema"
        r"|corrupt|malformed|decode|parse|KeyError|no such (table|file|column)|unable to open database|ENOENT"
        r"|integrity|constraint|\b22\d{3}\b|\b23\d{3}\b|\b42P01\b",
    ),
)
_PATTERNS = tuple((kind, re.compile(words, re.IGNORECASE)) for kind, words in _WORDS)
_TIMEOUT = re.compile(r"(Read|Connect|Request|Gateway) ?Time-?out|timed out|deadline exceeded|\b504\b", re.IGNORECASE)
_POOL_WAIT = re.compile(
    r"PoolTimeout|pool (is )?(exhausted|timeout)|QueuePool limit|(could ?n[o']t|cannot|unable to) (get|obtain|acquire) "
    r"(a )?connection|connection is not available",
    re.IGNORECASE,
)
_FULL = re.compile(
    r"out of memory|OOM|MemoryError|ENOMEM|no space left|ENOSPC|disk (is )?full|too many open files|EMFILE",
    re.IGNORECASE,
)
_GONE = re.compile(
    r"connection refused|ECONNREFUSED|ConnectError|connection attempts failed|no route to host|EHOSTUNREACH",
    re.IGNORECASE,
)
_MIGRATION = re.compile(
    r"(^|[/_.-])(migrat\w*|schema|flyway|liquibase|changelog\.(xml|ya?ml|sql)|alembic)([/_.-]|$)", re.IGNORECASE
)
_DATA_DEFINITION = re.compile(
    r"^\+.*\b(ALTER\s+(TABLE|TYPE|COLUMN)|(DROP|RENAME)\s+(TABLE|COLUMN|TYPE|SCHEMA|DATABASE)|TRUNCATE(\s+TABLE)?\s+\w"
    r"|(drop|rename|alter|remove|change)_(table|column|field))\b",
    re.IGNORECASE | re.MULTILINE,
)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{3,}")
_QUOTED = re.compile(r"""(?P<mark>['"`])(?P<name>[A-Za-z_][A-Za-z0-9_]{3,})(?P=mark)""")
_EVERYWHERE = frozenset({
    "error", "errors", "exception", "file", "files", "line", "lines", "self", "none", "true", "false", "return",
    "import", "from", "class", "with", "that", "this", "failed", "failure", "service", "index", "async",
    "await", "python", "json", "http", "post", "name", "value", "values", "string", "null", "info", "warning",
})  # fmt: skip


def kind_named(text: str) -> HypothesisKind | None:
    """Return the kind of cause that an error's words point to; None when they point nowhere."""
    return next((kind for kind, pattern in _PATTERNS if pattern.search(text)), None)


def kind_of(text: str) -> HypothesisKind:
    """Return the kind of cause that an error's words point to; `state` when they point nowhere else."""
    return kind_named(text) or HypothesisKind.STATE


def is_timeout(text: str) -> bool:
    """Return whether an error says that a caller waited in vain; a wait for something of its own is none."""
    return bool(_TIMEOUT.search(text)) and kind_named(text) is HypothesisKind.DEPENDENCY


def is_pool_wait(text: str) -> bool:
    """Return whether an error says that a caller waited in vain for a connection of its own pool."""
    return bool(_POOL_WAIT.search(text))


def is_full(text: str) -> bool:
    """Return whether an error says that memory, a disk or a table of files, which fill up bit by bit, are full."""
    return bool(_FULL.search(text))


def is_gone(text: str) -> bool:
    """Return whether an error says that nobody listens: who did has ended, or was ended for not being healthy."""
    return bool(_GONE.search(text))


def is_migration(file: str) -> bool:
    """Return whether a file is, by where it lies and what it is called, a migration of data."""
    return bool(_MIGRATION.search(file))


def alters_data(diff: str) -> bool:
    """Return whether a diff adds statements that alter, rename or remove what holds data."""
    return bool(_DATA_DEFINITION.search(diff))


def speaks_of_name(name: str, text: str) -> bool:
    """Return whether a name stands in a text as a word of its own."""
    return bool(name) and re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text, re.IGNORECASE) is not None


def quoted_in(text: str) -> frozenset[str]:
    """Return the identifiers that stand in quotes in a text: what an error misses, as in KeyError: 'mass_kg'."""
    return frozenset(found["name"].casefold() for found in _QUOTED.finditer(text)) - _EVERYWHERE


def names_in(text: str) -> frozenset[str]:
    """Return the identifiers of a text, without words that stand in any text of their sort."""
    return frozenset(word.casefold() for word in _NAME.findall(text)) - _EVERYWHERE
