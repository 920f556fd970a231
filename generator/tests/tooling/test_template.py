# SPDX-License-Identifier: Apache-2.0
"""The AWS templates: one rule each, and one weakened copy that breaks it."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Tree = dict[str, Any]  # CloudFormation, as parsed
    Change = Callable[[Tree], object]

FOLDER = Path(__file__).parents[3] / "deploy" / "aws"
NAMES = ("vault", "replica", "member")
DENIED = {
    "delete": {
        "s3:DeleteObject",
        "s3:DeleteObjectVersion",
        "s3:DeleteBucket",
        "s3:BypassGovernanceRetention",
    },
    "versioning": {"s3:PutBucketVersioning"},
    "lifecycle": {"s3:PutLifecycleConfiguration"},
    "lock configuration": {"s3:PutBucketObjectLockConfiguration"},
    "public access": {"s3:PutBucketPublicAccessBlock"},
    "encryption": {"s3:PutEncryptionConfiguration"},
}
"""What nobody may do, whoever they are."""
SUBJECT = "token.actions.githubusercontent.com:sub"
AUDIENCE = "token.actions.githubusercontent.com:aud"
ROLES = {
    "CollectorRole": "repo:${GitHubRepository}:environment:collect",
    "ReaderRole": "repo:${GitHubRepository}:environment:vault-read",
    "ExtenderRole": "repo:${GitHubRepository}:environment:vault-retain",
}


def template(name: str) -> Tree:
    tree: Tree = yaml.safe_load((FOLDER / f"{name}.yml").read_text("utf-8"))
    return tree


def of_kind(tree: Tree, kind: str) -> dict[str, Tree]:
    rows = tree["Resources"].items()
    return {name: row for name, row in rows if row["Type"] == kind}


def listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value]


def statements(tree: Tree) -> list[Tree]:
    return [
        statement
        for policy in of_kind(tree, "AWS::S3::BucketPolicy").values()
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
    ]


def denials(tree: Tree) -> list[Tree]:
    return [
        row
        for row in statements(tree)
        if (row["Effect"], row["Principal"]) == ("Deny", "*")
    ]


def flaws(name: str, tree: Tree) -> set[str]:
    """Name every rule that a template breaks."""
    found = set(bucket_flaws(tree)) | set(role_flaws(tree))
    if name != "member":
        found |= set(policy_flaws(name, tree))
        if not tree.get("Rules"):
            found.add("second account")
    return found


def bucket_flaws(tree: Tree) -> Iterator[str]:
    for row in of_kind(tree, "AWS::S3::Bucket").values():
        own = row["Properties"]
        if {row.get("DeletionPolicy"), row.get("UpdateReplacePolicy")} != {"Retain"}:
            yield "retain"
        lock = own.get("ObjectLockConfiguration", {})
        if own.get("ObjectLockEnabled") is not True or not lock:
            yield "lock"
        rule = lock.get("Rule", {}).get("DefaultRetention", {})
        if rule.get("Mode") != "COMPLIANCE":
            yield "mode"
        if ("Days" in rule) == ("Years" in rule):
            yield "days or years"
        if own.get("VersioningConfiguration", {}).get("Status") != "Enabled":
            yield "versioning on"
        blocks = own.get("PublicAccessBlockConfiguration", {})
        if list(blocks.values()) != [True] * 4:
            yield "public access blocks"
        if "LifecycleConfiguration" in own:
            yield "lifecycle"
        yield from key_flaws(tree, own)


def key_flaws(tree: Tree, bucket: Tree) -> Iterator[str]:
    """Take S3's own key, or one of ours whose deletion its policy denies."""
    (rule,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    default = rule["ServerSideEncryptionByDefault"]
    if default == {"SSEAlgorithm": "AES256"}:
        return
    name = default.get("KMSMasterKeyID", {}).get("Ref", "")
    key = of_kind(tree, "AWS::KMS::Key").get(name, {}).get("Properties", {})
    due = {"kms:ScheduleKeyDeletion", "kms:DisableKey", "kms:PutKeyPolicy"}
    for row in key.get("KeyPolicy", {}).get("Statement", ()):
        if (row["Effect"], row["Principal"]) == ("Deny", "*"):
            due -= set(listed(row["Action"]))
    if due:
        yield "key"


def policy_flaws(name: str, tree: Tree) -> Iterator[str]:
    plain = {
        action
        for row in denials(tree)
        if "Condition" not in row
        for action in listed(row["Action"])
    }
    for what, actions in DENIED.items():
        if not actions <= plain:
            yield f"deny {what}"
    tests = [(row, row.get("Condition", {})) for row in denials(tree)]
    insecure = {"Bool": {"aws:SecureTransport": "false"}}
    if not any(row["Action"] == "s3:*" and test == insecure for row, test in tests):
        yield "deny plain HTTP"
    if name == "replica":
        if not {"s3:PutObject", "s3:PutObjectRetention"} <= plain:
            yield "deny put but by replication"
    else:
        yield from put_flaws(tree, tests)


def put_flaws(tree: Tree, tests: list[tuple[Tree, Tree]]) -> Iterator[str]:
    due = {"StringNotEquals": {"s3:object-lock-mode": "COMPLIANCE"}}
    if not any(
        "s3:PutObject" in listed(row["Action"]) and test == due for row, test in tests
    ):
        yield "deny put without lock"
    for operator in ("NumericLessThan", "NumericGreaterThan"):
        bounded = {
            action
            for row, test in tests
            if "s3:object-lock-remaining-retention-days" in test.get(operator, {})
            for action in listed(row["Action"])
        }
        if not {"s3:PutObject", "s3:PutObjectRetention"} <= bounded:
            yield f"retention bound {operator}"
    if "s3:PutObjectRetention" not in {
        action
        for row, test in tests
        if set(test) == {"ArnNotEquals"}
        for action in listed(row["Action"])
    }:
        yield "deny retention change"
    (bucket,) = of_kind(tree, "AWS::S3::Bucket").values()
    if not bucket["Properties"].get("ReplicationConfiguration"):
        yield "replica"


def role_flaws(tree: Tree) -> Iterator[str]:
    for name, row in of_kind(tree, "AWS::IAM::Role").items():
        own = row["Properties"]
        for trust in own["AssumeRolePolicyDocument"]["Statement"]:
            if trust["Principal"] == "*":
                yield f"trust of {name}"
            if name in ROLES:
                test = trust.get("Condition", {})
                due = {AUDIENCE: "sts.amazonaws.com", SUBJECT: {"Fn::Sub": ROLES[name]}}
                if test != {"StringEquals": due}:
                    yield f"trust of {name}"
        allowed = {
            action
            for policy in own["Policies"]
            for statement in policy["PolicyDocument"]["Statement"]
            for action in listed(statement["Action"])
        }
        yield from right_flaws(name, allowed)


def right_flaws(name: str, allowed: set[str]) -> Iterator[str]:
    extra = {
        "ExtenderRole": allowed
        - {"s3:PutObjectRetention", "s3:GetObjectRetention", "s3:ListBucketVersions"},
        "ReaderRole": {a for a in allowed if not a.startswith(("s3:Get", "s3:List"))},
        "CollectorRole": {
            a
            for a in allowed
            if a.startswith("s3:")
            and not a.startswith(("s3:Get", "s3:List"))
            and a not in {"s3:PutObject", "s3:PutObjectRetention"}
        },
    }.get(name, set())
    wild = {a for a in allowed if a == "*" or a.endswith(":*") or "Delete" in a}
    if extra or wild:
        yield f"rights of {name}"


@pytest.mark.threat("T86")
@pytest.mark.parametrize("name", NAMES)
def test_the_shipped_template_breaks_no_rule(name: str) -> None:
    assert flaws(name, template(name)) == set()


def vault(tree: Tree) -> Tree:
    (row,) = of_kind(tree, "AWS::S3::Bucket").values()
    own: Tree = row["Properties"]
    return own


def default(tree: Tree) -> Tree:
    rule: Tree = vault(tree)["ObjectLockConfiguration"]["Rule"]["DefaultRetention"]
    return rule


def only(tree: Tree, sid: str) -> Tree:
    (row,) = [row for row in statements(tree) if row.get("Sid") == sid]
    return row


def without(sid: str) -> Change:
    return lambda tree: only(tree, sid).update(Effect="Allow", Principal={"AWS": "x"})


def lacking(sid: str, action: str) -> Change:
    return lambda tree: only(tree, sid)["Action"].remove(action)


def trusting(role: str, subject: object, operator: str = "StringEquals") -> Change:
    def change(tree: Tree) -> None:
        document = tree["Resources"][role]["Properties"]["AssumeRolePolicyDocument"]
        (row,) = document["Statement"]
        row["Condition"] = {
            operator: {AUDIENCE: "sts.amazonaws.com", SUBJECT: subject},
        }

    return change


def granting(role: str, action: str) -> Change:
    def change(tree: Tree) -> None:
        (policy,) = tree["Resources"][role]["Properties"]["Policies"]
        row = policy["PolicyDocument"]["Statement"][0]
        row["Action"] = [*listed(row["Action"]), action]

    return change


def customer_key(tree: Tree) -> None:
    tree["Resources"]["Key"] = {
        "Type": "AWS::KMS::Key",
        "Properties": {"KeyPolicy": {"Statement": []}},
    }
    vault(tree)["BucketEncryption"] = {
        "ServerSideEncryptionConfiguration": [
            {
                "ServerSideEncryptionByDefault": {
                    "SSEAlgorithm": "aws:kms",
                    "KMSMasterKeyID": {"Ref": "Key"},
                }
            }
        ]
    }


def bucket_row(tree: Tree) -> Tree:
    (row,) = of_kind(tree, "AWS::S3::Bucket").values()
    return row


BOTH: dict[str, tuple[Change, str]] = {
    "no lock": (lambda t: vault(t).pop("ObjectLockEnabled"), "lock"),
    "governance": (lambda t: default(t).update(Mode="GOVERNANCE"), "mode"),
    "days and years": (lambda t: default(t).update(Years=1), "days or years"),
    "no length": (lambda t: default(t).pop("Days"), "days or years"),
    "versioning suspended": (
        lambda t: vault(t).update(VersioningConfiguration={"Status": "Suspended"}),
        "versioning on",
    ),
    "public policy": (
        lambda t: vault(t)["PublicAccessBlockConfiguration"].update(
            BlockPublicPolicy=False
        ),
        "public access blocks",
    ),
    "one block missing": (
        lambda t: vault(t)["PublicAccessBlockConfiguration"].pop("IgnorePublicAcls"),
        "public access blocks",
    ),
    "deleted with the stack": (
        lambda t: bucket_row(t).update(DeletionPolicy="Delete"),
        "retain",
    ),
    "replaced by the stack": (
        lambda t: bucket_row(t).pop("UpdateReplacePolicy"),
        "retain",
    ),
    "lifecycle": (
        lambda t: vault(t).update(LifecycleConfiguration={"Rules": []}),
        "lifecycle",
    ),
    "a key that can be deleted": (customer_key, "key"),
    "deletes": (lacking("NobodyDeletes", "s3:DeleteObject"), "deny delete"),
    "deletes versions": (
        lacking("NobodyDeletes", "s3:DeleteObjectVersion"),
        "deny delete",
    ),
    "bypass": (
        lacking("NobodyDeletes", "s3:BypassGovernanceRetention"),
        "deny delete",
    ),
    "an exception from deletion": (
        lambda t: only(t, "NobodyDeletes").update(Condition={"ArnNotLike": {}}),
        "deny delete",
    ),
    "versioning may change": (
        lacking("NobodyChangesTheBucket", "s3:PutBucketVersioning"),
        "deny versioning",
    ),
    "lifecycle may be set": (
        lacking("NobodyChangesTheBucket", "s3:PutLifecycleConfiguration"),
        "deny lifecycle",
    ),
    "the lock may be set": (
        lacking("NobodyChangesTheBucket", "s3:PutBucketObjectLockConfiguration"),
        "deny lock configuration",
    ),
    "plain HTTP": (without("TlsOnly"), "deny plain HTTP"),
    "in one account": (lambda t: t.pop("Rules"), "second account"),
}
VAULT: dict[str, tuple[Change, str]] = {
    "put without lock": (without("EveryPutHasItsLock"), "deny put without lock"),
    "put in governance": (
        lambda t: only(t, "EveryPutHasItsLock").update(
            Condition={"Null": {"s3:object-lock-mode": "true"}}
        ),
        "deny put without lock",
    ),
    "short locks": (without("NoLockIsTooShort"), "retention bound NumericLessThan"),
    "endless locks": (without("NoLockIsTooLong"), "retention bound NumericGreaterThan"),
    "anybody retains": (without("OnlyTheseRolesRetain"), "deny retention change"),
    "no replica": (lambda t: vault(t).pop("ReplicationConfiguration"), "replica"),
    "a collector that deletes": (
        granting("CollectorRole", "s3:DeleteObjectVersion"),
        "rights of CollectorRole",
    ),
    "a reader that writes": (
        granting("ReaderRole", "s3:PutObject"),
        "rights of ReaderRole",
    ),
    "an extender that reads": (
        granting("ExtenderRole", "s3:GetObject"),
        "rights of ExtenderRole",
    ),
}


def broken(name: str, change: Change) -> set[str]:
    tree = copy.deepcopy(template(name))
    change(tree)
    return flaws(name, tree)


@pytest.mark.threat("T86")
@pytest.mark.threat("T11")
@pytest.mark.parametrize("name", ["vault", "replica"])
@pytest.mark.parametrize("weakened", BOTH)
def test_t86_a_weakened_bucket_breaks_its_rule(name: str, weakened: str) -> None:
    change, rule = BOTH[weakened]
    assert broken(name, change) == {rule}


@pytest.mark.threat("T86")
@pytest.mark.parametrize("weakened", VAULT)
def test_t86_a_weakened_vault_breaks_its_rule(weakened: str) -> None:
    change, rule = VAULT[weakened]
    assert broken("vault", change) == {rule}


@pytest.mark.threat("T11")
def test_t11_a_key_that_nobody_may_delete_is_taken() -> None:
    def guarded(tree: Tree) -> None:
        customer_key(tree)
        actions = ["kms:ScheduleKeyDeletion", "kms:DisableKey", "kms:PutKeyPolicy"]
        policy = tree["Resources"]["Key"]["Properties"]["KeyPolicy"]
        policy["Statement"] = [{"Effect": "Deny", "Principal": "*", "Action": actions}]

    assert broken("vault", guarded) == set()


@pytest.mark.threat("T86")
def test_t86_a_replica_that_others_write_breaks_its_rule() -> None:
    change = without("NothingComesButByReplication")
    assert broken("replica", change) == {"deny put but by replication"}


@pytest.mark.threat("T85")
@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(
    ("subject", "operator"),
    [
        ({"Fn::Sub": "repo:${GitHubRepository}:*"}, "StringLike"),
        ({"Fn::Sub": "repo:${GitHubRepository}:pull_request"}, "StringEquals"),
        ({"Fn::Sub": "repo:${GitHubRepository}:ref:refs/heads/main"}, "StringEquals"),
        ("repo:*:environment:collect", "StringLike"),
        (["repo:a/b:environment:x", "repo:c/d:environment:x"], "StringEquals"),
        ("repo:fork/other:environment:collect", "StringEquals"),
    ],
    ids=["any subject", "pull request", "branch", "any repository", "two", "a fork"],
)
def test_t85_a_trust_that_a_fork_could_use_breaks_its_rule(
    role: str, subject: object, operator: str
) -> None:
    assert broken("vault", trusting(role, subject, operator)) == {f"trust of {role}"}


@pytest.mark.threat("T85")
def test_t85_the_workflows_use_the_environments_that_the_roles_trust() -> None:
    folder = Path(__file__).parents[3] / ".github" / "workflows"
    text = "".join(path.read_text() for path in folder.glob("*.yml"))
    for role in ROLES:
        environment = ROLES[role].rpartition(":")[2]
        assert f"environment: {environment}" in text
