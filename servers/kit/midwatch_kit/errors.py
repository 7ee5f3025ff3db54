"""What can go wrong in a server, in words for the person who gets them.

    KitError
    ├── BadInput      the caller's argument cannot be used
    ├── NotFound      the thing asked for does not exist here
    └── BackendDown   the backend did not answer, refused, or is not there

Every message says what went wrong, with which value, and what to do. No message carries a secret.
"""

import re


class KitError(Exception):
    """An error whose text is meant to be read by the caller."""

    code = "error"


class BadInput(KitError):
    """Raised when an argument cannot be used as it stands."""

    code = "bad_input"


class NotFound(KitError):
    """Raised when the named thing does not exist; the message says which do."""

    code = "not_found"


class BackendDown(KitError):
    """Raised when the backend does not answer, refuses, or is not there."""

    code = "backend_down"


def without_login(address: str) -> str:
    """Return an address without the login in it, even one with a slash in it, or before which no scheme stands."""
    return re.sub(r"^([^/?#]*//)?[^?#]*@", r"\1", address)
