# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from released import ENCRYPTED, NAME, OWNERS, Example, example

from controlbook.cli import run
from controlbook.errors import Exit
from controlbook.impact import LIMIT, Impact, Touched, markdown

if TYPE_CHECKING:
    from pathlib import Path

    from controlbook.outcome import Outcome

CONTROL = "controls/buckets-encrypted.yml"
SIGNED = f"signoffs/{NAME}/requirements/3.4.yml"
ATTESTED = f"signoffs/{NAME}/controls/buckets-encrypted.yml"


@pytest.fixture
def signed(tmp_path: Path) -> Example:
    return example(tmp_path)


def impact(made: Example, *words: str) -> Outcome:
    made.repository.git("reset", "--hard", "--quiet", "main")
    return run(["impact", "-C", str(made.repository.root), *words])


def test_a_softened_control_names_what_goes_stale_and_who_must_approve(
    signed: Example,
) -> None:
    text = ENCRYPTED.replace("Every bucket", "Nearly every bucket")
    signed.merge({CONTROL: text.encode()}, "j-moreau", "Soften")
    found = impact(signed)
    assert found.code == Exit.FOUND
    assert found.data["stale"] == [
        {"file": ATTESTED, "parts": ["controls"]},
        {"file": SIGNED, "parts": ["controls"]},
    ]
    assert found.data["touched"] == [
        {
            "assessment": NAME,
            "requirement": "3.4",
            "before": "signed with deviations: satisfied",
            "after": "stale",
            "parts": ["controls"],
        }
    ]
    assert found.data["approvals"] == [{"path": CONTROL, "owners": ["@j-moreau"]}]
    assert f"| {SIGNED} | controls |" in found.text
    assert f"| {CONTROL} | j-moreau |" in found.text


def test_what_touches_nothing_is_fine(signed: Example) -> None:
    signed.merge({"README.md": b"hello\n"}, "j-moreau", "Say hello")
    found = impact(signed)
    assert found.code == Exit.FINE
    assert "Nothing that controlbook reads changes." in found.text


@pytest.mark.threat("T48")
@pytest.mark.threat("T50")
def test_the_owners_of_the_base_are_asked_and_new_ones_are_shown(
    signed: Example,
) -> None:
    widened = f"{OWNERS}/signoffs/ @j-moreau\n".encode()
    signed.merge({".github/CODEOWNERS": widened}, "j-moreau", "Widen")
    found = impact(signed)
    assert found.code == Exit.FOUND
    assert found.data["approvals"] == [
        {"path": ".github/CODEOWNERS", "owners": ["@c-novak"]}
    ]
    moved = {row["path"]: (row["before"], row["after"]) for row in found.data["owners"]}
    assert moved[SIGNED] == (["@a-okafor"], ["@j-moreau"])
    assert ".github/CODEOWNERS" not in moved


def test_a_removed_annotation_leaves_a_deviation_unannotated(signed: Example) -> None:
    path = next(p for p in signed.programme.files if p.startswith("annotations/"))
    signed.repository.git("reset", "--hard", "--quiet", "main")
    signed.repository.git("rm", "--quiet", path)
    signed.repository.git(
        *("-c", "user.name=x", "-c", "user.email=x@example.com"),
        *("commit", "--quiet", "-m", "Forget"),
    )
    found = impact(signed, "HEAD~1")
    assert [row["new"] for row in found.data["unannotated"]] == [True]
    assert found.code == Exit.FOUND


def test_a_sign_off_waits_for_its_review(tmp_path: Path) -> None:
    made = Example(tmp_path)
    made.collect()
    made.annotate()
    made.sign()
    found = impact(made)
    after = {row["requirement"]: row["after"] for row in found.data["touched"]}
    assert after["9.9"] == "unreviewed, until its review is captured"


def test_without_the_vault_paths_alone_are_told(signed: Example) -> None:
    text = ENCRYPTED.replace("Every bucket", "Nearly every bucket")
    signed.merge({CONTROL: text.encode()}, "j-moreau", "Soften")
    (signed.root / "vault").rename(signed.root / "gone")
    found = impact(signed)
    assert [
        (row["requirement"], row["after"], row["parts"])
        for row in found.data["touched"]
    ] == [("3.4", "not derived", ["controls"])]
    assert found.data["not_checked"]
    assert found.data["approvals"]


def test_a_branch_is_compared_with_where_it_left_main(signed: Example) -> None:
    base = signed.repository.head()
    tip = signed.repository.commit_files(
        {CONTROL: b"# more\n" + ENCRYPTED.encode()},
        "On a branch\n",
        base=base,
        at=signed.now,
        author=("x", "x@example.com"),
    )
    signed.repository.set_branch("topic", tip)
    signed.repository.git("switch", "--quiet", "--force", "topic")
    found = run(["impact", "-C", str(signed.repository.root)])
    assert found.data["base"] == base
    assert found.data["stale"]


NOTHING = Impact(touched=(), stale=(), unannotated=(), approvals=(), owners=())


def wide(rows: int) -> Impact:
    return Impact(
        touched=tuple(
            Touched(
                assessment="Q",
                requirement=f"{n}",
                before="signed",
                after="stale",
                parts=("controls",),
            )
            for n in range(rows)
        ),
        stale=tuple((f"signoffs/Q/requirements/{n}.yml", ("a",)) for n in range(rows)),
        unannotated=(),
        approvals=((CONTROL, ()),),
        owners=(),
    )


@pytest.mark.parametrize("rows", [10, 500, 1_500, 5_000])
def test_a_comment_stops_at_whole_rows_and_says_so(rows: int) -> None:
    text = markdown(wide(rows), {})
    assert len(text) <= LIMIT
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert all(line.endswith("|") for line in tables)
    if rows > 1_000:
        assert "owing " in text
        assert f" of {rows}." in text
    else:
        assert "NOBODY" in text


@given(st.text(max_size=80))
def test_no_text_ends_a_cell_or_mentions_anybody(path: str) -> None:
    found = Impact(
        touched=(),
        stale=(),
        unannotated=(),
        approvals=((path, ("@somebody",)),),
        owners=(),
    )
    row = markdown(found, {}).splitlines()[6:]
    assert len(row) == 1
    assert row[0].count("|") == 3
    assert not set("@`<>*[]_\n") & set(row[0].replace("|", "")) - {"_"}
