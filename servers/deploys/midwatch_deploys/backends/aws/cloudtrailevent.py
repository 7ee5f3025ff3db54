"""One event of CloudTrail as a change. Pure: it asks nobody.

What a request carried may be secret, and nothing says what. So of its values only numbers, truth values, and those of
parameters that are known to be harmless are shown; of the others the name.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from midwatch_deploys.backend import Change, hash_in
from midwatch_deploys.backends.aws.account import utc
from midwatch_deploys.backends.aws.cloudtrailnames import (
    API_VERSION,
    CONFIG,
    DEPLOYS,
    HARMLESS,
    MACHINE,
    NAMING,
    PEOPLE,
    SESSIONS,
    SSO,
    STACKS,
)
from midwatch_deploys.resources import Resources, last_part
from midwatch_deploys.same import AUDIT
from midwatch_kit.secrets import HIDDEN

if TYPE_CHECKING:
    from mypy_boto3_cloudtrail.type_defs import EventTypeDef

_MOST_SHOWN: Final = 60


def is_told(event: "EventTypeDef", ignored: frozenset[str]) -> bool:
    """Whether an event is of interest: none that is ignored, and of those that take on a role only people's."""
    if event.get("EventName", "") in ignored:
        return False
    identity = _record(event).get("userIdentity") or {}
    issuer = ((identity.get("sessionContext") or {}).get("sessionIssuer") or {}).get("userName") or ""
    return event.get("EventName") != "AssumeRole" or identity.get("type") in PEOPLE or issuer.startswith(SSO)


def change_of(event: "EventTypeDef", change_id: str, page: str, resources: Resources) -> Change:
    """Return an event as a change of the resource that it names; one that names none is one of everything."""
    record, name = _record(event), event.get("EventName", "")
    asked: Mapping[str, Any] = record.get("requestParameters") or {}
    author, attributes = _who(record.get("userIdentity") or {}, event.get("Username", ""))
    named = _named(event, asked)
    error = record.get("errorCode") or ("refused" if _login_failed(record) else "")
    facts = {
        "event": name,
        "api": event.get("EventSource", ""),
        "from": record.get("sourceIPAddress") or "",
        "error": error,
        "said": (record.get("errorMessage") or "")[:300],
        "region": record.get("awsRegion") or "",
        "account": record.get("recipientAccountId") or "",
        **attributes,
    }
    kind = _kind(name)
    on = _instance(asked) if kind == "session" else ""
    return Change(
        id=change_id,
        at=utc(event["EventTime"]),
        kind=kind,
        service="" if kind == "session" else resources.service_of(*named) if named else "",
        instance=on,
        title=f"{API_VERSION.sub('', name)}{' of ' + last_part(named[0]) if named else ''}",
        author=author,
        version=hash_in(str(asked.get("imageUri") or "").rpartition(":")[2]),
        url=page,
        outcome="failed" if error else "succeeded",
        attributes={key: str(text) for key, text in facts.items() if text},
        source=AUDIT,
        keys=frozenset() if error else _keys(name, asked, record.get("responseElements") or {}),
    )


def shown(event: "EventTypeDef", change: Change) -> Change:
    """Return a change with what of the request may be shown."""
    asked = _record(event).get("requestParameters") or {}
    lines = [f"{path}: {value}" for path, value in _flat(asked)]
    more = [f"… and {len(lines) - _MOST_SHOWN} more"] if len(lines) > _MOST_SHOWN else []
    touched = [f"{r.get('ResourceType', '?')} {r.get('ResourceName', '?')}" for r in event.get("Resources", [])]
    return replace(change, diff="\n".join([*touched, *lines[:_MOST_SHOWN], *more]))


def _record(event: "EventTypeDef") -> dict[str, Any]:
    found = json.loads(event.get("CloudTrailEvent") or "{}")
    return found if isinstance(found, dict) else {}


def _who(identity: Mapping[str, Any], username: str) -> tuple[str, dict[str, str]]:
    """Return who acted, and how: a session by its name, which is a person's where people take on a role."""
    kind = identity.get("type") or ""
    role = ((identity.get("sessionContext") or {}).get("sessionIssuer") or {}).get("userName") or ""
    mfa = ((identity.get("sessionContext") or {}).get("attributes") or {}).get("mfaAuthenticated") or ""
    how = {"identity": kind, "role": role, "mfa": str(mfa), "invoked_by": identity.get("invokedBy") or ""}
    if kind == "AssumedRole":
        session = str(identity.get("arn") or identity.get("principalId") or "").rpartition("/")[2].rpartition(":")[2]
        return (role if not session or MACHINE.fullmatch(session) else session), {**how, "session": session}
    named = identity.get("userName") or identity.get("invokedBy") or ("root" if kind == "Root" else "")
    return str(named or username or identity.get("accountId") or ""), how


def _named(event: "EventTypeDef", asked: Mapping[str, Any]) -> list[str]:
    parameters = [asked[name] for name in NAMING if isinstance(asked.get(name), str) and asked[name]]
    resources = [name for each in event.get("Resources", []) if (name := each.get("ResourceName"))]
    return [*parameters, *(name for name in resources if name not in parameters)]


def _kind(name: str) -> str:
    if name in SESSIONS:
        return "session"
    return "deploy" if DEPLOYS.match(name) else "config" if CONFIG.search(name) else "infrastructure"


def _instance(asked: Mapping[str, Any]) -> str:
    return next((v for n in ("target", "instanceId") if isinstance(v := asked.get(n), str) and v.startswith("i-")), "")


def _login_failed(record: Mapping[str, Any]) -> bool:
    return "Failure" in (record.get("responseElements") or {}).values()


def _keys(name: str, asked: Mapping[str, Any], answered: Mapping[str, Any]) -> frozenset[str]:
    """Return what the record of the change that was asked for here is known by: a stack, a service, an execution."""
    ids = {"execution": answered.get("pipelineExecutionId"), "refresh": answered.get("instanceRefreshId")}
    keys = {f"{what}:{number}" for what, number in ids.items() if number}
    if name in STACKS and asked.get("stackName"):
        parts = str(asked["stackName"]).split("/")
        keys.add(f"stack:{parts[1] if len(parts) > 1 else parts[0]}")
    if name in ("UpdateService", "CreateService") and (asked.get("taskDefinition") or asked.get("forceNewDeployment")):
        service = last_part(str(asked.get("service") or asked.get("serviceName") or ""))
        keys.add(f"ecs:{last_part(str(asked.get('cluster') or 'default'))}/{service}")
    return frozenset(keys)


def _flat(value: object, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield what a request carried, by its path; values that are not known to be harmless are hidden."""
    if isinstance(value, Mapping):
        for name, each in value.items():
            yield from _flat(each, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from _flat(each, f"{path}[{number}]")
    elif value is not None:
        last = path.rpartition(".")[2].partition("[")[0]
        harmless = isinstance(value, bool | int | float) or last in HARMLESS
        yield path, str(value) if harmless else HIDDEN
