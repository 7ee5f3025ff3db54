"""Kubernetes quantities (`300m`, `1Gi`, `2e3`) as numbers.

https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/. The official client can do this too,
but takes a second to import, which a server over recorded objects need not pay.
"""

import re
from decimal import Decimal
from typing import Final

_QUANTITY: Final = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)([numkMGTPE]|[KMGTPE]i)?")
_UNITS: Final = {
    "": Decimal(1),
    **{name: Decimal(1000) ** power for power, name in zip((-3, -2, -1, 1, 2, 3, 4, 5, 6), "numkMGTPE", strict=True)},
    **{f"{name}i": Decimal(1024) ** power for power, name in enumerate("KMGTPE", 1)},
}


def amount(quantity: str | float) -> Decimal:
    """Return a quantity in its base unit: cores, bytes or a count; raises `ValueError` for one that cannot be read."""
    found = _QUANTITY.fullmatch(str(quantity))
    if found is None:
        raise ValueError(f"{str(quantity)[:40]!r} is no quantity: write it as 300m, 1Gi or 2e3")
    number, unit = found.groups(default="")
    return Decimal(number) * _UNITS[unit]
