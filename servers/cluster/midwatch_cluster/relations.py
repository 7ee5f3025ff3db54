"""How the objects of a cluster are tied: owners, nodes, selectors, routes, mounts and accounts, as a fragment."""

from collections.abc import Iterator

from midwatch_cluster.checks.routing import addresses, selecting
from midwatch_cluster.entities import entity_of, service_name
from midwatch_cluster.fit import is_control_plane
from midwatch_cluster.state import WORKLOADS, Json, Ref, State, has_labels, look, pod_spec, ref_of, template_of
from midwatch_kit import Basis, Binding, Entity, Relation, Signal, TopologyFragment

_MOUNTS = (
    ("Secret", "secret/secretName"),
    ("ConfigMap", "configMap/name"),
    ("PersistentVolumeClaim", "persistentVolumeClaim/claimName"),
)
Tie = tuple[Ref, str, Ref, Basis]


def fragment_of(state: State, server: str) -> TopologyFragment:
    """Return what there is in a cluster that an application is made of, and how it is tied."""
    ties = [tie for tie in _ties(state) if tie[0] != tie[2]]
    named = {ref for source, _, target, _ in ties for ref in (source, target)}
    own = {ref_of(thing) for thing in [*state.workloads, *state.of("Pod"), *state.of("Node")]}
    entities = {entity_of(ref, state): _entity(ref, state, server) for ref in sorted(named | own)}
    relations = {
        (relation.source, relation.kind, relation.target): relation
        for relation in (_relation(tie, state, server) for tie in ties)
    }
    bindings = tuple(
        Binding(entity=entity.id, signal=Signal.STATE, server=server, selector=dict(entity.attributes))
        for entity in entities.values()
    )
    return TopologyFragment(entities=tuple(entities.values()), relations=tuple(relations.values()), bindings=bindings)


def _ties(state: State) -> Iterator[Tie]:
    for pod in state.of("Pod"):
        yield from _of_pod(state, pod)
    for workload in state.workloads:
        yield from _of_workload(state, workload)
    yield from _of_namespaces(state)
    for service in selecting(state):
        yield from _of_service(state, service)
    for ingress in state.of("Ingress"):
        for rule in look(ingress, "/spec/rules", []):
            for path in look(rule, "/http/paths", []):
                if name := look(path, "/backend/service/name"):
                    yield ref_of(ingress), "routes_to", Ref("Service", ref_of(ingress).namespace, name), Basis.DECLARED
    for claim in state.of("PersistentVolumeClaim"):
        if volume := look(claim, "/spec/volumeName"):
            yield ref_of(claim), "bound_to", Ref("PersistentVolume", "", volume), Basis.OBSERVED


def _of_pod(state: State, pod: Json) -> Iterator[Tie]:
    ref = ref_of(pod)
    owner = state.owner(pod)
    if owner.kind in WORKLOADS:
        yield owner, "runs_on", ref, Basis.OBSERVED
    if node := look(pod, "/spec/nodeName"):
        yield ref, "runs_on", Ref("Node", "", node), Basis.OBSERVED
        if owner.kind in WORKLOADS:  # what is wrong with a machine hurts a part of what runs there
            yield owner, "runs_on", Ref("Node", "", node), Basis.OBSERVED


def _of_workload(state: State, workload: Json) -> Iterator[Tie]:
    ref = ref_of(workload)
    spec, _ = pod_spec(workload)
    for volume in spec.get("volumes") or []:
        for kind, pointer in _MOUNTS:
            if name := look(volume, f"/{pointer}"):
                yield ref, "mounts", Ref(kind, ref.namespace, name), Basis.DECLARED
    if account := spec.get("serviceAccountName"):
        yield ref, "acts_as", Ref("ServiceAccount", ref.namespace, account), Basis.DECLARED
    for host in sorted({*(host for _, host, _ in addresses(workload)), *_hosts(state, workload)}):
        service = state.get("Service", ref.namespace, host)
        for callee in _selected(state, service) if service is not None else ():
            yield ref, "calls", callee, Basis.DECLARED


def _of_namespaces(state: State) -> Iterator[Tie]:
    """What is in a namespace is its workloads; without the control plane none is scheduled, mended or scaled."""
    for workload in state.workloads:
        yield Ref("Namespace", "", ref_of(workload).namespace), "depends_on", ref_of(workload), Basis.OBSERVED
    for namespace in sorted({ref_of(workload).namespace for workload in state.workloads}):
        for node in filter(is_control_plane, state.of("Node")):
            yield Ref("Namespace", "", namespace), "depends_on", ref_of(node), Basis.OBSERVED


def _of_service(state: State, service: Json) -> Iterator[Tie]:
    for workload in _selected(state, service):
        yield ref_of(service), "routes_to", workload, Basis.DECLARED


def _hosts(state: State, workload: Json) -> Iterator[str]:
    """The Services that a workload's environment names by a ConfigMap; those of its namespace."""
    namespace, (spec, _) = ref_of(workload).namespace, pod_spec(workload)
    for container in spec.get("containers", []):
        for source in container.get("envFrom") or []:
            config = state.get("ConfigMap", namespace, look(source, "/configMapRef/name", ""))
            told = look(config, "/data", {}).values() if config is not None else ()
            yield from (str(host).partition(".")[0] for host in told)


def _selected(state: State, service: Json) -> list[Ref]:
    """The workloads that make pods for a Service, or whose pods it selects, as one that looks for a role does."""
    selector, namespace = look(service, "/spec/selector", {}), ref_of(service).namespace
    makers = [
        ref_of(workload)
        for workload in state.workloads
        if ref_of(workload).namespace == namespace and selector and has_labels(template_of(workload)[0], selector)
    ]
    owners = (state.owner(pod) for pod in state.matching("Pod", namespace, selector))
    return list(dict.fromkeys([*makers, *(owner for owner in owners if owner.kind in WORKLOADS)]))


def _entity(ref: Ref, state: State, server: str) -> Entity:
    identity = entity_of(ref, state)
    kind = identity.partition(":")[0]
    name = service_name(ref, state) if kind == "service" else identity.partition(":")[2]
    attributes = {"kind": ref.kind, **({"namespace": ref.namespace} if ref.namespace else {}), "name": ref.name}
    there = state.find(ref) is not None
    return Entity(
        id=identity,
        kind=kind,
        name=name,
        basis=Basis.OBSERVED if there else Basis.DECLARED,
        learnt_from=server,
        last_seen=state.at if there else None,
        attributes=attributes,
    )


def _relation(tie: Tie, state: State, server: str) -> Relation:
    source, kind, target, basis = tie
    return Relation(
        source=entity_of(source, state),
        target=entity_of(target, state),
        kind=kind,
        basis=basis,
        learnt_from=server,
        last_seen=state.at,
    )
