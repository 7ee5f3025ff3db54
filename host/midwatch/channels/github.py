"""GitHub: one comment, kept up to date, on the issue, pull request or commit that an alert names.

A deployment or a run of a workflow has no comments: its commit gets one. A status would say that the deployment itself
changed its state. The comment is found again by an id that only its source shows.
"""

import re
from fnmatch import fnmatchcase
from typing import Final
from urllib.parse import urlsplit

from pydantic import JsonValue

from midwatch.channels import wording
from midwatch.channels.escaping import cut, markdown
from midwatch.channels.http import Client
from midwatch.channels.letters import Letter, Style, Undelivered
from midwatch.channels.notices import Notice
from midwatch.settings.channels import GitHubSettings
from midwatch_kit.records import Record
from midwatch_kit.window import rfc3339

_REPOSITORY: Final = r"(?P<repository>[\w.-]{1,100}/[\w.-]{1,100})"
_THERE: Final = {
    "issue": re.compile(rf"/{_REPOSITORY}/(?:issues|pull)/(?P<name>\d{{1,10}})(?:[/?#]|$)"),
    "commit": re.compile(rf"/{_REPOSITORY}/commit/(?P<name>[0-9a-f]{{7,40}})(?:[/?#]|$)"),
    "run": re.compile(rf"/{_REPOSITORY}/actions/runs/(?P<name>\d{{1,20}})(?:[/?#]|$)"),
    "deployment": re.compile(rf"/{_REPOSITORY}/deployments/(?P<name>\d{{1,20}})(?:[/?#]|$)"),
}
_OF_SETTINGS: Final = re.compile(rf"{_REPOSITORY}#(?P<name>\d+)")
_SHA: Final = re.compile(r"[0-9a-f]{7,40}")
_MOST: Final = 60_000
_A_PAGE, _PAGES = 100, 3


class Target(Record):
    """What is commented on."""

    kind: str
    repository: str
    name: str


class GitHub:
    """The repositories of the settings."""

    style = Style(edits=True, stages=frozenset())

    def __init__(self, settings: GitHubSettings) -> None:
        self._settings = settings
        headers = {
            "Authorization": f"Bearer {settings.token.get_secret_value()}",
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": "2022-11-28",
        }
        self._http = Client(settings.api, settings.seconds, headers)
        api = urlsplit(settings.api)
        self._web = "https://github.com" if api.hostname == "api.github.com" else f"{api.scheme}://{api.netloc}"

    def has_place(self, notice: Notice) -> bool:
        """Return whether there is something that may be commented on."""
        return self._target(notice) is not None

    def content(self, letter: Letter) -> JsonValue:
        """Return the comment in Markdown."""
        return _comment(letter)

    async def send(self, letter: Letter) -> str:
        """Write the comment; returns the path under which it is changed."""
        target = await self._place(letter.notice)
        try:
            told = await self._http.ask("POST", _comments(target), sent={"body": _comment(letter)})
        except Undelivered as error:
            if error.refused and "is locked" in str(error):  # that issue, and no other
                raise Undelivered(str(error), hopeless=True) from None
            raise
        return self._path(target, told)

    async def change(self, place: str, letter: Letter) -> None:
        """Change the comment."""
        await self._http.ask("PATCH", place, sent={"body": _comment(letter)})

    async def find(self, letter: Letter) -> str | None:
        """Look for a comment with this id among those since the incident began."""
        target = await self._place(letter.notice)
        since = {"since": rfc3339(letter.notice.points[0].at)} if target.kind == "issue" else {}
        for page in range(1, _PAGES + 1):
            asked = {"per_page": str(_A_PAGE), "page": str(page), **since}
            told = await self._http.ask("GET", _comments(target), parameters=asked) or []
            for each in told:
                if _mark(letter) in str(each.get("body", "")):
                    return self._path(target, each)
            if len(told) < _A_PAGE:
                return None
        return None

    async def check(self) -> str:
        """Ask what is left of the rate limit, which costs nothing of it."""
        told = await self._http.ask("GET", "/rate_limit") or {}
        left = (told.get("rate") or {}).get("remaining", "some")
        return f"{self._http.place} takes the token; {left} requests are left in this hour"

    async def aclose(self) -> None:
        """Let go of connections."""
        await self._http.aclose()

    def _target(self, notice: Notice) -> Target | None:
        """Return what an alert names, or the settings do, in a repository that may be written to."""
        links = [*(link for origin in notice.origins for link in origin.links), *notice.links]
        found = [target for link in links if (target := self._linked(link))]
        for labels in (origin.labels for origin in notice.origins):
            sha = labels.get("sha") or labels.get("commit") or ""
            if labels.get("repository") and _SHA.fullmatch(sha):
                found.append(Target(kind="commit", repository=labels["repository"], name=sha))
        if self._settings.issue and (told := _OF_SETTINGS.fullmatch(self._settings.issue)):
            found.append(Target(kind="issue", repository=told["repository"], name=told["name"]))
        return next((target for target in found if self._may(target.repository)), None)

    def _linked(self, link: str) -> Target | None:
        if not link.startswith(f"{self._web}/"):
            return None
        path = urlsplit(link).path
        return next(
            (
                Target(kind=kind, repository=told["repository"], name=told["name"])
                for kind, pattern in _THERE.items()
                if (told := pattern.match(path))
            ),
            None,
        )

    def _may(self, repository: str) -> bool:
        dots = any(set(part) <= {"."} for part in repository.split("/"))
        return not dots and any(fnmatchcase(repository, pattern) for pattern in self._settings.repositories)

    async def _place(self, notice: Notice) -> Target:
        """Return what has comments: of a run or a deployment, its commit."""
        target = self._target(notice)
        if target is None:
            raise Undelivered("no alert names anything on GitHub that may be written to", hopeless=True)
        if target.kind in ("issue", "commit"):
            return target
        paths = {"run": f"actions/runs/{target.name}", "deployment": f"deployments/{target.name}"}
        told = await self._http.ask("GET", f"/repos/{target.repository}/{paths[target.kind]}") or {}
        sha = str(told.get("head_sha") or told.get("sha") or "")
        if not _SHA.fullmatch(sha):
            raise Undelivered(f"{target.kind} {target.name} of {target.repository} names no commit", hopeless=True)
        return Target(kind="commit", repository=target.repository, name=sha)

    def _path(self, target: Target, comment: dict[str, object] | None) -> str:
        inner = "issues/comments" if target.kind == "issue" else "comments"
        return f"/repos/{target.repository}/{inner}/{(comment or {}).get('id', '')}"


def _comments(target: Target) -> str:
    return f"/repos/{target.repository}/{'issues' if target.kind == 'issue' else 'commits'}/{target.name}/comments"


def _mark(letter: Letter) -> str:
    return f"<!-- midwatch:{letter.id} -->"


def _comment(letter: Letter) -> str:
    notice = letter.notice
    lines = [f"### {wording.MARKS[notice.stage]} {markdown(wording.title(notice))}", ""]
    lines += [f"- **{name}:** {markdown(value)}" for name, value in wording.facts(notice)]
    for part in wording.parts(notice):
        lines += ["", f"**{markdown(part.heading)}**", ""]
        lines += [f"- {markdown(line)}" if part.listed else f"{markdown(line)}  " for line in part.lines]
    said = [f"- {point.at:%H:%M:%S} UTC  {markdown(point.text)}" for point in notice.points]
    lines += ["", "<details><summary>So far</summary>", "", *said, "", "</details>", ""]
    lines += ["```", *wording.how_to_go_on(notice), "```", ""]
    return cut("\n".join(lines), _MOST) + f"\n{_mark(letter)}"
