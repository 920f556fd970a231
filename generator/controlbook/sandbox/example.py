# SPDX-License-Identifier: Apache-2.0
"""The example programme's world (design section 9).

Rules enforced here:
- three deviations, one failing rule and some quiet life happen in 2028; everything
  else is compliant throughout;
- the state in force on 2027-12-31 was reached long before: nothing starts with the
  first run.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from controlbook.timeline import MINUTE, instant

from .items import ACCOUNT
from .trouble import DigestTrouble, StaleCheck, Trouble
from .world import (
    COMPLIANT,
    NON_COMPLIANT,
    Account,
    Resource,
    Rule,
    RuleFailure,
    TrailEvent,
    Verdict,
    World,
    compliant_throughout,
    token_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from controlbook.timeline import Instant

REGION = "eu-west-1"
PROD, STAGING = "111122223333", "111122224444"
TOOLING, AUDIT = "111122225555", "111122226666"
NAMES = {
    PROD: "payments-prod",
    STAGING: "payments-staging",
    TOOLING: "tooling",
    AUDIT: "audit",
}

JOINED = instant("2026-02-01T08:00:00Z")
BUILT = instant("2026-03-02T10:00:00Z")
"""When most resources came to be."""
DEPLOYED = instant("2027-06-01T09:00:00Z")
"""When the rules were deployed; daily rules run at 09:00Z ever since."""
FIRST_LOOK = 3 * MINUTE
"""A change-triggered rule's first verdict comes so long after the change."""

PACK = token_of("example", "conformance-pack", length=9)

PASSWORD_POLICY = (
    ("MaxPasswordAge", "90"),
    ("MinimumPasswordLength", "14"),
    ("PasswordReusePrevention", "24"),
    ("RequireLowercaseCharacters", "true"),
    ("RequireNumbers", "true"),
    ("RequireSymbols", "true"),
    ("RequireUppercaseCharacters", "true"),
)

BUCKETS = {
    PROD: (
        "card-vault-exports card-vault-exports-replica chargeback-documents "
        "customer-statements dispute-evidence fraud-models fraud-signals "
        "ledger-archive ledger-snapshots merchant-onboarding payment-events "
        "payment-events-dead-letter payout-files payments-artifacts "
        "payments-lb-logs payments-prod-athena reconciliation-reports "
        "refund-batches settlement-files stale-backup-archive tokenization-audit"
    ),
    STAGING: (
        "ledger-archive-staging load-test-results merchant-onboarding-staging "
        "payment-events-staging payout-files-staging payments-artifacts-staging "
        "payments-lb-logs-staging payments-staging-athena "
        "reconciliation-reports-staging refund-batches-staging "
        "settlement-files-staging synthetic-card-data"
    ),
    TOOLING: (
        "ansible-inventory build-cache ci-artifacts container-scan-reports "
        "package-mirror terraform-state tooling-access-logs tooling-lb-logs"
    ),
    AUDIT: (
        "audit-access-logs audit-athena-results audit-exports "
        "config-delivery-111122226666 org-trail-logs security-findings-archive"
    ),
}

OTHERS = {
    "AWS::RDS::DBInstance": {
        PROD: "ledger-db payments-db",
        STAGING: "ledger-db-staging payments-db-staging",
    },
    "AWS::DynamoDB::Table": {
        PROD: "card-tokens idempotency-keys payment-sessions",
        STAGING: "card-tokens-staging payment-sessions-staging",
        TOOLING: "terraform-locks",
    },
    "AWS::Redshift::Cluster": {
        PROD: "finance-dwh",
        STAGING: "finance-dwh-staging risk-dwh-staging",
    },
    "AWS::CloudTrail::Trail": {AUDIT: "org-trail"},
    "AWS::IAM::User": {
        PROD: "break-glass-prod",
        STAGING: "break-glass-staging",
        TOOLING: "break-glass-tooling legacy-ci",
        AUDIT: "break-glass-audit",
    },
}
"""Resources that have names; the rest have ids made from these counts."""

