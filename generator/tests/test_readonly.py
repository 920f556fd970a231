# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from controlbook.readonly import SECRET_CALLS, refusal, regionless


@pytest.mark.parametrize(
    "call",
    [
        "iam:GetAccountAuthorizationDetails",
        "iam:GetCredentialReport",
        "iam:GetAccountPasswordPolicy",
        "trustedadvisor:ListRecommendations",
        "support:DescribeTrustedAdvisorCheckResult",
        "kms:DescribeKey",
        "ec2:DescribeSecurityGroups",
    ],
)
def test_calls_that_read_settings_are_allowed(call: str) -> None:
    assert refusal(call) == ""


@pytest.mark.parametrize(
    "call",
    [
        "iam:CreateUser",
        "iam:Getaway",
        "iam:DeleteUser",
        "s3:PutObject",
        "ec2:TerminateInstances",
        "iam:GenerateCredentialReport",
        "config:StartConfigurationRecorder",
        "iam:get_user",
        "iam:",
    ],
)
def test_whatever_may_change_something_is_refused_by_its_verb(call: str) -> None:
    assert "read-only" in refusal(call)


@pytest.mark.parametrize(
    "call",
    [
        "secretsmanager:GetSecretValue",
        "secretsmanager:ListSecrets",
        "ssm:GetParameter",
        "ssm:GetParametersByPath",
        "kms:GetParametersForImport",
        "sts:GetSessionToken",
        "ecr:GetAuthorizationToken",
        "redshift:GetClusterCredentials",
        "ec2:GetPasswordData",
        "lambda:ListFunctions",
        "dynamodb:GetItem",
        "s3:GetObject",
    ],
)
def test_what_answers_secrets_or_data_is_refused(call: str) -> None:
    assert refusal(call)


def test_every_call_of_the_list_is_one_that_boto3_knows() -> None:
    from botocore.session import Session  # noqa: PLC0415 - heavy, and for this alone

    session = Session()
    known = set(session.get_available_services())
    unknown = [
        call
        for call in sorted(SECRET_CALLS)
        if (service := call.partition(":")[0]) not in known
        or call.partition(":")[2]
        not in session.get_service_model(service).operation_names
    ]
    assert unknown == []


def test_services_without_regions_are_known() -> None:
    assert regionless("iam:GetAccountSummary")
    assert regionless("s3:ListBuckets")
    assert not regionless("s3:GetBucketPolicy")
