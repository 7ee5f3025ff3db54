"""Changes in a Kubernetes cluster: rollouts, writes of configuration, and events that are changes."""

from midwatch_deploys.backends.kubernetes.backend import KubernetesChanges as KubernetesChanges
