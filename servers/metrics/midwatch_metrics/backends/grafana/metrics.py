"""The metric backend on Grafana: metrics of a data source through its proxy, alarms of that and of Grafana itself."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from midwatch_kit import Check, KitError, NotFound, TopologyFragment, Window
from midwatch_kit.http import Parameters
from midwatch_metrics.backend import AlarmState, Described, Gathered, Selection
from midwatch_metrics.backends.grafana import dashboards
from midwatch_metrics.backends.grafana.alerts import GrafanaAlerts
from midwatch_metrics.backends.grafana.api import GrafanaApi
from midwatch_metrics.backends.prometheus.api import Absent, Refused
from midwatch_metrics.backends.prometheus.metrics import PrometheusMetrics
from midwatch_metrics.timeline import Timeline, to_ns

_ALL: Final = 1_000_000
_ASKED: Final[Mapping[str, tuple[str, Parameters]]] = {
    "datasources": ("datasources:read", {}),
    "prometheus/grafana/api/v1/rules": ("alert.rules:read", {"limit_alerts": 1}),
    "annotations": ("annotations:read", {"type": "alert", "limit": 1}),
    "search": ("dashboards:read", {"type": "dash-db", "limit": 1}),
}
_WITHOUT: Final = {
    "datasources": "or set MIDWATCH_GRAFANA_DATASOURCE to the data source's uid",
    "prometheus/grafana/api/v1/rules": "how Grafana's own rules stand is not known without",
    "annotations": "how Grafana's own rules changed is not known without",
    "search": "which dashboards are of a service is not known without",
}


class GrafanaMetrics:
    """Metrics out of a data source of Prometheus' kind, alarms out of it and out of Grafana's own rules."""

    def __init__(self, api: GrafanaApi, source: PrometheusMetrics, alerts: GrafanaAlerts) -> None:
        self._api, self._source, self._alerts = api, source, alerts
        self.native = source.native

    def pin(self) -> int:
        """Return 0: what is kept is known by its time alone."""
        return self._source.pin()

    def gather(self, timeline: Timeline, selection: Selection, most_series: int) -> Gathered:
        """Return the selected series of the data source, the first `most_series` by name, and their cells."""
        return self._source.gather(timeline, selection, most_series)

    def describe(self, window: Window) -> tuple[Sequence[Described], str]:
        """Return the metrics of the data source that have samples in the window, and the query's text."""
        return self._source.describe(window)

    def surroundings(self, window: Window) -> TopologyFragment:
        """Return what the data source scrapes, and which dashboards its services have."""
        scraped = self._source.surroundings(window)
        shown = dashboards.of_services(self._api, (service for service, _ in self.sources()))
        known = {entity.id: entity for entity in shown.entities}
        merged = [
            entity.model_copy(update={"attributes": {**entity.attributes, **known.pop(entity.id).attributes}})
            if entity.id in known
            else entity
            for entity in scraped.entities
        ]
        return scraped.model_copy(update={"entities": (*merged, *known.values())})

    def sources(self) -> Sequence[tuple[str, str]]:
        """Return the (service, instance) pairs that sent the data source a sample in the last day."""
        return self._source.sources()

    def alarms(
        self,
        services: Sequence[str],
        names: Sequence[str],
        window: Window,
        pin: int,
        after: tuple[int, int] | None,
        limit: int,
    ) -> tuple[Sequence[AlarmState], int, str]:
        """Return state changes in the window, newest first from after a place; how many there are; the query's text."""
        try:
            of_source, _, text = self._source.alarms(services, names, window, pin, None, _ALL)
        except NotFound as error:  # Grafana's own rules may ask data sources of any kind
            of_source, text = (), str(error)
        own = [
            one
            for one in self._alerts.changes(to_ns(window.start), to_ns(window.end))
            if not (services or names) or one.service in services or one.name in names
        ]
        both = sorted([*reversed(of_source), *own], key=lambda one: one.at)  # each is in an order of its own
        numbered = [replace(one, seq=i) for i, one in enumerate(both)]
        later = [one for one in reversed(numbered) if after is None or (one.at, one.seq) < after]
        return later[:limit], len(numbered), f"{text}; api/annotations?type=alert"

    def standing(self, before: int, pin: int) -> Sequence[AlarmState]:
        """Return the latest state of each alert before a moment (ns), looking back for a day."""
        try:
            of_source = self._source.standing(before, pin)
        except NotFound:
            of_source = ()
        return [*of_source, *self._alerts.standing(before)]

    def newest(self) -> int | None:
        """Return the time of the data source's newest sample of the last day in ns."""
        return self._source.newest()

    def checks(self) -> Sequence[Check]:
        """Look at Grafana: is it up, what may the token read, and how is the data source behind it."""
        try:
            told = self._api.get("health", "nothing")
        except KitError as error:
            return [Check("grafana", False, str(error), "start it, or correct the setting that the error names")]
        version = told.get("version", "") if isinstance(told, dict) else ""
        up = Check("grafana", True, f"{self._api.name}, version {version or 'not told'}")
        behind = [replace(check, name=f"data source: {check.name}") for check in self._source.checks()]
        return [up, *self._permissions(), *behind]

    def _permissions(self) -> Iterator[Check]:
        for path, (permission, parameters) in _ASKED.items():
            name = f"has {permission}"
            try:
                self._api.get(path, permission, parameters)
                yield Check(name, True, "yes")
            except Absent:
                yield Check(name, True, f"it has no api/{path}")
            except Refused as error:
                yield Check(name, False, str(error), _WITHOUT[path])
            except KitError as error:
                yield Check(name, False, str(error), "try again; if it lasts, see its log")
