"""Whether Prometheus is well: is it up, which version, may each part of its API be asked, do samples arrive."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from midwatch_kit import Check, KitError
from midwatch_metrics.backends.freshness import lag_check
from midwatch_metrics.backends.prometheus.api import Absent, PrometheusApi, Refused

STALE_SECONDS: Final = 300.0
_AGE: Final = "the newest sample is {:.1f} s old"
_SILENT: Final = "see that it scrapes (api/v1/targets), or that something writes to it"
_ASKED: Final = {
    "query": {"query": "1"},
    "series": {"match[]": "up", "limit": "1"},
    "metadata": {"limit": "1"},
    "rules": {"type": "alert"},
    "alerts": {},
    "targets": {"state": "active"},
}
_NEEDED: Final = ("query", "series")
_WITHOUT: Final = {
    "metadata": "types and units are then known by names alone",
    "rules": "alarms are then told without what their rules ask",
    "alerts": "alarms are then told without their values",
    "targets": "targets that were never up are then not known",
}


def checks_of(api: PrometheusApi, newest: Callable[[], int | None]) -> Sequence[Check]:
    """Return the checks; raises nothing."""
    try:
        told = api.ask("status/buildinfo")
        version = str(told.get("version", "")) if isinstance(told, dict) else ""
        up = Check("prometheus", True, f"{api.name}, version {version or 'not told'}")
    except Absent:
        up = Check("prometheus", True, f"{api.name}, version not told")
    except KitError as error:
        return [Check("prometheus", False, str(error), "start it, or correct the setting that the error names")]
    return [up, *_permissions(api), lag_check(newest, STALE_SECONDS, _AGE, _SILENT)]


def _permissions(api: PrometheusApi) -> Iterator[Check]:
    for path, parameters in _ASKED.items():
        name = f"may ask api/v1/{path}"
        try:
            api.ask(path, parameters)
            yield Check(name, True, "yes")
        except Absent:
            needed = path in _NEEDED
            lost = "the server needs it: point it at a full API" if needed else _WITHOUT[path]
            yield Check(name, not needed, "it has none", "" if not needed else lost)
        except Refused as error:
            yield Check(name, False, str(error), f"let these credentials read api/v1/{path}")
        except KitError as error:
            yield Check(name, False, str(error), "try again; if it lasts, see its log")
