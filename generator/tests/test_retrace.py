# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from released import (
    ENCRYPTED,
    FRAMEWORK,
    NAME,
    OWNERS,
    PEOPLE,
    Example,
    example,
    record,
)

from controlbook.digest import sha256
from controlbook.timeline import DAY, Instant

if TYPE_CHECKING:
    from pathlib import Path

    from controlbook.trail import StaleSince, Trail

CONTROL = "controls/buckets-encrypted.yml"
SIGNED = f"signoffs/{NAME}/requirements/3.4.yml"
ATTESTED = f"signoffs/{NAME}/controls/buckets-encrypted.yml"


@pytest.fixture
def signed(tmp_path: Path) -> Example:
    return example(tmp_path)


def trail(made: Example) -> Trail:
    return made.programme.trail(NAME)


def told(made: Example, number: str) -> list[tuple[str, str]]:
    return [(row.before, row.after) for row in trail(made).of(number)]


def since(made: Example, path: str, part: str) -> StaleSince:
    (found,) = [row for row in trail(made).stale_of(path) if row.part == part]
    return found


def holds_at_the_end(made: Example) -> bool:
    """Tell whether the trail ends where the status stands: the law of the trail."""
    last = {row.requirement: row.after for row in trail(made).changes}
    last = {n: after for n, after in last.items() if after != "out of scope"}
    return last == {
        number: row.status.value
        for number, row in made.programme.statuses(NAME).items()
    }


def test_the_trail_follows_a_requirement_from_scope_to_signature(
    signed: Example,
) -> None:
    assert told(signed, "3.4") == [
        ("", "collecting"),
        ("collecting", "in review"),
        ("in review", "attested"),
        ("attested", "signed with deviations"),
    ]
    assert told(signed, "9.9") == [
        ("", "collecting"),
        ("collecting", "in review"),
        ("in review", "signed"),
    ]
    assert holds_at_the_end(signed)


def test_each_row_names_file_commit_pull_request_people_and_both_times(
    signed: Example,
) -> None:
    row = trail(signed).of("3.4")[-1]
    pull = signed.pulls[-1]
    assert row.causes == (SIGNED,)
    assert row.conclusion == "satisfied"
    assert row.origin.commit == pull.merge
    assert row.origin.pull == pull
    assert row.origin.opened_by == "@controlbook[bot]"
    assert row.origin.approved_by == ("a-okafor",)
    closing = trail(signed).of("3.4")[1]
    assert closing.causes == ("evidence/config/000006.json",)
    assert closing.origin.pull is None


def test_a_sign_off_whose_review_is_captured_later_counts_from_its_merge(
    signed: Example,
) -> None:
    # The run that captured the reviews stands after all merges, and moves nothing.
    commits = {row.origin.commit for row in trail(signed).changes}
    assert signed.repository.head() not in commits


@pytest.mark.threat("T43")
def test_a_control_edited_after_signing_names_the_commit_and_the_difference(
    signed: Example,
) -> None:
    text = ENCRYPTED.replace("Every bucket", "Nearly every bucket")
    signed.merge({CONTROL: text.encode()}, "j-moreau", "Soften")
    found = since(signed, SIGNED, "controls")
    assert found.origin is not None
    assert found.origin.commit == signed.pulls[-1].merge
    assert found.words == f"stale since {found.origin.commit[:7]}: controls changed"
    (file,) = found.files
    assert (file.path, file.before, file.after) == (
        CONTROL,
        sha256(ENCRYPTED.encode()),
        sha256(text.encode()),
    )
    assert "-  Every bucket is encrypted at rest." in file.difference
    assert "+  Nearly every bucket is encrypted at rest." in file.difference
    assert told(signed, "3.4")[-1] == ("signed with deviations", "stale")
    assert "3.4: controls changed" in trail(signed).of("3.4")[-1].why
    assert told(signed, "12.1")[-1] == ("attested", "signed")
    assert holds_at_the_end(signed)


