# SPDX-License-Identifier: Apache-2.0
"""What an import makes of the files that are there: additions, and notes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from controlbook.errors import ControlbookError
from controlbook.imports import Imported, Item, Pair
from controlbook.imports.plan import Plan, Target, plan
from controlbook.library import GOVERNED, load, read
from controlbook.model import ConfigRule, EventQuery, SecurityHubControl, Snapshot

if TYPE_CHECKING:
    from collections.abc import Mapping

SMALL = Path(__file__).parents[1] / "data" / "small"
FILES = {
    path.relative_to(SMALL).as_posix(): path.read_bytes()
    for prefix in GOVERNED
    for path in [SMALL / prefix, *(SMALL / prefix).rglob("*")]
    if path.is_file()
}
STD = "frameworks/std-1.yml"
KEYS = ConfigRule(name="access-keys-rotated", identifier="ACCESS_KEYS_ROTATED")
BUCKETS = ConfigRule(
    name="s3-bucket-server-side-encryption-enabled",
    identifier="S3_BUCKET_SERVER_SIDE_ENCRYPTION_ENABLED",
)
PASSWORDS = ConfigRule(
    name="iam-password-policy",
    identifier="IAM_PASSWORD_POLICY",
    parameters=(("MaxPasswordAge", "90"), ("MinimumPasswordLength", "7")),
)


def imported(*evidence: object, **more: object) -> Imported:
    facts = {"key": "src", "source": "a source, sha256 00", "title": "Source"}
    return Imported(evidence=evidence, **(facts | more))  # type: ignore[arg-type] # facts of the test


def planned(
    source: Imported, files: Mapping[str, bytes] = FILES, **target: str
) -> Plan:
    facts = {"framework": "std-1", "owner": "net"}
    made = plan(source, read(files), files, Target(**(facts | target)))
    problems = load({**files, **made.files})[1]
    assert [problem for problem in problems if problem.path in made.files] == []
    return made


def test_a_rule_that_a_control_names_gets_no_second_control() -> None:
    made = planned(imported(BUCKETS, KEYS))
    assert list(made.files) == ["controls/access-keys-rotated.yml"]
    assert (made.present, made.controls) == (1, 1)


def test_a_new_control_is_in_our_words_and_has_an_owner() -> None:
    body = planned(imported(KEYS)).files["controls/access-keys-rotated.yml"].decode()
    assert body == (
        "# yaml-language-server: $schema=../.controlbook/schemas/control.json\n"
        'id: "access-keys-rotated"\n'
        'title: "Access keys rotated"\n'
        "statement: |\n"
        "  AWS Config's rule access-keys-rotated finds every resource that it judges "
        "compliant, in every account in scope.\n"
        'owner: "net"\n'
        "evidence:\n"
        '  - config: "access-keys-rotated"\n'
    )


def test_without_an_owner_there_is_no_new_control() -> None:
    with pytest.raises(ControlbookError, match="needs an owner"):
        planned(imported(KEYS), owner="")
    assert planned(imported(BUCKETS), owner="").files == {}


def test_parameters_that_people_demand_stay_and_the_difference_is_said() -> None:
    made = planned(imported(PASSWORDS))
    assert made.files == {}
    assert made.notes == [
        "controls/stored-encrypted.yml: demands MinimumPasswordLength = 14 of "
        "iam-password-policy, the source has 7: left as it is"
    ]


def test_mappings_come_in_as_proposed_with_their_source() -> None:
    pairs = (
        Pair(number="3.9", evidence=KEYS.key),
        Pair(number="3.9", evidence=BUCKETS.key),
        Pair(number="3.10", evidence=KEYS.key, source="somebody else"),
    )
    made = planned(imported(KEYS, BUCKETS, pairs=pairs))
    assert made.mappings == 2
    library = read({**FILES, **made.files})
    nine, ten = (library.frameworks["std-1"].requirements[n] for n in ("3.9", "3.10"))
    assert nine.controls == ("stored-encrypted",)
    assert nine.proposed == ("access-keys-rotated",)
    assert ten.controls == ()
    assert ten.proposed == ("access-keys-rotated",)
    sources = library.frameworks["std-1"].sources
    assert {sources[row.source] for row in (*nine.mappings[1:], *ten.mappings)} == {
        "a source, sha256 00",
        "somebody else",
    }


def test_the_second_import_of_the_same_source_changes_nothing() -> None:
    source = imported(KEYS, pairs=(Pair(number="3.9", evidence=KEYS.key),))
    first = planned(source)
    again = planned(source, {**FILES, **first.files})
    assert again.files == {}
    assert (again.controls, again.mappings, again.requirements) == (0, 0, 0)


def test_a_pair_that_another_control_stands_for_is_not_proposed_again() -> None:
    other = b"""\