COUNTED = {
    ("AWS::EC2::SecurityGroup", "sg-0"): {PROD: 7, STAGING: 4, TOOLING: 3, AUDIT: 1},
    ("AWS::EC2::VPC", "vpc-0"): {PROD: 2, STAGING: 1, AUDIT: 1},
    ("AWS::EC2::Volume", "vol-0"): {PROD: 4, STAGING: 2},
    ("AWS::IAM::Policy", "ANPA"): {PROD: 5, STAGING: 4, TOOLING: 6, AUDIT: 2},
}

RULES = {
    ("AWS::S3::Bucket", "change"): (
        "s3-bucket-server-side-encryption-enabled s3-bucket-ssl-requests-only"
    ),
    ("AWS::S3::Bucket", "both"): "s3-bucket-public-read-prohibited",
    ("AWS::RDS::DBInstance", "change"): "rds-storage-encrypted",
    ("AWS::DynamoDB::Table", "change"): "dynamodb-table-encryption-enabled",
    ("AWS::Redshift::Cluster", "change"): "redshift-cluster-kms-enabled",
    ("AWS::EC2::SecurityGroup", "both"): "restricted-ssh",
    ("AWS::EC2::SecurityGroup", "change"): "vpc-default-security-group-closed",
    ("AWS::EC2::VPC", "periodic"): "vpc-flow-logs-enabled",
    ("AWS::KMS::Key", "periodic"): "cmk-backing-key-rotation-enabled",
    ("AWS::IAM::Policy", "change"): "iam-policy-no-statements-with-admin-access",
    ("AWS::IAM::User", "periodic"): (
        "iam-user-unused-credentials-check mfa-enabled-for-iam-console-access"
    ),
    ("AWS::CloudTrail::Trail", "periodic"): (
        "cloud-trail-log-file-validation-enabled cloud-trail-encryption-enabled "
        "cloud-trail-cloud-watch-logs-enabled"
    ),
    (ACCOUNT, "periodic"): (
        "ec2-ebs-encryption-by-default iam-password-policy root-account-mfa-enabled "
        "iam-root-access-key-check multi-region-cloudtrail-enabled"
    ),
    ("AWS::EC2::Volume", "change"): "encrypted-volumes",
}
"""(resource type, trigger) of the rules by name, deployed in every account.

The landing zone deploys encrypted-volumes; no control of the example names it.
"""

CUSTOM = ("redshift-cluster-kms-enabled",)
"""The team's own Lambda rules."""
IDENTIFIERS = {
    "restricted-ssh": "INCOMING_SSH_DISABLED",
    "multi-region-cloudtrail-enabled": "MULTI_REGION_CLOUD_TRAIL_ENABLED",
}
"""Managed rules whose SourceIdentifier is not their name in capitals."""
PARAMETERS = {
    "iam-password-policy": PASSWORD_POLICY,
    "iam-user-unused-credentials-check": (("maxCredentialUsageAge", "90"),),
}
PACKED = (
    "restricted-ssh",
    "s3-bucket-public-read-prohibited",
    "iam-user-unused-credentials-check",
)
"""Deployed by an organization conformance pack, which adds to the name."""
HUBBED = ("cloud-trail-encryption-enabled", "root-account-mfa-enabled")
"""Deployed by Security Hub, which adds to the name too."""
HOURLY = ("cloud-trail-cloud-watch-logs-enabled",)


def example() -> World:
    """Give the world of the payments example."""
    rules = tuple(
        _rule(account, name, kind, trigger)
        for account in NAMES
        for (kind, trigger), names in RULES.items()
        for name in names.split()
    )
    resources = (*_standing_resources(), *_quiet_life())
    first = compliant_throughout(rules, resources, after=FIRST_LOOK)
    defaults = {f"AWS::EC2::SecurityGroup/{_default_group(a)}" for a in NAMES}
    # Of security groups that are no VPC's default the rule says NOT_APPLICABLE, which
    # Config records as nothing at all.
    spoken = tuple(
        verdict
        for verdict in first
        if verdict.rule != "vpc-default-security-group-closed"
        or verdict.resource in defaults
    )
    return World(
        name="example",
        home=AUDIT,
        home_region=REGION,
        regions=(REGION,),
        aggregator="org",
        delivery_bucket="config-delivery-111122226666",
        accounts=tuple(
            Account(id=number, name=name, joined=JOINED)
            for number, name in NAMES.items()
        ),
        rules=rules,
        resources=resources,
        verdicts=tuple(sorted((*spoken, *_deviations()))),
        failures=(
            RuleFailure(
                account=STAGING,
                region=REGION,
                rule="redshift-cluster-kms-enabled",
                start=instant("2028-01-19T08:00:00Z"),
                end=instant("2028-01-19T14:00:00Z"),
                code="LambdaTimeout",
            ),
        ),
        trail_bucket="org-trail-logs",
        trail_since=instant("2027-12-30T00:00:00Z"),
        events=tuple(sorted(_calls())),
        audited_since=instant("2028-03-01T09:00:00Z"),
        begin=instant("2028-01-01T06:00:00Z"),
    )


