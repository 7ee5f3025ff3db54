"""How figures and series read: short, with units. Nothing is computed here but the size of a unit."""

from collections.abc import Iterable

from midwatch_metrics.figures import Measured, Statistic

_BYTES = ("B", "KiB", "MiB", "GiB", "TiB")
_LONGEST_NAME = 60
_LONGEST_ATTRIBUTES = 60
_FIRST = {"http.response.status_code", "http.route", "db.operation.name", "messaging.destination.name"}
_UNTOLD = {"network.protocol.name", "network.protocol.version", "url.scheme", "server.port", "db.system.name"}


def amount(value: float, unit: str) -> str:
    """Return a figure with its unit, in three digits: `12.5%`, `310 ms`, `1.42 GiB`, `9.1/s`."""
    if unit in ("By", "By/s"):
        return _bytes(value) + unit[2:]
    if unit == "ms" and abs(value) >= 10_000:
        return f"{value / 1000:.3g} s"
    number = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    if unit in ("", "%"):
        return number + unit
    return number + unit.removeprefix("1") if unit.endswith("/s") else f"{number} {unit}"


def _bytes(value: float) -> str:
    size = value
    for unit in _BYTES[:-1]:
        if abs(size) < 1024:
            return f"{size:.3g} {unit}"
        size /= 1024
    return f"{size:.3g} {_BYTES[-1]}"


def subject(measured: Measured) -> str:
    """Return what was measured, for a sentence: `p95 of http.server.request.duration of forge-1 (status=500)`."""
    series = measured.series
    said = {Statistic.VALUE: "", Statistic.RATE: "rate of ", Statistic.MEAN: "mean of ", Statistic.P95: "p95 of "}
    who = (series.instance or series.service)[:_LONGEST_NAME]
    return f"{said[measured.statistic]}{series.metric[:_LONGEST_NAME]} of {who}{attributes(series.attributes)}"


def attributes(pairs: Iterable[tuple[str, str]]) -> str:
    """Return attributes in brackets, the telling ones first, cut where they are long; '' for none."""
    told = sorted((pair for pair in pairs if pair[0] not in _UNTOLD), key=lambda pair: (pair[0] not in _FIRST, pair[0]))
    values = [value for _, value in told]
    once = [pair for i, pair in enumerate(told) if pair[1] not in values[:i]]  # an error type is often the status again
    text = ", ".join(f"{_short(name)}={value}" for name, value in once)
    if not text:
        return ""
    return f" ({text if len(text) <= _LONGEST_ATTRIBUTES else text[: _LONGEST_ATTRIBUTES - 1] + '…'})"


def _short(name: str) -> str:
    """The last part of an attribute's name, with the one before where it says nothing alone."""
    parts = name.split(".")
    return ".".join(parts[-2:] if parts[-1] in ("name", "type", "id", "address", "state") else parts[-1:])
