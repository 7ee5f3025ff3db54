"""Where changes come from: one module for each system, imported only when its settings turn it on."""

from midwatch_deploys.backend import ChangeBackend, KnowsInventory
from midwatch_deploys.settings import DeploysSettings
from midwatch_deploys.together import Together


def backend_of(settings: DeploysSettings) -> Together:
    """Return all backends that the settings turn on, as one; none of them is asked anything yet."""
    backends = {**_of_code(settings), **_of_aws(settings), **_of_clusters(settings)}
    return Together(backends, settings.backend_seconds, _inventories(settings))


def _of_code(settings: DeploysSettings) -> dict[str, ChangeBackend]:
    backends: dict[str, ChangeBackend] = {}
    if settings.store is not None:
        from midwatch_deploys.backends.store import StoredChanges  # noqa: PLC0415 - only what is on is imported

        backends["store"] = StoredChanges(settings.store)
    if settings.git_repositories:
        from midwatch_deploys.backends.git import GitChanges  # noqa: PLC0415 - only what is on is imported

        backends["git"] = GitChanges(settings)
    if settings.github_repositories:
        from midwatch_deploys.backends.github import GitHubChanges  # noqa: PLC0415 - only what is on is imported

        backends["github"] = GitHubChanges(settings)
    return backends


def _of_aws(settings: DeploysSettings) -> dict[str, ChangeBackend]:
    backends: dict[str, ChangeBackend] = {}
    if settings.cloudtrail:
        from midwatch_deploys.backends.aws.cloudtrail import CloudTrailChanges  # noqa: PLC0415 - only what is on

        backends["cloudtrail"] = CloudTrailChanges(settings)
    if settings.cloudformation_stacks:
        from midwatch_deploys.backends.aws.cloudformation import CloudFormationChanges  # noqa: PLC0415 - as above

        backends["cloudformation"] = CloudFormationChanges(settings)
    if settings.ecs_clusters:
        from midwatch_deploys.backends.aws.ecs import EcsChanges  # noqa: PLC0415 - only what is on is imported

        backends["ecs"] = EcsChanges(settings)
    if settings.codepipelines:
        from midwatch_deploys.backends.aws.codepipeline import CodePipelineChanges  # noqa: PLC0415 - as above

        backends["codepipeline"] = CodePipelineChanges(settings)
    if settings.auto_scaling_groups:
        from midwatch_deploys.backends.aws.autoscaling import AutoScalingChanges  # noqa: PLC0415 - as above

        backends["autoscaling"] = AutoScalingChanges(settings)
    return backends


def _inventories(settings: DeploysSettings) -> dict[str, KnowsInventory]:
    if not settings.aws_inventory:
        return {}
    from midwatch_deploys.backends.aws.inventory import AwsInventory  # noqa: PLC0415 - only what is on is imported

    return {"aws inventory": AwsInventory(settings)}


def _of_clusters(settings: DeploysSettings) -> dict[str, ChangeBackend]:
    backends: dict[str, ChangeBackend] = {}
    if settings.kubernetes_namespaces:
        from midwatch_deploys.backends.kubernetes import KubernetesChanges  # noqa: PLC0415 - takes a second

        backends["kubernetes"] = KubernetesChanges(settings)
    if settings.argocd_url:
        from midwatch_deploys.backends.argocd import ArgoChanges  # noqa: PLC0415 - only what is on is imported

        backends["argocd"] = ArgoChanges(settings)
    return backends
