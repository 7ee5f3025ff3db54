"""Which MCP servers the host connects to: those of the servers file, and the suite's own with what each may know."""

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from midwatch.errors import BadSettings
from midwatch.settings import ServerSpec, Settings

SUITE: Final = ("logs", "metrics", "traces", "deploys", "byo", "cluster")
_INHERITED: Final = ("XDG_CACHE_HOME", "TMPDIR", "MIDWATCH_STORE_THREADS")
_PROXIES: Final = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "SSL_CERT_")
_TO_AWS: Final = ("AWS_", "MIDWATCH_AWS_", *_PROXIES)
_METRICS_OF_CLOUDWATCH: Final = (
    *("MIDWATCH_CLOUDWATCH_MOST_METRICS", "MIDWATCH_CLOUDWATCH_SERVICE_", "MIDWATCH_CLOUDWATCH_INSTANCE_"),
    "MIDWATCH_CLOUDWATCH_COUNTERS",
)
_TO_KUBERNETES: Final = (
    *("KUBECONFIG", "MIDWATCH_KUBECONFIG", "MIDWATCH_KUBE_CONTEXT", "MIDWATCH_CLUSTER_NAMESPACES"),
    *("MIDWATCH_CLUSTER_MAX_AGE_SECONDS", "KUBERNETES_SERVICE_", *_PROXIES),
)
_BACKENDS: Final[Mapping[str, Mapping[str, Sequence[str]]]] = {
    "logs": {
        "MIDWATCH_LOGS_": (),
        "MIDWATCH_LOKI_": (),
        "MIDWATCH_ELASTICSEARCH_": (),
        "MIDWATCH_CLOUDWATCH_LOG": _TO_AWS,
    },
    "metrics": {
        "MIDWATCH_PROMETHEUS_": (),
        "MIDWATCH_GRAFANA_": (),
        "MIDWATCH_CLOUDWATCH_NAMESPACES": (*_METRICS_OF_CLOUDWATCH, *_TO_AWS),
    },
    "traces": {
        "MIDWATCH_TRACES_": (),
        "MIDWATCH_JAEGER_": (),
        "MIDWATCH_TEMPO_": (),
        "MIDWATCH_XRAY": _TO_AWS,
    },
    "deploys": {
        "MIDWATCH_GIT_": (),
        "MIDWATCH_GITHUB_": (),
        "MIDWATCH_CLOUDTRAIL": _TO_AWS,
        "MIDWATCH_CLOUDFORMATION_": _TO_AWS,
        "MIDWATCH_ECS_": _TO_AWS,
        "MIDWATCH_CODEPIPELINES": _TO_AWS,
        "MIDWATCH_AUTO_SCALING_": _TO_AWS,
        "MIDWATCH_AWS_INVENTORY": _TO_AWS,
        "MIDWATCH_KUBERNETES_": _TO_KUBERNETES,
        "MIDWATCH_ARGOCD_": (),
        "MIDWATCH_SERVICE_": (),
    },
}
"""By server, how the names of a backend's settings begin, and of what else leads there."""
_ALONE: Final = (
    *("MIDWATCH_BACKEND_SECONDS", "MIDWATCH_ENABLE_ROLL_BACK"),
    *("MIDWATCH_LOOKBACK_DAYS", "MIDWATCH_ROLL_BACK_SECONDS"),
)
"""What the server of changes reads where the host does not start it."""
OF_SERVERS: Final = tuple(
    sorted(
        {
            prefix
            for backends in _BACKENDS.values()
            for beginning, needed in backends.items()
            for prefix in (beginning, *needed)
            if prefix.startswith("MIDWATCH_")
        }
        | {"MIDWATCH_STORE_", "MIDWATCH_BYO_", *_ALONE}
    )
)
"""How the names of all settings begin that only servers read."""


class ServersFile(BaseModel):
    """The servers file, in the shape of Claude Desktop's; what else stands there is another client's."""

    model_config = ConfigDict(extra="ignore")

    servers: dict[str, ServerSpec] = Field(alias="mcpServers")
    suite: bool = False


def server_specs(settings: Settings) -> dict[str, ServerSpec]:
    """Return the servers to connect to, by name: those of the servers file, the suite's own, or both.

    A servers file replaces the suite unless it says `"suite": true`; a name in both is the file's. Raises
    `BadSettings` when the file cannot be read.
    """
    if settings.servers_file is None:
        return _suite(settings)
    try:
        text = settings.servers_file.read_text(encoding="utf-8-sig")
        file = ServersFile.model_validate_json(text)
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors(include_url=False)]
        raise BadSettings(f"cannot use the servers file {settings.servers_file}: {'; '.join(faults)}") from None
    except (OSError, UnicodeError) as error:
        raise BadSettings(f"cannot read the servers file {settings.servers_file}: {error}") from None
    return {**(_suite(settings) if file.suite else {}), **file.servers}


def _suite(settings: Settings) -> dict[str, ServerSpec]:
    unneeded = {"byo": settings.byo_mapping is None, "cluster": _cluster(settings) == "off"}
    specs = {name: _own_server(name, settings) for name in SUITE if not unneeded.get(name)}
    if settings.roll_back_url:
        acting = {**specs["deploys"].env, "MIDWATCH_ROLL_BACK_URL": settings.roll_back_url}
        args = [*specs["deploys"].args, "--enable-roll-back"]
        specs["deploys"] = specs["deploys"].model_copy(update={"env": acting, "args": args})
    return specs


def _own_server(name: str, settings: Settings) -> ServerSpec:
    """Start a server of the suite in this Python; it inherits nothing but what it needs."""
    env = {**_starting_with(_INHERITED), **_of_backends(name)}
    if settings.store:
        env["MIDWATCH_STORE"] = str(settings.store.absolute())
    if name == "byo" and settings.byo_mapping:
        env |= {"MIDWATCH_BYO_MAPPING": str(settings.byo_mapping.absolute()), **_starting_with(_TO_AWS)}
    if name == "cluster":
        env["MIDWATCH_CLUSTER"] = _cluster(settings)
        if settings.cluster == "live":
            env |= _starting_with(_TO_KUBERNETES)
    return ServerSpec(command=sys.executable, args=["-m", f"midwatch_{name}"], env=env, suite=True)


def _of_backends(name: str) -> dict[str, str]:
    """Return what is set of a server's backends, and what leads to those of them that are."""
    env: dict[str, str] = {}
    for prefix, needed in _BACKENDS.get(name, {}).items():
        if found := _starting_with((prefix,)):
            env |= {**found, **_starting_with((*needed, *_PROXIES))}
    return env


def _starting_with(prefixes: Sequence[str]) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if value and name.startswith(tuple(prefixes))}


def _cluster(settings: Settings) -> str:
    """Where the cluster server reads: as is said, else the store if a cluster was ever recorded in it."""
    if settings.cluster:
        return settings.cluster
    table = settings.store / "objects" if settings.store else None
    return "store" if table is not None and table.is_dir() and any(table.iterdir()) else "off"
