"""The embedded store's questions as SQL text; what the store holds is described in its own docs. No Python types here.
Where several rows could be the answer, the text says which: threads cannot give one answer now and another then.

Attribute names follow OpenTelemetry's semantic conventions, the current name before the older ones. A database whose
name is but a number, as Redis has them, goes by its host. A call got a response when it has a status, unless that is
one which gRPC's client gives by itself. An HTTP call without one got none.
"""

from typing import Final

_INSIDE: Final = """Timestamp >= make_timestamp_ns($start) AND Timestamp < make_timestamp_ns($end) AND Seq <= $pin"""

_PERIODS: Final = """((Timestamp >= make_timestamp_ns($start) AND Timestamp < make_timestamp_ns($end))
    OR (Timestamp >= make_timestamp_ns($baseline_start) AND Timestamp < make_timestamp_ns($baseline_end)))
    AND Seq <= $pin"""

_SAMPLE: Final = """($every = 1 OR hash(TraceId) % $every = 0)"""

_INSTANCE: Final = """coalesce(ResourceAttributes['service.instance.id'], ResourceAttributes['k8s.pod.name'], '')"""

_EXCEPTION: Final = """"Events.Attributes"[list_position("Events.Name", 'exception')]"""

_OF_CLIENT: Final = "'1', '4', '14', 'CANCELLED', 'DEADLINE_EXCEEDED', 'UNAVAILABLE'"

_NAMED: Final = """SELECT *,
    hash(service, instance, version, kind, operation, queue, database, address, action, response) AS place
    FROM (SELECT trace, span, parent, start, duration, failed, service, instance, version, kind, operation, queue,
    database, CASE WHEN queue <> '' OR database <> '' THEN '' ELSE
        host || CASE WHEN host <> '' AND port NOT IN ('', '80', '443') THEN ':' || port ELSE '' END END AS address,
    CASE WHEN queue <> '' THEN
            CASE WHEN kind = 'Consumer' OR messaging IN ('receive', 'process', 'settle', 'deliver')
            THEN 'receives_from' ELSE 'sends_to' END
        WHEN database <> '' THEN CASE WHEN statement IN ('SELECT', 'SHOW', 'GET', 'MGET', 'FIND', 'SCAN', 'COUNT',
            'GETITEM', 'BATCHGETITEM', 'TRANSACTGETITEMS', 'QUERY') THEN 'reads' WHEN statement IN ('PUTITEM',
            'UPDATEITEM', 'DELETEITEM', 'BATCHWRITEITEM', 'TRANSACTWRITEITEMS', 'INSERT', 'UPDATE', 'DELETE',
            'MERGE', 'UPSERT', 'REPLACE', 'COPY', 'SET',
            'DEL', 'CREATE', 'ALTER', 'DROP', 'TRUNCATE', 'WITH') THEN 'writes' ELSE 'calls' END
        WHEN kind = 'Client' THEN 'calls' ELSE '' END AS action, response
    FROM (SELECT hash(TraceId) AS trace, hash(TraceId, SpanId) AS span,
        CASE WHEN ParentSpanId = '' THEN 0::UBIGINT ELSE hash(TraceId, ParentSpanId) END AS parent,
        epoch_ns(Timestamp) AS start, Duration AS duration, StatusCode = 'Error' AS failed,
        ServiceName AS service, {instance} AS instance, coalesce(ResourceAttributes['service.version'], '') AS version,
        SpanKind AS kind,
        CASE WHEN {operations} AND (SpanKind IN ('Server', 'Consumer') OR ParentSpanId = '')
            THEN SpanName ELSE '' END AS operation,
        CASE WHEN SpanKind IN ('Client', 'Producer', 'Consumer') THEN coalesce(
            SpanAttributes['messaging.destination.name'], SpanAttributes['messaging.destination'], '')
            ELSE '' END AS queue,
        CASE WHEN SpanKind <> 'Client' OR system IS NULL OR system IN ('sqlite', 'duckdb', 'h2', 'hsqldb', 'derby')
            THEN '' ELSE coalesce(nullif(regexp_replace(coalesce(SpanAttributes['db.namespace'],
            SpanAttributes['db.name'], ''), '^[0-9]+$', ''), ''), SpanAttributes['server.address'],
            SpanAttributes['net.peer.name'], system) END AS database,
        upper(coalesce(SpanAttributes['db.operation.name'], SpanAttributes['db.operation'], regexp_extract(
            coalesce(SpanAttributes['db.query.text'], SpanAttributes['db.statement'], SpanName), '[A-Za-z]+')))
            AS statement,
        coalesce(SpanAttributes['messaging.operation.type'], SpanAttributes['messaging.operation'], '') AS messaging,
        coalesce(SpanAttributes['server.port'], SpanAttributes['net.peer.port'],
            regexp_extract(url, '^[a-z]+://[^/?#]*:([0-9]+)', 1), '') AS port,
        CASE WHEN SpanKind <> 'Client' OR system IS NOT NULL THEN '' ELSE coalesce(SpanAttributes['server.address'],
            SpanAttributes['net.peer.name'], SpanAttributes['peer.service'], SpanAttributes['net.peer.ip'],
            regexp_extract(url, '^[a-z]+://(?:[^/?#@]*@)?([^/?#:]+)', 1), '') END AS host,
        CASE WHEN SpanKind <> 'Client' THEN ''
            WHEN status NOT IN ('', '0') OR rpc NOT IN ('', {of_client}) THEN 'arrived'
            WHEN status = '0' OR rpc <> '' OR method IS NOT NULL THEN 'missing' ELSE '' END AS response
        FROM (SELECT *, coalesce(SpanAttributes['db.system.name'], SpanAttributes['db.system']) AS system,
            coalesce(SpanAttributes['url.full'], SpanAttributes['http.url'], '') AS url,
            coalesce(SpanAttributes['http.request.method'], SpanAttributes['http.method']) AS method,
            coalesce(SpanAttributes['http.response.status_code'], SpanAttributes['http.status_code'], '') AS status,
            coalesce(SpanAttributes['rpc.response.status_code'], SpanAttributes['rpc.grpc.status_code'], '') AS rpc
            FROM otel_traces WHERE {periods} AND {sample})))"""


