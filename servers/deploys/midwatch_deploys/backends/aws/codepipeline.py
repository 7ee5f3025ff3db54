"""Executions of CodePipeline's pipelines: each is a deploy, with what went through each stage. It only lists."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from midwatch_deploys.backend import Change, Found, hash_in, revision_key
from midwatch_deploys.backends.aws.account import Account, matching, read, utc
from midwatch_deploys.backends.parts import LATE, checked, each_at_once, gathered
from midwatch_deploys.resources import Resources
from midwatch_deploys.settings import DeploysSettings
from midwatch_kit import Check, KitError, rfc3339
from midwatch_kit.aws import in_words

if TYPE_CHECKING:
    from mypy_boto3_codepipeline import CodePipelineClient
    from mypy_boto3_codepipeline.type_defs import (
        ActionExecutionDetailTypeDef,
        ListPipelineExecutionsOutputTypeDef,
        PipelineExecutionSummaryTypeDef,
        SourceRevisionTypeDef,
    )

_ID: Final = re.compile(r"codepipeline:(?P<pipeline>[^@]+)@(?P<execution>.+)")
_OUTCOMES: Final = {"Succeeded": "succeeded", "InProgress": "running", "Stopping": "running"}
_OVER: Final = frozenset({"Succeeded", "Failed", "Stopped", "Superseded", "Cancelled"})
_MOST_PIPELINES: Final = 1_000
_MOST_LOOKED_INTO: Final = 100
_MOST_EXECUTIONS: Final = 300
_SHORT: Final = 7


class CodePipelineChanges:
    """The pipelines of one region whose names fit the settings."""

    def __init__(self, settings: DeploysSettings) -> None:
        self._aws: Account[CodePipelineClient] = Account(settings, lambda s, o: s.client("codepipeline", **o))
        self._patterns = settings.codepipelines
        self._resources = Resources(settings.service_resources)
        self._lookback = timedelta(days=settings.lookback_days)

    def between(self, begin: datetime | None, end: datetime) -> Found:
        """Return the executions of pipelines in `[begin, end)`; raises `BackendDown`.

        `begin` None is as far back as the settings say; CodePipeline keeps a year.
        """
        return gathered("CodePipeline", {"executions": self._executions}, begin or end - self._lookback, end)

    def find(self, change_id: str) -> Change | None:
        """Return an execution with what became of each action; raises `BackendDown`."""
        named = _ID.fullmatch(change_id)
        if named is None or named["pipeline"] not in self._pipelines():
            return None
        changes, _ = self._of_pipeline(named["pipeline"], None)
        found = next((each for each in changes if each.id == change_id), None)
        if found is None:
            return None
        return replace(found, diff="\n".join(map(_line, self._actions(named["pipeline"], named["execution"]))))

    def checks(self) -> Sequence[Check]:
        """Look at each permission: listing pipelines, their executions, and their actions."""
        do = "see docs/deploys.md for the policy, and check MIDWATCH_CODEPIPELINES"
        there: list[str] = []
        listing = checked("pipelines", lambda: self._counted(there), do)
        if not there:
            return [listing]
        name = there[0]
        return [
            listing,
            checked("executions", lambda: f"{len(self._listed(name, None, 1)[0])} of {name} can be read", do),
            checked("actions", lambda: f"{len(self._actions(name, '', 1))} of {name} can be read", do),
        ]

    def _counted(self, there: list[str]) -> str:
        there += self._pipelines()
        return f"{len(there):,} are named as {', '.join(self._patterns)}"

    def _executions(self, begin: datetime, _end: datetime) -> tuple[list[Change], str]:
        pipelines = self._pipelines()
        told = each_at_once(lambda name: self._asked(name, begin), pipelines[:_MOST_LOOKED_INTO])
        left_out = len(pipelines) - _MOST_LOOKED_INTO
        gaps = [f"{left_out} more pipelines were left out"] if left_out > 0 else []
        gaps += [gap for _, gap in told if gap]
        return [change for changes, _ in told for change in changes], "; ".join(gaps)

    def _asked(self, pipeline: str, begin: datetime) -> tuple[list[Change], str]:
        try:
            return self._of_pipeline(pipeline, begin)
        except KitError as error:
            return [], f"{pipeline}: {error}"

    def _of_pipeline(self, pipeline: str, begin: datetime | None) -> tuple[list[Change], str]:
        listed, cut = self._listed(pipeline, begin, _MOST_EXECUTIONS)
        changes = [self._told(pipeline, each, listed[number + 1 :]) for number, each in enumerate(listed)]
        return changes, f"{pipeline}: only the newest {len(listed)} executions were read" if cut else ""

    def _told(
        self,
        pipeline: str,
        execution: "PipelineExecutionSummaryTypeDef",
        before: "Sequence[PipelineExecutionSummaryTypeDef]",
    ) -> Change:
        """Return an execution as a deploy; `before` are the earlier ones, newest first."""
        number, status = execution["pipelineExecutionId"], execution.get("status", "")
        source = _source(execution)
        revision = source.get("revisionId", "")
        previous = next((_revision(each) for each in before if each.get("status") == "Succeeded"), "")
        trigger = execution.get("trigger", {})
        rollback = execution.get("rollbackMetadata", {}).get("rollbackTargetPipelineExecutionId", "")
        facts = {
            "pipeline": pipeline,
            "status": status,
            "said": execution.get("statusSummary", ""),
            "trigger": trigger.get("triggerType", ""),
            "revision": revision if hash_in(revision) == revision else "",
            "rolls_back": _short(previous) if rollback else "",
        }
        link = f"codesuite/codepipeline/pipelines/{quote(pipeline)}/executions/{number}/timeline?region={{region}}"
        page = self._aws.page_of(link)
        return Change(
            id=f"codepipeline:{pipeline}@{number}",
            at=utc(execution["startTime"]),
            kind="deploy",
            service=self._resources.service_of(pipeline),
            title=source.get("revisionSummary", "").partition("\n")[0] or f"execution of pipeline {pipeline}",
            author=_person(trigger.get("triggerDetail", "")),
            version=_short(revision),
            previous_version="" if previous == revision else _short(previous),
            url=page,
            links=tuple(link for link in (page, source.get("revisionUrl", "")) if link),
            ended=utc(execution["lastUpdateTime"]) if status in _OVER else None,
            outcome=_OUTCOMES.get(status, "failed"),
            attributes={name: text for name, text in facts.items() if text},
            source="codepipeline execution",
            keys=frozenset({f"execution:{number}", revision_key(revision)} - {""}),
        )

    def _pipelines(self) -> list[str]:
        with in_words("CodePipeline", "codepipeline:ListPipelines"):
            pages = self._aws.client.get_paginator("list_pipelines").paginate()
            found, _ = read(pages, lambda page: page["pipelines"], _MOST_PIPELINES, self._aws.until())
        return matching([each["name"] for each in found], self._patterns, "pipeline")

    def _listed(
        self, pipeline: str, begin: datetime | None, most: int
    ) -> "tuple[list[PipelineExecutionSummaryTypeDef], bool]":
        """Return executions, newest first, and one that succeeded before `begin`, to know what ran then."""
        with in_words("CodePipeline", "codepipeline:ListPipelineExecutions"):
            pages = self._aws.client.get_paginator("list_pipeline_executions").paginate(pipelineName=pipeline)
            found, cut = read(
                _until_old(pages, begin),
                lambda page: page["pipelineExecutionSummaries"],
                most,
                self._aws.until(),
            )
        return found, cut

    def _actions(self, pipeline: str, execution: str, most: int = 200) -> "list[ActionExecutionDetailTypeDef]":
        with in_words("CodePipeline", "codepipeline:ListActionExecutions"):
            paginator = self._aws.client.get_paginator("list_action_executions")
            pages = (
                paginator.paginate(pipelineName=pipeline, filter={"pipelineExecutionId": execution})
                if execution
                else paginator.paginate(pipelineName=pipeline, PaginationConfig={"PageSize": most})
            )
            found, _ = read(pages, lambda page: page["actionExecutionDetails"], most, self._aws.until())
        return sorted(found, key=lambda each: each["startTime"])


def _until_old(
    pages: "Iterable[ListPipelineExecutionsOutputTypeDef]", begin: datetime | None
) -> "Iterator[ListPipelineExecutionsOutputTypeDef]":
    """Yield pages as far back as something may have begun that was still under way at `begin`."""
    for page in pages:
        yield page
        if begin and any(utc(each["startTime"]) < begin - LATE for each in page["pipelineExecutionSummaries"]):
            return


def _source(execution: "PipelineExecutionSummaryTypeDef") -> "SourceRevisionTypeDef":
    """Return the revision that an execution carries: a commit if one of its sources is a repository."""
    sources = execution.get("sourceRevisions", [])
    commit = next((each for each in sources if hash_in(each.get("revisionId", ""))), None)
    return commit or (sources[0] if sources else {"actionName": ""})


def _revision(execution: "PipelineExecutionSummaryTypeDef") -> str:
    return _source(execution).get("revisionId", "")


def _short(revision: str) -> str:
    return revision[:_SHORT] if hash_in(revision) == revision else revision


def _person(detail: str) -> str:
    """Return who started an execution by hand; '' when a rule or a repository did."""
    return detail.rpartition("/")[2] if ":user/" in detail or ":assumed-role/" in detail else ""


def _line(action: "ActionExecutionDetailTypeDef") -> str:
    """Return what became of an action; what it was configured with may be secret, and is left out."""
    result = action.get("output", {}).get("executionResult", {})
    said = [
        result.get("externalExecutionSummary", ""),
        result.get("errorDetails", {}).get("message", ""),
        result.get("externalExecutionUrl", ""),
    ]
    what = f"{action.get('stageName', '')}/{action.get('actionName', '')} {action.get('status', '')}"
    return " ".join([rfc3339(utc(action["startTime"])), what, *(" ".join(each.split()) for each in said if each)])
