"""Kubernetes quantities (`300m`, `1Gi`, `2e3`) as numbers."""

from decimal import Decimal

from kubernetes.utils.quantity import parse_quantity


def amount(quantity: str | float) -> Decimal:
    """Return a quantity in its base unit: cores, bytes or a count; raises `ValueError` for one that cannot be read."""
    return Decimal(parse_quantity(quantity))
