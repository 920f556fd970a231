# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import base64
import unicodedata
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlbook.digest import canonical, sha256
from controlbook.errors import InvalidFiles
from controlbook.kinds.people import look
from controlbook.kinds.signoffs import SUBJECT
from controlbook.library import (
    GOVERNED,
    assessable,
    governed,
    load,
    natural,
    read,
    sources_document,
)
from controlbook.model import ConfigRule
from controlbook.signoff import record_bytes
from controlbook.timeline import Interval, instant
from controlbook.yamltext import bad_characters

ROOT = Path(__file__).parents[2]

PEOPLE_AT = "signoffs/people.yml"
CONTROL_AT = "controls/stored-encrypted.yml"
FRAMEWORK_AT = "frameworks/std-1.yml"
ASSESSMENT_AT = "signoffs/A-1/assessment.yml"
ATTESTATION_AT = "signoffs/A-1/controls/stored-encrypted.yml"
SIGNOFF_AT = "signoffs/A-1/requirements/3.9.yml"
ANNOTATION_AT = "annotations/2028-02/bucket.md"
MANUAL_AT = "evidence/manual/key-policy.yml"


def on_disk(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for prefix in GOVERNED
        for path in [root / prefix, *(root / prefix).rglob("*")]
        if path.is_file()
    }


# A small programme with one file of each kind.
SMALL = on_disk(Path(__file__).parent / "data" / "small") | {
    "README.md": b"\xff not read",
}
CONTROL, FRAMEWORK, PEOPLE = SMALL[CONTROL_AT], SMALL[FRAMEWORK_AT], SMALL[PEOPLE_AT]
ATTESTATION, SIGNOFF = SMALL[ATTESTATION_AT], SMALL[SIGNOFF_AT]


def edited(path: str, old: str, new: str) -> dict[str, bytes]:
    text = SMALL[path].decode()
    assert old in text
    return {**SMALL, path: text.replace(old, new, 1).encode()}


def problems(files: dict[str, bytes]) -> str:
    return "\n".join(map(str, load(files)[1]))


# --- the happy path --------------------------------------------------------------


def test_the_small_programme_has_no_problem() -> None:
    assert problems(SMALL) == ""


def test_what_people_wrote_arrives_in_the_model() -> None:
    library = read(SMALL)
    control = library.controls["stored-encrypted"]
    assert control.sha256 == sha256(CONTROL)
    assert [source.key for source in control.evidence] == [
        "config:s3-bucket-server-side-encryption-enabled",
        "config:ebs-encryption-by-default",
        "config:iam-password-policy",
        "config:redshift-cluster-kms-enabled",
        "cloudtrail:iam.amazonaws.com:CreateUser",
        "snapshot:iam:GetAccountAuthorizationDetails",
        "security-hub:IAM.6",
        "manual:key-policy",
    ]
    assert control.evidence[1] == ConfigRule(
        name="ebs-encryption-by-default",
        identifier="EC2_EBS_ENCRYPTION_BY_DEFAULT",
        canonical_name="ec2-ebs-encryption-by-default",
    )
    assert control.evidence[2] == ConfigRule(
        name="iam-password-policy",
        identifier="IAM_PASSWORD_POLICY",
        parameters=(("MinimumPasswordLength", "14"),),
    )
    assert control.evidence[3] == ConfigRule(
        name="redshift-cluster-kms-enabled",
        identifier="custom-lambda:redshift-cluster-kms-enabled",
    )
    assessment = library.assessments["A-1"]
    assert assessment.period == Interval(
        instant("2028-01-01T00:00:00Z"), instant("2028-04-01T00:00:00Z")
    )
    assert assessment.accounts == (("audit", "011122223333"), ("prod", "111122223333"))
    assert assessment.assessor_of("3.9") == "aziz"
    assert library.members("net") == ("olga",)
    assert "112" in library.people["aziz"].github_ids
    assert library.manual["key-policy"].size == 183204
    assert library.annotations[0].start == instant("2028-02-14T03:12:00Z")
    assert [signoff.about for signoff in library.signoffs] == [
        "stored-encrypted",
        "3.9",
    ]
    assert library.signoffs[1].conclusion == "satisfied"
    assert [name for name, _ in library.signoffs[0].subject] == list(SUBJECT)


