"""The topology of an application: one graph out of what many servers know.

`Topology.merge({server: fragment})` makes one, `|` joins two; `to_json`, `to_mermaid` and `to_svg` show it. It stands
on `midwatch_kit.records` alone and can be used without the host.
"""

from midwatch_topology.export import from_json, to_json, to_mermaid
from midwatch_topology.graph import Sighting, Stale, Topology, UnknownEntity
from midwatch_topology.harm import HarmPath
from midwatch_topology.svg import to_svg

__all__ = [
    "HarmPath",
    "Sighting",
    "Stale",
    "Topology",
    "UnknownEntity",
    "from_json",
    "to_json",
    "to_mermaid",
    "to_svg",
]
