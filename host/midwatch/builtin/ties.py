"""Whether anybody knows what an entity needs: where nobody does, that nothing leads to it says nothing."""

from midwatch_kit.records import EntityId
from midwatch_topology import Topology

_OF_ITSELF = frozenset({"runs_on", "alarmed_by", "logs_to", "deployed_by", "owned_by"})
"""Relations between an entity and what it is made of, or who watches it: they tie it to no other one."""


def is_tied(entity: EntityId, topology: Topology) -> bool:
    """Whether an entity is known to need another one, or to be needed by one."""
    ties = (r for r in topology.relations if r.kind not in _OF_ITSELF)
    return any(entity in (r.source, r.target) for r in ties)
