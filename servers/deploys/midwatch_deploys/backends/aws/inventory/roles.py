"""The roles of an account with all that they may do, as IAM tells them in one question. It only reads."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from midwatch_deploys.backends.aws.account import Account, read
from midwatch_deploys.backends.aws.inventory.policy import Role, Statement, statements_of
from midwatch_deploys.settings import DeploysSettings
from midwatch_kit.aws import in_words

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_iam.type_defs import ManagedPolicyDetailTypeDef, RoleDetailTypeDef

_PAGE: Final = 500
_MOST_PAGES: Final = 6


class RoleReader:
    """The roles of an account. Policies that AWS manages name no resource of anybody's, and are left aside."""

    def __init__(self, settings: DeploysSettings) -> None:
        self._aws: Account[IAMClient] = Account(settings, lambda s, o: s.client("iam", **o))

    def read(self) -> tuple[Sequence[Role], list[str]]:
        """Return roles with what they may do, and gaps; raises `BackendDown`."""
        with in_words("IAM", "iam:GetAccountAuthorizationDetails"):
            pages = self._aws.client.get_paginator("get_account_authorization_details").paginate(
                Filter=["Role", "LocalManagedPolicy"], PaginationConfig={"PageSize": _PAGE}
            )
            found, cut = read(pages, lambda page: [page], _MOST_PAGES, self._aws.until())
        policies = {str(each.get("Arn")): _in_force(each) for page in found for each in page["Policies"]}
        roles = [_role(each, policies) for page in found for each in page["RoleDetailList"]]
        gap = f"only {len(roles):,} roles were read: there are more, and some may do more than is told"
        return roles, [gap] if cut else []


def _in_force(policy: "ManagedPolicyDetailTypeDef") -> list[Statement]:
    versions = policy.get("PolicyVersionList", [])
    return next((statements_of(each.get("Document")) for each in versions if each.get("IsDefaultVersion")), [])


def _role(role: "RoleDetailTypeDef", policies: Mapping[str, list[Statement]]) -> Role:
    own: list[Any] = [each.get("PolicyDocument") for each in role.get("RolePolicyList", [])]
    attached = [str(each.get("PolicyArn")) for each in role.get("AttachedManagedPolicies", [])]
    boundary = role.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn")
    return Role(
        role.get("Arn", ""),
        role.get("RoleName", ""),
        [*(one for document in own for one in statements_of(document)), *_of(attached, policies)],
        policies.get(boundary) if boundary else None,
        frozenset(each["Arn"] for each in role.get("InstanceProfileList", [])),
    )


def _of(arns: Sequence[str], policies: Mapping[str, list[Statement]]) -> list[Statement]:
    return [one for arn in arns for one in policies.get(arn, [])]