def test_a_record_that_the_command_writes_comes_back_as_it_was() -> None:
    for record in read(SMALL).signoffs:
        data = record_bytes(record)
        again = read({**SMALL, record.path: data})
        found = next(one for one in again.signoffs if one.path == record.path)
        assert replace(found, sha256=record.sha256) == record
        assert record_bytes(found) == data


def test_numbers_are_text_in_natural_order() -> None:
    framework = read(SMALL).frameworks["std-1"]
    assert list(framework.requirements) == ["3", "3.4", "3.4.1", "3.9", "3.10"]


def test_labels_that_a_framework_does_not_give_are_our_own_words() -> None:
    labels = read(SMALL).frameworks["std-1"].labels
    assert labels["satisfied"] == "In Place"
    assert labels["not-tested"] == "not-tested"


def test_a_heading_need_not_be_assessed() -> None:
    assert assessable(read(SMALL).frameworks["std-1"]) == (
        "3.4",
        "3.4.1",
        "3.9",
        "3.10",
    )


def test_a_reason_under_a_parent_covers_everything_below_that_is_not_listed() -> None:
    assessment = read(SMALL).assessments["A-1"]
    assert assessment.requirements == ("3.4", "3.9")
    assert assessment.excluded == (
        ("3.4.1", "Next quarter."),
        ("3.10", "Next quarter."),
    )


def test_all_takes_in_whatever_no_reason_leaves_out() -> None:
    files = edited(ASSESSMENT_AT, '["3.9", "3.4"]', "all")
    text = files[ASSESSMENT_AT].decode()
    files[ASSESSMENT_AT] = text.replace(
        '"3": "N', '"3.4.1": "X"\n  "3.10": "N'
    ).encode()
    assessment = read(files).assessments["A-1"]
    assert assessment.requirements == ("3.4", "3.9")
    assert assessment.excluded == (("3.4.1", "X"), ("3.10", "Next quarter."))


def test_the_example_programme_has_no_problem() -> None:
    library = read(on_disk(ROOT))
    assert len(library.frameworks["pci-dss-3.2.1"].requirements) == 298
    pci = library.assessments["PCI-2028-Q1"]
    assert len(pci.requirements) >= 20
    assert all(reason for _, reason in pci.excluded)
    assert set(library.frameworks) >= {"soc2-tsc-2017", "gdpr", "nist-800-53-r5"}


def test_the_sources_document_is_canonical_and_holds_what_was_written() -> None:
    document = sources_document(SMALL)
    assert canonical(document)
    files = document["files"]
    assert isinstance(files, dict)
    assert "README.md" not in files
    front = files[ANNOTATION_AT]["tree"]["front"]  # type: ignore[index,call-overload] # Json
    assert front["covers"] == ["dev-5f2c9a1e77b04c13"]  # type: ignore[index,call-overload] # Json
    assert document["rules"] == {
        "ebs-encryption-by-default": "EC2_EBS_ENCRYPTION_BY_DEFAULT",
        "iam-password-policy": "IAM_PASSWORD_POLICY",
        "s3-bucket-server-side-encryption-enabled": (
            "S3_BUCKET_SERVER_SIDE_ENCRYPTION_ENABLED"
        ),
    }
    assert canonical(sources_document(on_disk(ROOT)))


# --- bad input: one test a line of the list ------------------------------------------


def test_broken_yaml_says_where() -> None:
    found = problems(edited(CONTROL_AT, 'title: "Stored', 'title: "Stored" "'))
    assert f"{CONTROL_AT}:2: broken YAML" in found


@pytest.mark.threat("T72")
def test_duplicate_keys_name_both_lines() -> None:
    found = problems(edited(CONTROL_AT, 'owner: "net"', 'title: "Again"\nowner: "net"'))
    assert f"{CONTROL_AT}:5: the key 'title' stands twice, first in line 2" in found
    nested = problems(edited(ASSESSMENT_AT, "end:", 'start: "x", end:'))
    assert "the key 'start' stands twice, first in line 3" in nested


