"""What `kubectl describe` and `kubectl get` print, as objects of the API again. Pure: texts in, plain JSON out.

The text is made for people and loses things; what it does not tell is left out of the objects.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

Object = dict[str, Any]

_PAIR = re.compile(r"^(?P<key>[^\s:][^:]*?):(?:\s+(?P<value>.*))?$")
_AGE = re.compile(r"(\d+)([dhmsy])")
_UNITS = {"y": 31_536_000, "d": 86_400, "h": 3_600, "m": 60, "s": 1}
_NONE = ("<none>", "<unset>", "<nil>", "")


@dataclass
class Line:
    """A line of a description with what is indented below it."""

    text: str
    indent: int
    below: list["Line"] = field(default_factory=list)

    @property
    def key(self) -> str:
        """What stands before the colon; '' in a line without."""
        found = _PAIR.match(self.text)
        return found["key"] if found else ""

    @property
    def value(self) -> str:
        """What stands behind the colon, '' for `<none>`."""
        found = _PAIR.match(self.text)
        value = (found["value"] or "").strip() if found else self.text.strip()
        return "" if value in _NONE else value


def parse(text: str) -> list[Line]:
    """Return the lines of a description as a tree, by indentation."""
    top = Line("", -1)
    path = [top]
    for raw in text.splitlines():
        if not raw.strip():
            continue
        line = Line(raw.strip(), len(raw) - len(raw.lstrip()))
        while path[-1].indent >= line.indent:
            path.pop()
        path[-1].below.append(line)
        path.append(line)
    return top.below


def find(lines: Sequence[Line], *keys: str) -> Line:
    """Return the line under some keys, one below the other; an empty one when there is none."""
    here = Line("", -1, list(lines))
    for key in keys:
        here = next((line for line in here.below if line.key == key), Line("", -1))
    return here


def pairs(line: Line) -> dict[str, str]:
    """Return `key=value` pairs, the first on the line itself and further ones below it."""
    texts = [line.value, *(each.text for each in line.below)]
    return dict(text.split("=", 1) for text in texts if "=" in text)


def table(line: Line) -> list[list[str]]:
    """Return the rows of a table below a line, without its head; columns are two or more blanks apart."""
    rows = [re.split(r"\s{2,}", each.text) for each in line.below]
    rules = [number for number, row in enumerate(rows) if set(row[0]) == {"-"}]
    return rows[rules[0] + 1 :] if rules else []


def seconds(age: str) -> float:
    """Return an age such as `2m8s` or `11h` in seconds."""
    return float(sum(int(number) * _UNITS[unit] for number, unit in _AGE.findall(age)))


def instant(text: str) -> str | None:
    """Return a time such as `Fri, 14 Nov 2025 22:18:54 +0800` in RFC 3339, UTC; None for no time.

    Policies have it as Go prints times: `2026-03-16 22:09:13 +0800 CST`.
    """
    if printed := re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4}", text):
        return _rfc3339(datetime.strptime(printed[0], "%Y-%m-%d %H:%M:%S %z"))
    if not re.match(r"\w{3}, \d", text):
        return None
    return _rfc3339(parsedate_to_datetime(text))


def events(described: Sequence[Line], about: Object, at: datetime) -> list[Object]:
    """Return the events at the end of a description, of an object as of `at`."""
    return [
        _event(row, about, at, number) for number, row in enumerate(table(find(described, "Events"))) if len(row) > 4
    ]


def metadata(described: Sequence[Line], namespace: str = "") -> Object:
    """Return an object's metadata."""
    own = find(described, "Namespace").value or namespace
    told = (instant(find(described, key).value) for key in ("CreationTimestamp", "Start Time", "Created on"))
    created = next(filter(None, told), None)
    labels = pairs(find(described, "Labels"))
    annotations = {
        each.partition(":")[0]: each.partition(":")[2].strip()
        for each in [find(described, "Annotations").value, *(a.text for a in find(described, "Annotations").below)]
        if ":" in each
    }
    kind, _, owner = find(described, "Controlled By").value.partition("/")
    return {
        "name": find(described, "Name").value,
        **({"namespace": own} if own else {}),
        **({"creationTimestamp": created} if created else {}),
        **({"labels": labels} if labels else {}),
        **({"annotations": annotations} if annotations else {}),
        **({"ownerReferences": [{"kind": kind, "name": owner, "controller": True}]} if owner else {}),
    }


