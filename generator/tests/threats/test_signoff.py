# SPDX-License-Identifier: Apache-2.0
"""Rows of the area signoff: from what the attacker does to what a person is shown.

Each acts on a real repository and on what GitHub would have told, and reads what the
command line prints, with its exit code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attacked
import pytest
import released
from attacked import (
    ANNOTATE,
    ATTEST,
    ATTESTED,
    CONTROL,
    FRAMEWORK,
    NAME,
    OWNERS,
    PEOPLE,
    SCOPE,
    SIGN,
    SIGNED,
    Attacked,
    Shell,
    begun,
    signed,
)

from controlbook.digest import ZERO, sha256
from controlbook.render import pdf
from controlbook.render.pages import pages
from controlbook.render.report import Book
from controlbook.timeline import Instant

if TYPE_CHECKING:
    from pathlib import Path

shell = attacked.shell
OWNER, ASSESSOR, OFFICER, BOT = "4100123", "4100201", "4100301", "4100901"


def unreviewed(made: Attacked, shell: Shell, *words: str) -> None:
    """Assert that 3.4 does not count, for the reasons given, with exit code 1."""
    made.capture()
    code, line = shell.status(made)
    assert code == 1, line
    assert "3.4   unreviewed " in line, line
    for each in words:
        assert each in line, line


def test_the_programme_is_signed_unless_attacked(tmp_path: Path, shell: Shell) -> None:
    made = signed(tmp_path)
    made.capture()
    code, line = shell.status(made)
    assert code == 0
    assert line.split()[1:4] == ["signed", "with", "deviations"]


def refused(made: Attacked, shell: Shell, *words: str) -> None:
    """Assert that files that stand on main break a rule: exit 2, by both verbs."""
    made.capture()
    for verb in ("check", "status"):
        code, text = shell.of(made, verb)
        assert code == 2, text
        for each in words:
            assert each in text, text


@pytest.mark.threat("T38")
def test_t38_somebody_else_approves(tmp_path: Path, shell: Shell) -> None:
    made = signed(tmp_path)
    made.reviewed(SIGN, user_id=OFFICER, user_login="c-novak")
    unreviewed(made, shell, "a-okafor did not review pull request #3")


@pytest.mark.threat("T38")
def test_t38_somebody_else_signs_and_approves(tmp_path: Path, shell: Shell) -> None:
    made = begun(tmp_path)
    made.rewrite = lambda path, body: (
        body.replace(b"a-okafor", b"c-novak").replace(b"4100201", b"4100301")
        if path == SIGNED
        else body
    )
    made.annotate()
    made.sign()
    made.reviewed(SIGN, user_id=OFFICER, user_login="c-novak")
    refused(
        made,
        shell,
        f"{SIGNED}:5: person: c-novak is not the assessor of 3.4; a-okafor is",
    )


@pytest.mark.threat("T38")
def test_t38_somebody_else_attests(tmp_path: Path, shell: Shell) -> None:
    made = signed(tmp_path)
    body = made.file(ATTESTED).replace(b"j-moreau", b"c-novak")
    body = body.replace(OWNER.encode(), OFFICER.encode())
    made.merge({ATTESTED: body}, "c-novak", "Attest for them")
    refused(
        made,
        shell,
        f"{ATTESTED}:5: person: c-novak does not own buckets-encrypted; j-moreau does",
    )


@pytest.mark.threat("T38")
def test_t38_somebody_else_approves_an_attestation(
    tmp_path: Path, shell: Shell
) -> None:
    made = signed(tmp_path)
    made.reviewed(ATTEST, user_id=OFFICER, user_login="c-novak")
    unreviewed(
        made,
        shell,
        "the attestation of buckets-encrypted does not count",
        "buckets-encrypted: j-moreau did not review pull request #2",
    )


@pytest.mark.threat("T39")
def test_t39_the_assessor_owns_the_control(tmp_path: Path, shell: Shell) -> None:
    made = signed(tmp_path)
    teams = (
        b'teams:\n  pf:\n    name: "Platform"\n    members: ["j-moreau", "a-okafor"]\n'
    )
    owned = made.file(CONTROL).replace(b'owner: "j-moreau"', b'owner: "pf"')
    made.merge({PEOPLE: made.file(PEOPLE) + teams, CONTROL: owned}, "c-novak", "Team")
    refused(
        made,
        shell,
        f"{SCOPE}:10: assessors.default: a-okafor owns buckets-encrypted, which 3.4",
        f"{SIGNED}:5: person: a-okafor owns buckets-encrypted, which 3.4 maps",
    )


@pytest.mark.threat("T39")
def test_t39_the_assessor_is_named_as_author_of_an_annotation(
    tmp_path: Path, shell: Shell
) -> None:
    made = begun(tmp_path)
    made.rewrite = lambda path, body: (
        body.replace(b"j-moreau", b"a-okafor")
        if path.startswith("annotations/")
        else body
    )
    made.annotate()
    made.sign()
    unreviewed(made, shell, "a-okafor wrote an annotation that the sign-off judges")


@pytest.mark.threat("T39")
@pytest.mark.parametrize(
    "changes",
    [{"author_id": ASSESSOR}, {"pushers": (ASSESSOR, BOT)}],
    ids=["opened", "pushed"],
)
def test_t39_the_assessor_wrote_an_annotation_under_anothers_name(
    tmp_path: Path, shell: Shell, changes: dict[str, object]
) -> None:
    made = signed(tmp_path)
    made.told(ANNOTATE, **changes)
    unreviewed(
        made,
        shell,
        "a-okafor opened or pushed pull request #1, which changed annotations/2028-02/",
        ", and the sign-off judges it",
    )


@pytest.mark.threat("T39")
def test_t39_the_assessor_wrote_the_controls_text(tmp_path: Path, shell: Shell) -> None:
    made = begun(tmp_path)
    text = made.file(CONTROL).replace(b"Every bucket", b"Each bucket")
    made.merge({CONTROL: text}, "j-moreau", "Reword")
    made.annotate()
    made.sign()
    made.told(0, pushers=(ASSESSOR,))
    unreviewed(
        made,
        shell,
        f"a-okafor opened or pushed pull request #1, which changed {CONTROL}",
    )


@pytest.mark.threat("T39")
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"author_id": ASSESSOR}, "opened the pull request that should bind them"),
        ({"pushers": (BOT, ASSESSOR)}, "a-okafor pushed last to the pull request"),
    ],
    ids=["author", "last pusher"],
)
def test_t39_the_assessor_binds_themselves(
    tmp_path: Path, shell: Shell, changes: dict[str, object], words: str
) -> None:
    made = signed(tmp_path)
    made.told(SIGN, **changes)
    unreviewed(made, shell, words)


@pytest.mark.threat("T40")
def test_t40_a_second_login_is_the_same_person(tmp_path: Path, shell: Shell) -> None:
    made = begun(tmp_path)
    both = made.file(PEOPLE).replace(b'["4100201"]', b'["4100201", "555"]')
    made.merge({PEOPLE: both}, "c-novak", "A second account")
    made.annotate()
    made.sign()
    made.told(3, author_id="555", author_login="a-okafor-too", author_type="User")
    unreviewed(made, shell, "a-okafor opened the pull request that should bind them")


@pytest.mark.threat("T40")
def test_t40_an_id_that_nobody_knows_is_nobody(tmp_path: Path, shell: Shell) -> None:
    made = signed(tmp_path)
    # The login is right; only the number is somebody's.
    made.reviewed(SIGN, user_id="999", user_login="a-okafor")
    unreviewed(made, shell, "a-okafor did not review pull request #3")


@pytest.mark.threat("T41")
def test_t41_a_sign_off_edited_on_main(tmp_path: Path, shell: Shell) -> None:
    made = signed(tmp_path)
    made.capture()
    body = made.file(SIGNED).replace(b"satisfied", b"compensated")
    made.commit({SIGNED: body}, "Edit\n")
    code, line = shell.status(made)
    assert code == 1
    assert "unreviewed" in line
    commit = made.repository.head()[:10]
    assert f"no captured pull request brought it to main (commit {commit})" in line
    code, text = shell.of(made, "check")
    assert code == 1
    assert f"commit {commit} reached main without a captured review" in text


@pytest.mark.threat("T41")
def test_t41_a_merge_that_brings_other_bytes_than_the_head(
    tmp_path: Path, shell: Shell
) -> None:
    made = signed(tmp_path)
    body = made.file(SIGNED).replace(b"satisfied", b"compensated")
    head = made.pulls[SIGN].head
    base = made.pulls[SIGN].base
    other = made.repository.commit_files(
        {SIGNED: body}, "Evil\n", base=head, at=made.now, author=released.BOT
    )
    tree = made.repository.git("rev-parse", f"{other}^{{tree}}").decode().strip()
    merge = made.repository.commit_tree(
        tree, (base, head), "Merge\n", at=made.now, author=released.BOT
    )
    made.repository.set_branch("main", merge)
    made.told(SIGN, merge=merge)
    unreviewed(made, shell, "its bytes on main are not the bytes that were reviewed")


@pytest.mark.threat("T41")
@pytest.mark.parametrize("hides", [True, False])
def test_t41_a_version_that_hides_the_one_before(
    tmp_path: Path,
    shell: Shell,
    hides: bool,  # noqa: FBT001 - a table
) -> None:
    made = signed(tmp_path)
    old = made.file(SIGNED)
    prev = ZERO if hides else sha256(old)
    new = old.replace(b"they agree", b"they do agree")
    new = new.replace(f'prev: "{ZERO}"'.encode(), f'prev: "{prev}"'.encode())
    made.merge({SIGNED: new}, "a-okafor", "Sign again")
    made.capture()
    code, line = shell.status(made)
    told = "it does not name the version of itself that stood before (prev)"
    assert (code, told in line) == ((1, True) if hides else (0, False)), line


def stale(
    made: Attacked, shell: Shell, part: str, *words: str, commit: str = ""
) -> str:
    """Assert that 3.4 is stale in a part, with old, new and commit; give all text."""
    made.capture()
    code, text = shell.of(made, "status", NAME, "-v")
    assert code == 1
    (line,) = [row for row in text.splitlines() if row.startswith("  3.4 ")]
    commit = (commit or made.pulls[-1].merge)[:7]
    assert line.split()[:2] == ["3.4", "stale"], line
    assert f"{part} changed in {commit} " in line, line
    assert " → " in line
    assert f"{SIGNED}: stale since {commit}: {part} changed" in text
    for each in words:
        assert each in text, text
    return text


def annotation(made: Attacked) -> str:
    return next(
        path
        for path, body in made.repository.files_at("main").items()
        if path.startswith("annotations/") and b"A deployment" in body
    )


@pytest.mark.threat("T42")
def test_t42_an_annotation_edited_after_sign_off(tmp_path: Path, shell: Shell) -> None:
    made = signed(tmp_path)
    path = annotation(made)
    old = made.file(path)
    new = old.replace(b"A deployment switched", b"Nobody switched")
    made.merge({path: new}, "j-moreau", "Edit")
    stale(
        made,
        shell,
        "annotations",
        f"  {path}: {sha256(old)[:12]} → {sha256(new)[:12]}",
        "    -A deployment switched encryption off",
        "    +Nobody switched encryption off",
    )


SECOND = "SOC-2028-FEB"


class TwoFrameworks(Attacked):
    """The control stands under a second framework, with an assessment of its own."""

    def _first_commit(self) -> None:
        super()._first_commit()
        framework = released.FRAMEWORK.replace("pci-dss-3.2.1", "soc2")
        framework = framework.replace('"PCI DSS 3.2.1"', '"SOC 2"')
        scope = released.ASSESSMENT.replace(NAME, SECOND).replace(
            "pci-dss-3.2.1", "soc2"
        )
        self.commit(
            {
                "frameworks/soc2.yml": framework.encode(),
                f"signoffs/{SECOND}/assessment.yml": scope.encode(),
            },
            "A second framework\n",
        )

    def sign_second(self) -> None:
        """Sign the second assessment as well, in words of its own."""
        for kind in ("control", "requirement"):
            programme = self.programme
            found, subjects = programme.findings(SECOND), programme.subjects(SECOND)
            own = found.controls if kind == "control" else found.requirements
            who, id_ = (
                ("j-moreau", OWNER) if kind == "control" else ("a-okafor", ASSESSOR)
            )
            files = {}
            for name, item in own.items():
                subject = (
                    released.control_subject(
                        programme.library,
                        found,
                        programme.ledger,
                        programme.assessment(SECOND),
                        name,
                    )
                    if kind == "control"
                    else subjects[name]
                )
                body = released.record(
                    kind,
                    name,
                    who,
                    id_,
                    at=self.now,
                    base=programme.commit,
                    ids=item.ids,
                    subject=subject,
                )
                body = body.replace(NAME.encode(), SECOND.encode())
                body = body.replace(b"I read the", f"For {name} I saw the".encode())
                files[f"signoffs/{SECOND}/{kind}s/{name}.yml"] = body
            self.merge(files, who, f"Sign {kind}s of the second")


@pytest.mark.threat("T43")
def test_t43_a_controls_text_makes_every_framework_stale(
    tmp_path: Path, shell: Shell
) -> None:
    made = TwoFrameworks(tmp_path)
    made.collect()
    made.annotate()
    made.sign()
    made.sign_second()
    made.capture()
    code, text = shell.of(made, "status")
    assert (code, text.count("  3.4   signed with deviations")) == (0, 2), text
    text_of = made.file(CONTROL).replace(b"Every bucket", b"Nearly every bucket")
    made.merge({CONTROL: text_of}, "j-moreau", "Soften")
    made.capture()
    code, text = shell.of(made, "status", "-v")
    commit = made.pulls[-1].merge[:7]
    assert code == 1
    rows = [row for row in text.splitlines() if row.startswith("  3.4 ")]
    assert len(rows) == 2
    assert all(f"stale  {' ' * 17}  controls changed in {commit}" in r for r in rows), (
        rows
    )
    # What does not map to it is left alone.
    assert sum(row.startswith("  12.1  signed") for row in text.splitlines()) == 2
    assert "    +  Nearly every bucket is encrypted at rest." in text


@pytest.mark.threat("T44")
@pytest.mark.parametrize("how", ["remove rule", "remove control", "rename rule"])
def test_t44_a_rule_that_goes_takes_no_deviation_along(
    tmp_path: Path, shell: Shell, how: str
) -> None:
    made = signed(tmp_path)
    rule = released.RULE.encode()
    control, framework = made.file(CONTROL), made.file(FRAMEWORK)
    files = {
        "remove rule": {
            CONTROL: control.replace(
                b'config: "' + rule + b'"', b'manual: "security-policy"'
            )
        },
        "remove control": {
            FRAMEWORK: framework.replace(b'["buckets-encrypted"]', b'["policy-kept"]')
        },
        "rename rule": {
            CONTROL: control.replace(rule, b"s3-bucket-versioning-enabled")
        },
    }[how]
    assert all(made.file(path) != body for path, body in files.items())
    (deviation,) = made.programme.findings(NAME).deviations
    made.merge(files, "j-moreau", "Make it go away")
    if how == "remove control":
        # The attestation that is left over gives it away; so it goes as well.
        code, text = shell.of(made, "status")
        assert code == 2
        assert "no requirement of PCI-2028-FEB maps the control buckets-encr" in text
        made.without(ATTESTED)
    text = stale(
        made,
        shell,
        "mapping",
        f"unmapped evidence with deviations: {deviation.id} {released.RULE}"
        f" {released.STALE} in {released.PROD}, from 2028-02-14T03:12:00Z",
    )
    assert "0 deviations" in text
    assert "    -" in text


@pytest.mark.threat("T44")
@pytest.mark.parametrize("how", ["remove rule", "remove control", "leave it out"])
def test_t44_what_went_since_the_last_period_is_shown(
    tmp_path: Path, shell: Shell, how: str
) -> None:
    """The last period is taken as it was, or the rule would have gone from it too."""
    made = begun(tmp_path)
    before = f"{NAME[:-3]}JAN"
    scope = made.file(SCOPE).decode().replace(NAME, before)
    scope = scope.replace("2028-02-17", "2028-02-00").replace("02-12", "02-11")
    scope = scope.replace("2028-02-00", "2028-02-12")
    made.commit({f"signoffs/{before}/assessment.yml": scope.encode()}, "Before\n")
    made.annotate()
    made.sign()
    made.capture()
    _, text = shell.of(made, "status", NAME)
    assert f"less than in {before}" not in text
    evidence = f"evidence config:{released.RULE} is gone"
    remark = " (1 deviation under it in this period, unmapped)"
    control, framework = made.file(CONTROL), made.file(FRAMEWORK)
    files, lost = {
        "remove rule": (
            {
                CONTROL: control.replace(
                    b'config: "' + released.RULE.encode(), b'manual: "security-policy'
                )
            },
            [f"3.4: {evidence}{remark}"],
        ),
        "remove control": (
            {
                FRAMEWORK: framework.replace(
                    b'["buckets-encrypted"]', b'["policy-kept"]'
                )
            },
            ["3.4: control buckets-encrypted is gone", f"3.4: {evidence}{remark}"],
        ),
        "leave it out": (
            {
                SCOPE: made.file(SCOPE)
                .replace(b'["3.4", ', b"[")
                .replace(b'{"3.10"', b'{"3.4": "Somebody else does.", "3.10"')
            },
            ["3.4: requirement in scope is gone"],
        ),
    }[how]
    made.merge(files, "j-moreau", "Make it go away")
    made.without(*{"remove rule": []}.get(how, [ATTESTED]), *_gone(how))
    made.capture()
    code, text = shell.of(made, "status", NAME)
    assert code == 1, text
    for each in lost:
        assert f"\nless than in {before} (as of " in text, text
        assert f"): {each}" in text, text
    report = made.programme.report(NAME)
    assert report.prior is not None
    shown = [row.words for row in report.prior.differences]
    assert set(lost) <= set(shown)
    page = pages(Book(reports=(report,)))
    number = "index" if how == "leave it out" else "3.4/index"
    for text in (page[f"{NAME}/{number}.md"], pdf.page(report)):
        assert before in text
        assert "gone" in text
        assert (remark.strip(" ()") in text) is (how != "leave it out")


def _gone(how: str) -> list[str]:
    return [SIGNED] if how == "leave it out" else []


@pytest.mark.threat("T45")
@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        ('end: "2028-02-17T00:00:00Z"', 'end: "2028-02-16T00:00:00Z"', "scope"),
        (f', payments-staging: "{released.STAGING}"', "", "scope"),
        (
            'excluded: {"3.10"',
            'excluded: {"12.1": "Somebody else does that.", "3.10"',
            "scope",
        ),
        (
            f'  - config: "{released.RULE}"\n',
            f'  - config: "{released.RULE}"\n    parameters: {{x: "1"}}\n',
            "mapping",
        ),
    ],
    ids=["window", "accounts", "exclusions", "parameters"],
)
def test_t45_what_is_narrowed_shows_old_and_new(
    tmp_path: Path, shell: Shell, old: str, new: str, part: str
) -> None:
    made = signed(tmp_path)
    path = CONTROL if part == "mapping" else SCOPE
    text = made.file(path).decode()
    assert old in text
    text = text.replace(old, new)
    if '"12.1": "Somebody' in new:
        text = text.replace('"3.4", "9.9", "12.1"', '"3.4", "9.9"')
    made.merge({path: text.encode()}, "j-moreau", "Narrow")
    if '"12.1": "Somebody' in new:
        code, shown = shell.of(made, "status")
        assert code == 2
        assert "12.1 is not in the scope of PCI-2028-FEB" in shown
        made.without(
            f"signoffs/{NAME}/requirements/12.1.yml",
            f"signoffs/{NAME}/controls/policy-kept.yml",
        )
    shown = stale(made, shell, part, f"  {path}: ")
    added = {line[5:] for line in shown.splitlines() if line.startswith("    +")}
    assert added
    assert added <= set(text.splitlines())
    gone = {line[5:] for line in shown.splitlines() if line.startswith("    -")}
    assert gone or "parameters" in new


@pytest.mark.threat("T46")
@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "the text is empty"),
        ("<!-- later -->", "the text is empty"),
        ("TODO: explain what happened to this bucket here.", "placeholder 'TODO'"),
        ("lorem ipsum dolor sit amet consectetur", "placeholder 'lorem ipsum'"),
        ("It was a glitch.", "too short to name a cause"),
        (
            "The rule had no verdict while its function was redeployed by us.",
            "the text is a copy of annotations/",
        ),
    ],
    ids=["empty", "comment", "todo", "lorem", "short", "copied"],
)
def test_t46_text_that_explains_nothing(
    tmp_path: Path, shell: Shell, text: str, why: str
) -> None:
    made = begun(tmp_path)
    (deviation,) = made.programme.findings(NAME).deviations
    head = made.programme.findings(NAME)
    # The copy of two equal texts is the one whose path sorts last.
    path = f"annotations/2028-02/z-{deviation.id}.md"
    made.annotate()
    body = made.file(f"annotations/2028-02/{deviation.id}.md").decode()
    front = body.rpartition("---\n")[0] + "---\n"
    made.repository.git("reset", "--hard", "--quiet", "main")
    made.repository.git("rm", "-q", f"annotations/2028-02/{deviation.id}.md")
    rest = {f"annotations/2028-02/{gap.id}.md" for gap in head.gaps}
    files = {p: made.file(p) for p in rest} | {path: f"{front}{text}\n".encode()}
    made.pulls.clear()
    made.repository.set_branch("main", "main~1")
    made.merge(files, "j-moreau", "Explain")
    made.sign()
    unreviewed(made, shell, f"{deviation.id} is not annotated")
    code, shown = shell.of(made, "check")
    assert code == 2
    assert f"{path}:" in shown
    assert why in shown


@pytest.mark.threat("T46")
def test_t46_a_ticket_where_the_policy_asks(tmp_path: Path, shell: Shell) -> None:
    made = begun(tmp_path)
    made.rewrite = lambda path, body: (
        body.replace(b'ticket: "PCI-4432"\n', b"")
        if path.startswith("annotations/")
        else body.replace(b"retention:", b'policy: {annotation: "ticket"}\nretention:')
        if path == SCOPE
        else body
    )
    made.merge({SCOPE: made.file(SCOPE)}, "c-novak", "Ask for tickets")
    made.annotate()
    made.sign()
    (deviation,) = made.programme.findings(NAME).deviations
    unreviewed(made, shell, f"{deviation.id} is not annotated")


@pytest.mark.threat("T47")
@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (
            "{id}",
            "dev-0000000000000000",
            "covers: no assessment has dev-0000000000000000",
        ),
        (
            'start: "2028-02-14T03:12:00Z"',
            'start: "2028-02-14T03:11:00Z"',
            "is stated as 2028-02-14T03:11:00Z to 2028-02-14T03:17:00Z, but the ledger"
            " says 2028-02-14T03:12:00Z to 2028-02-14T03:17:00Z",
        ),
        (
            "{id}",
            "{gap}",
            "is stated as 2028-02-14T03:12:00Z to 2028-02-14T03:17:00Z, but the ledger"
            " says 2028-02-15T08:00:00Z",
        ),
    ],
    ids=["wrong id", "wrong time", "another's id"],
)
def test_t47_an_annotation_that_points_elsewhere(
    tmp_path: Path, shell: Shell, old: str, new: str, why: str
) -> None:
    made = begun(tmp_path)
    found = made.programme.findings(NAME)
    (deviation,), gap = found.deviations, found.gaps[0]
    names = {"id": deviation.id, "gap": gap.id}
    path = f"annotations/2028-02/{deviation.id}.md"
    made.rewrite = lambda at, body: (
        body.replace(old.format(**names).encode(), new.format(**names).encode())
        if at == path
        else body
    )
    made.annotate()
    made.sign()
    unreviewed(made, shell, f"{deviation.id} is not annotated")
    code, shown = shell.of(made, "check")
    assert code == 2
    assert f"{path}:" in shown
    assert why in shown


@pytest.mark.threat("T53")
def test_t53_a_push_after_the_approval(tmp_path: Path, shell: Shell) -> None:
    made = signed(tmp_path)
    approved = made.pulls[SIGN].base
    made.reviewed(SIGN, commit=approved)
    unreviewed(made, shell, f"a-okafor approved {approved[:10]}, not the final head")


@pytest.mark.threat("T54")
@pytest.mark.parametrize("state", ["DISMISSED", "CHANGES_REQUESTED"])
@pytest.mark.parametrize("newest", ["first", "last"])
def test_t54_the_last_word_decides_in_every_order(
    tmp_path: Path, shell: Shell, state: str, newest: str
) -> None:
    made = signed(tmp_path)
    first = made.pulls[SIGN].reviews[0]
    later = attacked.replace(
        first, id="77", state=state, submitted=Instant(first.submitted + 1000)
    )
    order = (later, first) if newest == "first" else (first, later)
    made.told(SIGN, reviews=order)
    unreviewed(made, shell, f"a-okafor's last review is {state}")


@pytest.mark.threat("T55")
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"user_type": "Bot"}, "the review is by a Bot, not by a person"),
        (
            {"user_id": "41898282", "user_login": "github-actions[bot]"},
            "a-okafor did not review pull request #3",
        ),
    ],
    ids=["type", "unknown id"],
)
def test_t55_a_bot_approves(
    tmp_path: Path, shell: Shell, changes: dict[str, object], words: str
) -> None:
    made = signed(tmp_path)
    made.reviewed(SIGN, **changes)
    unreviewed(made, shell, words)


@pytest.mark.threat("T56")
@pytest.mark.parametrize("how", ["squash", "rebase", "squash of other bytes"])
def test_t56_a_squash_or_rebase_drops_the_approved_commit(
    tmp_path: Path, shell: Shell, how: str
) -> None:
    made = signed(tmp_path)
    base, head = made.pulls[SIGN].base, made.pulls[SIGN].head
    files = {path: made.file(path) for path in made.pulls[SIGN].paths}
    if how == "squash of other bytes":
        files[SIGNED] = files[SIGNED].replace(b"satisfied", b"compensated")
    dropped = made.repository.commit_files(
        files, f"{how}\n", base=base, at=made.now, author=released.BOT
    )
    made.repository.set_branch("main", dropped)
    made.told(SIGN, merge=dropped, head=head)
    # Equal trees would do by trust.md; we ask for the commit itself (stricter).
    unreviewed(
        made, shell, "its pull request was not merged by a merge commit of its head"
    )


DELEGATED = """delegations:
  - from: "{giver}"
    to: "c-novak"
    role: "assessor"
    requirements: ["{number}"]
    start: "2028-02-01T00:00:00Z"
    end: "{end}"
