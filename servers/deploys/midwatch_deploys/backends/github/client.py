"""GitHub's REST API, asked through PyGithub: only GET, with deadlines, patience with rate limits, and words for errors.

It asks for plain JSON, since PyGithub's objects fetch what they lack on their own, one request for each.
"""

import logging
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

import httpx2
import requests
from github import Auth, Github, GithubException, GithubRetry
from github.GithubException import BadCredentialsException, RateLimitExceededException
from urllib3 import BaseHTTPResponse

from midwatch_kit import BackendDown

Json: TypeAlias = dict[str, Any]

PER_PAGE: Final = 100
_TAIL_BYTES: Final = 64 * 1024
_MOST_LOG_BYTES: Final = 64 * 2**20
_TOO_MANY: Final = 429

log = logging.getLogger("midwatch")


class Refused(Exception):
    """GitHub answers with an error that concerns what was asked for; `status` is HTTP's."""

    def __init__(self, status: int, said: str) -> None:
        super().__init__(said)
        self.status = status


class _Patience(GithubRetry):
    """Waits as GitHub asks, but not longer than a caller would: then the rate limit is the answer."""

    longest = 10.0

    def get_retry_after(self, response: BaseHTTPResponse) -> float | None:
        """Return how long to wait; raises `BackendDown` when that is too long."""
        seconds = super().get_retry_after(response)
        if seconds is not None and seconds > self.longest:
            raise BackendDown(f"GitHub asks to wait {seconds:.0f} s (a rate limit): ask again then")
        return seconds


class GitHubClient:
    """The API of github.com or of a GitHub Enterprise Server."""

    def __init__(self, url: str, token: str, seconds: float) -> None:
        patience = _Patience(
            total=3,
            connect=1,
            read=1,
            backoff_factor=0.2,
            backoff_jitter=0.2,
            status_forcelist=[_TOO_MANY, 500, 502, 503, 504],
            secondary_rate_wait=5,
            max_rate_limit_wait=_Patience.longest,
        )
        self._seconds = seconds
        self._github = Github(
            auth=Auth.Token(token) if token else None,
            base_url=url.rstrip("/"),
            timeout=max(1, round(seconds)),
            per_page=PER_PAGE,
            retry=patience,
            seconds_between_requests=0,
            user_agent="midwatch-deploys",
        )

    def get(self, path: str, **query: str | int) -> Any:
        """Return the JSON of a path; raises `Refused` for 4xx and `BackendDown` when GitHub doesn't answer soundly."""
        try:
            _, found = self._github.requester.requestJsonAndCheck("GET", path, parameters=query)
        except BadCredentialsException:
            raise BackendDown("GitHub does not accept the token: renew it and set MIDWATCH_GITHUB_TOKEN") from None
        except RateLimitExceededException as error:
            reset = (error.headers or {}).get("x-ratelimit-reset", "?")
            raise BackendDown(f"GitHub's rate limit is used up until {reset} (Unix time): ask again then") from None
        except GithubException as error:
            said = error.data.get("message", "") if isinstance(error.data, Mapping) else ""
            if 400 <= error.status < 500:
                raise Refused(error.status, f"{error.status} {said}".strip()) from None
            raise BackendDown(
                f"GitHub fails with {error.status} at {path}: ask again, or see githubstatus.com"
            ) from None
        except requests.RequestException as error:
            raise BackendDown(f"GitHub gives no sound answer at {path} ({type(error).__name__}): ask again") from None
        except ValueError:
            raise _stranger(path) from None
        if not isinstance(found, dict | list):
            raise _stranger(path)
        return found

    def each(self, path: str, most: int, under: str = "", **query: str | int) -> Iterator[Json]:
        """Yield the things of a list, page by page, at most `most`; `under` names the list in its page."""
        for page in range(1, -(-most // PER_PAGE) + 1):
            found = self.get(path, per_page=min(PER_PAGE, most), page=page, **query)
            things = found.get(under) if under and isinstance(found, dict) else found
            if not isinstance(things, list) or not all(isinstance(thing, dict) for thing in things):
                raise _stranger(path)
            yield from things
            if len(things) < PER_PAGE:
                return

    def log_tail(self, path: str, lines: int) -> list[str]:
        """Return the last lines of a job's log; empty when GitHub keeps none. Raises `Refused` and `BackendDown`."""
        try:
            headers, _ = self._github.requester.requestBlobAndCheck("GET", path)
        except GithubException as error:
            raise Refused(error.status, f"{error.status} for the log") from None
        except requests.RequestException as error:
            raise BackendDown(f"GitHub gives no log ({type(error).__name__})") from None
        kept, size = b"", 0
        where = headers.get("location", "")
        try:  # the address is signed for a while: the token does not go there
            with httpx2.stream("GET", where, timeout=self._seconds, trust_env=True) as answer:
                for part in answer.iter_bytes() if answer.is_success else ():
                    kept, size = (kept + part)[-_TAIL_BYTES:], size + len(part)
                    if size > _MOST_LOG_BYTES:
                        break
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise BackendDown(f"the log cannot be fetched ({type(error).__name__})") from None
        return kept.decode(errors="replace").splitlines()[-lines:]


def _stranger(path: str) -> BackendDown:
    return BackendDown(f"what answers at {path} is not GitHub's API: check MIDWATCH_GITHUB_URL")
