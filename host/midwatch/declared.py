"""A topology that people declare in a JSON file: what no server can see, such as what stands behind a load balancer.

The file holds a `TopologyFragment`. Whatever it says counts as declared; it is merged with what servers discover,
and an observed relation stays observed. This module reads; merging is the topology's own work.
"""

from pydantic import ValidationError

from midwatch.errors import BadSettings
from midwatch.settings import Settings
from midwatch_kit.records import Basis, Entity, TopologyFragment
from midwatch_topology import Topology

SOURCE = "declared"


def declared_topology(settings: Settings) -> Topology:
    """Return the topology in the file that the settings name, empty without one; raises `BadSettings`."""
    path = settings.declared_topology
    if path is None:
        return Topology()
    try:
        fragment = TopologyFragment.model_validate_json(path.read_text(encoding="utf-8-sig"))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise BadSettings(f"cannot use the declared topology {path}: {where}: {first['msg']}") from None
    except (OSError, UnicodeError) as error:
        raise BadSettings(f"cannot read the declared topology {path}: {error}") from None
    return Topology.merge({SOURCE: as_declared(fragment)})


def as_declared(fragment: TopologyFragment) -> TopologyFragment:
    """Return a fragment with every entity and relation marked as declared, whatever it says of itself."""
    said: dict[str, object] = {"basis": Basis.DECLARED, "learnt_from": SOURCE}
    ends = dict.fromkeys(end for relation in fragment.relations for end in (relation.source, relation.target))
    implied = {end: Entity(id=end, kind=end.partition(":")[0], name=end.partition(":")[2] or end) for end in ends}
    entities = {**implied, **{entity.id: entity for entity in fragment.entities}}
    return TopologyFragment(
        entities=tuple(entity.model_copy(update=said) for entity in entities.values()),
        relations=tuple(relation.model_copy(update=said) for relation in fragment.relations),
        bindings=fragment.bindings,
    )