def mishaps() -> Trouble:
    """Give what AWS's own paperwork got wrong in the quarter, and mended or did not.

    Digests of one afternoon reached the trail bucket three days late, and Audit Manager
    showed a network as non-compliant for two more days than it was.
    """
    return Trouble(
        digests=(
            DigestTrouble(
                account=STAGING,
                region="us-east-1",
                kind="tardy",
                start=instant("2028-02-17T15:00:00Z"),
                end=instant("2028-02-17T18:00:00Z"),
            ),
        ),
        stale_checks=(
            StaleCheck(
                account=TOOLING,
                region=REGION,
                identifier="VPC_FLOW_LOGS_ENABLED",
                resource="AWS::EC2::VPC/vpc-0b7e61d2",
                start=instant("2028-03-08T08:59:00Z"),
                end=instant("2028-03-10T00:00:00Z"),
            ),
        ),
    )


def deployed_name(account: str, rule: str) -> str:
    """Give the name that a rule of the example carries in an account."""
    if rule in PACKED:
        return f"{rule}-conformance-pack-{PACK}"
    if rule in HUBBED:
        return f"securityhub-{rule}-{token_of(account, rule, length=8)}"
    return rule


def _rule(account: str, rule: str, kind: str, trigger: str) -> Rule:
    creator = ""
    if rule in PACKED:
        creator = "config-conforms.amazonaws.com"
    elif rule in HUBBED:
        creator = "securityhub.amazonaws.com"
    frequency = "One_Hour" if rule in HOURLY else "TwentyFour_Hours"
    custom = rule in CUSTOM
    identifier = IDENTIFIERS.get(rule, rule.upper().replace("-", "_"))
    function = f"arn:aws:lambda:{REGION}:{account}:function:{rule}"
    return Rule(
        account=account,
        region=REGION,
        name=deployed_name(account, rule),
        identifier=function if custom else identifier,
        created=DEPLOYED,
        owner="CUSTOM_LAMBDA" if custom else "AWS",
        parameters=PARAMETERS.get(rule, ()),
        trigger=trigger,
        frequency=frequency if trigger != "change" else "",
        resource_types=(kind,),
        created_by=creator,
    )


def _hex(*parts: str, length: int = 16) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:length]


def _default_group(account: str) -> str:
    return f"sg-0{_hex(account, 'AWS::EC2::SecurityGroup', '0')}"


def resource(
    account: str,
    kind: str,
    ident: str,
    created: Instant = BUILT,
    deleted: Instant | None = None,
) -> Resource:
    """Make a resource in the example's Region."""
    return Resource(
        account=account,
        region=REGION,
        type=kind,
        id=ident,
        created=created,
        deleted=deleted,
    )


def _standing_resources() -> Iterable[Resource]:
    """Give what exists from before the first run until after the last."""
    yield from _named_resources()
    yield from _counted_resources()
    yield resource(TOOLING, "AWS::EC2::VPC", "vpc-0b7e61d2")
    for account in NAMES:
        yield resource(account, ACCOUNT, account, JOINED)


def _named_resources() -> Iterable[Resource]:
    for kind, accounts in {"AWS::S3::Bucket": BUCKETS, **OTHERS}.items():
        for account, names in accounts.items():
            for name in names.split():
                yield resource(account, kind, name)


