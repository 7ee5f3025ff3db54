"""Grafana's HTTP API with a service account's token: answers as JSON, errors in words that name what is missing."""

import json
import re
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import Any, Final

from midwatch_kit import BackendDown, NotFound
from midwatch_kit.http import BUSY, Http, HttpAnswer, HttpFailure, Parameters
from midwatch_metrics.backends.prometheus.api import Absent, Access, HttpApi, Refused, Told

SETTING: Final = "MIDWATCH_GRAFANA"
PROMETHEUS_TYPES: Final = (
    "prometheus",
    "grafana-amazonprometheus-datasource",
    "grafana-azureprometheus-datasource",
)
_NEEDED: Final = re.compile(r"[a-z.]+:[a-z]+")
_SEE_URL: Final = f"see whether {SETTING}_URL is Grafana's own address, and that it runs"


class GrafanaApi:
    """What Grafana itself answers; calls may come from several threads."""

    def __init__(self, access: Access) -> None:
        self.name = access.place
        self._seconds = access.seconds
        self._http = Http(access.url, seconds=access.seconds, headers=access.headers)

    def get(self, path: str, needs: str, parameters: Parameters | None = None) -> Any:
        """Return what `/api/{path}` answers; `needs` is the permission for it, as Grafana names it.

        Raises `Refused` with the permission, `Absent` where there is no such path, and `BackendDown` for all else.
        """
        try:
            answer = self._http.get(f"/api/{path}", parameters, until=time.monotonic() + self._seconds)
        except HttpFailure as failure:
            raise BackendDown(f"{failure}: {_SEE_URL}") from None
        return self._read(answer, path, needs)

    def _read(self, answer: HttpAnswer, path: str, needs: str) -> Any:
        try:
            told = json.loads(answer.body)
        except ValueError:
            told = None
        said = str(told.get("message", ""))[:200] if isinstance(told, dict) else ""
        status = answer.status
        if status == 401:
            raise Refused(f"{self.name} does not know the token ({said or status}): see {SETTING}_TOKEN")
        if status == 403:
            named = ", ".join(_NEEDED.findall(said)) or needs
            raise Refused(f"{self.name} refuses api/{path} (403): give the service account {named}")
        if status in BUSY:
            raise BackendDown(f"{self.name} cannot answer now ({status} {said}): try again in a minute")
        if status == 404:
            raise Absent(f"{self.name} has no api/{path}: {_SEE_URL}")
        if status >= 300:
            raise BackendDown(f"{self.name} failed ({status} {said}): see its own log, and any proxy before it")
        if not isinstance(told, dict | list):
            raise BackendDown(f"{self.name} answers {answer.content_type[:40]}, not as Grafana does: {_SEE_URL}")
        return told


class ProxiedPrometheus:
    """The API of a data source of Prometheus' kind, through Grafana, which holds the credentials for it.

    Which one is looked up at the first question: the one that is named by its uid or name, else the default one, else
    the only one.
    """

    def __init__(self, grafana: GrafanaApi, access: Access, wanted: str | None) -> None:
        self.name = f"{access.place} (data source {wanted})" if wanted else access.place
        self.seconds = access.seconds
        self._grafana, self._access, self._wanted = grafana, access, wanted
        self._api: HttpApi | None = None
        self._turn = threading.Lock()

    def ask(self, path: str, parameters: Parameters | None = None) -> Any:
        """Return the `data` of the data source's `/api/v1/{path}`; raises `KitError`."""
        return self.tell(path, parameters).data

    def tell(self, path: str, parameters: Parameters | None = None) -> Told:
        """Return what `ask` does, with what the data source remarks on it."""
        with self._turn:
            if self._api is None:
                self._api = self._open(self._uid())
        return self._api.tell(path, parameters)

    def _open(self, uid: str) -> HttpApi:
        return _Proxied(replace(self._access, url=f"{self._access.url.rstrip('/')}/api/datasources/proxy/uid/{uid}"))

    def _uid(self) -> str:
        try:
            told = self._grafana.get("datasources", "datasources:read")
        except Refused as error:
            if self._wanted:  # Grafana lets viewers query what it does not list for them
                return self._wanted
            raise Refused(f"{error}, or set {SETTING}_DATASOURCE to the data source's uid") from None
        known = [one for one in told if isinstance(one, dict) and one.get("type") in PROMETHEUS_TYPES]
        return chosen(known, self._wanted)


class _Proxied(HttpApi):
    """Prometheus' API behind Grafana's proxy: what to see to is another setting."""

    def _see_url(self) -> str:
        return f"see whether the data source works in Grafana, and {SETTING}_DATASOURCE"

    def _see_login(self) -> str:
        return f"see {SETTING}_TOKEN, and that its service account has datasources:query"


def chosen(known: Sequence[Mapping[str, Any]], wanted: str | None) -> str:
    """Return the uid of the data source to ask; raises `NotFound` with those that there are."""
    names = {str(one["uid"]): str(one.get("name", "")) for one in known if one.get("uid")}
    told = ", ".join(f"{name} ({uid})" for uid, name in names.items()) or "none"
    if wanted:
        found = [uid for uid, name in names.items() if wanted in (uid, name)]
        if not found:
            near = get_close_matches(wanted, [*names, *names.values()], n=1)
            meant = f"is {near[0]} meant? " if near else ""
            raise NotFound(f"Grafana has no data source {wanted!r} of Prometheus' kind; {meant}there are: {told}")
        return found[0]
    default = [str(one["uid"]) for one in known if one.get("isDefault") and one.get("uid")]
    if default or len(names) == 1:
        return (default or list(names))[0]
    raise NotFound(f"which data source of Prometheus' kind? set {SETTING}_DATASOURCE; there are: {told}")