@pytest.mark.threat("T42")
def test_an_annotation_edited_after_signing_names_the_commit_and_the_difference(
    signed: Example,
) -> None:
    path, body = next(
        (path, body)
        for path, body in signed.programme.files.items()
        if path.startswith("annotations/") and b"A deployment" in body
    )
    signed.merge({path: body.replace(b"A deployment", b"Nobody")}, "j-moreau", "Edit")
    found = since(signed, ATTESTED, "annotations")
    assert found.origin is not None
    assert found.origin.commit == signed.pulls[-1].merge
    assert [file.path for file in found.files] == [path]
    assert any(line.startswith("+Nobody") for line in found.files[0].difference)
    assert (found.signed, found.now) != ("", found.signed)


def test_an_internal_annotation_is_compared_by_digest_alone(signed: Example) -> None:
    path, body = next(
        (path, body)
        for path, body in signed.programme.files.items()
        if path.startswith("annotations/")
    )
    secret = body.replace(b"---\n", b'---\naudience: "internal"\n', 1)
    signed.merge({path: secret}, "j-moreau", "Hide")
    (file,) = since(signed, SIGNED, "annotations").files
    assert file.before != file.after
    assert file.difference == ()


@pytest.mark.threat("T44")
@pytest.mark.threat("T45")
def test_a_narrowed_scope_and_a_changed_mapping_show_old_and_new(
    signed: Example,
) -> None:
    path = f"signoffs/{NAME}/assessment.yml"
    scope = signed.programme.files[path]
    narrowed = scope.replace(b', payments-staging: "111122224444"', b"")
    assert narrowed != scope
    signed.merge({path: narrowed}, "j-moreau", "Narrow")
    first = signed.pulls[-1].merge
    renamed = FRAMEWORK.replace("Stored PAN unreadable", "Some PAN unreadable")
    signed.merge(
        {"frameworks/pci-dss-3.2.1.yml": renamed.encode()}, "j-moreau", "Rename"
    )
    scoped, mapped = since(signed, SIGNED, "scope"), since(signed, SIGNED, "mapping")
    assert scoped.origin is not None
    assert mapped.origin is not None
    assert scoped.origin.commit == first
    assert mapped.origin.commit == signed.pulls[-1].merge
    assert any("111122224444" in line for line in scoped.files[0].difference)
    assert any("Some PAN" in line for line in mapped.files[0].difference)
    assert holds_at_the_end(signed)


def test_a_part_that_went_stale_and_back_is_stale_no_more(signed: Example) -> None:
    text = ENCRYPTED.replace("Every bucket", "Nearly every bucket")
    signed.merge({CONTROL: text.encode()}, "j-moreau", "Soften")
    signed.merge({CONTROL: ENCRYPTED.encode()}, "j-moreau", "Mend")
    assert trail(signed).stale == ()
    assert told(signed, "3.4")[-2:] == [
        ("signed with deviations", "stale"),
        ("stale", "signed with deviations"),
    ]


def test_a_commit_whose_files_break_rules_is_a_row_of_its_own(
    signed: Example,
) -> None:
    signed.merge({CONTROL: b"id: [\n"}, "j-moreau", "Break")
    broken = signed.pulls[-1].merge
    signed.merge({CONTROL: ENCRYPTED.encode()}, "j-moreau", "Mend")
    before_last = trail(signed).of("9.9")[-2]
    assert (before_last.before, before_last.after) == ("signed", "unreadable")
    assert before_last.origin.commit == broken
    assert CONTROL in before_last.why
    assert told(signed, "9.9")[-1] == ("unreadable", "signed")
    assert holds_at_the_end(signed)


@pytest.mark.threat("T41")
def test_a_direct_edit_of_a_sign_off_moves_it_to_unreviewed(signed: Example) -> None:
    body = signed.programme.files[SIGNED]
    edit = signed.commit({SIGNED: body.replace(b"satisfied", b"compensated")}, "Edit\n")
    row = trail(signed).of("3.4")[-1]
    assert (row.after, row.origin.commit, row.origin.pull) == ("unreviewed", edit, None)
    assert "no captured pull request" in row.why


@pytest.mark.threat("T23")
def test_dates_that_run_backwards_are_listed_and_order_nothing(
    signed: Example,
) -> None:
    before = told(signed, "3.4")
    signed.now = Instant(signed.now - 30 * DAY)
    forged = signed.commit({"README.md": b"hello\n"}, "Backdated\n")
    (found,) = trail(signed).backwards
    assert found.commit == forged
    assert found.at < found.parent_at
    assert told(signed, "3.4") == before


