# SPDX-License-Identifier: Apache-2.0
"""Which API calls a snapshot may make.

Rules enforced here:
- a call is allowed by its verb (Describe, List, Get, BatchGet) and refused by any
  other: what changes something is never named so, and never made;
- a service without Regions is asked once for an account;
- calls that answer secrets, credentials or the data itself are refused whatever their
  verb: by service, by name, and by what such names have in common.

The raw answer goes to the vault, which is immutable: a secret there stays for years.
"""

from __future__ import annotations

import re

VERBS = ("Describe", "List", "Get", "BatchGet")

SECRET_SERVICES = frozenset(
    {
        "amplify",  # environment variables of every branch
        "cognito-identity",
        "cognito-idp",
        "dynamodbstreams",
        "ebs",  # blocks of snapshots
        "kinesis-video-media",
        "secretsmanager",
        "signin",
        "sso",
        "sso-oidc",
        "sts",
    }
)
"""Services of which nothing is asked: what they answer is secret or data."""

SECRET_CALLS = frozenset(
    """
    apigateway:GetApiKey apigateway:GetApiKeys apigateway:GetExport appsync:ListApiKeys
    appconfig:GetConfiguration appconfigdata:GetLatestConfiguration
    athena:GetQueryResults batch:DescribeJobDefinitions batch:DescribeJobs
    codebuild:BatchGetBuilds codebuild:BatchGetProjects codecommit:GetBlob
    codecommit:GetFile dms:DescribeEndpoints dynamodb:BatchGetItem dynamodb:GetItem
    ec2:DescribeInstanceAttribute ec2:DescribeLaunchTemplateVersions
    ec2:DescribeSpotFleetRequests ec2:DescribeVpnConnections ec2:GetConsoleOutput
    ec2:GetConsoleScreenshot ec2:GetLaunchTemplateData ecs:DescribeTaskDefinition
    ecs:DescribeTasks elasticbeanstalk:DescribeConfigurationSettings
    emr:DescribeStep glacier:GetJobOutput glue:GetConnection glue:GetConnections
    glue:GetJob glue:GetJobs iot-data:GetThingShadow kinesis:GetRecords kms:GetPublicKey
    lambda:GetFunction lambda:GetFunctionConfiguration lambda:GetLayerVersion
    lambda:GetLayerVersionByArn lambda:ListFunctions lambda:ListVersionsByFunction
    lightsail:GetInstanceAccessDetails lightsail:GetContainerServices
    logs:GetLogEvents logs:GetLogRecord logs:GetQueryResults mwaa:GetEnvironment
    s3:GetObject s3:GetObjectTorrent s3:ListParts s3control:GetDataAccess
    sagemaker:DescribeTrainingJob stepfunctions:GetExecutionHistory
    stepfunctions:DescribeExecution
    """.split()  # noqa: SIM905 - a table of names reads best as a text
)
"""Calls that answer environment variables, user data, payloads, or rows."""

_SECRET_WORDS = re.compile(
    r"Secret|Password|Credential|Token|PrivateKey|DataKey|Decrypt|Presigned|SignedUrl"
)
_HARMLESS = frozenset({"iam:GetAccountPasswordPolicy", "iam:GetCredentialReport"})
"""Calls that only sound so: rules for passwords, and when they were used."""
_VERB = re.compile(rf"(?:{'|'.join(VERBS)})(?=[A-Z0-9])")


REGIONLESS = frozenset(
    {
        "account",
        "budgets",
        "ce",
        "cloudfront",
        "globalaccelerator",
        "iam",
        "organizations",
        "route53",
        "route53domains",
        "savingsplans",
        "shield",
        "support",
        "trustedadvisor",
        "waf",
    }
)
"""Services that answer for a whole account, wherever they are asked."""
REGIONLESS_CALLS = frozenset({"s3:ListBuckets"})


def regionless(call: str) -> bool:
    """Tell whether one answer speaks for every Region of an account."""
    return call.partition(":")[0] in REGIONLESS or call in REGIONLESS_CALLS


def refusal(call: str) -> str:
    """Say why a call may not be made; empty where it may."""
    service, _, operation = call.partition(":")
    if not _VERB.match(operation):
        return f"is no read-only call: {', '.join(VERBS)} are"
    if call in _HARMLESS:
        return ""
    if service in SECRET_SERVICES or call in SECRET_CALLS:
        return "answers secrets or data, which evidence never holds"
    parameters = service == "ssm" and "Parameter" in operation
    if parameters or (service == "kms" and "Import" in operation):
        return "answers secrets or data, which evidence never holds"
    if _SECRET_WORDS.search(operation):
        return "answers credentials or secrets, by its name"
    return ""
