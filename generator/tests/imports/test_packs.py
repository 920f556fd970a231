# SPDX-License-Identifier: Apache-2.0
"""Conformance packs, as AWS publishes them and as they are deployed."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from controlbook.imports import Pair
from controlbook.imports.packs import deployed, template
from controlbook.model import ConfigRule

SHARED = Path(__file__).parents[4] / "shared"
SAMPLES = SHARED / "samples" / "conformance-packs"

PACK = b"""\
Parameters:
  MaxAge:
    Default: '90'
    Type: String
  Need:
    Type: String
Conditions:
  maxAge: !Not [!Equals ['', !Ref MaxAge]]
  never: !Equals [a, b]
Resources:
  Keys:
    Type: AWS::Config::ConfigRule
    Properties:
      ConfigRuleName: my-own-name-for-it
      InputParameters:
        maxAccessKeyAge: !If [maxAge, !Ref MaxAge, !Ref AWS::NoValue]
      Source: {Owner: AWS, SourceIdentifier: ACCESS_KEYS_ROTATED}
  Json:
    Type: AWS::Config::ConfigRule
    Properties:
      InputParameters: '{"MinimumPasswordLength": "14", "RequireNumbers": true}'
      Source: {Owner: AWS, SourceIdentifier: IAM_PASSWORD_POLICY}
  Buckets:
    Type: AWS::Config::ConfigRule
    Properties:
      InputParameters: {kmsKeyArns: !Ref Need}
      Source: {Owner: AWS, SourceIdentifier: S3_DEFAULT_ENCRYPTION_KMS}
  OwnFunction:
    Type: AWS::Config::ConfigRule
    Properties:
      ConfigRuleName: our-lambda
      Source: {Owner: CUSTOM_LAMBDA, SourceIdentifier: !GetAtt F.Arn}
  OwnPolicy:
    Type: AWS::Config::ConfigRule
    Properties:
      ConfigRuleName: our-guard
      Source: {Owner: CUSTOM_POLICY}
  Unheard:
    Type: AWS::Config::ConfigRule
    Properties:
      Source: {Owner: AWS, SourceIdentifier: NO_SUCH_RULE_OF_AWS}
  Never:
    Type: AWS::Config::ConfigRule
    Condition: never
    Properties:
      Source: {Owner: AWS, SourceIdentifier: RDS_STORAGE_ENCRYPTED}
  Mend:
    Type: AWS::Config::RemediationConfiguration
    Properties: {ConfigRuleName: x}
"""


def test_rules_are_their_identifiers_with_the_parameters_of_the_defaults() -> None:
    found = template(PACK, "packs/My-Pack.yaml", {})
    assert {rule.key: rule for rule in found.evidence} == {
        rule.key: rule
        for rule in (
            ConfigRule(
                name="access-keys-rotated",
                identifier="ACCESS_KEYS_ROTATED",
                parameters=(("maxAccessKeyAge", "90"),),
            ),
            ConfigRule(
                name="iam-password-policy",
                identifier="IAM_PASSWORD_POLICY",
                parameters=(
                    ("MinimumPasswordLength", "14"),
                    ("RequireNumbers", "true"),
                ),
            ),
            ConfigRule(
                name="s3-default-encryption-kms", identifier="S3_DEFAULT_ENCRYPTION_KMS"
            ),
            ConfigRule(name="our-lambda", identifier="custom-lambda:our-lambda"),
            ConfigRule(name="our-guard", identifier="custom-guard:our-guard"),
        )
    }
    assert found.source.startswith("conformance pack My-Pack.yaml, sha256 ")
    assert found.pairs == ()


# Spelt as AWS's own packs are: conditions at the end, plain numbers and truth values,
# remediations beside their rules, guard rules with their text, odd indentation.
SPELT = b"""
Parameters:
  TargetBucket:
    Description: where
    Type: String
  KeyAge: {Default: '90', Type: String}
  None: {Default: '', Type: String}
Resources:
  Volumes:
    Properties:
      ConfigRuleName: CheckForVolumes
      Description: Disallow - checks, folded
        to the next line
      InputParameters:
        deleteOnTermination: true
      Source:
        Owner: AWS
        SourceIdentifier: EC2_VOLUME_INUSE_CHECK
    Type: "AWS::Config::ConfigRule"
  Ports:
    Type: AWS::Config::ConfigRule
    Properties:
      Description: >-
        folded
      InputParameters: {blockedPort1: 20, blockedPort2: 03389}
      Scope:
        ComplianceResourceTypes: []
      Source: {Owner: AWS, SourceIdentifier: RESTRICTED_INCOMING_TRAFFIC}
      MaximumExecutionFrequency: Six_Hours
  PortsRemediation:
    DependsOn: Ports
    Type: 'AWS::Config::RemediationConfiguration'
    Properties:
      TargetVersion: "1"
      Parameters:
        AutomationAssumeRole:
          StaticValue:
            Values:
              - arn:aws:iam::<Account-Id>:role/X
              - Ref: TargetBucket
      Automatic: True
  Keys:
    Properties:
      InputParameters:
        maxAccessKeyAge:
          Fn::If:
          - keyAge
          - Ref: KeyAge
          - Ref: AWS::NoValue
        other:
          Fn::If:
          - none
          - Ref: None
          - Ref: AWS::NoValue
      Source: {Owner: AWS, SourceIdentifier: ACCESS_KEYS_ROTATED}
    Type: AWS::Config::ConfigRule
  Guard:
      Type: AWS::Config::ConfigRule
      Properties:
        ConfigRuleName: our-status
        Source:
          Owner: CUSTOM_POLICY
          SourceDetails:
            - EventSource: aws.config
              MessageType: ConfigurationItemChangeNotification
          CustomPolicyDetails:
            PolicyRuntime: guard-2.x.x
            EnableDebugLogDelivery: true
            PolicyText: |
              rule check { configuration.Status in ["READY"]
                <<
                  Violation: not ready
                >>
              }
