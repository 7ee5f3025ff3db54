"""One git repository, as values: its main branch, its tags, and where on the web they can be seen."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Final

from midwatch_deploys.backends.gitprogram import GitFailed, GitProgram
from midwatch_deploys.services import short_name

MOST: Final = 5_000
"""Commits that are read for one question; the newest are kept."""

MOST_TAGS: Final = 100
MOST_DIFF_BYTES: Final = 2**20

_FIELDS: Final = "%H%x00%h%x00%cI%x00%an%x00%p%x00%s%x00%b%x00"
_LOG: Final = ("log", "-z", "--raw", "--no-renames", "--diff-merges=first-parent", f"--format={_FIELDS}")
_TAGS: Final = (
    "%(refname:lstrip=2)%00%(creatordate:iso-strict)%00%(taggername)%00%(*objectname)%00%(objectname)%00%(subject)"
)
_PLAIN: Final = ("--no-color", "--no-ext-diff", "--no-textconv")
_MERGED: Final = re.compile(r"Merge (?:pull request|branch|merge request|remote-tracking branch)\b")
_SSH: Final = re.compile(r"(?:ssh://)?(?:[^@/]+@)?(?P<host>[\w.-]+)(?::\d+/|[:/])(?P<path>[^/].*)")


@dataclass(frozen=True)
class Commit:
    """A commit of the main branch with all that it brought; `at` in UTC is when it was committed."""

    hash: str
    short: str
    at: datetime
    author: str
    parent: str
    title: str
    files: tuple[str, ...]


@dataclass(frozen=True)
class Tag:
    """A tag, the commit it names, the tag before it ('' for the first) and the files that differ between them."""

    name: str
    at: datetime
    author: str
    hash: str
    title: str
    previous: str = ""
    files: tuple[str, ...] = ()


class Repository:
    """A repository in a folder; every method raises `GitFailed` when git refuses and `BackendDown` when it can't."""

    def __init__(self, path: Path, branch: str, seconds: float) -> None:
        self.path = path
        self.asked_branch = branch or "HEAD"
        self._branch = branch
        self._git = GitProgram(path, seconds)

    @property
    def remote(self) -> str:
        """Where it was cloned from, without credentials; '' for what was cloned from nowhere."""
        try:
            return re.sub(r"(?<=://)[^/@]*@", "", self._git.text("config", "--get", "remote.origin.url").strip())
        except GitFailed:
            return ""

    @property
    def url(self) -> str:
        """Where it was cloned from, else its folder."""
        return self.remote or str(self.path)

    @property
    def name(self) -> str:
        """The short name by which changes call it."""
        return short_name(self.url)

    @property
    def branch(self) -> str:
        """The branch that counts: the one that is set, else the remote's main one, else what HEAD names."""
        if self._branch:
            return self._branch
        for ref in ("refs/remotes/origin/HEAD", "HEAD"):
            try:
                return self._git.text("rev-parse", "--abbrev-ref", "--verify", ref).strip()
            except GitFailed:
                continue
        return "HEAD"

    @property
    def fetched(self) -> datetime | None:
        """When it was last fetched into, in UTC."""
        folder = self.path / self._git.text("rev-parse", "--git-dir").strip()
        try:
            return datetime.fromtimestamp((folder / "FETCH_HEAD").stat().st_mtime, UTC)
        except OSError:
            return None

    def newest(self) -> Commit:
        """Return the newest commit of the branch."""
        return self.commit(self._head())

    def commits(self, begin: datetime, end: datetime) -> tuple[Sequence[Commit], bool]:
        """Return the branch's commits in `[begin, end)`, newest first, and whether there are more than were read."""
        span = (f"--since-as-filter={int(begin.timestamp())}", f"--until={int(end.timestamp()) + 1}")
        found = _commits(self._git.text(*_LOG, "--first-parent", f"-n{MOST + 1}", *span, self._head(), "--"))
        return [each for each in found[:MOST] if begin <= each.at < end], len(found) > MOST

    def commit(self, revision: str) -> Commit:
        """Return one commit."""
        return _commits(self._git.text(*_LOG, "-n1", "--end-of-options", f"{revision}^{{commit}}", "--"))[0]

    def tags(self, begin: datetime, end: datetime) -> Sequence[Tag]:
        """Return the tags made in `[begin, end)`, newest first, with what each changed."""
        said = self._git.text("for-each-ref", "--sort=-creatordate", f"--format={_TAGS}", "refs/tags")
        found = [each for each in map(_tag, said.split("\n")) if each and begin <= each.at < end]
        return [self._compared(each) for each in found[:MOST_TAGS]]

    def tag(self, name: str) -> Tag | None:
        """Return one tag; None if there is none of that name."""
        said = self._git.text("for-each-ref", f"--format={_TAGS}", f"refs/tags/{re.sub(r'[*?[]', '?', name)}")
        found = next((each for each in map(_tag, said.split("\n")) if each and each.name == name), None)
        return self._compared(found) if found else None

    def diff(self, before: str, after: str, paths: Sequence[str]) -> str:
        """Return the unified diff between two revisions, of some paths or of all; cut when it is very long."""
        ends = (f"{before}^{{commit}}", f"{after}^{{commit}}")
        return self._git.text("diff", *_PLAIN, "--end-of-options", *ends, "--", *_within(paths), most=MOST_DIFF_BYTES)

    def shown(self, revision: str, paths: Sequence[str]) -> str:
        """Return the unified diff that a commit brought to its branch, of some paths or of all."""
        shown = ("log", "-n1", "-p", "--format=", "--diff-merges=first-parent", *_PLAIN)
        return self._git.text(*shown, revision, "--", *_within(paths), most=MOST_DIFF_BYTES)

    def named(self, names: Sequence[str], most: int) -> Sequence[str]:
        """Return the paths of the branch's files that have one of these names, `most` of them, nearest to the top."""
        told = self._git.text("ls-tree", "-r", "-z", "--name-only", "--full-tree", self._head()).split("\0")
        found = [path for path in told if path.rpartition("/")[2] in names]
        return sorted(found, key=lambda path: (path.count("/"), path))[:most]

    def content(self, path: str, most: int) -> str:
        """Return the text of one of the branch's files, cut when it is longer than `most` bytes."""
        return self._git.text("cat-file", "blob", f"{self._head()}:{path}", most=most)

    def page_of(self, commit: str) -> str:
        """Return the address of a commit: a page of the forge it came from, or the repository itself."""
        remote = self.remote
        if remote.startswith(("http://", "https://")):
            return f"{remote.removesuffix('/').removesuffix('.git')}/commit/{commit}"
        if "://" not in remote or remote.startswith("ssh://"):
            forge = _SSH.fullmatch(remote)
            if forge and not remote.startswith(("/", ".")):
                return f"https://{forge['host']}/{forge['path'].removesuffix('.git')}/commit/{commit}"
        return f"{self.path.resolve().as_uri()}#{commit}"

    @staticmethod
    def service_of(tag: str, names: Sequence[str]) -> str:
        """Return the service that a tag like `forge-v2`, `forge/2` or `forge@2` names, or ''."""
        fits = [
            name for name in names if tag.startswith(name) and tag[len(name) : len(name) + 1] in ("-", "/", "@", "_")
        ]
        return max(fits, key=len, default="")

    def _head(self) -> str:
        branch = self.branch
        try:
            return self._git.text("rev-parse", "--verify", "--end-of-options", f"{branch}^{{commit}}").split()[-1]
        except GitFailed as error:
            refs = self._git.text("for-each-ref", "--format=%(refname:short)", "refs/heads", "refs/remotes").split()
            near = get_close_matches(branch, refs, n=5, cutoff=0.4) or refs[:5]
            if not refs:
                raise GitFailed(f"there is no commit yet ({error})") from None
            raise GitFailed(f"there is no branch {branch!r}: there is {', '.join(near)}") from None

    def _compared(self, tag: Tag) -> Tag:
        """Return a tag with the one before it of the same series (`forge-v2` follows `forge-v1`, not `bot-v7`)."""
        series = re.match(r"(.*?)v?\d", tag.name)
        like = f"--match={re.sub(r'[*?[]', '?', series[1])}*" if series else "--match=*"
        commit = self.commit(tag.hash)
        known = replace(tag, hash=commit.hash, author=tag.author or commit.author)
        try:
            previous = self._git.text("describe", "--tags", "--abbrev=0", like, f"{commit.hash}^").strip()
        except GitFailed:  # it is the first
            return known
        names = self._git.text("diff", "--name-only", "-z", "--no-renames", f"refs/tags/{previous}", commit.hash, "--")
        return replace(known, previous=previous, files=tuple(filter(None, names.split("\0"))))


