"""What a workflow's file says: what triggers it, and whether it deploys, where to, and because of what. Pure.

Files are as https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax describes them.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

from midwatch_deploys.catalogue import Unreadable, documents_in

_MOST: Final = 256
"""Jobs of a workflow, steps of a job, and texts of either that are looked at: aliases make a file larger than it is."""

_DEPLOYS: Final = re.compile(r"(?<![a-z])deploy(?:s|ment)?(?![a-z])", re.IGNORECASE)
_INPUT: Final = re.compile(r"\$\{\{\s*inputs\.([\w-]+)\s*\}\}")
_OF_THE_REPOSITORY: Final = "./.github/workflows/"


@dataclass(frozen=True, slots=True)
class Job:
    """One job: its environment ('' for none), the actions it uses, and the texts in it that may name a service.

    `calls` is the file of the repository's own workflow that the job is, and `inputs` what that is given.
    """

    id: str
    name: str = ""
    environment: str = ""
    uses: tuple[str, ...] = ()
    calls: str = ""
    inputs: Mapping[str, str] = field(default_factory=dict)
    texts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Workflow:
    """One file: `paths` are the patterns that a push must touch, `called_only` that nothing but a call begins it."""

    file: str
    name: str
    paths: tuple[str, ...] = ()
    called_only: bool = False
    jobs: tuple[Job, ...] = ()


@dataclass(frozen=True, slots=True)
class Deploying:
    """Because of what a workflow or a job deploys ('': it does not), where to, and what in it may name a service.

    `elsewhere` is whether it deploys, but only to environments that do not count.
    """

    why: str = ""
    environments: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    elsewhere: bool = False


class Rule:
    """Decides which of a repository's workflows deploy, by nothing but what they and the settings declare.

    `environments` are those that count (none: all), `workflows` the names and files that deploy by the settings.
    """

    def __init__(self, environments: frozenset[str], workflows: frozenset[str], files: Mapping[str, Workflow]) -> None:
        self._environments = environments
        self._workflows = workflows
        self._files = files

    def of(self, workflow: Workflow, inputs: Mapping[str, str] | None = None, seen: tuple[str, ...] = ()) -> Deploying:
        """Return what a workflow deploys; `inputs` are what its caller gives it, `seen` the files of its callers."""
        jobs = [self._of_job(job, inputs or {}, (*seen, workflow.file)) for job in workflow.jobs]
        found = [each for each in jobs if each.why]
        elsewhere = not found and any(each.elsewhere for each in jobs)
        named = _DEPLOYS.search(workflow.name) or _DEPLOYS.search(workflow.file)
        if {workflow.name, workflow.file} & self._workflows:
            why = "the settings name it"
        elif found:
            why = next((each.why for each in found if each.environments), found[0].why)
        else:
            why = f"it is named {workflow.name}" if named and not elsewhere else ""
        texts = [text for each in found or jobs for text in each.texts]
        environments = dict.fromkeys(name for each in found for name in each.environments)
        return Deploying(why, tuple(environments), (workflow.name, workflow.file, *texts), elsewhere)

    def _of_job(self, job: Job, inputs: Mapping[str, str], seen: tuple[str, ...]) -> Deploying:
        given = _INPUT.fullmatch(job.environment)
        environment = inputs.get(given[1], job.environment) if given else job.environment
        texts = (job.id, job.name, environment, *job.texts)
        called = self._files.get(job.calls)
        if environment:
            counts = not self._environments or environment in self._environments or "${{" in environment
            why = f"job {job.id} has environment {environment}" if counts else ""
            return Deploying(why, (environment,) if counts else (), texts, not counts)
        if called is not None and called.file not in seen:
            own = self.of(called, {name: _given(text, inputs) for name, text in job.inputs.items()}, seen)
            if own.why or own.elsewhere:
                why = f"job {job.id} calls {called.file}: {own.why}" if own.why else ""
                return Deploying(why, own.environments, texts, own.elsewhere)
        if _DEPLOYS.search(job.id) or _DEPLOYS.search(job.name):
            return Deploying(f"job {job.id} is named so", (), texts)
        action = next((each for each in job.uses if _DEPLOYS.search(each)), "")
        return Deploying(f"job {job.id} uses {action}" if action else "", (), texts)


def names_deploying(text: str) -> bool:
    """Whether a name has the word deploy in it."""
    return _DEPLOYS.search(text) is not None


def workflow_in(text: str, file: str, where: str) -> Workflow:
    """Return what a file says; `where` is how errors call it. Raises `Unreadable` for what is no workflow."""
    documents = documents_in(text, where)
    told = documents[0] if len(documents) == 1 else None
    jobs = told.get("jobs") if isinstance(told, dict) else None
    if not isinstance(told, dict) or not isinstance(jobs, dict):
        raise Unreadable(f"{where}: it is no workflow, since it has no jobs")
    triggers = told.get(True, told.get("on"))  # YAML 1.1 reads a bare `on` as true
    push = triggers.get("push") if isinstance(triggers, dict) else None
    name = told.get("name")
    return Workflow(
        file,
        name if isinstance(name, str) and name else file,
        tuple(_texts(push.get("paths"))) if isinstance(push, dict) else (),
        called_only=set(_texts(triggers)) == {"workflow_call"},
        jobs=tuple(_job(str(id_), job) for id_, job in islice(jobs.items(), _MOST) if isinstance(job, dict)),
    )


def _job(id_: str, told: Mapping[Any, Any]) -> Job:
    name, called, steps, strategy = (told.get(key) for key in ("name", "uses", "steps", "strategy"))
    actions = [called, *(step.get("uses") for step in _some(steps) if isinstance(step, dict))]
    uses = [each for each in actions if isinstance(each, str)]
    inputs = told.get("with") if isinstance(called, str) else None
    given = dict(islice(inputs.items(), _MOST)) if isinstance(inputs, dict) else {}
    known = {str(key): value for key, value in given.items() if isinstance(value, str)}
    matrix = strategy.get("matrix") if isinstance(strategy, dict) else None
    return Job(
        id_,
        name if isinstance(name, str) else "",
        _environment(told.get("environment")),
        tuple(uses),
        called.removeprefix(_OF_THE_REPOSITORY)
        if isinstance(called, str) and called.startswith(_OF_THE_REPOSITORY)
        else "",
        known,
        tuple(islice((*known.values(), *_in_matrix(matrix)), _MOST)),
    )


def _environment(told: object) -> str:
    """Return a job's environment; '' for one that is there for its secrets alone."""
    if isinstance(told, dict):
        told = told.get("name") if told.get("deployment") is not False else None
    return told if isinstance(told, str) else ""


def _in_matrix(matrix: object) -> Iterator[str]:
    """Yield the texts in a matrix: the values of its keys, and of the things in its lists."""
    for values in islice(matrix.values(), _MOST) if isinstance(matrix, dict) else ():
        for value in _some(values):
            yield from _texts(list(value.values())) if isinstance(value, dict) else _texts(value)


def _given(text: str, inputs: Mapping[str, str]) -> str:
    passed = _INPUT.fullmatch(text)
    return inputs.get(passed[1], text) if passed else text


def _some(told: object) -> Iterable[object]:
    return told[:_MOST] if isinstance(told, list) else ()


def _texts(told: object) -> list[str]:
    """Return the texts in what may be one text, a list, or a mapping by them."""
    many = [told] if isinstance(told, str) else list(told) if isinstance(told, dict) else _some(told)
    return [each for each in many if isinstance(each, str)]
