"""Correlation: which alerts are one outage. Pure functions from what is known to a decision that says why.

Nothing here is stored, asked or waited for: `reception` puts alerts and decisions on record.
"""

from midwatch.correlation.deciding import Circumstances, Decision, decide, incident_id
from midwatch.correlation.incidents import grown, new_incident, raised, tells_more
from midwatch.correlation.kinds import Kind, kind_of
from midwatch.correlation.likeness import Part
from midwatch.correlation.neighbourhood import Neighbourhood
from midwatch.correlation.ongoing import (
    OVER,
    ByHand,
    Ongoing,
    Outage,
    fingerprint,
    label_fingerprint,
    service_id,
)
from midwatch.correlation.rules import AlertRules, Rules

__all__ = [
    "OVER",
    "AlertRules",
    "ByHand",
    "Circumstances",
    "Decision",
    "Kind",
    "Neighbourhood",
    "Ongoing",
    "Outage",
    "Part",
    "Rules",
    "decide",
    "fingerprint",
    "grown",
    "incident_id",
    "kind_of",
    "label_fingerprint",
    "new_incident",
    "raised",
    "service_id",
    "tells_more",
]