id: "buckets"
title: "Buckets"
statement: "Buckets are encrypted."
owner: "net"
evidence:
  - config: "s3-bucket-server-side-encryption-enabled"
"""
    files = {**FILES, "controls/buckets.yml": other}
    nine, ten = (Pair(number=n, evidence=BUCKETS.key) for n in ("3.9", "3.10"))
    made = planned(imported(BUCKETS, pairs=(nine, ten)), files)
    framework = read({**files, **made.files}).frameworks["std-1"]
    assert framework.requirements["3.9"].proposed == ()
    assert framework.requirements["3.10"].proposed == ("buckets",)


def test_an_answer_that_people_gave_takes_no_mapping() -> None:
    made = planned(imported(KEYS, pairs=(Pair(number="3.4", evidence=KEYS.key),)))
    assert STD not in made.files
    assert "3.4: says inherited, so nothing was mapped to it" in made.notes


def test_titles_and_comments_of_people_stay_byte_for_byte() -> None:
    head = b"# ours, do not touch\n"
    files = {**FILES, STD: head + FILES[STD]}
    items = (Item(number="3.9", title="Theirs"), Item(number="3.11", title="New"))
    after = planned(imported(items=items), files).files[STD]
    new = b'  "3.11":\n    title: "New"\n'
    assert new in after
    assert after.replace(new, b"") == files[STD]


def test_numbers_stand_in_natural_order_below_their_parent() -> None:
    items = (Item(number="3.2", title="Two", parent="3"), Item(number="4", title="F"))
    after = planned(imported(items=items)).files[STD].decode()
    assert after.index('"3":') < after.index('"3.2":') < after.index('"3.10":')
    assert 'title: "Two"\n    parent: "3"' in after


def test_a_framework_that_is_new_says_whose_text_it_is() -> None:
    items = (Item(number="1"), Item(number="1.10", parent="1"))
    made = planned(
        imported(items=items, marked="CIS", title="CIS Things"),
        framework="things-2",
        title="Things 2",
    )
    body = made.files["frameworks/things-2.yml"].decode()
    assert 'title: "Things 2"\nlicense: "CIS keeps the text' in body
    assert '  "1.10":\n    title: "1.10"\n    parent: "1"\n' in body
    assert any("titles and descriptions were not" in note for note in made.notes)
    assert "2 numbers stand in for their titles, which you write: 1, 1.10" in made.notes


def test_a_title_of_ours_serves_the_same_family() -> None:
    made = planned(
        imported(items=(Item(number="3.9"), Item(number="9.9"))), framework="std-2"
    )
    body = made.files["frameworks/std-2.yml"].decode()
    assert '"3.9":\n    title: "Nine"' in body
    assert '"9.9":\n    title: "9.9"' in body
    other = planned(imported(items=(Item(number="3.9"),)), framework="other-2")
    assert 'title: "3.9"' in other.files["frameworks/other-2.yml"].decode()


def test_every_rule_can_be_put_under_one_number() -> None:
    made = planned(imported(KEYS, BUCKETS), under="3.10")
    framework = read({**FILES, **made.files}).frameworks["std-1"]
    assert framework.requirements["3.10"].proposed == (
        "access-keys-rotated",
        "stored-encrypted",
    )


def test_numbers_without_a_framework_are_said_to_be_left_out() -> None:
    made = planned(imported(items=(Item(number="1"),)), framework="")
    assert made.files == {}
    assert made.notes == ["numbers and mappings were left out: give --framework"]


def test_a_name_that_is_taken_gets_a_number() -> None:
    rule = ConfigRule(
        name="stored-encrypted", identifier="custom-lambda:stored-encrypted"
    )
    assert list(planned(imported(rule)).files) == ["controls/stored-encrypted-2.yml"]


@pytest.mark.parametrize(
    "source",
    [
        ConfigRule(name="our_rule", identifier="custom-guard:our_rule"),
        PASSWORDS,
        ConfigRule(
            name="ours",
            identifier="custom-lambda:ours",
            parameters=(("n", "3"), ("on", "x: y")),
        ),
        EventQuery(source="kms.amazonaws.com", event="DisableKey", expect="none"),
        Snapshot(call="iam:GetCredentialReport"),
        SecurityHubControl(control="S3.1"),
    ],
    ids=lambda source: source.key,
)
def test_each_kind_of_evidence_reads_back_as_it_was(source: ConfigRule) -> None:
    files = {
        k: v for k, v in FILES.items() if k.startswith(("pyproject", "signoffs/p"))
    }
    made = plan(imported(source), read(files), files, Target(owner="net"))
    (control,) = read({**files, **made.files}).controls.values()
    assert control.evidence == (source,)


def test_a_framework_s_name_has_to_be_one() -> None:
    with pytest.raises(ControlbookError, match="--framework"):
        planned(imported(items=(Item(number="1"),)), framework="../x")
