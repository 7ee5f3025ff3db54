"""What the environment tells a service; a release carries code, and whoever deploys it carries the rest."""

import os


class NotConfigured(Exception):
    """Raised when a variable that the service can't do without isn't set."""


def text(name: str, default: str | None = None) -> str:
    """Return a variable's value; raises NotConfigured when it has none and there is no default."""
    value = os.environ.get(name) or default
    if value is None:
        raise NotConfigured(f"the environment has no {name}; app/README.md tells what each service needs")
    return value


def addresses(name: str) -> tuple[str, ...]:
    """Return the comma-separated base URLs in a variable, without trailing slashes."""
    return tuple(part.strip().rstrip("/") for part in text(name).split(",") if part.strip())


def descriptor(name: str) -> int | None:
    """Return an inherited file descriptor's number, if the variable names one."""
    return int(os.environ[name]) if name in os.environ else None