def _counted_resources() -> Iterable[Resource]:
    for (kind, prefix), counts in COUNTED.items():
        for account, count in counts.items():
            for index in range(count):
                made = _hex(account, kind, str(index))
                ident = made.upper() if prefix.isupper() else made
                yield resource(account, kind, f"{prefix}{ident}")
    for account, count in ((PROD, 4), (STAGING, 2), (TOOLING, 1), (AUDIT, 2)):
        for index in range(count):
            made = _hex(account, "key", str(index), length=32)
            parts = (made[:8], made[8:12], made[12:16], made[16:20], made[20:])
            yield resource(account, "AWS::KMS::Key", "-".join(parts))


def _quiet_life() -> Iterable[Resource]:
    """Give what comes and goes within the quarter, compliant as long as it lives."""
    yield resource(
        PROD,
        "AWS::RDS::DBInstance",
        "payments-reporting-db",
        created=instant("2028-02-08T10:21:00Z"),
    )
    yield resource(
        STAGING,
        "AWS::RDS::DBInstance",
        "ledger-migration-db",
        deleted=instant("2028-03-02T16:40:00Z"),
    )
    yield resource(
        PROD,
        "AWS::EC2::Volume",
        "vol-0c4d19e7a6b58213f",
        deleted=instant("2028-01-25T14:05:00Z"),
    )
    yield resource(
        TOOLING,
        "AWS::DynamoDB::Table",
        "release-train-state",
        created=instant("2028-01-11T08:47:00Z"),
    )
    yield resource(
        TOOLING,
        "AWS::IAM::User",
        "artifact-uploader",
        created=instant("2028-02-21T13:30:00Z"),
        deleted=instant("2028-03-14T15:10:00Z"),
    )


CREATED = (
    ("2028-01-12T09:41:07Z", PROD, "l-haddad", "break-glass-prod-2"),
    ("2028-01-12T09:44:52Z", STAGING, "l-haddad", "break-glass-staging-2"),
    ("2028-02-21T13:30:00Z", TOOLING, "s-tanaka", "artifact-uploader"),
    ("2028-03-02T23:58:31Z", AUDIT, "l-haddad", "auditor-export"),
    ("2028-03-27T10:05:18Z", TOOLING, "j-moreau", "migration-runner"),
)
"""(when, account, by whom, user): every CreateUser of the quarter."""


def _calls() -> Iterable[TrailEvent]:
    """Give what people did with IAM; trails record it in us-east-1."""
    for at, account, actor, user in CREATED:
        yield _call(at, account, "CreateUser", actor, user)
    yield _call(
        "2028-03-14T15:10:00Z", TOOLING, "DeleteUser", "s-tanaka", "artifact-uploader"
    )


def _call(at: str, account: str, name: str, actor: str, user: str) -> TrailEvent:
    return TrailEvent(
        at=instant(at),
        account=account,
        region="us-east-1",
        source="iam.amazonaws.com",
        name=name,
        actor=actor,
        role="platform-engineer",
        parameters=(("userName", user),),
    )


def _deviations() -> Iterable[Verdict]:
    """Give D1, D2 and D3 of the example, each with its end."""
    yield from deviation(
        PROD,
        "s3-bucket-server-side-encryption-enabled",
        "AWS::S3::Bucket/stale-backup-archive",
        "2028-02-14T03:12:00Z",
        "2028-02-14T03:17:00Z",
    )
    yield from deviation(
        TOOLING,
        "vpc-flow-logs-enabled",
        "AWS::EC2::VPC/vpc-0b7e61d2",
        "2028-03-05T09:00:00Z",
        "2028-03-08T09:00:00Z",
    )
    # The rule runs hourly; 12:30 is an evaluation that somebody asked for.
    yield from deviation(
        AUDIT,
        "cloud-trail-cloud-watch-logs-enabled",
        "AWS::CloudTrail::Trail/org-trail",
        "2028-03-20T10:00:00Z",
        "2028-03-20T12:30:00Z",
    )


def deviation(
    account: str, rule: str, resource: str, start: str, end: str
) -> Iterable[Verdict]:
    """Make a rule NON_COMPLIANT for a resource between two instants."""
    for at, state in ((start, NON_COMPLIANT), (end, COMPLIANT)):
        yield Verdict(
            at=instant(at),
            account=account,
            region=REGION,
            rule=deployed_name(account, rule),
            resource=resource,
            state=state,
        )
