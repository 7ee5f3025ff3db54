"""Storage: claims that no volume satisfies. Asked is what stands against each volume that there is."""

from collections.abc import Callable, Iterator, Mapping
from itertools import combinations

from midwatch_cluster.checks.problem import Field, Problem, earliest, said
from midwatch_cluster.fit import matches
from midwatch_cluster.quantity import amount
from midwatch_cluster.state import Json, Ref, State, look, moment, ref_of

_DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
_STATIC = "kubernetes.io/no-provisioner"
_SAYS = {
    "volume_bound_to_another": "the volume that would fit is bound to another claim",
    "volume_released": "the volume that would fit still names the claim that it was released from",
    "volume_class_unmatched": "the volume that would fit has another storage class",
    "volume_selector_unmatched": "the volume that would fit lacks the labels of its selector",
    "volume_access_mode_unmatched": "the volume that would fit does not offer its access mode",
    "volume_too_small": "the volume that would fit is smaller than it asks for",
    "volume_mode_unmatched": "the volume that would fit has another volume mode",
}

Stands = Callable[[Json, Json], Field | None]


def storage_class_missing(state: State) -> Iterator[Problem]:
    """A claim waits for a storage class that does not exist, and no volume has that class either."""
    for claim in waiting(state):
        name, ref = look(claim, "/spec/storageClassName"), ref_of(claim)
        of_class = [volume for volume in state.of("PersistentVolume") if look(volume, "/spec/storageClassName") == name]
        if name and not of_class and state.lacks("StorageClass", "", name):
            yield _problem(
                state,
                claim,
                ref,
                "storage_class_missing",
                f"its storage class {name} does not exist",
                [(ref, "/spec/storageClassName")],
            )


def no_volume_fits(state: State) -> Iterator[Problem]:
    """A claim is to be bound to a volume that is there already, and none fits: what stands against the nearest."""
    for claim in waiting(state):
        if not _is_static(state, claim):
            continue
        ref = ref_of(claim)
        found = {ref_of(volume): against(claim, volume) for volume in state.of("PersistentVolume")}
        nearest = needed(found)
        for name in nearest:
            fields = next(fields for fields in found.values() if set(fields) <= set(nearest) and name in fields)
            yield _problem(state, claim, ref, name, _SAYS[name], [fields[name], (ref, "/spec")])


def claim_missing(state: State) -> Iterator[Problem]:
    """A pod is to mount a claim that does not exist."""
    for pod in state.of("Pod"):
        for number, volume in enumerate(look(pod, "/spec/volumes", [])):
            name = look(volume, "/persistentVolumeClaim/claimName")
            ref = ref_of(pod)
            if (
                name
                and look(pod, "/status/phase") == "Pending"
                and state.lacks("PersistentVolumeClaim", ref.namespace, name)
            ):
                owner, says = state.owner(pod), f"is to mount claim {name}, which does not exist"
                field = (ref, f"/spec/volumes/{number}/persistentVolumeClaim/claimName")
                if (quota := _storage_quota(state, ref.namespace)) is None:
                    yield Problem(owner, "volume_claim_missing", "change", f"a pod of {owner.name} {says}", (field,))
                    continue
                says = f"{says}: quota {quota[0].name} may have refused it"
                fields = (field, (quota[0], quota[1]))
                yield Problem(
                    quota[0],
                    "quota_of_storage_exceeded",
                    "access",
                    f"a pod of {owner.name} {says}",
                    fields,
                    victim=owner,
                )


def waiting(state: State) -> list[Json]:
    """Return the claims that are bound to nothing, though a pod that waits is to mount them or nothing delays them."""
    return [
        claim
        for claim in state.of("PersistentVolumeClaim")
        if look(claim, "/status/phase") in ("Pending", "Lost") and (users(state, claim) or not _waits(state, claim))
    ]


def users(state: State, claim: Json) -> list[Json]:
    """Return the pods that are to mount a claim."""
    ref = ref_of(claim)
    return [
        pod
        for pod in state.of("Pod", ref.namespace)
        if any(
            look(volume, "/persistentVolumeClaim/claimName") == ref.name for volume in look(pod, "/spec/volumes", [])
        )
    ]


def bound_to_another(claim: Json, volume: Json) -> Field | None:
    """The volume is some other claim's."""
    holder, ref = look(volume, "/spec/claimRef"), ref_of(claim)
    if holder is None or (holder.get("namespace"), holder.get("name")) == (ref.namespace, ref.name):
        return None
    return None if look(volume, "/status/phase") == "Released" else (ref_of(volume), "/spec/claimRef")


