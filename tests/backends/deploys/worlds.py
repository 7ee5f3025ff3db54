"""One story, told to each backend of the deploys server: forge changes at 02:40 by Ada, bot the day before.

Each world brings the settings that turn its backend on, and what of the answer is its own to say.
"""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import quote

from tests.backends.deploys.awsdeliveries import Groups, Pipelines
from tests.backends.deploys.awsstories import CloudTrail, Ecs, Stacks
from tests.backends.deploys.repositories import GitRepository
from tests.backends.fakes.argocd import TOKEN as ARGO_TOKEN
from tests.backends.fakes.argocd import ArgoCD, application, synchronize
from tests.backends.fakes.awsapi import AwsApi, aws
from tests.backends.fakes.github import TOKEN, GitHub, served
from tests.backends.fakes.kubernetes import Kubernetes, kubeconfig, template
from tests.backends.serving import served as served_with_trouble

from midwatch_store.writer import Writer

AT = datetime(2026, 11, 20, 2, 40, tzinfo=UTC)
EARLIER = AT - timedelta(days=1)
SECRET = "hunter2-and-more"
IN_WINDOW = {"start": "2026-11-20T02:35:00Z", "end": "2026-11-20T02:50:00Z"}
TITLE = "Carry the finish through"
FILE = "app/forge/blueprint.py"
DIFF = f'@@ -1 +1,2 @@\n model: str\n+finish: str\n+password = "{SECRET}"\n'


@dataclass(frozen=True)
class World:
    """Where the story is told: the settings of a server that reads it, and how this backend names what happened."""

    settings: Mapping[str, Any]
    kind: str
    author: str
    link: str
    shows: str = "+finish: str"
    """What a change in full says, besides the facts."""
    title: str = TITLE
    api: AwsApi | None = None


def store_world(folder: Path) -> World:
    """Tell the story to the embedded store."""
    row = {"ChangeId": "d-3", "Kind": "deploy", "ServiceName": "forge", "Outcome": "succeeded", "Author": "Ada Byron"}
    told = {"Title": TITLE, "Files": [FILE], "Diff": DIFF, "Version": "3f2c1ab", "Url": "https://git.example/3f2c1ab"}
    with Writer(folder / "store") as writer:
        writer.append({"changes": [{"Timestamp": EARLIER, "ChangeId": "d-2", "Kind": "deploy", "ServiceName": "bot"}]})
        writer.append({"changes": [{"Timestamp": AT, **row, **told}]})
    return World({"store": folder / "store"}, "deploy", "Ada Byron", "https://git.example/3f2c1ab")


def git_world(folder: Path) -> World:
    """Tell the story to a git repository that was cloned from a forge and holds two services."""
    repository = GitRepository(folder / "app", "git@git.example:robots/app.git")
    repository.commit("Answer faster", {"app/bot/main.py": "x = 1\n"}, EARLIER)
    repository.commit(TITLE, {FILE: f'model: str\nfinish: str\npassword = "{SECRET}"\n'}, AT)
    paths = {"app/forge": "forge", "app/bot": "bot"}
    link = f"https://git.example/robots/app/commit/{repository.head()}"
    return World({"git_repositories": [repository.path], "service_paths": paths}, "commit", "Ada Byron", link)


def github_world(stack: ExitStack) -> World:
    """Tell the story to GitHub: two services in one repository, deployed together."""
    github = GitHub("robots/app")
    github.owners = "* @robots/everybody\n/app/forge/ @robots/makers\n"
    begin, bots, forges = "a0" * 20, "b1" * 20, "c2" * 20
    github.commit(begin, "Begin", "2026-11-01T00:00:00Z", "Ada Byron", {})
    github.commit(bots, "Answer faster", "2026-11-19T02:39:00Z", "Grace", {"app/bot/main.py": "+x"}, begin)
    github.commit(forges, f"{TITLE} (#7)", "2026-11-20T02:39:00Z", "Ada Byron", {FILE: DIFF}, bots)
    for number, (sha, at) in enumerate([(begin, "2026-11-01T01:00:00Z"), (bots, _at(EARLIER)), (forges, _at(AT))]):
        github.deploy(number, sha, at)
    settings = {
        "github_repositories": ["robots/app"],
        "github_url": stack.enter_context(served(github)),
        "github_token": TOKEN,
        "service_paths": {"app/forge": "forge", "app/bot": "bot"},
    }
    return World(
        settings, "deploy", "Ada Byron", "https://github.example/robots/app/actions/runs/2", title=f"{TITLE} (#7)"
    )


