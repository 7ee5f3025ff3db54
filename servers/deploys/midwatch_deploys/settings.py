"""Settings of the deploys server: where changes are read from, and whether there is a way to roll back."""

from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import AliasChoices, AnyHttpUrl, Field, SecretStr, field_validator, model_validator

from midwatch_kit.listed import Listed
from midwatch_kit.settings import AwsSettings, ServerSettings

_SOURCES: Final = (
    "store",
    "git_repositories",
    "github_repositories",
    "cloudtrail",
    "cloudformation_stacks",
    "ecs_clusters",
    "codepipelines",
    "auto_scaling_groups",
    "kubernetes_namespaces",
    "argocd_url",
)
_CHATTER: Final = [
    "CreateLogStream",
    "UpdateInstanceInformation",
    "UpdateInstanceAssociationStatus",
    "PutInventory",
    "PutComplianceItems",
    "SubmitTaskStateChange",
    "SubmitContainerStateChange",
    "SubmitAttachmentStateChanges",
    "DiscoverPollEndpoint",
    "OpenDataChannel",
    "OpenControlChannel",
    "CreateControlChannel",
    "CreateDataChannel",
    "StartQuery",
]
"""Events that machines make all the time, and that change nothing that anybody would look for."""


class AwsChangesSettings(AwsSettings):
    """What in AWS is read: each service that tells of changes has a setting that turns it on."""

    cloudtrail: bool = Field(False, description="read CloudTrail's event history: who did what")
    cloudtrail_most_events: int = Field(500, ge=50, le=5_000, description="events that one question reads")
    cloudtrail_ignored: Listed[str] = Field(_CHATTER, description="events that are not told, by name")
    cloudtrail_roles: bool = Field(True, description="look up as well which people took on a role")
    cloudformation_stacks: Listed[str] = Field([], description="CloudFormation stacks, by names or patterns as prod-*")
    ecs_clusters: Listed[str] = Field([], description="ECS clusters, by names or patterns")
    codepipelines: Listed[str] = Field([], description="CodePipeline pipelines, by names or patterns")
    auto_scaling_groups: Listed[str] = Field([], description="Auto Scaling groups, by names or patterns")
    service_tag: str = Field("", description="the tag of stacks, services and groups that names the service")
    aws_inventory: bool = Field(False, description="tell what there is in AWS and how it is tied, for the topology")
    aws_owner_tag: str = Field("owner", description="the tag of resources that names their team, for the inventory")
    aws_environment_tag: str = Field("environment", description="the tag that names the environment, for the inventory")


class KubernetesSettings(ServerSettings):
    """Kubernetes: `MIDWATCH_KUBERNETES_NAMESPACES` turns it on."""

    kubernetes_namespaces: Listed[str] = Field([], description="namespaces of a Kubernetes cluster; * is all")
    kubernetes_secrets: bool = Field(False, description="tell when Secrets were written; needs leave to list them")
    kubeconfig: Path | None = Field(None, description="the usual one, or the account of the pod that this runs in")
    kube_context: str | None = Field(None, description="context in the kubeconfig; its current one")


class ArgoSettings(ServerSettings):
    """Argo CD: `MIDWATCH_ARGOCD_URL` turns it on."""

    argocd_url: str | None = Field(None, description="Argo CD's address, as https://argocd.example")
    argocd_token: SecretStr | None = Field(None, description="a token of an account that may get applications")
    argocd_projects: Listed[str] = Field([], description="projects whose applications count; all that can be seen")

    @field_validator("argocd_url")
    @classmethod
    def _is_an_address(cls, url: str | None) -> str | None:
        if url and not url.startswith(("http://", "https://")):
            raise ValueError("must begin with http:// or https://")
        return url


class DeploysSettings(AwsChangesSettings, KubernetesSettings, ArgoSettings):
    """How the deploys server is started; without `enable_roll_back` it has no tool that writes.

    A backend is on when its setting is set; several may be on at once, and one must be.
    """

    store: Path | None = Field(
        None, validation_alias=AliasChoices("MIDWATCH_STORE", "store"), description="the store's directory"
    )
    git_repositories: Listed[Path] = Field([], description="folders of git repositories on this machine")
    git_branch: str = Field("", description="the branch that counts; the one that HEAD names")
    git_deployed_by: Literal["nothing", "tags", "commits"] = Field(
        "nothing", description="what of a repository is a deploy as well"
    )
    github_repositories: Listed[Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$")]] = Field(
        [], description="repositories on GitHub, as OWNER/NAME"
    )
    github_url: AnyHttpUrl = Field(AnyHttpUrl("https://api.github.com"), description="GitHub's API")
    github_token: SecretStr | None = Field(None, description="a token that may read them")
    github_environments: Listed[str] = Field([], description="deployments to these count; to all")
    github_workflows: Listed[str] = Field([], description="workflows that deploy, by name or file; none")
    service_paths: dict[str, str] = Field({}, description="services by [REPOSITORY:]PATH; * is all services")
    service_resources: dict[str, str] = Field({}, description="services by a pattern of resources' names; * is all")
    lookback_days: float = Field(30.0, gt=0, le=3_650, description="how far back a question without a start goes")
    backend_seconds: float = Field(30.0, gt=0, description="a backend that takes longer is left out, and that is told")
    enable_roll_back: bool = Field(False, description="offer the tool roll_back, which writes to production")
    roll_back_url: AnyHttpUrl | None = Field(None, description="the deployer that roll-backs are asked of")
    roll_back_seconds: float = Field(100.0, gt=0, description="how long the deployer may take")

    @model_validator(mode="after")
    def _changes_come_from_somewhere(self) -> Self:
        if not any(getattr(self, source) for source in _SOURCES):
            names = ", ".join(f"MIDWATCH_{source.upper()}" for source in _SOURCES)
            raise ValueError(f"no place to read changes from: set one of {names}, or several")
        return self

    @model_validator(mode="after")
    def _roll_back_has_somewhere_to_go(self) -> Self:
        if self.enable_roll_back and self.roll_back_url is None:
            raise ValueError(
                "--enable-roll-back needs a deployer to ask: name it with --roll-back-url or MIDWATCH_ROLL_BACK_URL"
            )
        return self