@pytest.mark.threat("T74")
def test_anchors_and_aliases_are_refused() -> None:
    anchor = problems(edited(CONTROL_AT, 'title: "', 'title: &t "'))
    assert f"{CONTROL_AT}:2: YAML here has no place for an anchor" in anchor
    alias = problems(edited(CONTROL_AT, 'owner: "net"', "owner: *t"))
    assert f"{CONTROL_AT}:5: YAML here has no place for an alias" in alias


@pytest.mark.threat("T75")
def test_an_unquoted_number_as_id_is_refused_and_never_shortened() -> None:
    found = problems(edited(FRAMEWORK_AT, '"3.10":', "3.10:"))
    assert found == (
        f"{FRAMEWORK_AT}:7: 3.10 is a number to other YAML readers "
        '(3.10 would become 3.1); quote it: "3.10"'
    )
    listed = problems(edited(ASSESSMENT_AT, '["3.9",', "[3.9,"))
    assert f"{ASSESSMENT_AT}:6: requirements: 3.9 is a number" in listed


def test_an_unknown_key_has_a_suggestion() -> None:
    found = problems(edited(CONTROL_AT, "owner:", "ownr:"))
    assert f"{CONTROL_AT}:5: unknown key ownr; did you mean 'owner'?" in found
    inner = problems(edited(ASSESSMENT_AT, "end:", "ends:"))
    assert "unknown key period.ends; did you mean 'end'?" in inner


def test_an_unknown_control_has_a_suggestion() -> None:
    files = edited(ANNOTATION_AT, "dev-5f2c9a1e77b04c13", "stored-encripted")
    assert problems(files) == (
        f"{ANNOTATION_AT}:2: unknown deviation, gap or control 'stored-encripted'; "
        "did you mean 'stored-encrypted'?"
    )


def test_an_unknown_person_has_a_suggestion() -> None:
    assert problems(edited(ANNOTATION_AT, '"olga"', '"olgo"')) == (
        f"{ANNOTATION_AT}:5: unknown person 'olgo'; did you mean 'olga'?"
    )
    owner = problems(edited(CONTROL_AT, '"net"', '"nett"'))
    assert "unknown person or team 'nett'; did you mean 'net'?" in owner


def test_an_unknown_rule_name_has_a_suggestion() -> None:
    assert problems(edited(CONTROL_AT, "ebs-encryption-by", "ebs-encrypton-by")) == (
        f"{CONTROL_AT}:8: AWS manages no rule 'ebs-encrypton-by-default'; did you mean "
        "'ebs-encryption-by-default'? the team's own rule says custom: lambda"
    )


def test_an_account_id_that_lost_its_leading_zero_is_told() -> None:
    assert problems(edited(ASSESSMENT_AT, '"011122223333"', '"11122223333"')) == (
        f"{ASSESSMENT_AT}:4: accounts.audit: 11122223333 has 11 digits, an account id "
        '12: it lost its zero; write "011122223333", in quotes'
    )
    plain = problems(edited(ASSESSMENT_AT, '"011122223333"', "011122223333"))
    assert "(the leading zero would be lost); quote it" in plain
    other = problems(edited(ASSESSMENT_AT, '"011122223333"', '"1234"'))
    assert "accounts.audit: '1234' is not an account id of 12 digits" in other


def test_a_period_that_ends_before_it_starts_is_refused() -> None:
    found = problems(edited(ASSESSMENT_AT, "2028-04-01", "2027-04-01"))
    assert (
        f"{ASSESSMENT_AT}:3: the period ends (2027-04-01T00:00:00Z) before it starts "
        "(2028-01-01T00:00:00Z)"
    ) in found


def test_a_sign_off_by_someone_who_is_not_the_assessor_is_refused() -> None:
    files = edited(SIGNOFF_AT, '"aziz"\ngithub_id: "102"', '"dana"\ngithub_id: "103"')
    assert problems(files) == (
        f"{SIGNOFF_AT}:5: person: dana is not the assessor of 3.9; aziz is; "
        "let aziz run `signoff`, or delegate"
    )


def test_a_sign_off_by_the_owner_is_refused() -> None:
    files = edited(SIGNOFF_AT, '"aziz"\ngithub_id: "102"', '"olga"\ngithub_id: "101"')
    assert (
        f"{SIGNOFF_AT}:5: person: olga owns stored-encrypted, which 3.9 maps; "
        "owner and assessor are two people"
    ) in problems(files)


