"""One region of an AWS account, as a backend asks it: its clients, its pages, and its pages in the console."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from difflib import get_close_matches
from fnmatch import fnmatchcase
from threading import Lock
from typing import Any, Final, Generic, TypedDict, TypeVar
from urllib.parse import quote

import boto3
from botocore.config import Config

from midwatch_deploys.settings import DeploysSettings
from midwatch_kit import NotFound
from midwatch_kit.aws import in_words, patience, session

Client = TypeVar("Client")
Page = TypeVar("Page")
Thing = TypeVar("Thing")

_TOKENS: Final = ("NextToken", "nextToken", "NextMarker", "Marker", "PaginationToken")
_CONSOLES: Final = {"aws-cn": "console.amazonaws.cn", "aws-us-gov": "console.amazonaws-us-gov.com"}


class Options(TypedDict):
    """What every client is made with."""

    config: Config
    endpoint_url: str | None


class Account(Generic[Client]):
    """A client of one service, made when it is first needed; any number of threads may use it."""

    def __init__(self, settings: DeploysSettings, make: Callable[[boto3.Session, Options], Client]) -> None:
        self._settings = settings
        self._make = make
        self._lock = Lock()
        self._session: boto3.Session | None = None
        self._client: Client | None = None
        self.seconds = settings.backend_seconds * 0.8

    @property
    def client(self) -> Client:
        """The client; raises `BackendDown` when no region is set."""
        with self._lock:
            if self._client is None:
                settings = self._settings
                self._session = session(settings.aws_region, settings.aws_profile)
                url = str(settings.aws_endpoint_url) if settings.aws_endpoint_url else None
                options: Options = {
                    "config": patience(settings.backend_seconds / 5),
                    "endpoint_url": url,
                }
                with in_words("AWS", "the calls in docs/deploys.md"):
                    self._client = self._make(self._session, options)
            return self._client

    def page_of(self, path: str) -> str:
        """Return the address of a page of the AWS console; `{region}` in the path is this one."""
        region = getattr(getattr(self.client, "meta", None), "region_name", "") or ""
        partition = self._session.get_partition_for_region(region) if self._session and region else "aws"
        host = _CONSOLES.get(partition, "console.aws.amazon.com")
        return f"https://{region}.{host}/{path.replace('{region}', quote(region))}"

    def until(self) -> float:
        """Return when, on the monotonic clock, a question that begins now has to be answered."""
        return time.monotonic() + self.seconds


def read(
    pages: Iterable[Page], of: Callable[[Page], Iterable[Thing]], most: int, until: float
) -> tuple[list[Thing], bool]:
    """Return the things on pages, at most `most` and as far as time allows, and whether there may be more."""
    found: list[Thing] = []
    for page in pages:
        found += of(page)
        if len(found) >= most or time.monotonic() >= until:
            return found[:most], len(found) > most or _more(page)
    return found, False


def matching(names: Iterable[str], patterns: Sequence[str], what: str) -> list[str]:
    """Return the names that fit one of the patterns; raises `NotFound` for a plain name that is not there."""
    there = list(names)
    for pattern in patterns:
        if not any(sign in pattern for sign in "*?[") and pattern not in there:
            near = get_close_matches(pattern, there, n=3, cutoff=0.5)
            raise NotFound(f"there is no {what} {pattern!r}{': there is ' + ', '.join(near) if near else ''}")
    return [name for name in there if any(fnmatchcase(name, pattern) for pattern in patterns)]


def chunks(things: Sequence[Thing], size: int) -> Iterator[Sequence[Thing]]:
    """Yield things a few at a time."""
    return (things[start : start + size] for start in range(0, len(things), size))


def utc(moment: datetime) -> datetime:
    """Return a time that boto3 gives in UTC."""
    return moment.astimezone(UTC)


def tags_of(tags: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return tags by their keys, however a service spells them."""
    return {str(tag.get("Key", tag.get("key", ""))): str(tag.get("Value", tag.get("value", ""))) for tag in tags}


def _more(page: object) -> bool:
    return isinstance(page, Mapping) and any(page.get(token) for token in _TOKENS)
