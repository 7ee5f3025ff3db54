"""Changes that Argo CD brought to clusters."""

from midwatch_deploys.backends.argocd.backend import ArgoChanges as ArgoChanges