def pod(text: str) -> Object:
    """Return the pod that a description is of."""
    told = parse(text)
    spec = pod_spec(told)
    node = find(told, "Node").value.partition("/")[0]
    statuses = [_status(line) for line in find(told, "Containers").below]
    first = [_status(line) for line in find(told, "Init Containers").below]
    status = {
        "phase": find(told, "Status").value.split(" ")[0],
        "conditions": [{"type": row[0], "status": row[1].strip()} for row in _conditions(told)],
        "containerStatuses": [each for each in statuses if len(each) > 2],
        **({"initContainerStatuses": first} if first else {}),
        **{name.lower(): value for name in ("Reason", "Message") if (value := find(told, name).value)},
    }
    return {
        "kind": "Pod",
        "metadata": metadata(told),
        "spec": {**spec, **({"nodeName": node} if node else {})},
        "status": status,
    }


def pod_spec(told: Sequence[Line]) -> Object:
    """Return the pod spec in the description of a pod, or in a pod template."""
    spec: Object = {"containers": [_container(line) for line in find(told, "Containers").below]}
    if first := find(told, "Init Containers").below:
        spec["initContainers"] = [_container(line) for line in first]
    if account := find(told, "Service Account").value:
        spec["serviceAccountName"] = account
    if selector := pairs(find(told, "Node-Selectors")):
        spec["nodeSelector"] = selector
    if volumes := [_volume(line) for line in find(told, "Volumes").below]:
        spec["volumes"] = volumes
    if tolerations := _tolerations(find(told, "Tolerations")):
        spec["tolerations"] = tolerations
    return spec


def node(text: str) -> tuple[Object, datetime | None]:
    """Return the node that a description is of, and when its kubelet last renewed its lease."""
    told = parse(text)
    taints = [t for t in [find(told, "Taints").value, *(each.text for each in find(told, "Taints").below)] if t]
    conditions = [
        {"type": row[0], "status": row[1], "lastTransitionTime": instant(row[3]), "reason": row[4], "message": row[-1]}
        for row in _conditions(told)
        if len(row) > 4
    ]
    used = {row[0]: row[1].split(" ")[0] for row in table(find(told, "Allocated resources")) if len(row) > 1}
    renewed = instant(find(told, "Lease", "RenewTime").value)
    thing = {
        "kind": "Node",
        "metadata": metadata(told),
        "spec": {
            "unschedulable": find(told, "Unschedulable").value == "true",
            "taints": [_taint(taint) for taint in taints],
        },
        "status": {
            "conditions": conditions,
            "capacity": {line.key: line.value for line in find(told, "Capacity").below},
            "allocatable": {line.key: line.value for line in find(told, "Allocatable").below},
            "requested": used,
        },
    }
    return thing, datetime.fromisoformat(renewed) if renewed else None


def service(text: str) -> Object:
    """Return the Service that a description is of."""
    told = parse(text)
    selector = dict(pair.split("=", 1) for pair in find(told, "Selector").value.split(",") if "=" in pair)
    ports: list[Object] = []
    for line in told:
        if line.key == "Port":
            *name, number = line.value.split()
            port, _, protocol = number.partition("/")
            named = name[0] if name and name[0] != "<unset>" else None
            ports.append({**({"name": named} if named else {}), "port": int(port), "protocol": protocol})
        if line.key == "TargetPort" and ports:
            target = line.value.partition("/")[0]
            ports[-1]["targetPort"] = int(target) if target.isdecimal() else target
    spec = {"type": find(told, "Type").value, "selector": selector, "ports": ports}
    address = find(told, "IP").value
    return {
        "kind": "Service",
        "metadata": metadata(told),
        "spec": {**spec, **({"clusterIP": address} if address else {})},
    }


