"""Changes on GitHub: deployments, runs of workflows that deploy, commits of the main branch, releases."""

from midwatch_deploys.backends.github.backend import GitHubChanges

__all__ = ["GitHubChanges"]
