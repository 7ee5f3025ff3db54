"""Draws the packages and the host's modules from their real imports into docs/architecture.md.

    uv run python docs/draw_architecture.py            # rewrites the two pictures
    uv run python docs/draw_architecture.py --check    # fails when they are not what the imports say

An arrow points from who imports to what is imported. Arrows that follow from others are left out (the transitive
reduction), so what is drawn is the least from which the order of the parts can be read.
"""

import re
import sys
from collections.abc import Callable
from pathlib import Path

import grimp
import networkx as nx

PAGE = Path(__file__).with_name("architecture.md")
PACKAGES = {
    "midwatch": "host",
    "midwatch_topology": "topology",
    "midwatch_kit": "servers/kit",
    "midwatch_store": "servers/store",
    "midwatch_logs": "servers/logs",
    "midwatch_metrics": "servers/metrics",
    "midwatch_traces": "servers/traces",
    "midwatch_deploys": "servers/deploys",
    "midwatch_byo": "servers/byo",
    "midwatch_cluster": "servers/cluster",
    "robots": "examples/robots",
}
ENTRIES = {"midwatch", "midwatch.__main__"}


def main() -> None:
    """Rewrite the page, or with `--check` only compare."""
    imports = grimp.build_graph(*PACKAGES)
    before = PAGE.read_text(encoding="utf-8")
    after = with_picture(before, "packages", mermaid(reduced(imports, package_of)))
    after = with_picture(after, "host", mermaid(reduced(imports, part_of_host)))
    if "--check" in sys.argv[1:]:
        sys.exit(0 if after == before else f"{PAGE.name} is not what the imports say: run {Path(__file__).name}")
    PAGE.write_text(after, encoding="utf-8")


def package_of(module: str) -> str | None:
    """Return the folder of a module's package."""
    return PACKAGES[module.partition(".")[0]]


def part_of_host(module: str) -> str | None:
    """Return a module of the host by its name, or its folder; None for what is not of the host."""
    names = module.split(".")
    return names[1] if names[0] == "midwatch" and module not in ENTRIES else None


def reduced(imports: grimp.ImportGraph, part_of: Callable[[str], str | None]) -> "nx.DiGraph[str]":
    """Return which parts import which, without what follows from others; raises ValueError when there is a cycle."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    for module in imports.modules:
        if (mine := part_of(module)) is None:
            continue
        graph.add_node(mine)
        used = (part_of(target) for target in imports.find_modules_directly_imported_by(module))
        graph.add_edges_from((mine, theirs) for theirs in used if theirs not in (None, mine))
    if not nx.is_directed_acyclic_graph(graph):
        raise ValueError(f"parts import each other in a circle: {nx.find_cycle(graph)}")
    return nx.transitive_reduction(graph)


def mermaid(graph: "nx.DiGraph[str]") -> str:
    """Return a graph as a Mermaid flowchart, the same for the same graph."""
    names = {part: f"n{number}" for number, part in enumerate(sorted(graph))}
    nodes = (f"    {name}[{part}]" for part, name in names.items())
    edges = sorted((names[source], names[target], source, target) for source, target in graph.edges)
    arrows = (f"    {one} --> {other}" for one, other, _, _ in edges)
    return "\n".join(["```mermaid", "flowchart TD", *nodes, *arrows, "```"])


def with_picture(page: str, name: str, picture: str) -> str:
    """Return a page with what is between the two marks of that name replaced."""
    start, end = f"<!-- imports of {name} -->", f"<!-- end of {name} -->"
    pattern = re.compile(f"{re.escape(start)}.*?{re.escape(end)}", re.DOTALL)
    if not pattern.search(page):
        raise ValueError(f"the page has no marks {start} and {end}")
    return pattern.sub(lambda _: f"{start}\n{picture}\n{end}", page)


if __name__ == "__main__":
    main()