def endpoints(text: str) -> Object:
    """Return the Endpoints of the Service that a description is of: the addresses that it leads to now."""
    told = parse(text)
    pairs_ = [pair.rpartition(":") for line in told if line.key == "Endpoints" for pair in line.value.split(",")]
    subsets = [
        {"addresses": [{"ip": ip}], "ports": [{"port": int(port)}]} for ip, _, port in pairs_ if port.isdecimal()
    ]
    return {"kind": "Endpoints", "metadata": metadata(told), "subsets": subsets}


def claim(text: str) -> Object:
    """Return the PersistentVolumeClaim that a description is of; what it asks for is told only once it is bound."""
    told = parse(text)
    volume = find(told, "Volume").value
    spec = {"storageClassName": find(told, "StorageClass").value, "accessModes": _modes(told)}
    return {
        "kind": "PersistentVolumeClaim",
        "metadata": metadata(told),
        "spec": {**spec, **({"volumeName": volume} if volume else {})},
        "status": {"phase": find(told, "Status").value},
    }


def volume(text: str) -> Object:
    """Return the PersistentVolume that a description is of."""
    told = parse(text)
    space, _, name = find(told, "Claim").value.partition("/")
    return {
        "kind": "PersistentVolume",
        "metadata": metadata(told),
        "spec": {
            "storageClassName": find(told, "StorageClass").value,
            "accessModes": _modes(told),
            "capacity": {"storage": find(told, "Capacity").value},
            **({"claimRef": {"namespace": space, "name": name}} if name else {}),
        },
        "status": {"phase": find(told, "Status").value},
    }


def quota(text: str) -> Object:
    """Return the ResourceQuota that a description is of."""
    told = parse(text)
    rows = [re.split(r"\s{2,}", line.text) for line in told]
    counted = [row for row in rows if len(row) == 3 and row[0] != "Resource" and set(row[0]) != {"-"}]
    status = {"used": {row[0]: row[1] for row in counted}, "hard": {row[0]: row[2] for row in counted}}
    return {"kind": "ResourceQuota", "metadata": metadata(told), "status": status}


def names(kind: str, listing: str, namespace: str) -> list[Object]:
    """Return objects of which a listing tells only the names."""
    rows = listing.splitlines()[1:]
    space = {"namespace": namespace} if namespace else {}
    return [{"kind": kind, "metadata": {**space, "name": row.split()[0]}} for row in rows if row.strip()]


def _modes(told: Sequence[Line]) -> list[str]:
    short = {"RWO": "ReadWriteOnce", "ROX": "ReadOnlyMany", "RWX": "ReadWriteMany", "RWOP": "ReadWriteOncePod"}
    return [short.get(mode, mode) for mode in find(told, "Access Modes").value.split(",") if mode]


def _conditions(told: Sequence[Line]) -> list[list[str]]:
    below = find(told, "Conditions")
    rows = table(below)
    if rows:
        return rows
    return [re.split(r"\s{2,}", each.text) for each in below.below[1:]]


def _container(line: Line) -> Object:
    below = line.below
    container: Object = {"name": line.key, "image": find(below, "Image").value}
    ports = [port for key in ("Port", "Ports") for port in find(below, key).value.split(", ") if port]
    if ports:
        container["ports"] = [
            {"containerPort": int(number), "protocol": protocol}
            for number, _, protocol in (port.partition("/") for port in ports)
            if number.isdecimal() and number != "0"
        ]
    resources = {
        part.lower(): {each.key: each.value for each in find(below, part).below}
        for part in ("Limits", "Requests")
        if find(below, part).below
    }
    if resources:
        container["resources"] = resources
    if variables := [_variable(each) for each in find(below, "Environment").below]:
        container["env"] = variables
    if sources := [_source(each) for each in find(below, "Environment Variables from").below]:
        container["envFrom"] = sources
    for name in ("Liveness", "Readiness", "Startup"):
        if told := find(below, name).value:
            container[f"{name.lower()}Probe"] = _probe(told)
    if mounts := [each.text.partition(" from ") for each in find(below, "Mounts").below]:
        container["volumeMounts"] = [{"mountPath": path, "name": name.split(" ")[0]} for path, _, name in mounts]
    return container