def test_an_assessor_who_owns_a_mapped_control_is_refused() -> None:
    files = edited(ASSESSMENT_AT, '"aziz"', '"olga"')
    assert (
        f"{ASSESSMENT_AT}:9: assessors.default: olga owns stored-encrypted, which 3.9 "
        "maps; name another assessor for 3.9"
    ) in problems(files)


def test_a_control_without_evidence_is_refused() -> None:
    text = CONTROL.decode().partition("evidence:")[0]
    bare = problems({**SMALL, CONTROL_AT: text.encode()})
    assert f"{CONTROL_AT}:1: the control has no evidence; name at least one" in bare
    empty = problems({**SMALL, CONTROL_AT: f"{text}evidence: []\n".encode()})
    assert f"{CONTROL_AT}:6: evidence: is an empty list; name at least one" in empty


def test_a_mapping_to_a_missing_control_is_refused() -> None:
    files = edited(FRAMEWORK_AT, '["stored-encrypted"]', '["storage-encrypted"]')
    assert (
        f"{FRAMEWORK_AT}:13: unknown control 'storage-encrypted'; "
        "did you mean 'stored-encrypted'?"
    ) in problems(files)


def test_all_problems_come_at_once_sorted_and_read_raises_them() -> None:
    files = edited(CONTROL_AT, 'owner: "net"', 'owner: "nett"\ncolour: "red"')
    files[PEOPLE_AT] = PEOPLE.replace(b'["101"]', b"[101]")
    files[FRAMEWORK_AT] = FRAMEWORK.replace(b'parent: "3"', b'parent: "4"', 1)
    found = load(files)[1]
    assert [(p.path, p.line) for p in found] == [
        (CONTROL_AT, 5),
        (CONTROL_AT, 6),
        (FRAMEWORK_AT, 9),
        (ASSESSMENT_AT, 6),
        (PEOPLE_AT, 5),
    ]
    with pytest.raises(InvalidFiles) as caught:
        read(files)
    assert caught.value.problems == found
    assert str(caught.value).count("\n") == 4


def test_a_control_that_cannot_be_read_is_not_called_missing() -> None:
    found = problems({**SMALL, CONTROL_AT: b"a: [\n"})
    assert found.count("\n") == 0
    assert found.startswith(f"{CONTROL_AT}:")


# --- more that is refused, file by file ----------------------------------------------


