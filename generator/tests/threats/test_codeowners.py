# SPDX-License-Identifier: Apache-2.0
"""Rows of the area codeowners: from what the attacker does to what a person is shown.

The 250 pattern cases and the errors of T50 and T51, each with its line, stand in
test_codeowners.py and commands/test_history.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attacked
import pytest
from attacked import NAME, OWNERS, PEOPLE, SIGN, SIGNED, Shell, begun, signed

if TYPE_CHECKING:
    from pathlib import Path

shell = attacked.shell
STRANGER = b"/signoffs/*/requirements/ @j-moreau\n"


@pytest.mark.threat("T48")
def test_t48_the_sign_offs_own_pull_request_names_its_owner(
    tmp_path: Path, shell: Shell
) -> None:
    # On the base the assessor is not asked; the pull request that signs asks them.
    made = begun(tmp_path)
    true = made.file(OWNERS)
    made.merge({OWNERS: true + STRANGER}, "c-novak", "Elsewhere")
    made.annotate()
    made.sign()
    last = made.pulls.pop()
    made.repository.set_branch("main", last.base)
    files = {path: made.repository.files_at(last.merge)[path] for path in last.paths}
    made.merge({**files, OWNERS: true}, "a-okafor", "Sign, and own it")
    made.capture()
    code, line = shell.status(made)
    assert code == 1
    assert "3.4   unreviewed " in line
    assert f"CODEOWNERS did not ask a-okafor to review {SIGNED}" in line
    code, text = shell.of(made, "check")
    commit = made.pulls[-1].merge[:10]
    flagged = f"noticed: commit {commit} changed {OWNERS} together with signoffs/"
    assert flagged in text
    assert "; the owners before it decided" in text


@pytest.mark.threat("T49")
def test_t49_codeowners_first_and_the_sign_off_next(
    tmp_path: Path, shell: Shell
) -> None:
    # j-moreau may approve it only by a file that is in order no more, ...
    made = begun(tmp_path)
    true = made.file(OWNERS)
    taken = true + b"/.github/ @j-moreau\n"
    made.merge({OWNERS: taken}, "j-moreau", "Take the file over")
    code, text = shell.of(made, "check")
    assert code == 2
    assert f"{OWNERS}:7: @j-moreau may approve changes of {OWNERS}" in text
    # ... and put back before anybody looks, both changes stand in the report.
    made.merge({OWNERS: true}, "c-novak", "Put it back")
    made.annotate()
    made.sign()
    made.capture()
    assert shell.status(made)[0] == 0
    first, second = made.programme.trail(NAME).governance
    assert (first.origin.pull, second.origin.pull) == (made.pulls[0], made.pulls[1])
    assert any("+/.github/ @j-moreau" in line for line in first.file.difference)
    assert any("-/.github/ @j-moreau" in line for line in second.file.difference)
    assert (OWNERS, ("@c-novak",), ("@j-moreau",)) in first.owners


@pytest.mark.threat("T52")
def test_t52_a_merge_by_bypass(tmp_path: Path, shell: Shell) -> None:
    made = signed(tmp_path)
    made.told(SIGN, rule_suite="bypass")
    made.capture()
    code, line = shell.status(made)
    assert code == 1
    assert "3.4   unreviewed " in line
    assert "its merge bypassed the branch rules" in line
    assert PEOPLE in made.repository.files_at("main")
