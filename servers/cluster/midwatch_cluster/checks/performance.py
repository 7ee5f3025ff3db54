"""Performance: what is close to a limit of its own, by the figures of the metrics API and by what the scaler says."""

from collections.abc import Iterator
from decimal import Decimal

from midwatch_cluster.checks.problem import Problem
from midwatch_cluster.quantity import amount
from midwatch_cluster.state import State, condition, look, moment, ref_of

NEAR = Decimal("0.95")
"""The share of a limit from which on a container has no room: the kernel throttles CPU at it, and kills for memory."""


def near_its_limit(state: State) -> Iterator[Problem]:
    """A container uses nearly all of the CPU, or of the memory, that its limit allows."""
    for figures in state.of("PodMetrics"):
        ref = ref_of(figures)
        pod = state.get("Pod", ref.namespace, ref.name)
        if pod is None:
            continue
        limits = {each["name"]: look(each, "/resources/limits", {}) for each in look(pod, "/spec/containers", [])}
        for number, container in enumerate(figures.get("containers", [])):
            for resource, used in (container.get("usage") or {}).items():
                limit = limits.get(container.get("name"), {}).get(resource)
                if limit and amount(used) >= NEAR * amount(limit):
                    owner = state.owner(pod)
                    yield Problem(
                        owner,
                        f"{resource}_near_limit",
                        "resource",
                        f"{ref.name} uses {used} of {resource}, and its limit is {limit}",
                        ((ref, f"/containers/{number}/usage/{resource}"),),
                        since=moment(figures.get("timestamp")),
                        certain=False,
                    )


def scaled_to_its_most(state: State) -> Iterator[Problem]:
    """A HorizontalPodAutoscaler wants more replicas than it may make."""
    for scaler in state.of("HorizontalPodAutoscaler"):
        limited = condition(scaler, "ScalingLimited")
        if limited and limited[0].get("status") == "True" and limited[0].get("reason") == "TooManyReplicas":
            ref = ref_of(scaler)
            most = look(scaler, "/spec/maxReplicas")
            yield Problem(
                ref,
                "autoscaler_at_most",
                "traffic",
                f"autoscaler {ref.name} would make more than the {most} replicas that it may",
                ((ref, f"{limited[1]}/message"), (ref, "/spec/maxReplicas")),
                since=moment(limited[0].get("lastTransitionTime")),
                certain=False,
            )


def roll_out_stalls(state: State) -> Iterator[Problem]:
    """A Deployment made no progress within its deadline."""
    for deployment in state.of("Deployment"):
        found = condition(deployment, "Progressing")
        if found and found[0].get("reason") == "ProgressDeadlineExceeded":
            ref = ref_of(deployment)
            yield Problem(
                ref,
                "roll_out_stalls",
                "change",
                f"the roll-out of {ref.name} made no progress within its deadline",
                ((ref, f"{found[1]}/reason"),),
                since=moment(found[0].get("lastTransitionTime")),
                certain=False,
                effect=True,
            )


CHECKS = (near_its_limit, scaled_to_its_most, roll_out_stalls)
