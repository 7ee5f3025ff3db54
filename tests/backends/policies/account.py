"""An AWS account that refuses: moto's server, which checks signatures, and the policies of users.

Of resources it checks those of S3 alone; every other request is one for `*`. It calls CloudWatch's actions by the name
that requests are signed with, and those of X-Ray by their paths, where IAM has names of its own.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeAlias

import boto3
import pytest
from moto.core import enable_iam_authentication

DOCS: Final = Path(__file__).parents[3] / "docs"
REGION: Final = "eu-west-1"
Policy: TypeAlias = Mapping[str, Any]
_NAMES: Final = {
    "xray:GetTraceSummaries": "xray:TraceSummaries",
    "xray:BatchGetTraces": "xray:Traces",
    "xray:GetServiceGraph": "xray:ServiceGraph",
}


def policy_in(page: str, sid: str = "") -> Policy:
    """Return the policy that a page of the documentation shows, or a file beside it is; of its statements, that one."""
    found = shown_in(page, "Statement")
    return {**found, "Statement": [each for each in found["Statement"] if not sid or each["Sid"] == sid]}


def shown_in(page: str, key: str) -> Policy:
    """Return the one JSON object with a key that a page of the documentation shows, or a file beside it is."""
    text = (DOCS / page).read_text(encoding="utf-8")
    blocks = [text] if page.endswith(".json") else re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    [found] = [document for document in map(json.loads, blocks) if key in document]
    return dict(found)


def actions_of(policy: Policy) -> list[str]:
    """Return the actions that a policy allows, each as IAM names it."""
    return [action for statement in policy["Statement"] for action in listed(statement["Action"])]


def without(policy: Policy, action: str) -> Policy:
    """Return a policy that is the same but for one action."""
    kept = [
        {**statement, "Action": [each for each in listed(statement["Action"]) if each != action]}
        for statement in policy["Statement"]
    ]
    return {**policy, "Statement": [statement for statement in kept if statement["Action"]]}


def listed(one_or_more: str | Iterable[str]) -> list[str]:
    """Return actions as a list: a policy may have one alone."""
    return [one_or_more] if isinstance(one_or_more, str) else list(one_or_more)


class Account:
    """The account at an address; nobody's policy counts but inside of `only`."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._session = boto3.Session("owner", "owner", region_name=REGION)
        self._iam = self.client("iam")
        self._users = 0

    def client(self, service: str) -> Any:
        """Return a client that may do everything, while nobody's policy counts."""
        make: Callable[..., Any] = self._session.client
        return make(service, endpoint_url=self.url)

    @contextmanager
    def only(self, policy: Policy) -> Iterator[pytest.MonkeyPatch]:
        """Inside, the environment has the keys of a user with this policy, and nobody may do more; gives that one."""
        self._users += 1
        user, iam = f"midwatch-{self._users}", self._iam
        iam.create_user(UserName=user)
        if policy["Statement"]:
            document = json.dumps({**policy, "Statement": [*map(_as_moto_has_it, policy["Statement"])]})
            iam.put_user_policy(UserName=user, PolicyName="own", PolicyDocument=document)
        key = iam.create_access_key(UserName=user)["AccessKey"]
        with pytest.MonkeyPatch.context() as environment, enable_iam_authentication():
            environment.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
            environment.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
            yield environment


def _as_moto_has_it(statement: Mapping[str, Any]) -> dict[str, Any]:
    actions = listed(statement["Action"])
    named = [_NAMES.get(action) or re.sub("^cloudwatch:", "monitoring:", action) for action in actions]
    resource = statement["Resource"] if actions[0].startswith("s3:") else "*"
    return {**statement, "Action": named, "Resource": resource}