def cloudtrail_world(stack: ExitStack) -> World:
    """Tell the story to CloudTrail: people give functions new code."""
    trail = CloudTrail()
    function = "arn:aws:lambda:eu-west-1:123456789012:function:"
    code = {"functionName": f"{function}bot", "zipFile": SECRET}
    trail.happened("UpdateFunctionCode20150331v2", "lambda", EARLIER, "Grace", code)
    name = "PutSecretValue"
    trail.happened(name, "secretsmanager", AT, "Ada Byron", {"secretId": "forge", "secretString": SECRET, "n": 7})
    settings, api, _ = stack.enter_context(aws(trail.answers()))
    link = f"https://eu-west-1.console.aws.amazon.com/cloudtrailv2/home?region=eu-west-1#/events/{trail.last_id}"
    return World({**settings, "cloudtrail": True}, "config", "Ada Byron", link, "n: 7", f"{name} of forge", api)


def cloudformation_world(stack: ExitStack) -> World:
    """Tell the story to CloudFormation: a stack for each service, of which one cannot be updated."""
    stacks = Stacks()
    stacks.updated("prod-bot", EARLIER, {"Queue": "AWS::SQS::Queue"})
    reason = f"Resource handler returned message: password={SECRET} is too short"
    stacks.updated("prod-forge", AT, {"Table": "AWS::DynamoDB::Table"}, failed="Database", reason=reason)
    settings, api, _ = stack.enter_context(aws(stacks.answers()))
    link = "https://eu-west-1.console.aws.amazon.com/cloudformation/home?region=eu-west-1#/stacks/events?stackId="
    here = {"cloudformation_stacks": ["prod-*"], "service_resources": {"prod-forge": "forge", "prod-bot": "bot"}}
    shows = "2026-11-20T02:40:10Z Table AWS::DynamoDB::Table UPDATE_COMPLETE"
    arn = quote(stacks.arn("prod-forge"), safe="")
    return World(
        {**settings, **here}, "infrastructure", "", link + arn, shows, "update of stack prod-forge: Table", api
    )


def ecs_world(stack: ExitStack) -> World:
    """Tell the story to ECS: two services in a cluster, each deployed once."""
    ecs = Ecs("prod")
    ecs.defined("bot:1", "registry.example/bot:a1b2c3d", {})
    ecs.defined("forge:1", "registry.example/forge:9a8b7c6", {"MODEL": "a"})
    ecs.defined("forge:2", "registry.example/forge:3f2c1ab", {"MODEL": "a", "DB_PASSWORD": SECRET})
    ecs.deployed("bot", EARLIER, "bot:1")
    ecs.deployed("forge", AT, "forge:2", before="forge:1")
    settings, api, _ = stack.enter_context(aws(ecs.answers()))
    link = "https://eu-west-1.console.aws.amazon.com/ecs/v2/clusters/prod/services/forge/deployments?region=eu-west-1"
    shows = "forge: image: registry.example/forge:9a8b7c6 -> registry.example/forge:3f2c1ab"
    return World(
        {**settings, "ecs_clusters": ["prod"]}, "deploy", "", link, shows, "ECS service prod/forge: forge:2", api
    )


