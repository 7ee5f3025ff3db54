"""Where changes come from: one module for each system, imported only when its settings turn it on."""

from midwatch_deploys.backend import ChangeBackend
from midwatch_deploys.settings import DeploysSettings
from midwatch_deploys.together import Together


def backend_of(settings: DeploysSettings) -> Together:
    """Return all backends that the settings turn on, as one; none of them is asked anything yet."""
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
    return Together(backends, settings.backend_seconds)