NAMED: Final = _NAMED.format(
    instance=_INSTANCE, periods=_PERIODS, sample=_SAMPLE, operations="$operations", of_client=_OF_CLIENT
)
"""Spans with what they share with others, hashed as their place; the next two questions are asked of these."""

SPANS: Final = "SELECT trace, span, parent, start, duration, failed, place FROM named"

PLACES: Final = """SELECT place, any_value(service), any_value(instance), any_value(version), any_value(kind),
    any_value(operation), any_value(queue), any_value(database), any_value(address), any_value(action),
    any_value(response)
    FROM named GROUP BY place ORDER BY place"""

COUNT: Final = f"""SELECT count(*) FROM otel_traces WHERE {_PERIODS}"""  # noqa: S608

OPERATIONS: Final = f"""SELECT count(*) FROM (SELECT DISTINCT ServiceName, SpanName FROM otel_traces
    WHERE {_PERIODS} AND (SpanKind IN ('Server', 'Consumer') OR ParentSpanId = '') LIMIT $most)"""  # noqa: S608

LINKS: Final = f"""SELECT hash(TraceId, SpanId), unnest(list_transform(range(1, len("Links.TraceId") + 1),
    lambda i: hash("Links.TraceId"[i], "Links.SpanId"[i]))) FROM otel_traces
    WHERE {_PERIODS} AND {_SAMPLE} AND SpanKind = 'Consumer' AND len("Links.TraceId") > 0"""  # noqa: S608

FAILURES: Final = f"""SELECT hash(TraceId, SpanId), TraceId, SpanName, coalesce({_EXCEPTION}['exception.type'], ''),
    coalesce({_EXCEPTION}['exception.message'], ''), StatusMessage,
    coalesce(SpanAttributes['error.type'], SpanAttributes['http.response.status_code'],
        SpanAttributes['http.status_code'], '')
    FROM otel_traces WHERE {_PERIODS} AND hash(TraceId, SpanId) IN (SELECT unnest($spans::UBIGINT[]))"""  # noqa: S608

_MATCHING: Final = f"""SELECT *, {_INSTANCE} AS Instance FROM otel_traces WHERE {_INSIDE}
    AND ($service = '' OR ServiceName = $service) AND ($instance = '' OR {_INSTANCE} = $instance)
    AND ($operation = '' OR contains(lower(SpanName), lower($operation)))
    AND (NOT $errors OR StatusCode = 'Error') AND Duration >= $least
    AND len(list_filter(range(1, len($names::VARCHAR[]) + 1), lambda i:
        coalesce(SpanAttributes[($names::VARCHAR[])[i]], ResourceAttributes[($names::VARCHAR[])[i]])
        IS DISTINCT FROM ($values::VARCHAR[])[i])) = 0"""  # noqa: S608

FOUND_COUNT: Final = f"SELECT count(DISTINCT TraceId), count(*) FROM ({_MATCHING})"  # noqa: S608