def codepipeline_world(stack: ExitStack) -> World:
    """Tell the story to CodePipeline: a pipeline for each service, of which one fails at its last action."""
    pipelines = Pipelines()
    pipelines.ran("bot", EARLIER, "b1" * 20, "Answer faster", who="Grace")
    number = pipelines.ran("forge", AT, "c2" * 20, TITLE, status="Failed", who="Ada Byron")
    pipelines.acted(number, "Deploy/Migrate", AT, "Failed", f"cannot connect with password={SECRET}")
    settings, api, _ = stack.enter_context(aws(pipelines.answers()))
    link = "https://eu-west-1.console.aws.amazon.com/codesuite/codepipeline/pipelines/forge/executions/"
    shows = "2026-11-20T02:40:00Z Deploy/Migrate Failed cannot connect with password=(hidden)"
    on = {**settings, "codepipelines": ["*"]}
    return World(on, "deploy", "Ada Byron", f"{link}{number}/timeline?region=eu-west-1", shows, api=api)


def autoscaling_world(stack: ExitStack) -> World:
    """Tell the story to Auto Scaling: an instance is launched, and another cannot be."""
    groups = Groups()
    groups.acted("bot", EARLIER, "Terminating EC2 instance: i-00000000000000001")
    failed = "Launching a new EC2 instance"
    groups.acted("forge", AT, failed, "Failed", StatusMessage=f"bad user data: password={SECRET}")
    settings, api, _ = stack.enter_context(aws(groups.answers()))
    here = "https://eu-west-1.console.aws.amazon.com/ec2/home?region=eu-west-1"
    link = f"{here}#AutoScalingGroupDetails:id=forge;view=activity"
    shows = f"title: {failed}: bad user data: password=(hidden)"
    return World({**settings, "auto_scaling_groups": ["*"]}, "infrastructure", "", link, shows, failed, api)


def kubernetes_world(folder: Path, stack: ExitStack) -> World:
    """Tell the story to a cluster: two Deployments, one of which is rolled out anew."""
    cluster = Kubernetes()
    cluster.deployment("bot", (1, EARLIER, template("registry.example/bot:a1b2c3d")))
    before, after = "registry.example/forge:9a8b7c6", "registry.example/forge:3f2c1ab"
    secret = {"DB_PASSWORD": SECRET}
    cluster.deployment("forge", (1, AT - timedelta(days=60), template(before)), (2, AT, template(after, secret)))
    url, _ = stack.enter_context(served_with_trouble(cluster))
    settings = {"kubernetes_namespaces": ["shop"], "kubeconfig": kubeconfig(folder, url)}
    title = f"Deployment shop/forge: revision 2: {after}"
    return World(settings, "deploy", "", "", f"main: image: {before} -> {after}", title)


def argocd_world(stack: ExitStack) -> World:
    """Tell the story to Argo CD: two applications, one of which cannot be synchronized anew."""
    argo = ArgoCD()
    for name, moment in (("bot", EARLIER), ("forge", AT - timedelta(days=60))):
        argo.applications.append(application(name, AT - timedelta(days=90)))
        synchronize(argo.applications[-1], moment, "a1" * 20, "Grace")
    message = f"cannot apply: password={SECRET} is too short"
    synchronize(argo.applications[-1], AT, "3f2c1ab" + "0" * 33, "Ada Byron", "Failed", message)
    url, _ = stack.enter_context(served_with_trouble(argo))
    settings = {"argocd_url": url, "argocd_token": ARGO_TOKEN}
    shows = "Deployment shop/forge: Synced deployment.apps/forge configured"
    title = "Argo CD synchronizes forge to 3f2c1ab: cannot apply"
    return World(settings, "deploy", "Ada Byron", f"{url}/applications/argocd/forge", shows, title)


def _at(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


Tell: TypeAlias = Callable[[Path, ExitStack], World]

WORLDS: dict[str, Tell] = {
    "store": lambda folder, _: store_world(folder),
    "git": lambda folder, _: git_world(folder),
    "github": lambda _, stack: github_world(stack),
    "cloudtrail": lambda _, stack: cloudtrail_world(stack),
    "cloudformation": lambda _, stack: cloudformation_world(stack),
    "ecs": lambda _, stack: ecs_world(stack),
    "codepipeline": lambda _, stack: codepipeline_world(stack),
    "autoscaling": lambda _, stack: autoscaling_world(stack),
    "kubernetes": kubernetes_world,
    "argocd": lambda _, stack: argocd_world(stack),
}
