# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from controlbook.managed_rules import find, managed_rules, recognise


def test_names_and_identifiers_are_unique() -> None:
    rules = managed_rules().values()
    assert len(rules) > 800
    assert len({rule.identifier for rule in rules}) == len(rules)


@pytest.mark.parametrize(
    ("written", "identifier"),
    [
        ("rds-storage-encrypted", "RDS_STORAGE_ENCRYPTED"),
        ("ebs-encryption-by-default", "EC2_EBS_ENCRYPTION_BY_DEFAULT"),
        ("restricted-ssh", "INCOMING_SSH_DISABLED"),
        ("INCOMING_SSH_DISABLED", "INCOMING_SSH_DISABLED"),
        ("cloud-trail-enabled", "CLOUD_TRAIL_ENABLED"),
    ],
)
def test_a_rule_is_found_by_any_of_its_names(written: str, identifier: str) -> None:
    rule = find(written)
    assert rule is not None
    assert rule.identifier == identifier


@pytest.mark.parametrize(
    ("deployed", "name"),
    [
        ("restricted-ssh", "restricted-ssh"),
        ("restricted-ssh-conformance-pack-ab12cd34e", "restricted-ssh"),
        ("securityhub-restricted-ssh-1a2b3c4d", "restricted-ssh"),
        ("securityhub-restricted-ssh-1a2b3c", "restricted-ssh"),
        ("OrgConfigRule-restricted-ssh-1a2b3c4d", "restricted-ssh"),
        ("s3-bucket-acl-prohibited", "s3-bucket-acl-prohibited"),
        (
            "redshift-cluster-kms-enabled-conformance-pack-x1y2z3abc",
            "redshift-cluster-kms-enabled",
        ),
        ("our-own-rule", "our-own-rule"),
        ("our-own-template", "our-own-template"),
        ("our-own-rule-conformance-pack-ab12cd34e", "our-own-rule"),
        ("OrgConfigRule-our-own-rule-1a2b3c4d", "our-own-rule"),
    ],
)
def test_additions_to_deployed_names_are_seen_through(deployed: str, name: str) -> None:
    assert recognise(deployed) == (name, "name")


def test_the_identifier_decides_where_it_is_known() -> None:
    found = recognise("anything-at-all", "INCOMING_SSH_DISABLED")
    assert found == ("restricted-ssh", "identifier")


def test_no_managed_name_is_damaged() -> None:
    assert [n for n in managed_rules() if recognise(n) != (n, "name")] == []
