"""The sources that there are: for each its function from body to alerts, and the ways in which it proves itself."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import JsonValue

from midwatch.intake import verify
from midwatch.intake.alertmanager import LABELS as ALERTMANAGER_LABELS
from midwatch.intake.alertmanager import from_alertmanager
from midwatch.intake.cloudwatch import LABELS as CLOUDWATCH_LABELS
from midwatch.intake.cloudwatch import from_eventbridge, from_sns
from midwatch.intake.datadog import from_datadog
from midwatch.intake.devops_agent import from_devops_agent
from midwatch.intake.dynatrace import from_dynatrace
from midwatch.intake.generic import from_generic
from midwatch.intake.github import from_github
from midwatch.intake.grafana import from_grafana
from midwatch.intake.newrelic import from_newrelic
from midwatch.intake.opsgenie import from_opsgenie
from midwatch.intake.pagerduty import from_pagerduty
from midwatch.intake.parts import SERVICE_LABELS, Told
from midwatch.intake.sentry import from_sentry
from midwatch.intake.servicenow import from_servicenow
from midwatch.intake.synthetic import from_synthetic
from midwatch.intake.verify import Way
from midwatch.records import Alert
from midwatch.settings.intake import IntakeSettings, SourceSettings

Read = Callable[[JsonValue, Told], list[Alert]]
_TOKENS: tuple[Way, ...] = (verify.bearer, verify.basic, verify.shared)
_OWN: tuple[Way, ...] = (verify.midwatch, *_TOKENS)


@dataclass(frozen=True)
class Source:
    """One kind of sender. `answers` is the status for what was taken: 202, unless its senders look for another."""

    name: str
    read: Read
    ways: tuple[Way, ...] = _OWN
    labels: tuple[str, ...] = SERVICE_LABELS
    answers: int = 202

    def settings(self, intake: IntakeSettings) -> SourceSettings:
        """Return what is set of this source."""
        found: SourceSettings = getattr(intake, self.name.replace("-", "_"))
        return found

    def alerts(
        self, body: JsonValue, settings: SourceSettings, headers: Mapping[str, str], now: datetime
    ) -> list[Alert]:
        """Return the alerts in a body; names of headers are in lower case. Raises `BadAlert`."""
        return self.read(body, Told(now, headers, settings.service_labels or self.labels, settings.service))


SOURCES: Mapping[str, Source] = {
    source.name: source
    for source in (
        Source("alertmanager", from_alertmanager, labels=ALERTMANAGER_LABELS),
        Source("cloudwatch", from_sns, _TOKENS, CLOUDWATCH_LABELS),
        Source("datadog", from_datadog, _TOKENS),
        Source("devops-agent", from_devops_agent, (verify.devops_agent, *_TOKENS), answers=200),
        Source("dynatrace", from_dynatrace, _TOKENS),
        Source("eventbridge", from_eventbridge, _TOKENS, CLOUDWATCH_LABELS),
        Source("generic", from_generic),
        Source("github", from_github, (verify.github,), ("service",)),
        Source("grafana", from_grafana, (verify.grafana, *_TOKENS)),
        Source("newrelic", from_newrelic, _TOKENS),
        Source("opsgenie", from_opsgenie, _TOKENS),
        Source("pagerduty", from_pagerduty, (verify.pagerduty,), ("service",)),
        Source("sentry", from_sentry, (verify.sentry,), ("service",)),
        Source("servicenow", from_servicenow, labels=("service", "business_service", "cmdb_ci")),
        Source("synthetic", from_synthetic, (verify.checkly, *_OWN)),
    )
}


def source_of(body: JsonValue) -> Source:
    """Return which of the two plain forms a body has: Alertmanager's, or the generic one."""
    return SOURCES["alertmanager" if isinstance(body, dict) and "alerts" in body else "generic"]


def alerts_from(body: JsonValue) -> list[Alert]:
    """Return the alerts in a body of Alertmanager's form or the plain one; raises `BadAlert`."""
    return source_of(body).alerts(body, SourceSettings(), {}, datetime.now(UTC))