def _commits(said: str) -> list[Commit]:
    """Read what `git log -z --raw` says: seven fields, then a pair of facts and path for each file."""
    return list(_each_commit(iter(said.split("\0"))))


def _each_commit(parts: Iterator[str]) -> Iterator[Commit]:
    part = next(parts, None)
    while part is not None:
        if not part.strip("\n"):
            part = next(parts, None)
            continue
        name, (short, at, author, parents, subject, body) = part.strip("\n"), (next(parts, "") for _ in range(6))
        files: list[str] = []
        part = next(parts, None)
        while part is not None and (not part.strip("\n") or part.lstrip("\n").startswith(":")):
            if part.strip("\n"):
                files.append(next(parts, ""))
            part = next(parts, None)
        moment = datetime.fromisoformat(at).astimezone(UTC)
        yield Commit(name, short, moment, author, parents.partition(" ")[0], _title(subject, body), tuple(files))


def _title(subject: str, body: str) -> str:
    """Return what a commit is about: a merge says it in its body, if at all."""
    told = next((line.strip() for line in body.splitlines() if line.strip()), "")
    return told if told and _MERGED.match(subject) else subject


def _tag(line: str) -> Tag | None:
    name, at, author, peeled, own, title, *_ = [*line.split("\0"), *[""] * 6]
    return Tag(name, datetime.fromisoformat(at).astimezone(UTC), author, peeled or own, title) if name and at else None


def _within(paths: Sequence[str]) -> list[str]:
    return [f":(top,literal){path}" for path in paths]
