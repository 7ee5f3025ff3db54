"""Where spans can come from: one module for each backend, and which of them are on. One that is off costs nothing.

`store` and `sql` read the embedded store. `remote` answers for every other system; its module (`jaeger`, …) only finds
and fetches traces there. `several` merges what many answer.
"""

from collections.abc import Mapping

from midwatch_kit import BadInput
from midwatch_traces.backend import TraceBackend
from midwatch_traces.backends.several import SeveralTraces
from midwatch_traces.settings import TracesSettings

# ruff: noqa: PLC0415 - a client library is imported for a backend that is on, and only then


def chosen(settings: TracesSettings) -> TraceBackend:
    """Return the backends that the settings turn on, as one; raises `BadInput` when there is none."""
    return as_one(backends_on(settings))


def as_one(on: Mapping[str, TraceBackend]) -> TraceBackend:
    """Return one that answers for all of them."""
    return next(iter(on.values())) if len(on) == 1 else SeveralTraces(on)


def backends_on(settings: TracesSettings) -> Mapping[str, TraceBackend]:
    """Return the backends that the settings turn on, by name; raises `BadInput` when there is none."""
    on: dict[str, TraceBackend] = {}
    if settings.store is not None:
        from midwatch_traces.backends.store import StoreTraces

        on["store"] = StoreTraces(settings.store)
    if settings.jaeger_url:
        from midwatch_traces.backends.jaeger import jaeger

        on["jaeger"] = jaeger(settings)
    if settings.tempo_url:
        from midwatch_traces.backends.tempo import tempo

        on["tempo"] = tempo(settings)
    if settings.xray:
        from midwatch_traces.backends.xray import xray

        on["xray"] = xray(settings)
    if not on:
        raise BadInput(
            "no backend is on. Set one of MIDWATCH_STORE (a directory), MIDWATCH_JAEGER_URL, MIDWATCH_TEMPO_URL and "
            "MIDWATCH_XRAY=true, or several; the flags are --store, --jaeger-url, --tempo-url and --xray"
        )
    return on
