"""A check from outside that fails: a plain form for Checkly, Grafana's synthetic monitoring, Uptime Kuma and the like.

docs/intake.md has the template for Checkly, whose names of alert types are understood as well
(checklyhq.com/docs/integrations/alerts/webhooks).
"""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, JsonValue

from midwatch.intake.parts import (
    Began,
    Draft,
    Labels,
    Shape,
    Text,
    Told,
    finished,
    runbook,
    severity,
    tags,
    validated,
)
from midwatch.records import Alert, Severity

_Status = Literal["failing", "degraded", "passing"]
_STATUSES: dict[str, _Status] = {
    "failing": "failing",
    "failed": "failing",
    "down": "failing",
    "alert_failure": "failing",
    "alert_failure_remain": "failing",
    "alert_failure_degraded": "degraded",
    "alert_ssl": "degraded",
    "degraded": "degraded",
    "alert_degraded": "degraded",
    "alert_degraded_remain": "degraded",
    "alert_degraded_failure": "failing",
    "passing": "passing",
    "up": "passing",
    "recovered": "passing",
    "alert_recovery": "passing",
    "alert_degraded_recovery": "passing",
}


def _status(value: object) -> object:
    return _STATUSES.get(value.strip().casefold(), value) if isinstance(value, str) else value


class _Check(Shape):
    check: Text = Field(min_length=1)
    check_id: Text = ""
    status: Annotated[_Status, BeforeValidator(_status)]
    started_at: Began
    service: Text = ""
    url: Text = ""
    region: Text = ""
    error: Text = ""
    response_ms: Text = ""
    severity: Text = ""
    link: Text = ""
    runbook: Text = ""
    labels: Labels = Field(default_factory=dict)
    tags: Text | list[str] = ""


def from_synthetic(body: JsonValue, told: Told) -> list[Alert]:
    """Return the alert of a check that fails, or that passes again; raises `BadAlert`."""
    check = validated(_Check, body)
    known = {"service": check.service, "check": check.check, "url": check.url, "region": check.region}
    labels = tags(check.tags) | check.labels | {key: value for key, value in known.items() if value}
    took = f"it took {check.response_ms} ms" if check.response_ms else ""
    bad = Severity.HIGH if check.status == "failing" else Severity.MEDIUM
    draft = Draft(
        source="synthetic",
        external=check.check_id or check.check,
        title=f"check {check.check} is {check.status}",
        started_at=check.started_at,
        ended_at=check.started_at,
        raw=body,
        labels=labels,
        action="resolved" if check.status == "passing" else "created",
        description="\n".join(text for text in (check.error, took) if text),
        severity=severity(check.severity) if check.severity else bad,
        links=(check.link, check.url),
        runbook=check.runbook or runbook(labels),
    )
    return [finished(draft, told)]
