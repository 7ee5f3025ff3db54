"""Cloud-OpsBench's own words for what midwatch finds: taxonomy, object and root cause, as its labels write them.

A plain table from the check (or the sort of complaint, or the figure) that a hypothesis starts from to the set's
vocabulary. Nothing of this is known outside of `midwatch_bench`.
"""

from collections.abc import Mapping

from midwatch.builtin.complaints import FAMILIES
from midwatch.builtin.observed import words_of
from midwatch.records import HypothesisKind
from midwatch_bench.accuracy.guess import Guess
from midwatch_kit.records import Observation, ObservationKind

_ADMISSION, _SCHEDULING, _STARTUP = "Admission_Fault", "Scheduling_Fault", "Startup_Fault"
_RUNTIME, _ROUTING, _PERFORMANCE, _NODE = (
    "Runtime_Fault",
    "Service_Routing_Fault",
    "Performance_Fault",
    "Infrastructure_Fault",
)
_CHECKS: Mapping[str, tuple[str, str]] = {
    "service_account_missing": (_ADMISSION, "missing_service_account"),
    "quota_of_cpu": (_ADMISSION, "namespace_cpu_quota_exceeded"),
    "quota_of_memory": (_ADMISSION, "namespace_memory_quota_exceeded"),
    "quota_of_pods": (_ADMISSION, "namespace_pod_quota_exceeded"),
    "quota_of_services": (_ADMISSION, "namespace_service_quota_exceeded"),
    "quota_of_storage": (_ADMISSION, "namespace_storage_quota_exceeded"),
    "quota_of_persistentvolumeclaims": (_ADMISSION, "namespace_storage_quota_exceeded"),
    "container_runtime_unhealthy": (_NODE, "containerd_unavailable"),
    "kube_proxy_unhealthy": (_NODE, "kube_proxy_unavailable"),
    "kube_scheduler_unhealthy": (_NODE, "kube_scheduler_unavailable"),
    "scheduler_away": (_NODE, "kube_scheduler_unavailable"),
    "kubelet_unhealthy": (_NODE, "kubelet_unavailable"),
    "kubelet_silent": (_NODE, "kubelet_unavailable"),
    "liveness_probe_asks_wrong_port": (_RUNTIME, "liveness_probe_incorrect_port"),
    "liveness_probe_asks_in_wrong_protocol": (_RUNTIME, "liveness_probe_incorrect_protocol"),
    "liveness_probe_is_impatient": (_RUNTIME, "liveness_probe_incorrect_timing"),
    "readiness_probe_asks_wrong_port": (_RUNTIME, "readiness_probe_incorrect_port"),
    "readiness_probe_asks_in_wrong_protocol": (_RUNTIME, "readiness_probe_incorrect_protocol"),
    "memory_exhausted": (_RUNTIME, "oom_killed"),
    "scaled_to_nothing": (_RUNTIME, "deployment_zero_replicas"),
    "ports_collide": (_RUNTIME, "service_sidecar_port_conflict"),
    "cpu_request_too_large": (_SCHEDULING, "cpu_capacity_mismatch"),
    "memory_request_too_large": (_SCHEDULING, "memory_capacity_mismatch"),
    "node_affinity_unmatched": (_SCHEDULING, "node_affinity_mismatch"),
    "node_cordoned": (_SCHEDULING, "node_cordon_mismatch"),
    "node_selector_unmatched": (_SCHEDULING, "node_selector_mismatch"),
    "pod_anti_affinity_conflict": (_SCHEDULING, "pod_anti_affinity_conflict"),
    "pod_affinity_unmatched": (_SCHEDULING, "node_affinity_mismatch"),
    "taint_not_tolerated": (_SCHEDULING, "taint_toleration_mismatch"),
    "volume_bound_to_another": (_SCHEDULING, "pv_binding_occupied"),
    "volume_access_mode_unmatched": (_SCHEDULING, "pvc_access_mode_mismatch"),
    "volume_too_small": (_SCHEDULING, "pvc_capacity_mismatch"),
    "volume_selector_unmatched": (_SCHEDULING, "pvc_selector_mismatch"),
    "volume_class_unmatched": (_SCHEDULING, "pvc_storage_class_mismatch"),
    "storage_class_missing": (_SCHEDULING, "pvc_storage_class_mismatch"),
    "address_has_wrong_port": (_ROUTING, "service_env_var_address_mismatch"),
    "address_of_no_service": (_ROUTING, "service_env_var_address_mismatch"),
    "service_leads_to_no_port": (_ROUTING, "service_port_mapping_mismatch"),
    "service_speaks_other_protocol": (_ROUTING, "service_protocol_mismatch"),
    "service_selects_nothing": (_ROUTING, "service_selector_mismatch"),
    "path_leads_elsewhere": (_ROUTING, "gateway_misroute"),
    "name_server_of_its_own": (_ROUTING, "service_dns_resolution_failure"),
    "image_registry_unreachable": (_STARTUP, "image_registry_dns_failure"),
    "image_not_found": (_STARTUP, "incorrect_image_reference"),
    "image_pull_denied": (_STARTUP, "incorrect_image_reference"),
    "image_pull_secret_missing": (_STARTUP, "missing_image_pull_secret"),
    "secret_missing": (_STARTUP, "missing_secret_binding"),
    "container_may_not_start": (_STARTUP, "volume_mount_permission_denied"),
    "volume_mount_denied": (_STARTUP, "volume_mount_permission_denied"),
}
_COMPLAINTS: Mapping[str, tuple[str, str]] = {
    "no_connections_left": (_RUNTIME, "db_connection_exhaustion"),
    "read_only": (_RUNTIME, "db_read_only"),
    "login_refused": (_RUNTIME, "mysql_invalid_credentials"),
    "not_reached": (_RUNTIME, "mysql_invalid_port"),
}
_SLOW: Mapping[str, tuple[str, str]] = {
    "app": (_PERFORMANCE, "pod_network_delay"),
    "node": (_NODE, "node_network_delay"),
}
_BUSY = (_PERFORMANCE, "pod_cpu_overload")
WORDS = frozenset({*_CHECKS.values(), *_COMPLAINTS.values(), *_SLOW.values(), _BUSY})
"""Every taxonomy and cause that a finding can be put into."""
_ABOUT_A_VICTIM = ("PersistentVolumeClaim", "ConfigMap", "Ingress", "Node")
_BEGINS = ("latency_excess", "self_time")


