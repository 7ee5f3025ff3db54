"""Settings of the metrics server: those of every server, and where metrics are. One that is set turns a backend on."""

from pathlib import Path
from typing import Final, Self

from pydantic import Field, SecretStr, model_validator

from midwatch_kit.listed import Listed
from midwatch_kit.settings import AwsSettings

_PLACES: Final = ("store", "prometheus_url", "grafana_url", "cloudwatch_namespaces")
_SERVICE_DIMENSIONS: Final = [
    "service.name",
    "service_name",
    "ServiceName",
    "Service",
    "FunctionName",
    "TargetGroup",
    "LoadBalancer",
    "LoadBalancerName",
    "ApiName",
    "ApiId",
    "DBInstanceIdentifier",
    "DBClusterIdentifier",
    "CacheClusterId",
    "QueueName",
    "TopicName",
    "TableName",
    "StreamName",
    "StateMachineArn",
    "BucketName",
    "AutoScalingGroupName",
    "ClusterName",
]
_COUNTERS: Final = [
    "*_total",
    "*requests",
    "*requestcount",
    "*invocations",
    "*calls",
    "*errors",
    "*errorcount",
    "*faults",
    "*failures",
    "*timeouts",
    "*retries",
    "*throttles",
]


class MetricsSettings(AwsSettings):
    """How the metrics server is started: at least one place to read metrics from, several if there are."""

    store: Path | None = Field(None, description="the embedded store's directory")

    prometheus_url: str | None = Field(None, description="Prometheus, or anything with its API")
    prometheus_token: SecretStr | None = Field(None, description="bearer token; better in the environment")
    prometheus_user: str | None = Field(None, description="user, for basic authentication")
    prometheus_password: SecretStr | None = Field(None, description="its password; better in the environment")
    prometheus_tenant: str | None = Field(None, description="X-Scope-OrgID, for Mimir and the like")
    prometheus_service_labels: Listed[str] = Field(
        ["service_name", "service", "app", "app_kubernetes_io_name", "job"],
        description="labels that name the service; the first that a series has counts",
    )
    prometheus_instance_labels: Listed[str] = Field(
        ["service_instance_id", "pod", "instance"], description="labels that name the instance, likewise"
    )
    prometheus_version_labels: Listed[str] = Field(
        ["service_version", "app_kubernetes_io_version", "version"],
        description="labels that name the version, likewise",
    )

    grafana_url: str | None = Field(None, description="Grafana: a data source of it, and its own alert rules")
    grafana_token: SecretStr | None = Field(None, description="a service account's token; better in the environment")
    grafana_datasource: str | None = Field(
        None, description="uid or name of the data source; the default one of Prometheus' kind when left out"
    )

    cloudwatch_namespaces: Listed[str] = Field([], description="CloudWatch namespaces, by names or AWS/*; * is all")
    cloudwatch_most_metrics: int = Field(
        500, ge=1, le=10_000, description="metrics that one tool call may ask CloudWatch for: each costs money"
    )
    cloudwatch_service_dimensions: Listed[str] = Field(
        _SERVICE_DIMENSIONS,
        description="dimensions that name the service; the first that a metric has counts",
    )
    cloudwatch_instance_dimensions: Listed[str] = Field(
        ["service.instance.id", "InstanceId", "TaskId", "PodName", "ContainerId", "CacheNodeId", "host"],
        description="dimensions that name the instance, likewise",
    )
    cloudwatch_counters: Listed[str] = Field(
        _COUNTERS,
        description="patterns of names of custom metrics that are counted (Sum), in any case of letters",
    )

    @model_validator(mode="after")
    def _has_a_place(self) -> Self:
        if not any(getattr(self, place) for place in _PLACES):
            names = ", ".join(f"MIDWATCH_{place.upper()}" for place in _PLACES)
            raise ValueError(f"no place to read metrics from: set one of {names}, or several")
        return self
