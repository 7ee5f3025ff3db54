"""Admission: what the API server refuses to make. The controller keeps trying, and its events say what it is told."""

import re
from collections.abc import Iterator

from midwatch_cluster.checks.problem import Problem, earliest, said
from midwatch_cluster.checks.routing import addresses
from midwatch_cluster.quantity import amount
from midwatch_cluster.state import Json, Ref, State, condition, last_seen, look, pod_spec, ref_of

_QUOTA = re.compile(r"exceeded quota: (?P<quota>[^,]+), requested: (?P<asked>.+?), used: .+?, limited: (?P<limit>.+)")
_RESOURCE = re.compile(r"([a-z][\w./-]*)=")
_REFUSALS = (
    ("pod_security_violated", "violates PodSecurity"),
    ("webhook_denied", "admission webhook"),
    ("limit_range_violated", "maximum cpu usage per"),
    ("limit_range_violated", "maximum memory usage per"),
    ("limit_range_violated", "minimum cpu usage per"),
    ("limit_range_violated", "minimum memory usage per"),
)


def quota_exceeded(state: State) -> Iterator[Problem]:
    """A controller is refused an object because a ResourceQuota of its namespace has no room for it."""
    for workload, event in refused(state):
        if found := _QUOTA.search(event["message"]):
            quota = Ref("ResourceQuota", workload.namespace, found["quota"].strip())
            for resource in _RESOURCE.findall(found["asked"]):
                yield _short(state, quota, resource, workload, event)


def quota_used_up(state: State) -> Iterator[Problem]:
    """A count in a ResourceQuota is used to its limit, so that nothing more of its sort can be made.

    That may be meant so, but not where a Service is missing that workloads ask for.
    """
    for quota in state.of("ResourceQuota"):
        for resource, hard in look(quota, "/status/hard", look(quota, "/spec/hard", {})).items():
            used = look(quota, "/status/used", {}).get(resource)
            if used is not None and amount(used) >= amount(hard):
                where = ref_of(quota)
                pointer = resource.replace("~", "~0").replace("/", "~1")
                yield Problem(
                    where,
                    f"quota_of_{_resource(resource)}_used_up",
                    "access",
                    f"quota {where.name} of {where.namespace} has no {resource} left: {used} of {hard} are used",
                    ((where, f"/status/used/{pointer}"), (where, f"/status/hard/{pointer}")),
                    certain=resource == "services" and _lacks_service(state, where.namespace),
                )


def service_account_missing(state: State) -> Iterator[Problem]:
    """A workload's pods are to run as a ServiceAccount that does not exist, so none can be made."""
    for workload in state.workloads:
        ref = ref_of(workload)
        spec, where = pod_spec(workload)
        account = spec.get("serviceAccountName") or spec.get("serviceAccount")
        if account and state.lacks("ServiceAccount", ref.namespace, account):
            events = [event for owner, event in refused(state) if owner == ref]
            field = "serviceAccountName" if spec.get("serviceAccountName") else "serviceAccount"
            yield Problem(
                ref,
                "service_account_missing",
                "access",
                f"{ref.name} is to run as service account {account}, which is not in {ref.namespace}",
                ((ref, f"{where}/{field}"), *map(said, events[-1:])),
                since=earliest(events),
            )


def refused_by_policy(state: State) -> Iterator[Problem]:
    """A controller's pods are refused by Pod Security, a LimitRange or an admission webhook."""
    for workload, event in refused(state):
        reason = next((reason for reason, text in _REFUSALS if text in event["message"]), None)
        if reason:
            statement = f"pods of {workload.name} are refused: {event['message']}"
            yield Problem(workload, reason, "access", statement, (said(event),), since=earliest([event]))


def refused(state: State) -> list[tuple[Ref, Json]]:
    """Return the last refusal of each controller that still lacks pods, with the workload it is about."""
    found = []
    for kind in ("ReplicaSet", "StatefulSet", "DaemonSet", "Job"):
        for controller in state.of(kind):
            events = [
                event for event in state.events_about(ref_of(controller)) if event.get("reason") == "FailedCreate"
            ]
            if events and lacks_pods(controller):
                found.append((state.owner(controller), max(events, key=lambda event: str(last_seen(event)))))
    return found


def lacks_pods(controller: Json) -> bool:
    """Whether a controller has made fewer pods than it is to have."""
    if (failure := condition(controller, "ReplicaFailure")) and failure[0].get("status") == "True":
        return True
    wanted = look(controller, "/spec/replicas", look(controller, "/status/desiredNumberScheduled", 1))
    made = look(controller, "/status/replicas", look(controller, "/status/currentNumberScheduled", 0))
    return int(made) < int(wanted)


def _short(state: State, quota: Ref, resource: str, workload: Ref, event: Json) -> Problem:
    there = state.find(quota)
    limit = quota, f"/spec/hard/{resource.replace('/', '~1')}"
    return Problem(
        quota if there else workload,
        f"quota_of_{_resource(resource)}_exceeded",
        "access",
        f"quota {quota.name} of {quota.namespace} has no room for {resource} of a pod of {workload.name}",
        (said(event), *([limit] if there and look(there, limit[1]) is not None else [])),
        victim=workload,
        since=earliest([event]),
    )


def _lacks_service(state: State, namespace: str) -> bool:
    """Whether a workload is asked for by its name, and the Service of that name is not there."""
    own = [workload for workload in state.workloads if ref_of(workload).namespace == namespace]
    names = {ref_of(workload).name for workload in own}
    asked = {host for workload in own for _, host, _ in addresses(workload)}
    return any(state.lacks("Service", namespace, name) for name in sorted(names & asked))


def _resource(name: str) -> str:
    """The resource that a quota's key counts: `requests.cpu` and `limits.cpu` are cpu, `count/pods` pods."""
    return re.sub(r"^(requests|limits|count)[./]", "", name).partition(".")[0]


CHECKS = (quota_exceeded, quota_used_up, service_account_missing, refused_by_policy)
