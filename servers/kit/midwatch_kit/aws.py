"""AWS for backends: one way to a client, and what goes wrong as one kind of error in words that help.

Credentials come from where boto3 looks for them: the environment, a profile, a role. Calls that AWS throttles, and
those that broke off, are asked again by botocore after a random and growing pause; a call for which nobody waits any
more is not. Import this module where a backend is on, not before: botocore takes long to import.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    NoRegionError,
    ProfileNotFound,
    TokenRetrievalError,
)
from botocore.parsers import ResponseParserError

from midwatch_kit.abandoned import given_up
from midwatch_kit.errors import BackendDown, BadInput, NotFound

CONNECT_SECONDS: Final = 5.0
_DENIED: Final = ("AccessDenied", "Unauthorized", "NotAuthorized", "Forbidden", "403")
_THROTTLED: Final = ("Throttl", "TooManyRequests", "LimitExceeded", "SlowDown")
_MISSING: Final = ("NotFound", "DoesNotExist", "NoSuch", "404")
_MALFORMED: Final = ("Validation", "InvalidParameter", "InvalidRequest", "InvalidNextToken", "Malformed", "Missing")
_LOGIN: Final = {
    "ExpiredToken": "the session has run out; log in again",
    "ExpiredTokenException": "the session has run out; log in again",
    "RequestExpired": "this machine's clock is wrong, or the session has run out",
    "InvalidAccessKeyId": "the access key is not known there; check AWS_ACCESS_KEY_ID",
    "InvalidClientTokenId": "the access key is not known there; check AWS_ACCESS_KEY_ID",
    "UnrecognizedClientException": "the access key is not known there; check AWS_ACCESS_KEY_ID",
    "AuthFailure": "the access key is not known there; check AWS_ACCESS_KEY_ID",
    "SignatureDoesNotMatch": "the secret key does not fit the access key; check AWS_SECRET_ACCESS_KEY",
    "InvalidSignatureException": "the secret key does not fit the access key; check AWS_SECRET_ACCESS_KEY",
}


class Denied(BackendDown):
    """Raised when the credentials may not do what a tool needs; `permission` is as IAM names it, `logs:StartQuery`."""

    def __init__(self, message: str, permission: str) -> None:
        super().__init__(message)
        self.permission = permission


def session(region: str | None = None, profile: str | None = None) -> boto3.Session:
    """Return a session whose clients stop asking when nobody waits for the answer.

    Raises `BadInput` for a profile that there is not. One session belongs to one backend; its clients may be used by
    any number of threads.
    """
    try:
        named = region or os.environ.get("AWS_REGION")  # boto3 itself reads only AWS_DEFAULT_REGION, and the profile
        opened = boto3.Session(region_name=named or None, profile_name=profile or None)
    except ProfileNotFound:
        raise BadInput(f"there is no AWS profile {profile!r}; `aws configure list-profiles` lists them") from None
    opened.events.register("before-send", _unless_given_up)
    return opened


def patience(seconds: float, *, attempts: int = 4, at_once: int = 4) -> Config:
    """Return how long a client waits for an answer, and how often it asks again; `at_once` calls of it at a time."""
    return Config(
        connect_timeout=min(CONNECT_SECONDS, seconds),
        read_timeout=seconds,
        retries={"total_max_attempts": attempts, "mode": "standard"},
        max_pool_connections=at_once,
    )


@contextmanager
def in_words(place: str, permission: str, missing: str = "") -> Iterator[None]:
    """Put what boto3 raises inside into words: `place` is asked for what needs `permission`, as IAM names it.

    Raises `BadInput` with AWS' own complaint, `NotFound` (`missing` says what to do about it), `Denied`, or
    `BackendDown` for everything else. No message holds a key.
    """
    try:
        yield
    except ClientError as error:
        raise _of_answer(error, place, permission, missing) from None
    except (NoCredentialsError, TokenRetrievalError):
        raise BackendDown(
            f"no credentials for {place}: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
        ) from None
    except NoRegionError:
        raise BackendDown(f"no region for {place}: set MIDWATCH_AWS_REGION or AWS_REGION") from None
    except ResponseParserError:
        raise BackendDown(f"{place} answers as AWS never does: is the endpoint right, or a proxy in between?") from None
    except BotoCoreError as error:
        raise BackendDown(f"{place} does not answer ({type(error).__name__}): is the endpoint right?") from None


def _of_answer(error: ClientError, place: str, permission: str, missing: str) -> Exception:
    code, told = error.response["Error"].get("Code", ""), error.response["Error"].get("Message", "")
    said = " ".join(told.split())[:300]
    if code in _LOGIN:
        return BackendDown(f"{place} refused ({code}): {_LOGIN[code]}")
    if _is(code, _DENIED):
        return Denied(f"{place} refused ({code}): allow {permission} to these credentials", permission)
    if _is(code, _THROTTLED):
        return BackendDown(f"{place} has no more room for questions now ({code}): ask again later, or for less")
    if _is(code, _MISSING):
        return NotFound(f"{place}: {said or code}{f'; {missing}' if missing else ''}")
    if _is(code, _MALFORMED):
        return BadInput(f"{place} cannot use the question ({code}): {said}")
    return BackendDown(f"{place} failed ({code}): {said}")


def _is(code: str, names: tuple[str, ...]) -> bool:
    return any(name in code for name in names)


def _unless_given_up(**_: Any) -> None:
    if given_up().is_set():
        raise BackendDown("AWS was not asked further: nobody waits for the answer")
