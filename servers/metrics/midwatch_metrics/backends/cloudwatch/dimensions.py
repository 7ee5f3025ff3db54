"""From dimensions to who measured: which of them name a service or an instance, and what the others are called here."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, TypeAlias

Dimensions: TypeAlias = tuple[tuple[str, str], ...]

UNKNOWN: Final = "unknown_service"
STATUS: Final = "http.response.status_code"
_STATUS_NAMES: Final = ("statuscode", "status_code", "http_status_code", "httpstatuscode", "http.status_code", "code")
_STATUS: Final = re.compile(r"[1-5](\d\d|xx)", re.IGNORECASE)
_BALANCER: Final = re.compile(r"(?:app|net|gwy|targetgroup)/([^/]+)/[0-9a-f]+")
"""Load balancers and target groups are told by the end of their ARN, which has their name in the middle."""


@dataclass(frozen=True, slots=True)
class DimensionMap:
    """Dimensions that name the service, and the instance; of each the first that a series has counts."""

    service: tuple[str, ...]
    instance: tuple[str, ...]

    def identity(self, dimensions: Dimensions) -> tuple[str, str]:
        """Return the service (`unknown_service` for none) and the instance ('' for none) of a series."""
        told = dict(dimensions)
        return plain(told.get(_first(told, self.service), "")) or UNKNOWN, told.get(_first(told, self.instance), "")

    def attributes(self, dimensions: Dimensions) -> Dimensions:
        """Return what dimensions say beside that, by the names that conventions have for them."""
        told = dict(dimensions)
        own = {_first(told, self.service), _first(told, self.instance)}
        return tuple(sorted((_attribute(name, value), plain(value)) for name, value in dimensions if name not in own))


def plain(value: str) -> str:
    """Return a value without what only AWS reads: `app/shop/50dc6c495c0c9188` is `shop`."""
    found = _BALANCER.fullmatch(value)
    return found[1] if found else value


def _first(told: Iterable[str], names: Iterable[str]) -> str:
    return next((name for name in names if name in told), "")


def _attribute(name: str, value: str) -> str:
    return STATUS if name.lower() in _STATUS_NAMES and _STATUS.fullmatch(value) else name