Conditions:
  keyAge:
    Fn::Not:
    - Fn::Equals:
      - ''
      - Ref: KeyAge
  none:
    Fn::Not:
    - Fn::Equals:
      - ''
      - Ref: None
"""


def test_a_pack_is_read_as_aws_spells_its_own() -> None:
    found = template(SPELT, "p.yaml", {})
    rules = [rule for rule in found.evidence if isinstance(rule, ConfigRule)]
    assert {rule.identifier: rule.parameters for rule in rules} == {
        "EC2_VOLUME_INUSE_CHECK": (("deleteOnTermination", "true"),),
        "RESTRICTED_INCOMING_TRAFFIC": (
            ("blockedPort1", "20"),
            ("blockedPort2", "03389"),
        ),
        "ACCESS_KEYS_ROTATED": (("maxAccessKeyAge", "90"),),
        "custom-guard:our-status": (),
    }
    assert found.notes == (
        "1 × AWS::Config::RemediationConfiguration: not a rule, left out",
    )


def test_whatever_is_not_taken_is_said() -> None:
    notes = "\n".join(template(PACK, "p.yaml", {}).notes)
    assert "Buckets: parameter kmsKeyArns left out, parameter Need has no" in notes
    assert "Unheard: not taken, AWS's rule NO_SUCH_RULE_OF_AWS is not in" in notes
    assert "Never: not taken, its condition never is false" in notes
    assert "1 × AWS::Config::RemediationConfiguration: not a rule" in notes


def test_a_parameter_that_is_empty_is_not_a_demand() -> None:
    found = template(PACK, "p.yaml", {"MaxAge": "", "Need": "arn:x"})
    rules = {rule.key: rule for rule in found.evidence if isinstance(rule, ConfigRule)}
    assert rules["config:access-keys-rotated"].parameters == ()
    assert rules["config:s3-default-encryption-kms"].parameters == (
        ("kmsKeyArns", "arn:x"),
    )


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="AWS's own packs are not here")
@pytest.mark.parametrize(
    ("name", "rules", "owner"),
    [
        ("Operational-Best-Practices-for-PCI-DSS", 129, "PCI SSC"),
        (
            "Operational-Best-Practices-for-AWS-Well-Architected-Reliability-Pillar",
            69,
            "",
        ),
    ],
)
def test_aws_own_packs_are_read_whole(name: str, rules: int, owner: str) -> None:
    path = SAMPLES / f"{name}.yaml"
    found = template(path.read_bytes(), path.name, {})
    assert len(found.evidence) == rules
    assert found.notes == ()
    assert found.marked == owner
    table = SHARED / "reference" / "config_managed_rules.csv"
    known = {
        row["rule_name"]
        for row in csv.DictReader(table.read_text("utf-8").splitlines())
    }
    assert {e.name for e in found.evidence if isinstance(e, ConfigRule)} <= known


def described(name: str, identifier: str, parameters: str = "{}") -> dict[str, object]:
    return {
        "ConfigRuleName": name,
        "Source": {"Owner": "AWS", "SourceIdentifier": identifier},
        "InputParameters": parameters,
    }


def test_a_deployed_pack_pairs_its_rules_with_the_requirements_it_names() -> None:
    name = "iam-password-policy-conformance-pack-ab12"
    found = deployed(
        "baseline",
        [
            {"ConfigRuleName": name, "Controls": ["8.2.3", "8.2.4"]},
            {"ConfigRuleName": "gone", "Controls": ["1"]},
        ],
        [described(name, "IAM_PASSWORD_POLICY", '{"MaxPasswordAge":"90"}')],
        ("111122223333", "eu-west-1"),
    )
    key = "config:iam-password-policy"
    assert [rule.key for rule in found.evidence] == [key]
    assert found.pairs == (
        Pair(number="8.2.3", evidence=key),
        Pair(number="8.2.4", evidence=key),
    )
    assert found.notes == ("gone: not taken, DescribeConfigRules does not know it",)
    assert "111122223333 eu-west-1" in found.source
