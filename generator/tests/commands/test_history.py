# SPDX-License-Identifier: Apache-2.0
"""What `check` and `status` say of history: real repositories, attacked with Git."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from git_world import raw_git
from released import ENCRYPTED, NAME, OWNERS, Example, example

from controlbook.cli import run
from controlbook.errors import ControlbookError, Exit
from controlbook.timeline import DAY, Instant

if TYPE_CHECKING:
    from pathlib import Path

    from controlbook.outcome import Outcome

CONTROL = "controls/buckets-encrypted.yml"
SIGNED = f"signoffs/{NAME}/requirements/3.4.yml"
CODEOWNERS = ".github/CODEOWNERS"


@pytest.fixture
def signed(tmp_path: Path) -> Example:
    return example(tmp_path)


def said(made: Example, verb: str, *words: str) -> Outcome:
    made.repository.git("reset", "--hard", "--quiet", "main")
    return run([verb, "-C", str(made.repository.root), *words])


def test_a_sound_programme_is_in_order(signed: Example) -> None:
    found = said(signed, "check")
    assert (found.text, found.code) == ("everything is in order", Exit.FINE)


@pytest.mark.threat("T50")
def test_t50_a_later_broader_line_shows_old_and_new_owners(signed: Example) -> None:
    text = OWNERS.replace(
        "/annotations/ @j-moreau", "/controls/ @c-novak\n/annotations/ @j-moreau"
    )
    signed.merge({CODEOWNERS: text.encode()}, "j-moreau", "Widen")
    signed.capture()
    # The change is still one commit back: the run that captured it stands on it.
    signed.repository.git("reset", "--hard", "--quiet", "main~1")
    found = run(["check", "-C", str(signed.repository.root)])
    assert (
        f"noticed: {CODEOWNERS}: {CONTROL} was @j-moreau's to approve, is @c-novak's"
        in found.text
    )


@pytest.mark.threat("T50")
def test_an_edit_in_the_work_tree_is_compared_as_well(signed: Example) -> None:
    signed.repository.git("reset", "--hard", "--quiet", "main")
    path = signed.repository.root / CODEOWNERS
    path.write_text(f"{OWNERS}/frameworks/ @j-moreau\n")
    found = run(["check", "-C", str(signed.repository.root)])
    assert "frameworks/new.yml was @c-novak's to approve, is @j-moreau's" in found.text


@pytest.mark.threat("T51")
@pytest.mark.parametrize(
    ("path", "text", "says"),
    [
        ("CODEOWNERS", "* @x\n", "a second file stands at CODEOWNERS"),
        ("docs/CODEOWNERS", "* @x\n", "a second file stands at docs/CODEOWNERS"),
        (".github/codeowners", "* @x\n", "a second file stands at .github/codeowners"),
        (CODEOWNERS, OWNERS + "!/controls/ @x\n", ":7: GitHub knows no !"),
        (CODEOWNERS, OWNERS + "\\#x @x\n", ":7: an escaped # begins no pattern"),
        (CODEOWNERS, OWNERS + "/Controls/ @j-moreau\n", ":7: '/Controls/' differs"),
        (CODEOWNERS, OWNERS + "/controls/\n", ":7: '/controls/' has no owner"),
        (CODEOWNERS, OWNERS + "#" * 3_200_000, ":1: the file has"),
        (CODEOWNERS, "", ":1: there is no CODEOWNERS file"),
        (
            CODEOWNERS,
            OWNERS + "/.github/ @j-moreau\n",
            f":7: @j-moreau may approve changes of {CODEOWNERS}",
        ),
        (
            CODEOWNERS,
            OWNERS + "/signoffs/people.yml @a-okafor\n",
            ":7: @a-okafor may approve changes of signoffs/people.yml",
        ),
    ],
)
def test_t51_what_makes_codeowners_inert_is_an_error_with_its_line(
    signed: Example, path: str, text: str, says: str
) -> None:
    signed.repository.git("reset", "--hard", "--quiet", "main")
    file = signed.repository.root / path
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    found = run(["check", "-C", str(signed.repository.root)])
    assert says in found.text
    assert found.code == Exit.USAGE


@pytest.mark.threat("T51")
def test_a_file_where_nobody_looks_is_said_to_be_there(signed: Example) -> None:
    signed.repository.git("reset", "--hard", "--quiet", "main")
    root = signed.repository.root
    (root / CODEOWNERS).rename(root / "CODEOWNERS")
    found = run(["check", "-C", str(root)])
    assert "CODEOWNERS stands at CODEOWNERS, where it is not looked for" in found.text


def test_owners_says_who_could_approve_each_governed_path(signed: Example) -> None:
    found = said(signed, "check", "--owners")
    assert f"{CODEOWNERS}:6 /signoffs/*/requirements/: a-okafor" in found.text
    rows = found.data["approvers"]
    (row,) = [row for row in rows if SIGNED in row["paths"]]
    assert (row["line"], row["people"], row["unknown"]) == (6, ["a-okafor"], [])
    assert "noticed" in found.data


@pytest.mark.threat("T23")
def test_t23_dates_that_run_backwards_are_noticed(signed: Example) -> None:
    signed.now = Instant(signed.now - 30 * DAY)
    forged = signed.commit({"README.md": b"hello\n"}, "Backdated\n")
    found = said(signed, "check")
    assert f"noticed: commit {forged[:10]} claims 2028-01-" in found.text
    assert found.code == Exit.FINE


@pytest.mark.threat("T48")
def test_a_sign_off_that_edits_codeowners_is_noticed(signed: Example) -> None:
    body = signed.programme.files[SIGNED].replace(b"satisfied", b"compensated")
    widened = f"# more\n{OWNERS}".encode()
    signed.merge({CODEOWNERS: widened, SIGNED: body}, "a-okafor", "Both")
    found = said(signed, "check")
    assert f"changed {CODEOWNERS} together with {SIGNED}" in found.text


@pytest.mark.threat("T42")
@pytest.mark.threat("T43")
def test_status_names_the_commit_and_shows_the_difference(signed: Example) -> None:
    text = ENCRYPTED.replace("Every bucket", "Nearly every bucket")
    signed.merge({CONTROL: text.encode()}, "j-moreau", "Soften")
    commit = signed.pulls[-1].merge
    found = said(signed, "status", "-v")
    assert found.code == Exit.FOUND
    assert f"controls changed in {commit[:7]}" in found.text
    assert f"{SIGNED}: stale since {commit[:7]}: controls changed" in found.text
    assert "    +  Nearly every bucket is encrypted at rest." in found.text
    short = said(signed, "status")
    assert "Nearly every bucket" not in short.text
    (row,) = [
        row
        for row in found.data["assessments"][0]["requirements"]
        if row["requirement"] == "3.4"
    ]
    assert {stale["since"] for stale in row["stale"]} == {commit}
    assert [stale["files"][0]["path"] for stale in row["stale"]] == [CONTROL] * 2


@pytest.mark.threat("T21")
@pytest.mark.parametrize("verb", ["check", "status", "impact"])
def test_shallow_clones_and_grafts_are_refused(
    signed: Example, tmp_path: Path, verb: str
) -> None:
    clone = tmp_path / "shallow"
    source = signed.repository.root.as_uri()
    raw_git(tmp_path, "clone", "-q", "--depth", "1", source, str(clone))
    with pytest.raises(ControlbookError, match="shallow clone"):
        run([verb, "-C", str(clone)])
    info = signed.repository.root / ".git/info"
    info.mkdir(exist_ok=True)
    (info / "grafts").write_text(f"{signed.repository.head()}\n")
    with pytest.raises(ControlbookError, match="grafts"):
        run([verb, "-C", str(signed.repository.root)])


@pytest.mark.threat("T21")
def test_a_replaced_commit_changes_nothing_that_is_told(signed: Example) -> None:
    before = said(signed, "status").data
    merge = signed.pulls[-1].merge
    raw_git(signed.repository.root, "replace", merge, signed.pulls[0].merge)
    assert said(signed, "status").data == before


@pytest.mark.threat("T76")
@pytest.mark.parametrize("verb", ["status", "impact"])
@pytest.mark.parametrize("mode", ["120000", "160000", "100755"])
def test_odd_modes_are_refused(signed: Example, verb: str, mode: str) -> None:
    blob = signed.repository.git("hash-object", "-w", "--stdin", stdin=b"a.yml")
    name = signed.repository.head() if mode == "160000" else blob.decode().strip()
    signed.repository.git("reset", "--hard", "--quiet", "main")
    signed.repository.git(
        "update-index", "--add", "--cacheinfo", f"{mode},{name},controls/x.yml"
    )
    signed.repository.git(
        *("-c", "user.name=x", "-c", "user.email=x@example.com"),
        *("commit", "--quiet", "-m", "Odd"),
    )
    with pytest.raises(ControlbookError, match=f"mode {mode}"):
        run([verb, "-C", str(signed.repository.root)])
