"""Elasticsearch's API through its official client: patience, bounds, searches that can be stopped, errors in words.

Searches go by the async search API: whoever gives up deletes the search, and with it what it does on the shards. No
permission beyond `read` is needed for that, as it would be to cancel a task.
"""

import logging
import re
import time
import weakref
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final, TypeAlias

import elasticsearch
import tenacity
from elastic_transport import NodeConfig, ObjectApiResponse, Urllib3HttpNode
from elastic_transport.client_utils import DEFAULT
from elasticsearch import Elasticsearch

from midwatch_kit import BackendDown, BadInput, KitError, NotFound, given_up
from midwatch_kit.http import BUSY, MOST_BYTES, shown_url
from midwatch_logs.settings import ElasticsearchSettings

READ_SECONDS: Final = 25.0
SEARCH_SECONDS: Final = 90.0
POLL: Final = "1s"
_CONNECTIONS: Final = 4
_ATTEMPTS: Final = 3
_LONGEST_PAUSE: Final = 5.0
_GROWING: Final = tenacity.wait_random_exponential(multiplier=0.2, max=_LONGEST_PAUSE)
_NEEDED: Final = re.compile(r"granted by the ((?:index|cluster) privileges \[[^\]]*\])")
_GIVEN_UP: Final = "Elasticsearch was not asked further: nobody waits for the answer"
Answer = Mapping[str, Any]
Question: TypeAlias = Callable[[Elasticsearch], ObjectApiResponse[Any]]
Further: TypeAlias = Callable[[Elasticsearch, str], ObjectApiResponse[Any]]


class SnapshotGone(NotFound):
    """Raised when a point in time is not there any more."""


class ElasticsearchApi:
    """Asks the Elasticsearch of some settings; nothing before the first question."""

    def __init__(self, settings: ElasticsearchSettings) -> None:
        self.place = shown_url(settings.elasticsearch_url or "")
        try:
            self._client = _client(settings)
        except ValueError:  # whose words quote the address, with its login
            raise BadInput(f"{self.place} is no address to ask: see MIDWATCH_ELASTICSEARCH_URL") from None
        weakref.finalize(self, self._client.close)

    def ask(self, question: Question) -> Answer:
        """Return what a call answers; raises `BadInput` with Elasticsearch's own words, `NotFound` or `BackendDown`."""
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(_is_passing),
            stop=tenacity.stop_after_attempt(_ATTEMPTS),
            wait=_pause,
            sleep=_sleep,
            reraise=True,
        )
        try:
            answer: Answer = retrying(self._once, question)
            return answer
        except elasticsearch.UnsupportedProductError:
            raise BackendDown(
                f"what answers at {self.place} is not Elasticsearch: is this its address, without a login page before?"
            ) from None
        except elasticsearch.ApiError as error:
            raise _in_words(error) from None
        except elasticsearch.ConnectionTimeout:
            raise BackendDown(f"Elasticsearch did not answer in {READ_SECONDS:g} s: narrow the window") from None
        except elasticsearch.SerializationError:
            raise BackendDown(f"Elasticsearch at {self.place} answered something that cannot be read") from None
        except elasticsearch.TransportError as error:
            known = next((cause for cause in error.errors if isinstance(cause, KitError)), None)
            raise known or BackendDown(
                f"Elasticsearch cannot be reached at {self.place}: {_without_object(str(error.message))}"
            ) from None

    def search(self, **asked: Any) -> Answer:
        """Return what a search finds on all shards; one that takes long, or for which nobody waits, is stopped.

        Raises as `ask` does, and `BackendDown` when it would be a part only.
        """
        told = self._finished(
            lambda client: client.async_search.submit(**asked, wait_for_completion_timeout=POLL),
            lambda client, number: client.async_search.get(id=number, wait_for_completion_timeout=POLL),
            lambda client, number: client.async_search.delete(id=number),
        )
        return _whole(told["response"])

    def esql(self, **asked: Any) -> Answer:
        """Return the `columns` and `values` of a query in ES|QL; stopped, and raising, as `search` is and does."""
        told = self._finished(
            lambda client: client.esql.async_query(**asked, wait_for_completion_timeout=POLL),
            lambda client, number: client.esql.async_query_get(id=number, wait_for_completion_timeout=POLL),
            lambda client, number: client.esql.async_query_delete(id=number),
        )
        if told.get("is_partial"):
            raise BackendDown("Elasticsearch answered a part of this only, since shards failed: see its log")
        return told

    def names(self) -> list[str]:
        """Return the data streams, aliases and indices that there are, to tell near ones; none when nobody tells."""
        with suppress(KitError):
            told = self.ask(lambda client: client.indices.resolve_index(name="*"))
            return [one["name"] for kind in ("data_streams", "aliases", "indices") for one in told.get(kind, [])]
        return []

    def _finished(self, submit: Question, go_on: Further, stop: Further) -> Answer:
        until = time.monotonic() + SEARCH_SECONDS
        told = self.ask(submit)
        number = str(told.get("id"))
        try:
            while told.get("is_running"):
                if time.monotonic() >= until:
                    raise BackendDown(f"Elasticsearch searched for {SEARCH_SECONDS:g} s: narrow the window")
                told = self.ask(lambda client: go_on(client, number))
        finally:
            if told.get("is_running"):
                with suppress(elasticsearch.ApiError, elasticsearch.TransportError):  # it ends after its own time then
                    stop(self._client, number)
        return told

    def _once(self, question: Question) -> Answer:
        if given_up().is_set():
            raise BackendDown(_GIVEN_UP)
        answer: Answer = question(self._client).body
        return answer


