"""The policies that the documentation gives for AWS: they are enough, and a server names what one lacks.

They are read out of the pages, given to a user of an account that refuses, and the servers ask with that user's keys.
"""

import gc
import logging
import re
from collections.abc import Iterator
from contextlib import ExitStack
from fnmatch import fnmatchcase
from json import loads
from pathlib import Path

import botocore.loaders
import botocore.session
import pytest
from mcp import Client
from moto.iam.aws_managed_policies import aws_managed_policies_data
from tests.backends.deploys.worlds import IN_WINDOW, WORLDS
from tests.backends.fakes.awsapi import KEY
from tests.backends.motoserver import moto_server
from tests.backends.policies.account import Account, actions_of, listed, policy_in, without
from tests.backends.policies.holdings import BACKENDS, Backend

from midwatch_deploys.server import build
from midwatch_deploys.settings import DeploysSettings

pytestmark = pytest.mark.xdist_group("policies")

ACTIONS = [(name, action) for name, backend in BACKENDS.items() for action in actions_of(backend.policy)]
ALL = dict.fromkeys([*(action for _, action in ACTIONS), *actions_of(policy_in("deploys-policy.json"))])
"""Those, and what the inventory asks besides."""
SERVICES = {"elasticloadbalancing": "elbv2", "tag": "resourcegroupstaggingapi"}
"""What botocore calls services that have another name in IAM."""
BEHIND_WHAT_MOTO_HAS_NOT = ("ecs:DescribeServiceDeployments", "ecs:DescribeServiceRevisions")
"""They are asked of deployments, which moto does not list."""


@pytest.fixture(autouse=True, scope="module")
def _own_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nothing of whoever runs the tests counts; AWS' descriptions are read once, and moto does not log requests."""
    nowhere, descriptions = tmp_path_factory.mktemp("nowhere") / "none", botocore.loaders.Loader()
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_DEFAULT_REGION"):
            patch.delenv(name, raising=False)
        patch.setenv("AWS_CONFIG_FILE", str(nowhere))
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(nowhere))
        patch.setattr(logging.root.manager, "disable", logging.CRITICAL)
        patch.setattr("botocore.session.create_loader", lambda *_: descriptions)
        yield


@pytest.fixture(scope="module")
def account(_own_environment: None) -> Iterator[Account]:
    """An account that holds something for each backend."""
    with moto_server() as url:
        account = Account(url)
        for backend in BACKENDS.values():
            backend.fill(account)
        gc.freeze()  # moto is large, and each collection would walk through it
        yield account
        gc.unfreeze()


async def told(backend: Backend, account: Account, folder: Path, *tools: str) -> str:
    """What tools reply, errors among it."""
    async with Client(backend.build(account, folder).build()) as client:
        replies = [await client.call_tool(tool, {}) for tool in tools]
    return "\n".join(reply.content[0].text for reply in replies)  # type: ignore[union-attr]


@pytest.mark.parametrize("name", BACKENDS)
async def test_with_the_whole_policy_nothing_is_refused(name: str, account: Account, tmp_path: Path) -> None:
    backend = BACKENDS[name]
    with account.only(backend.policy):
        said = await told(backend, account, tmp_path, *backend.tools)
    assert "ok  " in said or name == "CloudTrail", "moto has events of CloudTrail neither to refuse nor to give"
    assert "refused" not in said


@pytest.mark.parametrize(("name", "action"), [each for each in ACTIONS if each[1] not in BEHIND_WHAT_MOTO_HAS_NOT])
async def test_without_one_permission_the_check_names_it(
    name: str, action: str, account: Account, tmp_path: Path
) -> None:
    backend = BACKENDS[name]
    with account.only(without(backend.policy, action)):
        said = await told(backend, account, tmp_path, backend.check)
    assert re.search(rf"refused \(\w+\): allow {action}\b", said)


@pytest.mark.parametrize("action", BEHIND_WHAT_MOTO_HAS_NOT)
async def test_a_permission_to_look_into_a_deployment_is_named_as_well(
    action: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-secret")
    with ExitStack() as stack:
        world = WORLDS["ecs"](tmp_path, stack)
        assert world.api is not None
        world.api.denied.add(action)
        settings = DeploysSettings.model_validate({**world.settings, "evidence_dir": tmp_path / "evidence"})
        async with Client(build(settings).build()) as client:
            reply = await client.call_tool("survey_changes", IN_WINDOW)
    assert f"allow {action}" in str(reply.content)


@pytest.mark.parametrize(
    ("variable", "words"),
    [("AWS_ACCESS_KEY_ID", "the access key is not known"), ("AWS_SECRET_ACCESS_KEY", "the secret key does not fit")],
)
@pytest.mark.parametrize("name", ["S3", "CloudFormation"])
async def test_keys_that_are_not_the_user_s_are_told_without_them(
    name: str, variable: str, words: str, account: Account, tmp_path: Path
) -> None:
    backend = BACKENDS[name]
    with account.only(backend.policy) as environment:
        environment.setenv(variable, "AKIASOMEBODYELSE0000")
        said = await told(backend, account, tmp_path, backend.check)
    assert words in said
    assert "SOMEBODYELSE" not in said


def test_aws_own_policy_for_reading_alone_allows_all_that_the_documentation_does() -> None:
    document = loads(aws_managed_policies_data)["ReadOnlyAccess"]["Document"]
    patterns = [pattern for statement in document["Statement"] for pattern in listed(statement["Action"])]
    assert [action for action in ALL if not any(fnmatchcase(action, pattern) for pattern in patterns)] == []


def test_every_action_is_one_that_aws_describes() -> None:
    session = botocore.session.get_session()
    unknown = []
    for action in ALL:
        service, _, operation = action.partition(":")
        known = session.get_service_model(SERVICES.get(service, service)).operation_names
        unknown += [] if operation in known else [action]
    assert unknown == ["s3:ListBucket"]  # which is what ListObjectsV2 needs
