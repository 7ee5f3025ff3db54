"""Kubernetes for backends: one way to a cluster's API, and what goes wrong as one kind of error in words that help.

It only lists, so an account that may do no more is enough. Credentials come from where kubectl looks for them, or from
the account of the pod. An API that says when to ask again is asked again; one that hangs is not, and neither is one
for whose answer nobody waits any more. Import this module where a backend is on, not before: the official client takes
a second to import.
"""

import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import yaml
from kubernetes.client import ApiClient, Configuration
from kubernetes.config import ConfigException, load_incluster_config, load_kube_config
from urllib3 import Retry
from urllib3.exceptions import HTTPError, MaxRetryError

from midwatch_kit.abandoned import given_up
from midwatch_kit.errors import BackendDown

Json = dict[str, Any]

MOST_BYTES: Final = 64 * 2**20
_WHOLE: Final = "application/json"
_METADATA: Final = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_PAGE: Final = 500
_RETRY: Final = Retry(connect=1, read=0, redirect=0, status=2, backoff_factor=0.2, raise_on_status=False)
_RESTARTS: Final = 3
_UNAUTHORIZED: Final = 401
_FORBIDDEN: Final = 403
_EXPIRED: Final = 410


class Refused(BackendDown):
    """Raised when the API answers with an error; `status` is HTTP's: 403 may not be listed, 404 is not served."""

    def __init__(self, status: int, said: str) -> None:
        super().__init__(said)
        self.status = status


class KubernetesApi:
    """A cluster's API; any number of threads may ask.

    `kubeconfig` and `context` are as kubectl takes them, None for the usual ones; `seconds` is how long the API may be
    silent. Nothing is read before something is asked.
    """

    def __init__(self, kubeconfig: Path | None, context: str | None, *, seconds: float) -> None:
        self._kubeconfig, self._context, self._seconds = kubeconfig, context, seconds
        self._lock = threading.Lock()
        self._client: ApiClient | None = None

    def version(self) -> str:
        """Return the version of Kubernetes, `?` when it is not told; raises `BackendDown`."""
        return str(self._get("/version", [], _WHOLE).get("gitVersion", "?"))

    def listed(
        self,
        group: str,
        plural: str,
        namespaces: Sequence[str] = (),
        *,
        metadata_only: bool = False,
        most: int | None = None,
    ) -> list[Json]:
        """Return the things of a kind (`/apis/apps/v1`, `deployments`) as the API has them: all, or `most` a namespace.

        None named are all namespaces. Of what holds secrets ask for the metadata only: then values never come here.
        Raises `Refused`, and `BackendDown` for an API that cannot be reached or does not take the credentials.
        """
        accept = _METADATA if metadata_only else _WHOLE
        within = [f"/namespaces/{space}" for space in namespaces] or [""]
        try:
            return [thing for space in within for thing in self._listing(f"{group}{space}/{plural}", accept, most)]
        except Refused as error:
            if error.status != _FORBIDDEN:
                raise
            raise Refused(_FORBIDDEN, f"the account may not list {resource(group, plural)}") from None

    def _listing(self, path: str, accept: str, most: int | None) -> list[Json]:
        """Return a whole list; one that expires between two of its pages is begun again."""
        for restart in range(_RESTARTS):
            try:
                return self._pages(path, accept, most)
            except Refused as error:
                if error.status != _EXPIRED or restart + 1 == _RESTARTS:
                    raise
        raise AssertionError("the last time either returns or raises")

    def _pages(self, path: str, accept: str, most: int | None) -> list[Json]:
        items: list[Json] = []
        more = ""
        while True:
            query = [("limit", str(most or _PAGE)), *([("continue", more)] if more else [])]
            page = self._get(path, query, accept)
            items += page.get("items") or []
            more = (page.get("metadata") or {}).get("continue") or ""
            if not more or (most and len(items) >= most):
                return items

    def _get(self, path: str, query: list[tuple[str, str]], accept: str) -> Json:
        if given_up().is_set():
            raise BackendDown("the Kubernetes API was not asked further: nobody waits for the answer")
        status, reason, body = self._asked(path, query, accept)
        if status == _UNAUTHORIZED:
            self._client = None  # next time the credentials are read again: they may have been renewed
            raise BackendDown("the Kubernetes API does not accept the credentials: renew those of the kubeconfig")
        if status != 200:
            raise Refused(status, f"GET {path} is answered with {status} {reason}")
        if len(body) > MOST_BYTES:
            raise BackendDown(f"GET {path} answers more than {MOST_BYTES // 2**20} MiB: name fewer namespaces")
        try:
            found = json.loads(body)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise BackendDown(f"GET {path} is not answered as the Kubernetes API does: is this its address?")
        return found

    def _asked(self, path: str, query: list[tuple[str, str]], accept: str) -> tuple[int, str, bytes]:
        """Return the status, its reason and the body, of which no more is read than is of use."""
        try:
            client = self._connected()
            request = client.param_serialize(
                "GET", path, query_params=query, header_params={"Accept": accept}, auth_settings=["BearerToken"]
            )
            answer = client.call_api(*request, _request_timeout=self._seconds)
            return answer.status, answer.reason, answer.response.read(MOST_BYTES + 1)
        except (HTTPError, OSError, ConfigException) as error:
            raise BackendDown(f"the Kubernetes API cannot be reached: {_why(error)}") from None

    def _connected(self) -> ApiClient:
        with self._lock:
            if self._client is None:
                self._client = ApiClient(self._configuration())
            return self._client

    def _configuration(self) -> Configuration:
        """The kubeconfig that is named, else the usual one, else the account of the pod that this runs in."""
        found = Configuration(retries=_RETRY)
        wanted, context = self._kubeconfig, self._context
        try:
            load_kube_config(str(wanted) if wanted else None, context, found, persist_config=False)
        except ConfigException:
            if wanted is not None or context is not None:
                raise
            try:
                load_incluster_config(found)
            except ConfigException:
                raise ConfigException("there is no kubeconfig, and this is no pod: set MIDWATCH_KUBECONFIG") from None
        except yaml.YAMLError:  # what it says shows a part of the file, where tokens are
            raise ConfigException("the kubeconfig is no YAML") from None
        return found


def resource(group: str, plural: str) -> str:
    """Return a kind as roles and kubectl name it: `deployments.apps`, `secrets`."""
    api = group.removeprefix("/apis/").removeprefix("/api/").rpartition("/")[0]
    return f"{plural}.{api}" if api else plural


def _why(error: Exception) -> str:
    """Return what went wrong; of what the client says, only that which quotes neither a file nor a whole address."""
    match error:
        case ConfigException():
            return str(error)
        case MaxRetryError(reason=Exception() as reason):
            return f"{type(reason).__name__}: {reason}"
        case _:
            return type(error).__name__