@pytest.mark.threat("T49")
def test_every_change_of_rules_and_people_in_the_period_is_listed(
    signed: Example,
) -> None:
    assert trail(signed).governance == ()
    widened = f"{OWNERS}* @j-moreau\n"
    signed.merge({".github/CODEOWNERS": widened.encode()}, "j-moreau", "Widen")
    people = PEOPLE.replace("Clara", "Carla")
    signed.merge({"signoffs/people.yml": people.encode()}, "j-moreau", "Rename")
    first, second = trail(signed).governance
    assert first.path == ".github/CODEOWNERS"
    assert first.origin.commit == signed.pulls[-2].merge
    assert (SIGNED, ("@a-okafor",), ("@j-moreau",)) in first.owners
    assert (CONTROL, ("@j-moreau",), ("@j-moreau",)) not in first.owners
    assert second.path == "signoffs/people.yml"
    assert any("Carla" in line for line in second.file.difference)
    assert second.owners == ()


@pytest.mark.threat("T48")
def test_a_sign_off_that_edits_codeowners_itself_is_flagged(signed: Example) -> None:
    body = signed.programme.files[SIGNED].replace(b"read", b"saw")
    widened = f"{OWNERS}* @j-moreau\n".encode()
    signed.merge({".github/CODEOWNERS": widened, SIGNED: body}, "j-moreau", "Both")
    (found,) = trail(signed).governance
    assert found.signs == (SIGNED,)


@pytest.mark.threat("T21")
def test_a_manifest_that_was_another_in_history_makes_its_commits_unreadable(
    tmp_path: Path,
) -> None:
    made = Example(tmp_path)
    made.collect()
    path = "evidence/config/000003.json"
    true = made.repository.files_at("main", ("evidence/",))[path]
    made.commit({path: true.replace(b"config-3", b"config-9")}, "Edit evidence\n")
    made.merge({CONTROL: ENCRYPTED.encode() + b"\n"}, "j-moreau", "Touch")
    made.commit({path: true}, "Put it back\n")
    made.capture()
    assert ("in review", "unreadable") in told(made, "3.4")
    assert told(made, "3.4")[-1] == ("unreadable", "in review")


class Many(Example):
    """Five requirements without controls, which one assessor signs one by one."""

    def _first_commit(self) -> None:
        super()._first_commit()
        path = f"signoffs/{NAME}/assessment.yml"
        scope = self.repository.files_at("main", (path,))[path]
        scope = scope.replace(b'"3.4", "9.9", "12.1"', b'"1", "2", "3", "4", "5"')
        kept = [
            line for line in scope.splitlines(keepends=True) if b"excluded" not in line
        ]
        rows = "".join(
            f'  "{n}":\n    title: "T"\n    not-applicable: "We have none of it."\n'
            for n in range(1, 6)
        )
        head = FRAMEWORK.partition("requirements:\n")[0]
        framework = f"{head}requirements:\n{rows}".encode()
        self.commit(
            {path: b"".join(kept), "frameworks/pci-dss-3.2.1.yml": framework}, "Widen\n"
        )


def test_a_text_that_comes_to_stand_for_many_moves_all_of_them(tmp_path: Path) -> None:
    made = Many(tmp_path)
    made.collect()
    made.now = Instant(made.now + DAY)
    programme = made.programme
    subjects = programme.subjects(NAME)
    for number in programme.assessment(NAME).requirements:
        body = record(
            "requirement",
            number,
            "a-okafor",
            "4100201",
            at=made.now,
            base=programme.commit,
            ids=(),
            subject=subjects[number],
        )
        path = f"signoffs/{NAME}/requirements/{number}.yml"
        made.merge({path: body}, "a-okafor", f"Sign {number}")
    made.capture()
    assert told(made, "1")[-2:] == [("in review", "signed"), ("signed", "unreviewed")]
    assert "its statement also stands for" in trail(made).of("1")[-1].why
    assert trail(made).of("1")[-1].origin.commit == made.pulls[3].merge
    assert holds_at_the_end(made)
