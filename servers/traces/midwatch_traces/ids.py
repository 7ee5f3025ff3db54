"""Ids of traces as they stand in logs and consoles, and as backends keep them."""

import re
from typing import Final

_OF_XRAY: Final = re.compile(r"1-([0-9a-fA-F]{8})-([0-9a-fA-F]{24})")


def plain_id(told: str) -> str:
    """Return an id without spaces around it; one that AWS X-Ray wrote, `1-8 digits-24 digits`, as 32 digits."""
    bare = told.strip()
    found = _OF_XRAY.fullmatch(bare)
    return f"{found[1]}{found[2]}".lower() if found else bare


def xray_id(digits: str) -> str:
    """Return an id of 32 hexadecimal digits as X-Ray writes it."""
    return f"1-{digits[:8]}-{digits[8:]}"
