"""Settings of the cluster server: a live cluster, or one that was recorded in a store."""

from pathlib import Path
from typing import Literal

from pydantic import AliasChoices, Field

from midwatch_kit import ServerSettings
from midwatch_kit.listed import Listed


class ClusterSettings(ServerSettings):
    """How the cluster server is started."""

    cluster: Literal["store", "live"] | None = Field(
        None, description="recorded objects, or the live API; the store if one is named"
    )
    store: Path | None = Field(
        None, validation_alias=AliasChoices("MIDWATCH_STORE", "store"), description="the store's directory"
    )
    kubeconfig: Path | None = Field(None, description="for live; the usual one, or the pod's own account")
    kube_context: str | None = Field(None, description="context in the kubeconfig; its current one")
    cluster_namespaces: Listed[str] = Field([], description="for live: only these; all that may be read")
    cluster_max_age_seconds: float = Field(10.0, ge=0, description="for live: how old a listing may be used again")
