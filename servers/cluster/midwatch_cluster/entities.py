"""What the objects of a cluster are in a topology: services, instances, hosts, and things of Kubernetes' own."""

import re

from midwatch_cluster.state import WORKLOADS, Ref, State, look, template_of
from midwatch_kit import EntityId

_SERVICE_NAME = "resource.opentelemetry.io~1service.name"


def entity_of(ref: Ref, state: State) -> EntityId:
    """Return the entity that an object is: a workload is a service, a pod an instance, a node a host.

    A service has the name that its telemetry has by OpenTelemetry's conventions: the annotation
    `resource.opentelemetry.io/service.name` of its pods, else the workload's own name
    (https://opentelemetry.io/docs/specs/semconv/non-normative/k8s-attributes/).
    """
    match ref.kind:
        case kind if kind in WORKLOADS:
            return f"service:{service_name(ref, state)}"
        case "Pod":
            return f"instance:{ref.name}"
        case "Node":
            return f"host:{ref.name}"
        case _:
            kind = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", ref.kind).lower()
            return f"{kind}:{ref.namespace}/{ref.name}" if ref.namespace else f"{kind}:{ref.name}"


def service_name(workload: Ref, state: State) -> str:
    """Return the name of the service that a workload runs."""
    found = state.find(workload)
    told = look(template_of(found)[0], f"/metadata/annotations/{_SERVICE_NAME}") if found is not None else None
    return str(told or workload.name)
