"""What makes two alerts one outage, and how much each counts: the one table of weights and limits."""

from typing import NamedTuple


class Weights(NamedTuple):
    """How much each part counts, at most; together 1."""

    topology: float = 0.40
    time: float = 0.35
    kind: float = 0.15
    text: float = 0.10


WEIGHTS = Weights()
LINK = 0.63
"""From here on an alert belongs to an incident."""
RELATED = 0.45
"""From here on an incident that an alert does not belong to is named as related."""
NEARLY = 0.10
"""How much less by place and time an incident has that would explain an alert nearly as well: it is named."""

HALF_LIFE_SECONDS = 240.0
"""How far apart two starts are when time counts half."""
HALF_LIFE_AT_ONE_PLACE_SECONDS = 900.0
"""The same for two alerts of one component that is no mere effect: its trouble has more to show as it goes on."""
TOGETHER_SECONDS = 30.0
"""Starts at one component that are no further apart count as one."""
AFTERWARDS_SECONDS = 180.0
"""How much later than its effect a cause may be noticed: alerting rules wait for different times."""
AFTERWARDS = 0.8
"""What topology counts where the cause was noticed later than that."""
NOTICED_SECONDS = 300.0
"""How much later than its first effect a cause can be noticed and still make one outage of two."""
SPREAD_SECONDS = 180.0
"""How much later a cause shows at most, from one component to the next."""

HOPS = {1: 0.90, 2: 0.75, 3: 0.60}
"""What a path from caller to callee counts, by its hops, beside the same component."""
SHARED = {2: 0.60, 3: 0.50, 4: 0.40}
"""What a dependency counts that two have in common, by the hops to both together."""
REACH = 4
"""How many hops up a cause is looked for that would explain all alerts of an incident."""

CAUSE_ALERTS, CAUSE_IS_SILENT, CAUSE_IS_BROAD, NO_CAUSE = 1.0, 0.8, 0.4, 0.2
"""What topology counts by whether one component would explain all alerts: one that alerts itself; one that is silent;
only one on which very much depends, so that it explains anything; none."""
BROAD = 0.25
"""The share of all services that depends on a component which explains anything."""
BROAD_AT_LEAST = 8
"""No component on which fewer services depend is as broad as that."""
