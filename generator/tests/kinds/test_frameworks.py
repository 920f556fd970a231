# SPDX-License-Identifier: Apache-2.0
"""Framework files: mappings with relation, source and state."""

from __future__ import annotations

from pathlib import Path

import pytest

from controlbook.kinds.frameworks import assessable
from controlbook.library import GOVERNED, load, read
from controlbook.model import MappedControl, MappingState, Relation

SMALL = Path(__file__).parents[1] / "data" / "small"
AT = "frameworks/std-1.yml"
FILES = {
    path.relative_to(SMALL).as_posix(): path.read_bytes()
    for prefix in GOVERNED
    for path in [SMALL / prefix, *(SMALL / prefix).rglob("*")]
    if path.is_file()
}
ROW = (
    'control: "stored-encrypted", relation: "subset", source: "aws", state: "proposed"'
)


def with_framework(old: str, new: str, *, sources: bool = True) -> dict[str, bytes]:
    text = FILES[AT].decode().replace(old, new, 1)
    assert text != FILES[AT].decode()
    head = 'sources: {aws: "AWS, somewhere"}\nrequirements:'
    return {
        **FILES,
        AT: (text.replace("requirements:", head) if sources else text).encode(),
    }


def on_ten(row: str, **options: bool) -> dict[str, bytes]:
    return with_framework(
        'title: "Ten"\n', f'title: "Ten"\n    controls: [{row}]\n', **options
    )


def said(files: dict[str, bytes]) -> list[str]:
    return [str(problem) for problem in load(files)[1] if problem.path == AT]


def test_a_bare_id_is_a_reviewed_mapping_that_intersects() -> None:
    item = read(FILES).frameworks["std-1"].requirements["3.9"]
    assert item.mappings == (
        MappedControl(
            control="stored-encrypted",
            relation=Relation.INTERSECTS,
            state=MappingState.REVIEWED,
        ),
    )
    assert item.controls == ("stored-encrypted",)
    assert not item.proposed


def test_a_proposal_is_kept_and_answers_nothing() -> None:
    library = read(on_ten(f"{{{ROW}}}"))
    item = library.frameworks["std-1"].requirements["3.10"]
    assert item.controls == ()
    assert item.proposed == ("stored-encrypted",)
    assert item.mappings[0].relation is Relation.SUBSET
    assert item.rests_on_proposals


def test_a_reviewed_row_counts_like_a_bare_id() -> None:
    row = '{control: "stored-encrypted", state: "reviewed"}'
    item = read(on_ten(row)).frameworks["std-1"].requirements["3.10"]
    assert item.controls == ("stored-encrypted",)
    assert not item.rests_on_proposals


def test_a_proposal_does_not_make_a_heading_assessable() -> None:
    proposed = with_framework(
        'title: "Chapter"\n', f'title: "Chapter"\n    controls: [{{{ROW}}}]\n'
    )
    framework = read(proposed).frameworks["std-1"]
    assert framework.requirements["3"].proposed
    assert "3" not in assessable(framework)


def test_check_refuses_a_number_in_scope_that_rests_on_proposals_only() -> None:
    files = with_framework('controls: ["stored-encrypted"]', f"controls: [{{{ROW}}}]")
    found = [str(p) for p in load(files)[1] if p.path.endswith("assessment.yml")]
    assert any(
        "3.9 is in scope, but rests on proposed mappings only (stored-encrypted)"
        in line
        and "state: reviewed" in line
        for line in found
    ), found


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ('{control: "stored-encrypted"}', "state is missing"),
        (
            '{control: "stored-encrypted", state: "agreed"}',
            "'agreed' is not one of proposed, reviewed",
        ),
        (
            '{control: "stored-encrypted", state: "proposed"}',
            "source is missing",
        ),
        (
            '{control: "stored-encrypted", source: "asw", state: "proposed"}',
            "unknown source 'asw'; did you mean 'aws'?",
        ),
        (
            '{control: "stored-encripted", state: "reviewed"}',
            "unknown control 'stored-encripted'; did you mean 'stored-encrypted'?",
        ),
        (
            '{control: "stored-encrypted", relation: "sub", state: "reviewed"}',
            "'sub' is not one of equal, subset, superset, intersects",
        ),
        (
            '{control: "stored-encrypted", stat: "x", state: "reviewed"}',
            "unknown key requirements.3.10.controls: stat",
        ),
        (f'"stored-encrypted", {{{ROW}}}', "'stored-encrypted' stands twice"),
        ('""', "unknown control ''"),
        ('["stored-encrypted"]', "an item is neither text nor mapping"),
    ],
)
def test_a_wrong_mapping_is_named_with_its_line(row: str, message: str) -> None:
    found = said(on_ten(row))
    assert any(message in line for line in found), found
    assert all(":8: " in line or ":10: " in line for line in found), found


def test_a_reason_for_no_mapping_excludes_an_answer() -> None:
    files = with_framework(
        'controls: ["stored-encrypted"]',
        'controls: ["stored-encrypted"]\n    unmapped: "Later."',
    )
    assert any("3.9 has controls and unmapped" in line for line in said(files))


def test_a_kind_of_evidence_is_one_of_four() -> None:
    files = with_framework('title: "Ten"\n', 'title: "Ten"\n    evidence: ["manuel"]\n')
    assert any("unknown kind of evidence 'manuel'" in line for line in said(files))