@pytest.mark.parametrize(
    ("path", "old", "new", "says"),
    [
        (CONTROL_AT, 'id: "s', 'id: "x', ":1: id: 'xtored-encrypted' is not the file"),
        (CONTROL_AT, '"Stored data is encrypted"', '""', ":2: title: is empty"),
        (CONTROL_AT, '"Stored data is encrypted"', "", ":2: title: there is no value"),
        (CONTROL_AT, '"Stored data is encrypted"', "2028", ":2: title: 2028 is a num"),
        (CONTROL_AT, '"Stored data is encrypted"', '["a"]', "title: is not one text"),
        (CONTROL_AT, 'owner: "net"\n', "", ":1: owner is missing"),
        (CONTROL_AT, '"14"', "14", "parameters.MinimumPasswordLength: 14 is a number"),
        (CONTROL_AT, '"lambda"', '"lamda"', "custom: 'lamda' is not one of lambda, g"),
        (CONTROL_AT, '"any"', '"all"', "expect: 'all' is not one of any, none, some"),
        (CONTROL_AT, "iam.amazonaws.com", "iam", "'iam' is not an event source like"),
        (CONTROL_AT, "iam:Get", "Get", "is not an API call like iam:Get"),
        (CONTROL_AT, "IAM.6", "IAM6", "is not a Security Hub control like IAM.6"),
        (CONTROL_AT, 'manual: "', 'manul: "', "unknown kind of evidence 'manul'; did"),
        (CONTROL_AT, "snapshot: ", 'manual: "a"\n    snapshot: ', "two kinds of evid"),
        (CONTROL_AT, '- security-hub: "IAM.6"', "- x", "evidence: an item is no mapp"),
        (CONTROL_AT, "iam-password-policy", "ebs-encryption-by-default", "stands twic"),
        (
            PEOPLE_AT,
            "olga-o",
            "olga_o",
            ":4: people.olga.github: 'olga_o' is not a Git",
        ),
        (
            PEOPLE_AT,
            "control-owner",
            "assesor",
            "unknown role 'assesor'; did you mean 'assessor'",
        ),
        (PEOPLE_AT, '"103"', '"101"', "people.dana.github_ids: this GitHub id is olga"),
        (PEOPLE_AT, '"103"', '"id"', "'id' is not a numeric GitHub id"),
        (PEOPLE_AT, "dana-d", "Olga-O", "github: this GitHub login is olga's already"),
        (PEOPLE_AT, "Dana Delegate", "olga owner", "name: this name is olga's already"),
        (PEOPLE_AT, "Dana", "D\u0430na", "mixes scripts: Cyrillic, Latin"),
        (PEOPLE_AT, '["olga"]', '["olgo"]', ":22: unknown person 'olgo'; did you mean"),
        (PEOPLE_AT, "  net:", "  dana:", "dana is a person and a team"),
        (PEOPLE_AT, "example/net", "net", "is not a GitHub team like org/team"),
        (PEOPLE_AT, "2029-01-01", "2026-01-01", "the valid ends (2026-01-01T00:00:00Z"),
        (FRAMEWORK_AT, '"3.9":', '"3,9":', "'3,9' is no id"),
        (FRAMEWORK_AT, '"3.9":', '"con":', "'con' is the name of a device"),
        (FRAMEWORK_AT, '"3.9":', '"3.":', "'3.' ends with a dot"),
        (
            FRAMEWORK_AT,
            'inherited: "AWS does it."',
            'inherited: ""',
            "inherited: is emp",
        ),
        (
            FRAMEWORK_AT,
            "inherited:",
            "controls: []\n    inherited:",
            "has controls and",
        ),
        (
            FRAMEWORK_AT,
            'title: "Chapter"',
            'title: "C"\n    parent: "3.9"',
            "its own anc",
        ),
        (FRAMEWORK_AT, "satisfied:", "satisfed:", "unknown conclusion 'satisfed'; did"),
        (FRAMEWORK_AT, "labels:", 'retired: "2024-13-01"\nlabels:', "not a date like"),
        (
            ASSESSMENT_AT,
            '"std-1"',
            '"std-2"',
            "unknown framework 'std-2'; did you mean",
        ),
        (ASSESSMENT_AT, '"2028-01-01T00:00:00Z"', '"2028-01-01"', "is not a UTC time"),
        (ASSESSMENT_AT, "eu-west-1", "europe", "'europe' is not a Region like"),
        (ASSESSMENT_AT, '["eu-west-1"]', "[]", ":5: regions: is an empty list"),
        (ASSESSMENT_AT, '"3.4"]', '"3"]', ":6: requirements: 3 is a heading of std-1"),
        (ASSESSMENT_AT, '"3.4"]', '"3.10"]', ":6: 3.10 is in scope, but frameworks/s"),
        (
            ASSESSMENT_AT,
            '"3.4"]',
            '"3.44"]',
            "unknown requirement '3.44'; did you mean",
        ),
        (ASSESSMENT_AT, '"3.4"]', '"3.9"]', "requirements: '3.9' stands twice"),
        (
            ASSESSMENT_AT,
            '  "3"',
            '  "3.10"',
            "1 of std-1 left out without a reason: 3.4.1",
        ),
        (
            ASSESSMENT_AT,
            '  "3"',
            '  "3.9": "X"\n  "3"',
            "3.9: is in scope and excluded",
        ),
        (ASSESSMENT_AT, '  "3"', '  "5": "X"\n  "3"', "unknown requirement '5'"),
        (ASSESSMENT_AT, '"Next quarter."', '""', "excluded.3: is empty"),
        (ASSESSMENT_AT, "default:", '"3.9":', "assessors: nobody assesses 3.4; name a"),
        (
            ASSESSMENT_AT,
            "{default:",
            '{"3.8": "aziz", default:',
            "requirement in scope",
        ),
        (ASSESSMENT_AT, "2035", "2028", "until: is not after the period's end"),
        (ASSESSMENT_AT, "011122223333", "111122223333", "111122223333 is prod already"),
        (
            SIGNOFF_AT,
            '"A-1"',
            '"A-2"',
            ":2: assessment: 'A-2' is not the folder's name",
        ),
        (SIGNOFF_AT, '"3.9"', '"3.4"', "requirement: '3.4' is not the file's name"),
        (SIGNOFF_AT, '"102"', '"101"', "github_id: 101 is not a GitHub id of aziz"),
        (
            SIGNOFF_AT,
            '"aziz"',
            '"aziza"',
            "unknown person 'aziza'; did you mean 'aziz'",
        ),
        (
            SIGNOFF_AT,
            '"satisfied"',
            '"ok"',
            ":8: conclusion: 'ok' is not one of satisf",
        ),
        (
            SIGNOFF_AT,
            '"sign"',
            '"attest"',
            "decision: 'attest' is not one of sign, rej",
        ),
        (SIGNOFF_AT, '"assessor"', '"owner"', "role: 'owner' is not the role of this"),
        (SIGNOFF_AT, "dev-5", "5", "is not dev- or gap- and 16 hex digits"),
        (SIGNOFF_AT, "signoff/1", "signoff/2", "is not the format of a sign-off"),
        (SIGNOFF_AT, '"scope"', '"scop"', "subject: names controls, mapping, scop, "),
        (SIGNOFF_AT, "a" * 64, "a" * 63, "sha256: 'aaa"),
        (SIGNOFF_AT, "b" * 40, "b" * 39, "is not a commit id"),
        (ATTESTATION_AT, '"olga"', '"dana"', "person: dana does not own stored-encry"),
        (ANNOTATION_AT, "dev-5f", "dev-xx", "is not dev- or gap- and 16 hex digits"),
        (ANNOTATION_AT, "03:17", "03:07", ":4: end: is not after `start`"),
        (
            ANNOTATION_AT,
            "ticket:",
            "tiket:",
            "unknown key tiket; did you mean 'ticket'",
        ),
        (ANNOTATION_AT, "---\n", "", ":1: the file has no front matter"),
        (MANUAL_AT, "183204\n", "many\n", ":10: size: is not a whole number"),
        (MANUAL_AT, "key-policy.pdf", "../key.pdf", "file: is a path"),
        (MANUAL_AT, "2029-01-05", "2027-01-05", "expires: is not after `received`"),
        (MANUAL_AT, "COMPLIANCE", "LOCKED", "'LOCKED' is not one of COMPLIANCE, GOV"),
        (MANUAL_AT, "c" * 64, "c" * 64 + "\\n", "is not a SHA-256"),
        ("pyproject.toml", "[tool", "[tol", ":1: there is no [tool.controlbook]"),
        (
            "pyproject.toml",
            "ledger",
            "leger",
            ":2: unknown setting leger; did you mean",
        ),
        ("pyproject.toml", "5b0c6f0e-", "", ":2: ledger: is no UUID"),
        ("pyproject.toml", "ledger", "vault = 3\nledger", ":2: vault: is not one text"),
        (
            "pyproject.toml",
            "ledger",
            'github = "x"\nledger',
            "github: is not owner/name",
        ),
        ("pyproject.toml", "ledger", 'ticket-url = "x"\nledger', "has no {ticket}"),
        ("pyproject.toml", "ledger", 'streams = ["confg"]\nledger', "unknown stream"),
        ("pyproject.toml", "ledger", "ledger = [\nledger", ":3: broken TOML"),
    ],
)
def test_a_rule_broken_in_a_file_is_told_with_its_line(
    path: str, old: str, new: str, says: str
) -> None:
    found = problems(edited(path, old, new))
    assert says in found
    assert f"{path}:" in found