class _BoundedNode(Urllib3HttpNode):
    """The client's way to a node, but with answers that are read up to a bound."""

    def __init__(self, config: NodeConfig) -> None:
        super().__init__(config)
        self.pool = _BoundedPool(self.pool)  # type: ignore[assignment]  # it is asked for no more than this has


class _BoundedPool:
    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self.close = pool.close

    def urlopen(self, method: str, target: str, **asked: Any) -> "_Read":
        """Return an answer that has been read."""
        answer = self._pool.urlopen(method, target, preload_content=False, **asked)
        body = answer.read(MOST_BYTES + 1, decode_content=True)
        if len(body) > MOST_BYTES:
            answer.close()
            raise BadInput(f"Elasticsearch answered more than {MOST_BYTES // 2**20} MiB: narrow the window")
        answer.release_conn()
        return _Read(answer.status, answer.headers, body)


class _Read:
    def __init__(self, status: int, headers: Mapping[str, str], data: bytes) -> None:
        self.status, self.headers, self.data = status, headers, data


def _client(settings: ElasticsearchSettings) -> Elasticsearch:
    logging.getLogger("elastic_transport.node_pool").setLevel(logging.ERROR)  # each failed try: the answer tells it
    secrets = settings.elasticsearch_api_key, settings.elasticsearch_token, settings.elasticsearch_password
    key, token, password = (secret.get_secret_value() if secret else None for secret in secrets)
    return Elasticsearch(
        settings.elasticsearch_url,
        api_key=key,
        bearer_auth=token if not key else None,
        basic_auth=(settings.elasticsearch_username, password) if password and not (key or token) else None,
        request_timeout=READ_SECONDS,
        max_retries=0,
        retry_on_timeout=False,
        connections_per_node=_CONNECTIONS,
        node_class=_BoundedNode,
        ca_certs=str(settings.elasticsearch_ca_file) if settings.elasticsearch_ca_file else DEFAULT,
    )


def _is_passing(error: BaseException) -> bool:
    if isinstance(error, elasticsearch.ApiError):
        return error.status_code in BUSY
    if not isinstance(error, elasticsearch.ConnectionError):
        return False
    final = (elasticsearch.ConnectionTimeout, elasticsearch.SSLError)
    return not isinstance(error, final) and not any(isinstance(cause, KitError) for cause in error.errors)


def _sleep(seconds: float) -> None:
    given_up().wait(seconds)


def _pause(call: tenacity.RetryCallState) -> float:
    """Wait as long as Elasticsearch says, else longer each time, by chance."""
    error = call.outcome.exception() if call.outcome else None
    asked = (isinstance(error, elasticsearch.ApiError) and error.meta.headers.get("retry-after")) or ""
    return min(float(asked), _LONGEST_PAUSE) if re.fullmatch(r"\d{1,9}", asked) else _GROWING(call)


def _in_words(error: elasticsearch.ApiError) -> KitError:
    status, reason = error.status_code, _reason(error.body)
    if "search_context_missing_exception" in str(error.body):
        return SnapshotGone("Elasticsearch does not have this point in time any more")
    if status in {401, 403}:
        needed = _NEEDED.search(reason)
        do = f"grant one of the {needed[1]}" if needed else "see MIDWATCH_ELASTICSEARCH_API_KEY, _TOKEN or _PASSWORD"
        return BackendDown(f"Elasticsearch refuses these credentials (HTTP {status}): {reason}: {do}")
    if status == 404:
        return NotFound(f"Elasticsearch: {reason}")
    if status == 400:
        return BadInput(f"Elasticsearch refuses this: {reason}")
    if status in BUSY:
        return BackendDown(f"Elasticsearch is too busy (HTTP {status}) after {_ATTEMPTS} tries: ask later, or for less")
    return BackendDown(f"Elasticsearch answered HTTP {status}: {reason}")


def _reason(body: Any) -> str:
    """What an error's body says: the innermost cause too, which is where the fault's place is."""
    told = body.get("error", body) if isinstance(body, Mapping) else body
    if not isinstance(told, Mapping):
        return str(told)[:300]
    causes = [*(told.get("root_cause") or [told]), told.get("caused_by") or {}]
    while inner := causes[-1].get("caused_by"):
        causes.append(inner)
    reasons = dict.fromkeys(str(cause["reason"]) for cause in causes if cause.get("reason"))
    return "; ".join(reasons)[:600] or str(told.get("type", "no reason given"))


def _whole(answer: Answer) -> Answer:
    shards = answer["_shards"]
    if shards.get("failed"):
        reasons = {_reason(failure.get("reason", {})) for failure in shards.get("failures", [])}
        said = "; ".join(sorted(reasons))[:400]
        raise BackendDown(f"{shards['failed']} of {shards['total']} shards of Elasticsearch failed: {said}")
    if answer.get("timed_out"):
        raise BackendDown("Elasticsearch did not get through all of this in time: narrow the window")
    return answer


def _without_object(message: str) -> str:
    """A message of urllib3 without the connection's address in memory."""
    return re.sub(r"<[^>]*>:? ?|\w+\(host=[^)]*\):? ?", "", message)[:200]
