"""Which workflows of a repository deploy which services, as its files of the main branch declare it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final
from urllib.parse import quote

from midwatch_deploys.backends.github import read
from midwatch_deploys.backends.github.client import Json, Refused
from midwatch_deploys.backends.github.source import Source
from midwatch_deploys.backends.github.workflow import Deploying, Rule, Workflow, names_deploying, workflow_in
from midwatch_deploys.catalogue import MOST_BYTES, Unreadable
from midwatch_deploys.inventory import Resource, Tie
from midwatch_deploys.services import Services
from midwatch_deploys.settings import DeploysSettings
from midwatch_kit import BackendDown, Basis
from midwatch_kit.parallel import at_once
from midwatch_kit.secrets import without_secrets

_FOLDER: Final = ".github/workflows"
_MOST_FILES: Final = 30
_NOT_FOUND: Final = 404


@dataclass(frozen=True, slots=True)
class Told:
    """Workflows that deploy, what they are tied to, and in words what could not be read."""

    resources: Sequence[Resource] = ()
    ties: Sequence[Tie] = ()
    gaps: Sequence[str] = ()


class Workflows:
    """The workflows of one repository. A file that did not change since it was read is not read again."""

    def __init__(self, source: Source, services: Services, settings: DeploysSettings) -> None:
        self._source = source
        self._services = services
        self._environments = frozenset(settings.github_environments)
        self._workflows = frozenset(settings.github_workflows)
        self._known: Mapping[tuple[str, str], Workflow] = {}

    def told(self) -> Told:
        """Return what the files declare now; what cannot be read is a gap, and no folder of workflows is none."""
        where = f"{self._source.name}/{_FOLDER}"
        try:
            listed = self._source.client.get(self._source.path(f"contents/{_FOLDER}"))
            files = (
                {each["name"]: each for each in listed if each["type"] == "file"} if isinstance(listed, list) else {}
            )
            return self._told(where, {name: each for name, each in files.items() if name.endswith((".yml", ".yaml"))})
        except Refused as error:
            words = self._source.words("commits", error)  # these need the same permission
            return Told(gaps=() if error.status == _NOT_FOUND else [f"{where}: {words}"])
        except BackendDown as error:
            return Told(gaps=[f"{where}: {error}"])
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            return Told(gaps=[f"{where}: the answer is in a shape that is not GitHub's ({type(error).__name__})"])

    def _told(self, where: str, files: Mapping[str, Json]) -> Told:
        chosen = sorted(files, key=lambda name: (not names_deploying(name), name))[:_MOST_FILES]
        found = at_once([partial(self._file, where, files[name]) for name in chosen])
        gaps = [each for each in found if isinstance(each, str)]
        if len(files) > len(chosen):
            gaps.append(f"{where}: only {len(chosen)} of {len(files)} files are read, those named for deploying first")
        read_ = {each.file: each for each in found if isinstance(each, Workflow)}
        self._known = {(name, files[name]["sha"]): each for name, each in read_.items()}
        rule = Rule(self._environments, self._workflows, read_)
        resources: list[Resource] = []
        ties: list[Tie] = []
        for workflow in read_.values():
            deploying = rule.of(workflow)
            if deploying.why and not workflow.called_only:
                resources.append(self._resource(workflow, deploying, files[workflow.file]))
                ties += self._ties(workflow, deploying)
        return Told(resources, ties, gaps)

    def _file(self, folder: str, listed: Json) -> Workflow | str:
        """Return what one file says, or in words why it cannot be read."""
        name, where = listed["name"], f"{folder}/{listed['name']}"
        known = self._known.get((name, listed["sha"]))
        if known is not None:
            return known
        if listed["size"] > MOST_BYTES:
            return f"{where}: it is not read, since it has {listed['size']:,} bytes, more than {MOST_BYTES:,}"
        try:
            found = self._source.client.get(self._source.path(f"contents/{_FOLDER}/{quote(name)}"))
            return workflow_in(read.content(found)[:MOST_BYTES], name, where)
        except Unreadable as error:
            return str(error)
        except (Refused, BackendDown) as error:
            return f"{where}: {error}"

    def _resource(self, workflow: Workflow, deploying: Deploying, listed: Json) -> Resource:
        facts = {
            "name": workflow.name,
            "environments": ", ".join(deploying.environments),
            "because": deploying.why,
            "url": listed["html_url"],
        }
        return Resource(self._id(workflow), {name: without_secrets(text) for name, text in facts.items() if text})

    def _ties(self, workflow: Workflow, deploying: Deploying) -> Iterator[Tie]:
        for service, basis, because in self._services_of(workflow, deploying):
            yield Tie(f"service:{service}", "deployed_by", self._id(workflow), basis, because)

    def _services_of(self, workflow: Workflow, deploying: Deploying) -> list[tuple[str, Basis, str]]:
        """Return the services that a workflow deploys: by its paths, else by names in it, else the only one."""
        repository = self._source.name
        triggered = self._services.triggered(repository, workflow.paths)
        if triggered:
            return [(each, Basis.DECLARED, f"on.push.paths has {pattern}") for each, pattern in triggered.items()]
        named = self._services.named(repository, deploying.texts)
        if named:
            return [(each, Basis.INFERRED, "the workflow names it") for each in named]
        held = self._services.names(repository)
        if len(held) == 1 and not (workflow.paths and self._services.divided(repository)):
            return [(held[0], Basis.INFERRED, "it is the only service of the repository")]
        return []

    def _id(self, workflow: Workflow) -> str:
        return f"workflow:{self._source.name}/{workflow.file}"