FOUND: Final = f"""SELECT epoch_ns(first), TraceId, matching FROM (
    SELECT min(Timestamp) AS first, TraceId, count(*) AS matching FROM ({_MATCHING}) GROUP BY TraceId)
    WHERE $after_time IS NULL OR first < make_timestamp_ns($after_time::BIGINT)
        OR (first = make_timestamp_ns($after_time::BIGINT) AND TraceId > $after_trace)
    ORDER BY first DESC, TraceId LIMIT $limit"""  # noqa: S608

SUMMARIES: Final = f"""SELECT TraceId, epoch_ns(min(Timestamp)), max(epoch_ns(Timestamp) + Duration),
    count(DISTINCT SpanId), count(DISTINCT SpanId) FILTER (StatusCode = 'Error'),
    list(DISTINCT ServiceName ORDER BY ServiceName),
    arg_min(ServiceName, (ParentSpanId <> '', Timestamp, SpanId)),
    arg_min(SpanName, (ParentSpanId <> '', Timestamp, SpanId)),
    bool_or(ParentSpanId = ''), coalesce(arg_max(ServiceName, (Timestamp, SpanId)) FILTER (StatusCode = 'Error'), ''),
    coalesce(arg_max(coalesce({_EXCEPTION}['exception.type'] || ': ' || {_EXCEPTION}['exception.message'],
        StatusMessage), (Timestamp, SpanId)) FILTER (StatusCode = 'Error'), '')
    FROM otel_traces WHERE {_INSIDE} AND TraceId IN (SELECT unnest($traces::VARCHAR[])) GROUP BY TraceId"""  # noqa: S608

TRACE_COUNT: Final = f"SELECT count(DISTINCT SpanId) FROM otel_traces WHERE {_INSIDE} AND TraceId = $trace"  # noqa: S608

TRACE: Final = f"""SELECT SpanId, ParentSpanId, epoch_ns(Timestamp), Duration, ServiceName,
    {_INSTANCE}, SpanName, SpanKind, StatusCode, StatusMessage, SpanAttributes,
    list_zip(list_transform("Events.Timestamp", lambda t: epoch_ns(t)), "Events.Name", "Events.Attributes"),
    list_zip("Links.TraceId", "Links.SpanId")
    FROM (SELECT DISTINCT ON (SpanId) * FROM otel_traces WHERE {_INSIDE} AND TraceId = $trace ORDER BY SpanId, Seq)
    ORDER BY Timestamp, SpanId LIMIT $most"""  # noqa: S608

LINKING: Final = f"""SELECT DISTINCT TraceId, SpanId, ServiceName, SpanName, StatusCode = 'Error', epoch_ns(Timestamp)
    FROM otel_traces WHERE {_INSIDE} AND TraceId <> $trace AND list_contains("Links.TraceId", $trace)
    ORDER BY epoch_ns(Timestamp), TraceId LIMIT $limit"""  # noqa: S608

SERVICES: Final = f"""SELECT DISTINCT ServiceName FROM otel_traces WHERE {_INSIDE} ORDER BY 1"""  # noqa: S608

CLOCKS: Final = """WITH near AS (SELECT TraceId, SpanId, ParentSpanId, ServiceName, SpanKind,
        epoch_ns(Timestamp) AS start, Duration FROM otel_traces
    WHERE Timestamp >= make_timestamp_ns($from) AND Timestamp < make_timestamp_ns($to) AND Seq <= $pin
        AND SpanKind IN ('Client', 'Server')),
    sampled AS (SELECT DISTINCT TraceId FROM near WHERE start >= $start AND start < $end
        ORDER BY hash(TraceId) LIMIT $most)
    SELECT call.ServiceName, served.ServiceName,
        median(served.start - call.start - (call.Duration - served.Duration) / 2)::BIGINT, count(*)
    FROM near AS served JOIN near AS call ON call.TraceId = served.TraceId AND call.SpanId = served.ParentSpanId
    WHERE served.TraceId IN (SELECT TraceId FROM sampled) AND served.SpanKind = 'Server' AND call.SpanKind = 'Client'
        AND call.ServiceName <> served.ServiceName
    GROUP BY ALL ORDER BY ALL"""

_CORRECTED: Final = """FROM (SELECT * REPLACE (make_timestamp_ns(epoch_ns(Timestamp)
    - coalesce(($ahead::BIGINT[])[list_position($ahead_of::VARCHAR[], ServiceName)], 0)) AS Timestamp)
    FROM otel_traces)"""


def corrected(question: str) -> str:
    """Return a question of spans whose times are corrected by `$ahead` ns, for the services `$ahead_of`."""
    return question.replace("FROM otel_traces", _CORRECTED)
