"""What Argo CD synchronized, as the deploys server's tools ask for it. It only sends GET."""

import json
import re
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import quote

from midwatch_deploys.backend import Change, Found
from midwatch_deploys.backends.argocd.read import changes_of
from midwatch_deploys.backends.parts import checked, gathered
from midwatch_deploys.resources import Resources
from midwatch_deploys.settings import DeploysSettings
from midwatch_kit import BackendDown, Check, NotFound
from midwatch_kit.http import Http, bearer

_ID: Final = re.compile(r"argocd:(?P<namespace>[^/@]*)/(?P<name>[^/@]+)@(?P<what>.+)")
_LONGEST_PAUSE: Final = 5.0
_APPLICATIONS: Final = "/api/v1/applications"
_ADVICE: Final = "check MIDWATCH_ARGOCD_URL and MIDWATCH_ARGOCD_TOKEN; docs/deploys.md has the account and its role"


class ArgoChanges:
    """The applications of an Argo CD that the token may see."""

    def __init__(self, settings: DeploysSettings) -> None:
        self._url = (settings.argocd_url or "").rstrip("/")
        self._projects = settings.argocd_projects
        self._seconds = settings.backend_seconds
        self._resources = Resources(settings.service_resources)
        self._lookback = timedelta(days=settings.lookback_days)
        self._http = Http(
            self._url,
            seconds=settings.backend_seconds / 3,
            headers=bearer(settings.argocd_token),
            attempts=3,
            longest_pause=_LONGEST_PAUSE,
        )

    def between(self, begin: datetime | None, end: datetime) -> Found:
        """Return the synchronizations in `[begin, end)`; raises `BackendDown`.

        `begin` None is as far back as the settings say, and as Argo CD keeps them: ten for each application.
        """
        found = gathered("Argo CD", {"applications": self._synchronized}, begin or end - self._lookback, end)
        return replace(found, changes=tuple(replace(change, diff="") for change in found.changes))

    def find(self, change_id: str) -> Change | None:
        """Return a synchronization with what became of each resource; raises `BackendDown`."""
        named = _ID.fullmatch(change_id)
        if named is None:
            return None
        try:
            path = f"{_APPLICATIONS}/{quote(named['name'], safe='')}"
            app = self._get(path, **({"appNamespace": named["namespace"]} if named["namespace"] else {}))
            return next((each for each in self._told(app) if each.id == change_id), None)
        except NotFound:
            return None
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise _strange(error) from None

    def checks(self) -> Sequence[Check]:
        """Look at the API, whose token this is, and how many applications it may see."""
        version = checked("api", lambda: f"Argo CD {self._get('/api/version')['Version']}", _ADVICE)
        if not version.ok:
            return [version]
        account = checked("account", self._account, _ADVICE)
        return [version, account, *([checked("applications", self._counted, _ADVICE)] if account.ok else [])]

    def _account(self) -> str:
        told = self._get("/api/v1/session/userinfo")
        if not told.get("loggedIn"):
            raise BackendDown("Argo CD knows nobody by this token: it is missing, or has run out")
        return f"logged in as {told.get('username', '?')}"

    def _counted(self) -> str:
        count = len(self._applications())
        if not count:
            within = f" in {', '.join(self._projects)}" if self._projects else ""
            raise NotFound(f"none can be seen{within}: Argo CD leaves out what the account's role may not get")
        return f"{count:,} can be seen"

    def _synchronized(self, _begin: datetime, _end: datetime) -> tuple[list[Change], str]:
        return [change for app in self._applications() for change in self._told(app)], ""

    def _told(self, app: dict[str, Any]) -> list[Change]:
        name, space = app["metadata"]["name"], app["metadata"].get("namespace", "")
        page = f"{self._url}/applications/{quote(f'{space}/{name}' if space else name)}"
        return changes_of(app, page, self._resources)

    def _applications(self) -> list[dict[str, Any]]:
        found = self._get(_APPLICATIONS, **({"projects": self._projects} if self._projects else {}))
        return list(found.get("items") or [])

    def _get(self, path: str, **query: str | list[str]) -> dict[str, Any]:
        """Return the JSON of a path; raises `NotFound`, and `BackendDown` for everything else that goes wrong."""
        answer = self._http.get(path, query, until=time.monotonic() + self._seconds * 0.9)
        place = self._http.place
        match answer.status:
            case 200:
                pass
            case 401:
                raise BackendDown(f"{place} does not accept the token: make a new one, and set MIDWATCH_ARGOCD_TOKEN")
            case 403 | 404:  # Argo CD answers 403 for what is not there, so that nobody can guess names
                raise NotFound(f"{place} has no {path}, or the account may not get it: allow applications, get")
            case 301 | 302 | 307 | 308:
                raise BackendDown(f"{place} sends elsewhere: give its address with https in MIDWATCH_ARGOCD_URL")
            case status:
                raise BackendDown(f"{place} answers {status} at {path}: ask again, or look at argocd-server's log")
        try:
            found = json.loads(answer.body)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise BackendDown(f"what answers at {place} is not Argo CD's API: check MIDWATCH_ARGOCD_URL")
        return found


def _strange(error: Exception) -> BackendDown:
    return BackendDown(f"the application is in a shape that is not Argo CD's ({type(error).__name__})")
