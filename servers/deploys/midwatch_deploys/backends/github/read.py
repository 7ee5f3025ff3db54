"""GitHub's JSON as changes. Pure: it asks nobody."""

import base64
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from midwatch_deploys.backend import Change, revision_key

_DONE: Final = {"success": "succeeded", "inactive": "succeeded", "failure": "failed", "error": "failed"}
_CONCLUDED: Final = {"success": "succeeded", None: "running"}
_VERDICTS: Final = frozenset({"APPROVED", "CHANGES_REQUESTED", "DISMISSED"})
_REQUEST: Final = re.compile(r"(?:Merge pull request #|\(#)(\d+)")


def moment(text: str) -> datetime:
    """Return a time of GitHub's in UTC."""
    return datetime.fromisoformat(text).astimezone(UTC)


def deployment(
    repository: str, page: str, told: Mapping[str, Any], status: Mapping[str, Any] | None, previous: str
) -> Change:
    """Return a deployment with its latest status, as one of the whole repository."""
    state = (status or {}).get("state", "")
    outcome = _DONE.get(state, "running" if state else "")
    ended = moment(status["created_at"]) if status and outcome in ("succeeded", "failed") else None
    log = (status or {}).get("log_url") or (status or {}).get("target_url") or ""
    links = tuple(link for link in (log, f"{page}/deployments/{told['environment']}") if link)
    return Change(
        id=f"github:{repository}@deployment/{told['id']}",
        at=moment(told["created_at"]),
        kind="deploy",
        title=told.get("description") or "",
        author=_login(told.get("creator")),
        version=told["sha"][:7],
        previous_version=previous[:7],
        repository=page,
        url=links[0],
        ended=ended,
        outcome=outcome,
        attributes={"revision": told["sha"], "environment": told["environment"], "ref": told.get("ref") or ""},
        source="github deployment",
        keys=frozenset({revision_key(told["sha"])}),
        links=links,
    )


def commit(repository: str, page: str, told: Mapping[str, Any]) -> Change:
    """Return a commit as a change of the whole repository; its files only if GitHub told them."""
    said = told["commit"]
    lines = [line.strip() for line in said["message"].splitlines() if line.strip()] or [""]
    title = lines[1] if lines[0].startswith("Merge pull request") and len(lines) > 1 else lines[0]
    request = _REQUEST.search(lines[0])
    links = [f"{page}/commit/{told['sha']}", *([f"{page}/pull/{request[1]}"] if request else [])]
    return Change(
        id=f"github:{repository}@{told['sha'][:12]}",
        at=moment((said.get("committer") or said["author"])["date"]),
        kind="commit",
        title=title,
        author=(said.get("author") or {}).get("name") or _login(told.get("author")),
        version=told["sha"][:7],
        repository=page,
        url=links[0],
        files=tuple(file["filename"] for file in told.get("files", [])),
        attributes={"revision": told["sha"]},
        source="github commit",
        keys=frozenset({revision_key(told["sha"])}),
        links=tuple(links),
    )


def run(repository: str, page: str, told: Mapping[str, Any]) -> Change:
    """Return a run of a workflow that deploys."""
    concluded = told.get("conclusion")
    ended = moment(told["updated_at"]) if told.get("status") == "completed" else None
    return Change(
        id=f"github:{repository}@run/{told['id']}",
        at=moment(told.get("run_started_at") or told["created_at"]),
        kind="deploy",
        title=told.get("display_title") or told.get("name") or "",
        author=_login(told.get("triggering_actor") or told.get("actor")),
        version=told["head_sha"][:7],
        repository=page,
        url=told["html_url"],
        ended=ended,
        outcome=_CONCLUDED.get(concluded, "failed"),
        attributes={"revision": told["head_sha"], "workflow": told.get("name") or ""},
        source="github workflow run",
        keys=frozenset({revision_key(told["head_sha"])}),
    )


def release(repository: str, page: str, told: Mapping[str, Any]) -> Change:
    """Return a published release."""
    return Change(
        id=f"github:{repository}@release/{told['id']}",
        at=moment(told["published_at"]),
        kind="release",
        title=told.get("name") or told["tag_name"],
        author=_login(told.get("author")),
        version=told["tag_name"],
        repository=page,
        url=told["html_url"],
        source="github release",
        keys=frozenset({revision_key(told.get("target_commitish") or "")} - {""}),
    )


def pull_request(told: Mapping[str, Any], reviews: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return what is to be known of a merged pull request; of a person's reviews the last verdict counts."""
    verdicts = {_login(each.get("user")): each["state"] for each in reviews if each["state"] in _VERDICTS}
    approved = sorted(login for login, state in verdicts.items() if state == "APPROVED" and login)
    opened = f"#{told['number']} {told['title']}, opened by {_login(told.get('user'))}"
    return {"pull_request": opened, "approved_by": ", ".join(approved) or "nobody"}


def main_line(commits: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return those of a branch's commits (newest first) that came to it themselves, not inside of a merge."""
    brought: set[str] = set()
    straight: set[str] = set()
    kept = []
    for told in commits:
        parents = [parent["sha"] for parent in told["parents"]]
        if told["sha"] in brought and told["sha"] not in straight:
            brought.update(parents)
            continue
        kept.append(told)
        straight.update(parents[:1])
        brought.update(parents[1:])
    return kept


def diff_of(files: Iterable[Mapping[str, Any]]) -> str:
    """Return a unified diff of the files of a commit or a comparison; GitHub leaves out very large ones."""
    parts = []
    for file in files:
        before, after = file.get("previous_filename", file["filename"]), file["filename"]
        parts.append(f"--- a/{before}\n+++ b/{after}\n{file.get('patch') or '(GitHub shows no diff of this file)'}")
    return "\n".join(parts)


def _login(person: Mapping[str, Any] | None) -> str:
    return str((person or {}).get("login", ""))


def content(told: Mapping[str, Any]) -> str:
    """Return the text of a file; '' for one that GitHub does not send along."""
    return base64.b64decode(told.get("content") or "").decode(errors="replace")