def label(guess: Guess) -> str | None:
    """Return a guess in the set's words, in small letters: taxonomy, object, cause; None where it has none for it."""
    mismatch = next((o for o in guess.observations if o.kind is ObservationKind.MISMATCH), None)
    named = _said(guess) or (_checked(mismatch) if mismatch else _slow(guess))
    if named is None:
        return None
    taxonomy, cause = named
    about = _object(mismatch, taxonomy, cause) if mismatch and not _said(guess) else _place(guess)
    return f"{taxonomy} {about} {cause}".lower()


def _said(guess: Guess) -> tuple[str, str] | None:
    """What is complained of, where a guess starts from that."""
    first = guess.observations[0] if guess.observations else None
    if first is None or first.kind is not ObservationKind.NEW_PATTERN:
        return None
    return next((_COMPLAINTS[family.name] for family in FAMILIES if family.says.search(words_of(first))), None)


def _checked(mismatch: Observation) -> tuple[str, str] | None:
    reason = mismatch.subject
    return next((words for key, words in _CHECKS.items() if reason == key or reason.startswith(f"{key}_")), None)


def _slow(guess: Guess) -> tuple[str, str] | None:
    """A place in which time is lost: for want of CPU, or else on its way."""
    if not any(o.subject in _BEGINS for o in guess.observations):
        return None
    if guess.kind is HypothesisKind.RESOURCE:
        return _BUSY if "cpu" in guess.rationale else None
    return _SLOW.get(_place(guess).partition("/")[0])


def _place(guess: Guess) -> str:
    kind, _, name = guess.entity.partition(":")
    return f"{'node' if kind == 'host' else 'app'}/{name}"


def _object(mismatch: Observation, taxonomy: str, cause: str) -> str:
    """The object as labels write it: `app/x` for whatever suffers, `node/x`, or `namespace/x` for its quotas."""
    kind, _, where = mismatch.attributes["object"].partition(" ")
    namespace, _, name = where.rpartition("/")
    if taxonomy == _ADMISSION and "quota" in cause:
        return f"namespace/{namespace}"
    if taxonomy == _NODE:
        return f"node/{name}"
    victim = mismatch.related.partition(":")[2].rpartition("/")[2] if mismatch.related else ""
    return f"app/{victim if victim and kind in _ABOUT_A_VICTIM else name}"