"""


@pytest.mark.threat("T61")
def test_t61_a_former_employee_signs(tmp_path: Path, shell: Shell) -> None:
    """Without any signature asked for, the person's own dates decide all the same."""
    made = begun(tmp_path)
    left = made.file(PEOPLE).replace(
        b'    github: "a-okafor"\n',
        b'    github: "a-okafor"\n    valid: {start: "2027-01-01T00:00:00Z",'
        b' end: "2028-02-17T00:00:00Z"}\n',
    )
    made.merge({PEOPLE: left}, "c-novak", "She leaves")
    made.annotate()
    made.sign()
    unreviewed(made, shell, "a-okafor was not valid at 2028-02-17T")


@pytest.mark.threat("T64")
@pytest.mark.parametrize(
    ("giver", "number", "end", "words"),
    [
        ("a-okafor", "3.4", "2028-03-01T00:00:00Z", ""),
        (
            "a-okafor",
            "3.4",
            "2028-02-10T00:00:00Z",
            "holds from 2028-02-01T00:00:00Z to 2028-02-10T00:00:00Z, not at 2028-02-1",
        ),
        (
            "a-okafor",
            "9.9",
            "2028-03-01T00:00:00Z",
            "c-novak is not the assessor of 3.4; a-okafor is",
        ),
        ("j-moreau", "3.4", "2028-03-01T00:00:00Z", "the assessor of 3.4; a-okafor is"),
    ],
    ids=["good", "expired", "foreign number", "foreign giver"],
)
def test_t64_a_delegation_that_gives_no_right(
    tmp_path: Path, shell: Shell, giver: str, number: str, end: str, words: str
) -> None:
    made = begun(tmp_path)
    text = DELEGATED.format(giver=giver, number=number, end=end).encode()
    owners = made.file(OWNERS).replace(b"@a-okafor", b"@a-okafor @c-novak")
    made.merge(
        {SCOPE: made.file(SCOPE) + text, OWNERS: owners}, "c-novak", "Stand in for me"
    )
    made.rewrite = lambda path, body: (
        body.replace(b"a-okafor", b"c-novak").replace(b"4100201", b"4100301")
        if path == SIGNED
        else body
    )
    made.annotate()
    made.sign()
    review = made.pulls[3].reviews[0]
    other = attacked.replace(review, id="99", user_id=OFFICER, user_login="c-novak")
    made.told(3, reviews=(review, other))
    if words:
        refused(made, shell, f"{SIGNED}:5: person: c-novak is not", words)
    else:
        made.capture()
        code, line = shell.status(made)
        assert (code, "signed with deviations" in line) == (0, True), line


@pytest.mark.threat("T64")
def test_t64_a_delegation_that_is_passed_on(tmp_path: Path, shell: Shell) -> None:
    made = begun(tmp_path)
    first = DELEGATED.format(giver="a-okafor", number="3.4", end="2028-03-01T00:00:00Z")
    first = first.replace('to: "c-novak"', 'to: "j-moreau"')
    second = DELEGATED.format(
        giver="j-moreau", number="3.4", end="2028-03-01T00:00:00Z"
    )
    text = first + second.partition("\n")[2]
    made.merge({SCOPE: made.file(SCOPE) + text.encode()}, "c-novak", "Pass it on")
    code, shown = shell.of(made, "check")
    assert code == 2
    assert SCOPE in shown
