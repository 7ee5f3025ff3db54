"""Names in CloudTrail's events, and what they mean here."""

import re
from typing import Final

SESSIONS: Final = frozenset(
    [
        "ConsoleLogin",
        "SwitchRole",
        "AssumeRole",
        "AssumeRoleWithSAML",
        "StartSession",
        "ResumeSession",
        "SendCommand",
        "ExecuteCommand",
        "SendSSHPublicKey",
        "SendSerialConsoleSSHPublicKey",
    ]
)
DEPLOYS: Final = re.compile(r"UpdateFunctionCode|CreateDeployment$|StartPipelineExecution|StartInstanceRefresh")
CONFIG: Final = re.compile(r"Configuration|Parameter|Setting|Secret|Attribute|Option|FeatureFlag|Policy|Rule")
PEOPLE: Final = frozenset({"IAMUser", "Root", "SAMLUser", "FederatedUser", "IdentityCenterUser"})
SSO: Final = "AWSReservedSSO_"
"""With what the roles begin that people take on through IAM Identity Center."""
MACHINE: Final = re.compile(r"i-[0-9a-f]{8,}|[0-9a-f]{32}|\d{10,}")
NAMING: Final = [
    "service",
    "functionName",
    "stackName",
    "pipelineName",
    "autoScalingGroupName",
    "dBInstanceIdentifier",
    "dBClusterIdentifier",
    "bucketName",
    "tableName",
    "topicArn",
    "queueUrl",
    "secretId",
    "repositoryName",
    "loadBalancerName",
    "loadBalancerArn",
    "targetGroupArn",
    "cacheClusterId",
    "roleName",
    "userName",
    "groupId",
    "instanceId",
    "target",
    "streamName",
    "logGroupName",
    "ruleName",
    "alarmName",
    "keyId",
    "clusterName",
    "cluster",
    "name",
]
"""Parameters that name what is changed, the most telling first."""
HARMLESS: Final = frozenset(
    [
        "taskDefinition",
        "cidrIp",
        "cidrIpv6",
        "ipProtocol",
        "instanceType",
        "dBInstanceClass",
        "runtime",
        "handler",
        "policyArn",
        "roleArn",
        "imageUri",
        "imageId",
        "versionId",
        "launchTemplateVersion",
        "availabilityZone",
        "engineVersion",
        "state",
        "desiredState",
        "groupId",
    ]
) | frozenset(NAMING)
STACKS: Final = frozenset(
    ["CreateStack", "UpdateStack", "DeleteStack", "ExecuteChangeSet", "RollbackStack", "ContinueUpdateRollback"]
)
API_VERSION: Final = re.compile(r"\d{8}(_\d+|v\d+)?$")