@pytest.mark.threat("T65")
@pytest.mark.parametrize(
    ("path", "says"),
    [
        (
            "controls/x.yaml",
            "no such file is read here; files here are called <id>.yml",
        ),
        ("controls/a/x.yml", "no such file is read here"),
        ("annotations/x.yml", "no such file is read here; annotations end in .md"),
        ("signoffs/A-1/scope.yml", "no such file is read here; here stand people.yml"),
        ("controls/x y.yml", "'x y' is no id"),
        ("controls/.x.yml", "'.x' is no id"),
        ("controls/Stored-Encrypted.yml", "differ only in case"),
        ("signoffs/B-1/requirements/3.9.yml", "there is no assessment 'B-1'"),
    ],
)
def test_a_file_that_has_no_place_is_told(path: str, says: str) -> None:
    found = problems({**SMALL, path: CONTROL})
    assert f"{path}:1: " in found
    assert says in found


def test_an_attestation_of_a_control_that_nothing_maps_is_told() -> None:
    other = CONTROL.replace(b'id: "stored-encrypted"', b'id: "other"')
    files = {**SMALL, "controls/other.yml": other}
    path = "signoffs/A-1/controls/other.yml"
    files[path] = ATTESTATION.replace(b"stored-encrypted", b"other")
    assert problems(files) == (
        f"{path}:3: no requirement of A-1 maps the control other; remove the file"
    )