def _variable(line: Line) -> Object:
    if found := re.match(r"<set to the key '(.+)' in (secret|config map) '(.+)'>\s+Optional: (\w+)", line.value):
        key, kind, name, optional = found.groups()
        source = "secretKeyRef" if kind == "secret" else "configMapKeyRef"
        return {"name": line.key, "valueFrom": {source: {"name": name, "key": key, "optional": optional == "true"}}}
    return {"name": line.key, "value": line.value}


def _source(line: Line) -> Object:
    name, _, rest = line.text.partition(" ")
    source = "secretRef" if "Secret" in rest else "configMapRef"
    return {source: {"name": name, "optional": "Optional: true" in rest}}


def _probe(told: str) -> Object:
    """A probe such as `http-get http://:8080/_healthz delay=10s timeout=1s period=10s #success=1 #failure=3`."""
    numbers = dict(re.findall(r"#?(\w+)=(\d+)", told))
    names_ = {"delay": "initialDelaySeconds", "timeout": "timeoutSeconds", "period": "periodSeconds"}
    probe: Object = {name: int(numbers[key]) for key, name in names_.items() if key in numbers}
    probe["failureThreshold"] = int(numbers.get("failure", 3))
    port = re.search(r":(\w+)(?=[/\s]|$)", told)
    number: int | str = int(port[1]) if port and port[1].isdecimal() else port[1] if port else ""
    match told.split(" ", maxsplit=1)[0]:
        case "http-get":
            probe["httpGet"] = {"port": number}
        case "tcp-socket":
            probe["tcpSocket"] = {"port": number}
        case "grpc":
            probe["grpc"] = {"port": number}
        case _:
            probe["exec"] = {"command": [told.partition(" delay=")[0].removeprefix("exec ")]}
    return probe


def _status(line: Line) -> Object:
    below = line.below
    found: Object = {"name": line.key, "image": find(below, "Image").value}
    for key, name in (("State", "state"), ("Last State", "lastState")):
        state = find(below, key)
        if state.value:
            told = {each.key: each.value for each in state.below}
            found[name] = {state.value.lower(): _ending(told)}
    if ready := find(below, "Ready").value:
        found["ready"] = ready == "True"
    if restarts := find(below, "Restart Count").value:
        found["restartCount"] = int(restarts)
    return found


def _ending(told: dict[str, str]) -> Object:
    times = {"Started": "startedAt", "Finished": "finishedAt"}
    return {
        **{name.lower(): told[name] for name in ("Reason", "Message") if name in told},
        **({"exitCode": int(told["Exit Code"])} if "Exit Code" in told else {}),
        **{key: instant(told[name]) for name, key in times.items() if name in told},
    }


def _volume(line: Line) -> Object:
    told = {each.key: each.value for each in line.below}
    optional = told.get("Optional") == "true"
    match told.get("Type", "").split(" ")[0]:
        case "Secret":
            return {"name": line.key, "secret": {"secretName": told.get("SecretName", ""), "optional": optional}}
        case "ConfigMap":
            return {"name": line.key, "configMap": {"name": told.get("Name", ""), "optional": optional}}
        case "HostPath":
            return {"name": line.key, "hostPath": {"path": told.get("Path", "")}}
        case "PersistentVolumeClaim":
            return {"name": line.key, "persistentVolumeClaim": {"claimName": told.get("ClaimName", "")}}
        case _:
            return {"name": line.key}


def _tolerations(line: Line) -> list[Object]:
    found: list[Object] = []
    for text in [line.value, *(each.text for each in line.below)]:
        head = text.split(" ")[0]
        if not head:
            continue
        key, _, effect = head.partition(":")
        name, _, value = key.partition("=")
        found.append({"key": name, **({"value": value} if value else {"operator": "Exists"}), "effect": effect})
    return found


