"""One change on GitHub in full: what differs, who reviewed it, and the end of the logs of what failed."""

from dataclasses import replace
from typing import Final

from midwatch_deploys.backend import Change
from midwatch_deploys.backends.github import read
from midwatch_deploys.backends.github.client import Refused
from midwatch_deploys.backends.github.source import Source
from midwatch_kit import BackendDown, NotFound

_LOG_LINES: Final = 60
_MOST_JOBS: Final = 5
_BEFORE: Final = 100
_MOST_REVIEWS: Final = 100
_FAILED: Final = frozenset({"failure", "timed_out", "startup_failure"})


def in_full(source: Source, what: str, service: str | None) -> Change:
    """Return a change, as far as it is one service's (None: of all); raises `Refused` for what GitHub does not know."""
    kind, _, number = what.partition("/")
    match kind:
        case "deployment":
            return _deployment(source, number, service)
        case "run":
            told = source.client.get(source.path(f"actions/runs/{number}"))
            return replace(
                _of(source.by_service(read.run(source.name, source.page, told)), service), diff=_log(source, number)
            )
        case "release":
            told = source.client.get(source.path(f"releases/{number}"))
            change = _of(source.by_service(read.release(source.name, source.page, told)), service)
            return replace(change, diff=told.get("body") or "")
        case _:
            told = source.client.get(source.path(f"commits/{what}"))
            change = _of(source.by_service(read.commit(source.name, source.page, told)), service)
            diff = read.diff_of(f for f in told.get("files", []) if f["filename"] in change.files)
            return replace(_reviewed(source, change, told["sha"]), diff=diff)


def _deployment(source: Source, number: str, service: str | None) -> Change:
    told = source.client.get(source.path(f"deployments/{number}"))
    listed = source.client.each(source.path("deployments"), _BEFORE, environment=told["environment"])
    before = next((each["sha"] for each in listed if each["created_at"] < told["created_at"]), "")
    change = _of(source.deployed(source.deployment(told, before)), service)
    diff = read.diff_of(source.compared(before, told["sha"], change.service)) if before else ""
    whole = replace(change, diff="\n".join(filter(None, [_logs(source, change), diff])))
    return _reviewed(source, whole, told["sha"])


def _reviewed(source: Source, change: Change, sha: str) -> Change:
    """Return a commit with the pull request that brought it to the branch, and who approved that."""
    try:
        merged = [each for each in source.client.each(source.path(f"commits/{sha}/pulls"), 30) if each["merged_at"]]
        if not merged:
            return change
        reviews = list(source.client.each(source.path(f"pulls/{merged[0]['number']}/reviews"), _MOST_REVIEWS))
    except Refused as error:
        said = f"not known ({error}; the token needs 'Pull requests: read')"
        return replace(change, attributes={**change.attributes, "pull_request": said})
    links = dict.fromkeys([*change.links, merged[0]["html_url"]])
    told = read.pull_request(merged[0], reviews)
    return replace(change, attributes={**change.attributes, **told}, links=tuple(links))


def _logs(source: Source, change: Change) -> str:
    """Return the logs of the failed runs for a failed deployment's revision."""
    if change.outcome != "failed":
        return ""
    try:
        runs = source.client.get(source.path("actions/runs"), head_sha=change.attributes["revision"])["workflow_runs"]
    except Refused as error:
        return f"(the logs of its workflow cannot be read: {error}; the token needs 'Actions: read')"
    return "\n".join(_log(source, str(run["id"])) for run in runs if run.get("conclusion") in _FAILED)


def _log(source: Source, run: str) -> str:
    """Return the ends of the logs of a run's failed jobs, each under the job's name and the step that failed."""
    jobs = source.client.each(source.path(f"actions/runs/{run}/jobs"), 100, "jobs", filter="latest")
    parts: list[str] = []
    for job in [each for each in jobs if each.get("conclusion") in _FAILED][:_MOST_JOBS]:
        steps = [step["name"] for step in job.get("steps") or [] if step.get("conclusion") in _FAILED]
        parts.append(f"job {job['name']} failed{f' at {steps[0]}' if steps else ''}: {job.get('html_url', '')}")
        try:
            parts += source.client.log_tail(source.path(f"actions/jobs/{job['id']}/logs"), _LOG_LINES)
        except (Refused, BackendDown) as error:
            parts.append(f"(its log cannot be read: {error})")
    return "\n".join(parts)


def _of(changes: list[Change], service: str | None) -> Change:
    if service is None:
        return changes[0]
    found = next((change for change in changes if change.service == service), None)
    if found is None:
        raise NotFound(f"that change is none of {service!r}: it is one of {', '.join(c.service for c in changes)}")
    return found
