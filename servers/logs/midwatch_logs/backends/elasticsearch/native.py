"""ES|QL and the query DSL as somebody wrote them: the window is a filter of the request, whatever the query says."""

import re
from difflib import get_close_matches
from json import dumps
from typing import Any, Final

from midwatch_kit import BadInput, KitError, Window
from midwatch_kit.logs import ns_of, stamp
from midwatch_kit.native import Asked, Row, Table, refuse_sources
from midwatch_kit.text import near
from midwatch_logs.backends.elasticsearch import body
from midwatch_logs.backends.elasticsearch.api import ElasticsearchApi
from midwatch_logs.backends.elasticsearch.dsl import NANOS
from midwatch_logs.backends.elasticsearch.esql import refuse_foreign
from midwatch_logs.backends.elasticsearch.layout import TIME

_UNKNOWN_INDEX: Final = re.compile(r"[Uu]nknown index \[([^\]]+)\]")
_COUNT: Final = "midwatch_rows"


class ElasticsearchQueries:
    """Queries of the indices that `readable` names, as the setting does."""

    languages = "ES|QL, or a search body of query DSL"
    has_sources = True

    def __init__(self, api: ElasticsearchApi, readable: str) -> None:
        self._api, self._readable = api, readable

    def window(self, asked: Window) -> Window:
        """Return the window in whole milliseconds, as fields of the type `date` have them."""
        first, last = (time.replace(microsecond=time.microsecond // 1000 * 1000) for time in (asked.start, asked.end))
        return Window(start=first, end=last) if first < last else asked

    def ask(self, asked: Asked) -> Table:
        """Return the rows of a query; raises `BadInput` with Elasticsearch's own words, `NotFound` or `BackendDown`."""
        bounds = {"gte": stamp(ns_of(asked.window.start)), "lt": stamp(ns_of(asked.window.end)), "format": NANOS}
        window = {"range": {TIME: bounds}}
        return self._searched(asked, window) if asked.query.startswith("{") else self._queried(asked, window)

    def _queried(self, asked: Asked, window: dict[str, Any]) -> Table:
        refuse_sources(asked, "ES|QL", "after FROM")
        refuse_foreign(asked.query, self._readable)
        told = self._esql(f"{asked.query}\n| LIMIT {asked.most + 1}", window)
        names = [str(column["name"]) for column in told["columns"]]
        rows: list[Row] = [dict(zip(names, values, strict=True)) for values in told["values"]]
        if len(rows) <= asked.most:
            return Table(rows, len(rows), asked.query)
        ((matched,),) = self._esql(f"{asked.query}\n| STATS {_COUNT} = COUNT(*)", window)["values"]
        return Table(rows[: asked.most], max(matched, len(rows)), asked.query)

    def _esql(self, query: str, window: dict[str, Any]) -> Any:
        try:
            return self._api.esql(query=query, filter=window, drop_null_columns=True)
        except BadInput as error:
            raise BadInput(f"{error}{self._there(str(error))}") from None

    def _there(self, said: str) -> str:
        """Near names of an index that Elasticsearch does not know; of fields it tells them itself."""
        unknown = _UNKNOWN_INDEX.search(said)
        there = near(unknown[1], self._api.names()) if unknown else []
        return f"; there are {', '.join(there)}" if there else ""

    def _searched(self, asked: Asked, window: dict[str, Any]) -> Table:
        for name in asked.sources:
            refuse_foreign(f'FROM "{name}"', self._readable)
        index = ",".join(asked.sources) or self._readable
        written = body.read_body(asked.query)
        sent = body.within(written, window, asked.most)
        try:
            answer = self._api.search(index=index, body=sent)
        except BadInput as error:
            raise BadInput(f"{error} -- in {dumps(sent, ensure_ascii=False)[:600]}") from None
        rows, matched = body.rows_of(sent, answer)
        caveats = list(body.left_out(answer.get("aggregations", {})))
        query = f"{index} {dumps(written, ensure_ascii=False)}"
        return Table(rows, matched, query, caveats=caveats, hint=None if rows else self._unknown(index, written))

    def _unknown(self, index: str, written: dict[str, Any]) -> str | None:
        """Which of the fields that a body names is not there, with near ones; None when all are."""
        named = [field for field in body.fields_of(written) if "*" not in field]
        try:
            told = self._api.ask(lambda client: client.field_caps(index=index, fields="*")) if named else {}
        except KitError:  # it is only a hint
            return None
        names = list(told.get("fields", {}))
        field = next((field for field in named if names and field not in names), None)
        near = ", ".join(get_close_matches(field or "", names, 5, 0.4))
        return f"{index} has no field {field!r}{f'; there are {near}' if near else ''}." if field else None