def _taint(text: str) -> Object:
    key, _, effect = text.rpartition(":")
    name, _, value = key.partition("=")
    return {"key": name, "effect": effect, **({"value": value} if value else {})}


def _event(row: list[str], about: Object, at: datetime, number: int) -> Object:
    kind, reason, age, source, *message = row
    own = about["metadata"]
    last, _, rest = age.partition(" ")
    count = re.search(r"x(\d+) over (\S+?)\)", rest)
    times = {
        "lastTimestamp": _rfc3339(at - timedelta(seconds=seconds(last))),
        "firstTimestamp": _rfc3339(at - timedelta(seconds=seconds(count[2] if count else last))),
    }
    space = {"namespace": own["namespace"]} if "namespace" in own else {}
    return {
        "kind": "Event",
        "metadata": {**space, "name": f"{about['kind'].lower()}.{own['name']}.{number}"},
        "involvedObject": {"kind": about["kind"], **space, "name": own["name"]},
        "type": kind,
        "reason": reason,
        "message": "  ".join(message),
        "source": {"component": source},
        "count": int(count[1]) if count else 1,
        **times,
    }


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def workload(kind: str, text: str) -> Object:
    """Return the Deployment, ReplicaSet, StatefulSet or DaemonSet that a description is of."""
    told = parse(text)
    template = find(told, "Pod Template").below
    selector = dict(pair.split("=", 1) for pair in find(told, "Selector").value.split(",") if "=" in pair)
    counts = {word: int(number) for number, word in re.findall(r"(\d+) (\w+)", find(told, "Replicas").value)}
    wanted = re.match(r"(\d+) current / (\d+) desired", find(told, "Replicas").value)
    running = re.match(r"(\d+) Running / (\d+) Waiting", find(told, "Pods Status").value)
    conditions = [{"type": row[0], "status": row[1].strip(), "reason": row[-1]} for row in _conditions(told)]
    spec: Object = {
        "selector": {"matchLabels": selector},
        "template": {"metadata": {"labels": pairs(find(template, "Labels"))}, "spec": pod_spec(template)},
    }
    status: Object = {"conditions": conditions}
    if kind == "DaemonSet":
        numbers = {"Desired": "desiredNumberScheduled", "Current": "currentNumberScheduled"}
        status |= {
            key: int(find(told, f"{word} Number of Nodes Scheduled").value or 0) for word, key in numbers.items()
        }
        status["numberReady"] = int(find(told, "Number of Nodes Scheduled with Available Pods").value or 0)
    elif wanted:
        spec["replicas"], status["replicas"] = int(wanted[2]), int(wanted[1])
    else:
        spec["replicas"], status["replicas"] = counts.get("desired", 1), counts.get("total", 0)
        status["readyReplicas"] = counts.get("available", int(running[1]) if running else 0)
    return {"kind": kind, "metadata": metadata(told), "spec": spec, "status": status}


def policy(text: str) -> Object:
    """Return the NetworkPolicy that a description is of: whom it selects, and whether it lets anything pass."""
    told = parse(text)
    below = find(told, "Spec").below
    types = [each for each in find(below, "Policy Types").value.replace(",", " ").split() if each]
    spec: Object = {"podSelector": {"matchLabels": pairs(find(below, "PodSelector"))}, "policyTypes": types}
    for direction in ("ingress", "egress"):
        allowed = find(below, f"Allowing {direction} traffic").below
        if allowed and not allowed[0].text.startswith("<none>"):
            spec[direction] = [{}]
    return {"kind": "NetworkPolicy", "metadata": metadata(told), "spec": spec}


def storage_class(text: str) -> Object:
    """Return the StorageClass that a description is of."""
    told = parse(text)
    return {
        "kind": "StorageClass",
        "metadata": metadata(told),
        "provisioner": find(told, "Provisioner").value,
        "volumeBindingMode": find(told, "VolumeBindingMode").value,
    }
