"""Settings of the deploys server: where changes are read from, and whether there is a way to roll back."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AliasChoices, AnyHttpUrl, Field, SecretStr, model_validator

from midwatch_kit import ServerSettings

_SOURCES = "--store, --git-repositories, --github-repositories"


class DeploysSettings(ServerSettings):
    """How the deploys server is started; without `enable_roll_back` it has no tool that writes.

    A backend is on when its setting is set; several may be on at once, and one must be.
    """

    store: Path | None = Field(
        None, validation_alias=AliasChoices("MIDWATCH_STORE", "store"), description="the store's directory"
    )
    git_repositories: list[Path] = Field([], description="folders of git repositories on this machine")
    git_branch: str = Field("", description="the branch that counts; the one that HEAD names")
    git_deployed_by: Literal["nothing", "tags", "commits"] = Field(
        "nothing", description="what of a repository is a deploy as well"
    )
    github_repositories: list[Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$")]] = Field(
        [], description="repositories on GitHub, as OWNER/NAME"
    )
    github_url: AnyHttpUrl = Field(AnyHttpUrl("https://api.github.com"), description="GitHub's API")
    github_token: SecretStr | None = Field(None, description="a token that may read them")
    github_environments: list[str] = Field([], description="deployments to these count; to all")
    github_workflows: list[str] = Field([], description="workflows that deploy, by name or file; none")
    service_paths: dict[str, str] = Field({}, description="services by [REPOSITORY:]PATH; * is all services")
    lookback_days: float = Field(30.0, gt=0, le=3_650, description="how far back a question without a start goes")
    backend_seconds: float = Field(30.0, gt=0, description="a backend that takes longer is left out, and that is told")
    enable_roll_back: bool = Field(False, description="offer the tool roll_back, which writes to production")
    roll_back_url: AnyHttpUrl | None = Field(None, description="the deployer that roll-backs are asked of")
    roll_back_seconds: float = Field(100.0, gt=0, description="how long the deployer may take")

    @model_validator(mode="after")
    def _changes_come_from_somewhere(self) -> Self:
        if self.store is None and not (self.git_repositories or self.github_repositories):
            raise ValueError(f"there is nothing to read changes from: set one or more of {_SOURCES}")
        return self

    @model_validator(mode="after")
    def _roll_back_has_somewhere_to_go(self) -> Self:
        if self.enable_roll_back and self.roll_back_url is None:
            raise ValueError(
                "--enable-roll-back needs a deployer to ask: name it with --roll-back-url or MIDWATCH_ROLL_BACK_URL"
            )
        return self
