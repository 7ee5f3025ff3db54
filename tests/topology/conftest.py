"""A small shop to ask questions of: web calls cart and pay, cart queues orders for ship, all on one database."""

import pytest

from midwatch_kit.records import Entity, Relation, TopologyFragment
from midwatch_topology import Topology

SHOP = """
service:web alarmed_by alarm:web-errors
service:web calls service:cart
service:web calls service:pay
service:cart sends_to queue:orders
service:ship receives_from queue:orders
queue:orders alarmed_by alarm:orders-depth
service:ship alarmed_by alarm:ship-errors
service:cart reads database:shop
service:pay reads database:shop
service:pay writes database:shop
service:pay runs_on instance:pay-1
service:pay runs_on instance:pay-2
service:pay calls external:bank.example.com
service:pay deployed_from repository:pay
service:pay owned_by team:money
"""


def relations(text: str) -> tuple[Relation, ...]:
    """Return the relations of lines that read `source kind target`."""
    words = [line.split() for line in text.strip().splitlines()]
    return tuple(Relation(source=source, kind=kind, target=target) for source, kind, target in words)


@pytest.fixture
def shop() -> Topology:
    pay = Entity(id="service:pay", kind="service", name="pay", attributes={"language": "python"})
    return Topology.merge({"traces": TopologyFragment(entities=(pay,), relations=relations(SHOP))})