def test_a_sign_off_out_of_scope_is_told() -> None:
    path = "signoffs/A-1/requirements/3.10.yml"
    files = {**SMALL, path: SIGNOFF.replace(b'"3.9"', b'"3.10"')}
    assert f"{path}:3: 3.10 is not in the scope of A-1" in problems(files)


DELEGATION = """\
delegations:
  - from: "aziz"
    to: "dana"
    role: "assessor"
    requirements: ["3.9"]
    start: "2028-04-01T00:00:00Z"
    end: "2028-05-01T00:00:00Z"
retention"""


@pytest.mark.threat("T64")
@pytest.mark.parametrize(
    ("old", "new", "fine"),
    [
        ("2028-05-01", "2028-05-01", True),
        ("2028-05-01", "2028-04-02", False),
        ('"3.9"', '"3.4"', False),
        ('role: "assessor"', 'role: "owner"', False),
    ],
)
def test_a_delegate_signs_within_the_delegation_only(
    old: str,
    new: str,
    fine: bool,  # noqa: FBT001 - a table
) -> None:
    files = edited(ASSESSMENT_AT, "retention", DELEGATION.replace(old, new))
    files[SIGNOFF_AT] = SIGNOFF.replace(b'"aziz"', b'"dana"').replace(b"102", b"103")
    found = problems(files)
    assert ("dana is not the assessor of 3.9" not in found) is fine


REVOCATION = """\
  - from: "aziz"
    to: "dana"
    role: "assessor"
    requirements: ["3.9"]
    revoked: "2028-04-02T00:00:00Z"
retention"""


@pytest.mark.threat("T64")
def test_a_later_entry_takes_a_delegation_back() -> None:
    text = DELEGATION.replace("retention", REVOCATION)
    files = edited(ASSESSMENT_AT, "retention", text)
    (given,) = load(files)[0].assessments["A-1"].delegations
    assert given.revoked == instant("2028-04-02T00:00:00Z")
    assert given.allows(instant("2028-04-01T23:59:59Z"))
    assert not given.allows(instant("2028-04-02T00:00:00Z"))
    files[SIGNOFF_AT] = SIGNOFF.replace(b'"aziz"', b'"dana"').replace(b"102", b"103")
    assert "dana is not the assessor of 3.9" in problems(files)


def test_what_was_never_given_cannot_be_taken_back() -> None:
    files = edited(ASSESSMENT_AT, "retention", f"delegations:\n{REVOCATION}")
    assert "takes back a delegation that does not stand above it" in problems(files)


KEY = (
    "ssh-ed25519 "
    + base64.b64encode(b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + bytes(32)).decode()
)


def keyed(key: str, again: str = "") -> dict[str, bytes]:
    files = edited(PEOPLE_AT, "roles:", f"ssh_keys: ['{key}']\n    roles:")
    if again:
        at, old = files[PEOPLE_AT], b"    roles:"
        first, second, rest = at.split(old, 2)
        new = f"    ssh_keys: ['{again}']\n    roles:".encode()
        files[PEOPLE_AT] = first + old + second + new + rest
    return files


def test_a_public_key_is_taken() -> None:
    assert problems(keyed(f"{KEY} olga@laptop")) == ""


@pytest.mark.threat("T60")
@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("AAAA", "is no public SSH key"),
        (f'namespaces="*" {KEY}', "is no public SSH key"),
        (KEY.replace("ssh-ed25519", "ssh-rsa"), "is no public SSH key of type ssh-rsa"),
        ("ssh-ed25519 AAAA=A", "is no public SSH key"),
    ],
)
def test_what_is_no_plain_public_key(key: str, why: str) -> None:
    assert why in problems(keyed(key))


