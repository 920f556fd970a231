# SPDX-License-Identifier: Apache-2.0
"""A small world for tests: two accounts, two rules, one deviation, one short life.

Rules enforced here:
- it is as real as the example, only smaller.
"""

from __future__ import annotations

from controlbook.timeline import instant

from .example import DEPLOYED, FIRST_LOOK, JOINED, REGION, deviation, resource
from .world import Account, Rule, TrailEvent, World, compliant_throughout


def tiny() -> World:
    """Give the small world."""
    first, second = "000000000001", "000000000002"
    rules = tuple(
        Rule(
            account=account,
            region=REGION,
            name=name,
            identifier=identifier,
            created=DEPLOYED,
            trigger="change",
            resource_types=(kind,),
        )
        for account in (first, second)
        for name, identifier, kind in (
            (
                "s3-bucket-server-side-encryption-enabled",
                "S3_BUCKET_SERVER_SIDE_ENCRYPTION_ENABLED",
                "AWS::S3::Bucket",
            ),
            ("rds-storage-encrypted", "RDS_STORAGE_ENCRYPTED", "AWS::RDS::DBInstance"),
        )
    )
    resources = (
        resource(first, "AWS::S3::Bucket", "alpha"),
        resource(first, "AWS::S3::Bucket", "beta"),
        resource(second, "AWS::S3::Bucket", "gamma"),
        resource(
            second,
            "AWS::RDS::DBInstance",
            "delta",
            created=instant("2028-01-02T07:00:00Z"),
            deleted=instant("2028-01-03T07:00:00Z"),
        ),
    )
    verdicts = (
        *compliant_throughout(rules, resources, after=FIRST_LOOK),
        *deviation(
            first,
            "s3-bucket-server-side-encryption-enabled",
            "AWS::S3::Bucket/beta",
            "2028-01-01T10:00:00Z",
            "2028-01-01T10:05:00Z",
        ),
    )
    return World(
        name="tiny",
        home=first,
        home_region=REGION,
        regions=(REGION,),
        aggregator="org",
        delivery_bucket="config-delivery-000000000001",
        accounts=tuple(
            Account(id=number, name=name, joined=JOINED)
            for number, name in ((first, "first"), (second, "second"))
        ),
        rules=rules,
        resources=resources,
        verdicts=tuple(sorted(verdicts)),
        trail_bucket="trail-000000000001",
        trail_since=instant("2027-12-30T00:00:00Z"),
        events=(
            TrailEvent(
                at=instant("2028-01-01T10:20:30Z"),
                account=second,
                region="us-east-1",
                source="iam.amazonaws.com",
                name="CreateUser",
                actor="somebody",
                parameters=(("userName", "robot"),),
            ),
        ),
        begin=instant("2028-01-01T06:00:00Z"),
    )
