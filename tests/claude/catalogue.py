"""Three hundred tools of ten servers, as teams have them, and what a hypothesis that is worth a look would look at.

Ten sorts of things on each server, and three tools for each: list, get, search. The questions were written from the
hypotheses' side, before any ranking was tried on them: each names the sorts of things whose tools it should get.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

SERVERS: Final[Mapping[str, Mapping[str, str]]] = {
    "grafana": {
        "dashboard": "panels and the queries behind them",
        "datasource": "where metrics and logs come from",
        "alert_rule": "conditions that fire alerts, and their state",
        "annotation": "marks on time series: deployments, incidents, notes",
        "loki_log": "log lines of a service by LogQL",
        "prometheus_series": "time series by PromQL: rates, latencies, saturation",
        "tempo_trace": "distributed traces by TraceQL, with the spans that failed",
        "oncall_shift": "who is on call, and when",
        "silence": "alerts that are muted",
        "contact_point": "where notifications are sent",
    },
    "github": {
        "commit": "commits with author, message and diff",
        "pull_request": "pull requests, their reviews and changed files",
        "release": "releases and their notes",
        "workflow_run": "runs of GitHub Actions, their jobs and logs",
        "issue": "issues and their comments",
        "code_file": "contents of files in repositories",
        "branch": "branches and what protects them",
        "dependabot_alert": "vulnerable dependencies",
        "team_member": "members of teams",
        "gist": "snippets of text",
    },
    "kubernetes": {
        "pod": "pods, their restarts, phases and last termination reasons",
        "deployment": "deployments, rollouts and their revisions",
        "node": "nodes, their conditions, pressure and capacity",
        "event": "events of the cluster: evictions, failed mounts, OOM kills",
        "configmap": "configuration as containers see it",
        "secret_name": "names of secrets, never their values",
        "network_policy": "which pods may reach which",
        "ingress": "routes from outside, their hosts and certificates",
        "persistent_volume": "volumes, claims and how full they are",
        "autoscaler": "horizontal pod autoscalers, their targets and limits",
    },
    "aws": {
        "cloudtrail_event": "who called which AWS API, when and from where",
        "rds_instance": "databases: connections, storage, failovers, maintenance",
        "load_balancer": "listeners, targets and their health",
        "security_group": "what may reach what, by port",
        "lambda_function": "functions, their concurrency, errors and throttles",
        "sqs_queue": "queues, their depth and dead letters",
        "iam_policy": "policies, roles and who may assume them",
        "service_quota": "limits of the account, and how much is used",
        "cost_report": "what was spent, by service",
        "health_event": "incidents of AWS itself, by region",
    },
    "sentry": {
        "error_group": "exceptions grouped by stack trace, with first and last seen",
        "error_event": "single exceptions with stack trace, tags and user",
        "performance_issue": "slow transactions and N+1 queries",
        "release_health": "crash-free sessions by release",
        "suspect_commit": "commits that touched the lines that fail",
        "replay": "recordings of sessions in the browser",
        "cron_monitor": "scheduled jobs that were missed or late",
        "uptime_check": "whether addresses answer",
        "project_key": "keys with which clients report",
        "ownership_rule": "which team owns which file",
    },
    "pagerduty": {
        "incident": "incidents, their timeline and responders",
        "escalation_policy": "who is called after whom",
        "service_entry": "technical services and their dependencies",
        "maintenance_window": "planned work, and what it touches",
        "change_event": "changes that integrations reported before an incident",
        "postmortem": "what was learnt from past incidents",
        "schedule": "rotations",
        "webhook": "where events are sent",
        "status_page": "what customers are told",
        "analytics_report": "time to acknowledge, time to resolve",
    },
    "jira": {
        "ticket": "bugs and tasks with their comments",
        "sprint": "what a team works on these weeks",
        "epic": "larger pieces of work",
        "board": "boards and columns",
        "customer_request": "complaints of customers from the service desk",
        "change_request": "changes that were approved, and when they are due",
        "risk": "known risks and who accepted them",
        "worklog": "hours that were logged",
        "filter": "saved searches",
        "component": "components and who leads them",
    },
    "confluence": {
        "runbook": "what to do when an alarm rings, step by step",
        "architecture_page": "how systems depend on each other",
        "decision_record": "why something is as it is",
        "meeting_note": "notes of meetings",
        "team_page": "who is who",
        "onboarding_guide": "first steps for newcomers",
        "policy_page": "rules of the company",
        "template": "templates of pages",
        "blog_post": "news of the company",
        "attachment": "files on pages",
    },
    "postgres": {
        "lock": "locks, who holds them and who waits",
        "slow_query": "statements that take long, with their plans",
        "connection": "sessions, pools and how many are left",
        "table_size": "tables, indexes and their bloat",
        "replication_slot": "replicas and how far they lag",
        "migration": "schema migrations that ran, and when",
        "vacuum_run": "autovacuum and when it last ran",
        "extension": "extensions and their versions",
        "role": "roles and what they may do",
        "setting": "parameters of the server",
    },
    "cloudflare": {
        "http_request_log": "requests at the edge by status, country and client",
        "firewall_event": "what was blocked or challenged, and by which rule",
        "dns_record": "names and where they point",
        "certificate": "TLS certificates and when they expire",
        "cache_purge": "what was thrown out of the cache, when and by whom",
        "worker_script": "code at the edge and its versions",
        "rate_limit": "limits of requests and who hit them",
        "waiting_room": "queues before a site",
        "page_rule": "redirects and settings by path",
        "audit_entry": "who changed which setting of the account",
    },
}


class Question(NamedTuple):
    """What somebody tests, in the words of a hypothesis, and the sorts of things that would tell."""

    about: str
    wants: Sequence[str]


_WRITTEN: Final = """
github.commit kubernetes.deployment pagerduty.change_event
    change service:checkout a deploy began minutes before the errors; the diff touches what fails; the errors
    began before the deploy
