"""How full the disk is that an instance keeps its files on, once per export. It neither warns nor tidies up."""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Observation


def measure(folder: Path) -> None:
    """Tell the share of a folder's disk that is used, 0 to 1, as long as the process runs."""
    labels = {"system.filesystem.mountpoint": str(mount_point(folder)), "system.filesystem.state": "used"}

    def utilization(_: CallbackOptions) -> Iterable[Observation]:
        disk = shutil.disk_usage(folder)
        return [Observation(disk.used / disk.total, labels)]

    meter = metrics.get_meter(__name__)
    meter.create_observable_gauge("system.filesystem.utilization", [utilization], "1", "Share of the disk used")


def mount_point(folder: Path) -> Path:
    """Return the folder at which the disk that holds a folder is mounted."""
    place = folder.resolve()
    while not os.path.ismount(place):
        place = place.parent
    return place