@pytest.mark.threat("T40")
def test_a_key_belongs_to_one_person() -> None:
    assert "this key is" in problems(keyed(KEY, f"{KEY} another comment"))


@pytest.mark.threat("T65")
@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Olga", "0lga", True),
        ("Olga", "01ga", True),
        ("cocoa", "\u0441\u043e\u0441\u043e\u0430", True),
        ("Marnie", "Mamie", True),
        ("Ann Bell", "ANN  BE11", True),
        ("Müller", "Muller", False),
        ("Ann", "Anne", False),
    ],
)
def test_what_looks_the_same(one: str, other: str, same: object) -> None:
    assert (look(one) == look(other)) is same


@pytest.mark.threat("T65")
def test_two_people_that_look_the_same_are_told() -> None:
    text = PEOPLE.decode()
    names = [line for line in text.splitlines() if line.strip().startswith("name:")]
    first = names[0].split(":", 1)[1].strip().strip('"')
    twin = first.replace("O", "0").replace("o", "0")
    assert twin != first
    files = edited(PEOPLE_AT, names[1].strip(), f'name: "{twin}"')
    assert "this name, to the eye, is" in problems(files)


def test_an_owner_is_no_delegate_of_the_assessor() -> None:
    files = edited(ASSESSMENT_AT, "retention", DELEGATION.replace("dana", "olga"))
    assert "olga owns stored-encrypted, which 3.9 maps; delegate to" in problems(files)


def test_a_missing_people_file_is_told_once() -> None:
    files = {path: data for path, data in SMALL.items() if path != PEOPLE_AT}
    assert f"{PEOPLE_AT}:1: the file is missing" in problems(files)


@pytest.mark.parametrize("section", ["people", "teams"])
def test_a_misspelt_section_of_people_is_not_blamed_on_those_who_name_them(
    section: str,
) -> None:
    files = edited(PEOPLE_AT, f"{section}:", f"{section}x:")
    found = problems(files)
    assert f"unknown key {section}x; did you mean {section!r}?" in found
    blamed = [line for line in found.splitlines() if "unknown person" in line]
    assert all(line.startswith(PEOPLE_AT) for line in blamed)


# --- laws ---------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", GOVERNED)
def test_governed_paths(prefix: str) -> None:
    assert governed(f"{prefix}x") is prefix.endswith("/")
    assert governed(prefix) is True


@pytest.mark.threat("T65")
@given(st.text(max_size=8))
def test_text_that_cannot_be_seen_never_reaches_the_model(text: str) -> None:
    files = edited(CONTROL_AT, "Stored data", f"Stored {text} data")
    library, found = load(files)
    hidden = bad_characters(text) or not unicodedata.is_normalized("NFC", text)
    assert found or not hidden
    title = library.controls["stored-encrypted"].title if not found else ""
    assert not bad_characters(title)


@given(st.lists(st.lists(st.integers(0, 40), min_size=1, max_size=4), unique_by=tuple))
def test_natural_order_is_the_order_of_the_numbers(numbers: list[list[int]]) -> None:
    texts = [".".join(map(str, number)) for number in numbers]
    expected = [".".join(map(str, number)) for number in sorted(numbers)]
    assert sorted(texts, key=natural) == expected


@given(path=st.sampled_from(sorted(SMALL)), cut=st.integers(0, 2000), junk=st.binary())
def test_no_file_content_raises(path: str, cut: int, junk: bytes) -> None:
    data = SMALL[path]
    load({**SMALL, path: data[:cut] + junk + data[cut:]})
    sources_document({**SMALL, path: data[:cut]})


@pytest.mark.threat("T65")
@pytest.mark.parametrize(
    ("path", "text"),
    [
        (".github/CODEOWNERS", "* @c-novak # Rene\u0301\n"),
        ("controls/README.md", "Rene\u0301\n"),
    ],
    ids=["CODEOWNERS", "README"],
)
def test_t65_decomposed_letters_are_refused_wherever_a_bundle_carries_them(
    path: str, text: str
) -> None:
    _, problems = load({path: text.encode()})
    assert any(
        problem.path == path and "Unicode normal form C" in problem.message
        for problem in problems
    )