kubernetes.configmap cloudflare.audit_entry
    change service:forge somebody changed a configuration value; the value differs from yesterday; nothing was
    changed
postgres.connection aws.rds_instance
    resource service:stock the database runs out of connections; all sessions are in use; connections are left
kubernetes.pod kubernetes.event grafana.prometheus_series
    resource instance:web-1 its memory is short and it is killed; containers restart with OOM; memory is
    steady
kubernetes.node kubernetes.persistent_volume
    resource node:worker-3 the disk of the node is full; it evicts pods under pressure; there is room left
grafana.tempo_trace sentry.error_group
    dependency service:payments calls to a provider fail; spans to it end in errors; spans to it are well
cloudflare.http_request_log cloudflare.rate_limit
    traffic service:web many more requests arrive than before, from one country; requests at the edge rise;
    the rate is as ever
cloudflare.certificate kubernetes.ingress
    access service:api its certificate has expired, so clients refuse to talk to it; TLS handshakes fail; the
    certificate is valid
aws.iam_policy aws.cloudtrail_event
    access service:billing a policy was changed and its role may not read the bucket any more; API calls are
    denied; the role may read
postgres.migration
    state service:ledger a schema migration changed a table that old code reads; it ran just before; no
    migration ran
postgres.lock postgres.slow_query
    state service:orders a long transaction holds a lock, and others wait; waits on locks rise; nobody waits
aws.sqs_queue
    state service:mail messages pile up in a queue and end as dead letters; its depth grows; the queue is
    empty
aws.health_event
    platform service:all the cloud's own region has an incident; AWS tells of one; nothing is told
aws.security_group kubernetes.network_policy
    platform service:search a security group or network policy keeps it from its index; connections time out;
    they are let through
cloudflare.cache_purge
    operator service:shop somebody purged the cache by hand, so that all requests reach the origin; a purge is
    on record; there was none
pagerduty.maintenance_window jira.change_request
    operator service:web planned work was under way at that time; a maintenance window covers it; none does
sentry.release_health github.release
    change service:app a new release crashes on phones; sessions of it crash; older releases crash as well
sentry.cron_monitor
    state service:reports a scheduled job did not run; it was missed; it ran on time
aws.lambda_function aws.service_quota
    resource service:images functions are throttled by a limit of the account; throttles rise; quota is left
jira.customer_request confluence.runbook pagerduty.postmortem
    dependency service:login customers complain that they cannot log in; the runbook of this alarm knows it;
    it happened before, see the postmortem
"""


def _questions() -> Iterator[Question]:
    wants: list[str] = []
    words: list[str] = []
    for line in [*_WRITTEN.strip().splitlines(), ""]:
        if line.startswith(" "):
            words.append(line.strip())
            continue
        if words:
            yield Question(" ".join(words), wants)
        wants, words = line.split(), []


QUESTIONS: Final = tuple(_questions())