def released(_: Json, volume: Json) -> Field | None:
    """The volume was some claim's that is gone, and nobody has made it available again."""
    return (ref_of(volume), "/status/phase") if look(volume, "/status/phase") == "Released" else None


def other_class(claim: Json, volume: Json) -> Field | None:
    """The two name different storage classes; none and '' are the same."""
    differ = (look(claim, "/spec/storageClassName") or "") != (look(volume, "/spec/storageClassName") or "")
    return (ref_of(claim), "/spec/storageClassName") if differ else None


def not_selected(claim: Json, volume: Json) -> Field | None:
    """The volume lacks what the claim's selector asks for."""
    selector = look(claim, "/spec/selector")
    return (ref_of(claim), "/spec/selector") if selector and not matches(selector, volume) else None


def other_access(claim: Json, volume: Json) -> Field | None:
    """The volume does not offer every access mode that the claim asks for."""
    missing = set(look(claim, "/spec/accessModes", [])) - set(look(volume, "/spec/accessModes", []))
    return (ref_of(claim), "/spec/accessModes") if missing else None


def too_small(claim: Json, volume: Json) -> Field | None:
    """The volume holds less than the claim asks for."""
    asked = amount(look(claim, "/spec/resources/requests/storage", 0))
    less = amount(look(volume, "/spec/capacity/storage", 0)) < asked
    return (ref_of(claim), "/spec/resources/requests/storage") if less else None


def other_mode(claim: Json, volume: Json) -> Field | None:
    """One is a file system and the other a block device."""
    modes = [look(thing, "/spec/volumeMode", "Filesystem") for thing in (claim, volume)]
    return (ref_of(claim), "/spec/volumeMode") if modes[0] != modes[1] else None


STANDS: Mapping[str, Stands] = {
    "volume_bound_to_another": bound_to_another,
    "volume_released": released,
    "volume_class_unmatched": other_class,
    "volume_selector_unmatched": not_selected,
    "volume_access_mode_unmatched": other_access,
    "volume_too_small": too_small,
    "volume_mode_unmatched": other_mode,
}


def against(claim: Json, volume: Json) -> dict[str, Field]:
    """Return what stands against binding a claim to a volume, and the field that says so."""
    return {name: field for name, stands in STANDS.items() if (field := stands(claim, volume)) is not None}


def needed(found: Mapping[Ref, Mapping[str, Field]]) -> tuple[str, ...]:
    """Return the fewest reasons without which a volume would fit; none when there is no volume, or one fits."""
    for size in range(len(STANDS) + 1):
        for without in combinations(STANDS, size):
            if any(set(fields) == set(without) for fields in found.values()):
                return without
    return ()


def _storage_quota(state: State, namespace: str) -> tuple[Ref, str] | None:
    """A quota of a namespace that limits storage, or the number of claims, and the field that says so."""
    for quota in state.of("ResourceQuota", namespace):
        for part in ("spec", "status"):
            for resource in look(quota, f"/{part}/hard", {}):
                if resource.endswith(("requests.storage", "persistentvolumeclaims")):
                    return ref_of(quota), f"/{part}/hard/{resource.replace('/', '~1')}"
    return None


def _is_static(state: State, claim: Json) -> bool:
    """Whether no provisioner makes a volume for this claim: its class is none, '' or one for volumes made by hand."""
    name = look(claim, "/spec/storageClassName", "")
    there = state.get("StorageClass", "", name) if name else None
    return there is None or there.get("provisioner") == _STATIC


def _waits(state: State, claim: Json) -> bool:
    """Whether a claim is to wait for its first pod."""
    there = state.get("StorageClass", "", look(claim, "/spec/storageClassName", ""))
    return there is not None and there.get("volumeBindingMode") == "WaitForFirstConsumer"


def _problem(state: State, claim: Json, ref: Ref, reason: str, says: str, fields: list[Field]) -> Problem:
    events = [event for event in state.events_about(ref) if event.get("type") == "Warning"]
    owners = [state.owner(pod) for pod in users(state, claim)]
    return Problem(
        ref,
        reason,
        "change",
        f"claim {ref.name} is bound to no volume: {says}",
        (*fields, *map(said, events[-1:])),
        victim=owners[0] if owners else None,
        since=moment(look(claim, "/metadata/creationTimestamp")) or earliest(events),
    )


CHECKS = (storage_class_missing, no_volume_fits, claim_missing)
