# SPDX-License-Identifier: Apache-2.0
"""What late evidence moves, from the run in Git to what the command line prints."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from html import unescape
from typing import TYPE_CHECKING

import attacked
import pytest
import released
from attacked import ATTESTED, CONTROL, NAME, SIGNED, Attacked, Shell, signed

from controlbook.model import State
from controlbook.render import pdf
from controlbook.render.pages import pages
from controlbook.render.report import Book
from controlbook.timeline import HOUR, Instant, Interval, instant, iso, told

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from controlbook.model import Deviation, Gap, Transition

shell = attacked.shell
BAD, GOOD = State.NON_COMPLIANT, State.COMPLIANT
DAY = Instant(released.START + 2 * 24 * HOUR)
"""The day on which digests are lacking."""


def move(at: str, before: State, after: State) -> Transition:
    return released.move(released.PROD, released.STALE, at, before, after)


def hours(start: int, end: int) -> Interval:
    return Interval(Instant(DAY + start * HOUR), Instant(DAY + end * HOUR))


def deviations(made: Attacked) -> tuple[Deviation, ...]:
    return made.programme.findings(NAME).deviations


def digest_gaps(made: Attacked) -> list[Gap]:
    gaps = made.programme.findings(NAME).gaps
    return [gap for gap in gaps if gap.reason == "digest-gap"]


def text_of(page: str) -> str:
    return unescape(re.sub(r"<[^>]+>", "", page))


def note_of(id_: str) -> str:
    return f"annotations/2028-02/{id_}.md"


def again(made: Attacked, shell: Shell, path: str) -> tuple[int, str]:
    """Confirm an annotation again, as its command says, and merge what it wrote."""
    code, text = shell.of(made, "annotate", "--refresh", path, "--as", "j-moreau")
    if code == 0 and f"wrote {path}" in text:
        body = (made.repository.root / path).read_bytes()
        made.merge({path: body}, "j-moreau", "Confirm again")
    return code, text


@dataclass
class Listening(Attacked):
    """The control also rests on events."""

    def _first_commit(self) -> None:
        super()._first_commit()
        query = (
            b'  - cloudtrail: {source: "iam.amazonaws.com", event: "CreateUser",'
            b' expect: "any"}\n'
        )
        body = self.repository.files_at("main", (CONTROL,))[CONTROL]
        self.commit({CONTROL: body + query}, "Listen\n")


def listening(folder: Path, *holes: Interval) -> Listening:
    """Sign over evidence of which some digests had not come."""
    made = Listening(folder)
    made.collect()
    made.hear(*holes)
    texts = {
        id_: f"Digests of this kind were late by hour {n}; AWS said they would come."
        for n, id_ in enumerate(gap.id for gap in digest_gaps(made))
    }
    _explain(made, texts)
    made.sign()
    made.capture()
    return made


def _explain(made: Attacked, texts: dict[str, str]) -> None:
    found = made.programme.findings(NAME)
    files = {}
    for n, item in enumerate((*found.deviations, *found.gaps)):
        end = f'end: "{iso(item.end)}"\n' if item.end else ""
        text = texts.get(item.id, f"Case number {n}: we looked into it and mended it.")
        files[note_of(item.id)] = (
            f'---\ncovers: ["{item.id}"]\nstart: "{iso(item.start)}"\n{end}'
            f'author: "j-moreau"\n---\n{text}\n'
        ).encode()
    made.merge(files, "j-moreau", "Explain")


def test_a_start_that_a_correction_moves_leaves_its_annotation_to_be_confirmed(
    tmp_path: Path, shell: Shell
) -> None:
    made = signed(tmp_path)
    (old,) = deviations(made)
    path = note_of(old.id)
    made.capture()
    commit = made.correct(
        move("2028-02-14T03:00:00Z", GOOD, BAD),
        move("2028-02-14T03:20:00Z", BAD, GOOD),
        corrects=4,
    )
    (new,) = deviations(made)
    assert (new.id != old.id, new.start) == (True, instant("2028-02-14T03:00:00Z"))
    says = (
        f"{old.id} is stated as 2028-02-14T03:12:00Z to 2028-02-14T03:17:00Z;"
        " evidence/config/000007.json, a correction (corrects 000004), moved it; now"
        f" {new.id} from 2028-02-14T03:00:00Z to 2028-02-14T03:17:00Z"
    )
    advice = f"run `controlbook annotate --refresh {path}`"
    code, text = shell.of(made, "check")
    assert code == 2
    assert f"{path}:2: covers: {says}; read the text again; if" in text
    assert advice in text
    assert f"{SIGNED}:11: acknowledged: {old.id} stood from 2028-02-14T03:12" in text
    code, text = shell.of(made, "status", NAME, "-v")
    assert code == 1
    assert f"to confirm again: {path}:2: {says}; " in text
    (row,) = [line for line in text.splitlines() if line.startswith("  3.4 ")]
    assert "  stale  " in row
    assert f"findings changed in {commit[:7]} " in row
    assert f"({old.id} moved by evidence/config/000007.json)" in row
    assert f"annotate {new.id}" in row

    code, text = again(made, shell, path)
    assert code == 0, text
    body = made.file(path).decode()
    assert f'covers: ["{new.id}"]\nstart: "2028-02-14T03:00:00Z"\n' in body
    assert body.endswith(
        "A deployment switched encryption off; remediation set it back.\n"
    )
    made.sign()
    made.capture()
    code, row = shell.status(made)
    assert (code, "signed with deviations" in row) == (0, True), row
    assert shell.of(made, "check")[0] == 0


def test_an_end_that_a_correction_moves_keeps_the_id_and_not_the_explanation(
    tmp_path: Path, shell: Shell
) -> None:
    made = signed(tmp_path)
    (old,) = deviations(made)
    made.capture()
    made.correct(
        move("2028-02-14T03:15:00Z", GOOD, BAD),
        move("2028-02-14T03:16:00Z", BAD, GOOD),
        corrects=4,
    )
    (new,) = deviations(made)
    assert (new.id, new.end) == (old.id, instant("2028-02-14T03:16:00Z"))
    code, text = shell.of(made, "check")
    assert code == 2
    assert (
        f"{old.id} is stated as 2028-02-14T03:12:00Z to 2028-02-14T03:17:00Z;"
        " evidence/config/000007.json, a correction (corrects 000004), moved it; now it"
        " from 2028-02-14T03:12:00Z to 2028-02-14T03:16:00Z; read the text again"
    ) in text
    code, row = shell.status(made)
    assert "stale" in row
    assert f"annotate {old.id}" in row
    assert f"({old.id} moved by evidence/config/000007.json)" in row


def _split(made: Attacked) -> None:
    made.hear(hours(1, 2), hours(4, 5), corrects=1)


def _later(made: Attacked) -> None:
    made.hear(hours(3, 5), corrects=1)


@pytest.mark.parametrize(
    ("late", "left"),
    [
        (_split, [(1, 2), (4, 5)]),
        (_later, [(3, 5)]),
        (lambda made: made.hear(corrects=1), []),
    ],
    ids=["split", "starts later", "gone"],
)
def test_late_digests_that_move_a_gap_leave_its_annotation_to_be_confirmed(
    tmp_path: Path,
    shell: Shell,
    late: Callable[[Attacked], None],
    left: list[tuple[int, int]],
) -> None:
    made = listening(tmp_path, hours(1, 5))
    assert shell.status(made)[0] == 0
    (old,) = digest_gaps(made)
    path = note_of(old.id)
    late(made)
    commit = made.repository.resolve("main")
    now = digest_gaps(made)
    assert [gap.within for gap in now] == [hours(*each) for each in left]
    code, text = shell.of(made, "check")
    assert code == 2
    moved = (
        "evidence/cloudtrail/000002.json, a correction (corrects 000001), moved it; "
    )
    assert f"{path}:2: covers: {old.id} is stated as 2028-02-14T01:00:00Z to" in text
    assert moved in text
    for gap in now:
        name = "it" if gap.id == old.id else gap.id
        assert f"{name} from {told(gap.start, gap.end)}" in text
    assert ("nothing is left of it" in text) is (not left)
    _, row = shell.status(made)
    assert f"findings changed in {commit[:7]} " in row, row
    verb = "moved by" if left else "gone with"
    assert f"({old.id} {verb} evidence/cloudtrail/000002.json)" in row
    for gap in now:
        assert f"annotate {gap.id}" in row

    code, text = again(made, shell, path)
    if not left:
        assert code == 2
        assert "nothing is left of what it covers" in text
        assert f"`git rm {path}`" in text
        made.merge({"README.md": b"Less\n"}, "j-moreau", "Remove it")
        made.without(path)
    else:
        assert code == 0, text
        body = made.file(path).decode()
        assert all(gap.id in body for gap in now)
    made.sign()
    made.capture()
    code, row = shell.status(made)
    assert code == 0, row
    assert shell.of(made, "check")[0] == 0


def test_the_commit_of_a_late_digest_is_named_behind_a_run_of_the_next_period(
    tmp_path: Path, shell: Shell
) -> None:
    """A correction of the period may follow runs that are none of its business."""
    made = listening(tmp_path, hours(1, 5))
    made.hear(days=20)
    assert shell.status(made)[0] == 0
    commit = made.hear(hours(3, 5), corrects=1)
    _, row = shell.status(made)
    assert f"findings changed in {commit[:7]} " in row, row
    trail = made.programme.trail(NAME).of("3.4")
    assert [(c.before, c.after) for c in trail][-1] == (
        "signed with deviations",
        "stale",
    )
    assert trail[-1].origin.commit == commit
    assert trail[-1].causes == ("evidence/cloudtrail/000003.json",)


def test_an_annotation_of_another_assessment_is_none_of_its_business(
    tmp_path: Path, shell: Shell
) -> None:
    made = signed(tmp_path)
    body = (
        '---\ncovers: ["gap-00000000000000aa"]\nstart: "2028-02-14T01:00:00Z"\n'
        'author: "j-moreau"\n---\nThis was explained for another of our assessments.\n'
    )
    made.merge({"annotations/other.md": body.encode()}, "j-moreau", "Another's")
    made.correct(
        move("2028-02-16T03:00:00Z", GOOD, BAD),
        move("2028-02-16T04:00:00Z", BAD, GOOD),
        corrects=6,
    )
    assert made.programme.superseded(NAME) == ()
    _, text = shell.of(made, "check")
    assert "annotations/other.md:2: covers: no assessment has gap-0000" in text


def test_gaps_that_a_correction_merges_leave_both_annotations_to_be_confirmed(
    tmp_path: Path, shell: Shell
) -> None:
    """The second reading proved less between them than the first had."""
    made = listening(tmp_path, hours(1, 2), hours(4, 5))
    first, second = digest_gaps(made)
    made.hear(hours(1, 5), corrects=1)
    (whole,) = digest_gaps(made)
    assert whole.id == first.id
    code, text = shell.of(made, "check")
    assert code == 2
    for path in (note_of(first.id), note_of(second.id)):
        assert f"{path}:2: covers: " in text
    assert f"now {first.id} from 2028-02-14T01:00:00Z to 2028-02-14T05:00:00Z" in text
    assert "now it from 2028-02-14T01:00:00Z to 2028-02-14T05:00:00Z" in text


def test_one_text_for_several_ids_states_the_times_of_each(
    tmp_path: Path, shell: Shell
) -> None:
    made = Listening(tmp_path)
    made.collect()
    made.hear(hours(1, 2), hours(4, 7))
    first, second = (gap.id for gap in digest_gaps(made))
    text = "Digests of these hours were late, and AWS said that they would come."
    code, shown = shell.of(
        made, "annotate", first, second, "--title", "Late digests", "--text", text,
        "--as", "j-moreau",
    )  # fmt: skip
    assert code == 0, shown
    path = "annotations/2028-02/late-digests.md"
    body = (made.repository.root / path).read_bytes()
    assert f"{second} 2028-02-14T04:00:00Z to 2028-02-14T07:00:00Z".encode() in body
    made.merge({path: body}, "j-moreau", "Explain")
    made.capture()
    assert f"annotate {first}" not in shell.status(made)[1]
    made.hear(hours(1, 2), hours(4, 5), corrects=1)
    _, row = shell.status(made)
    assert f"annotate {first}" not in row
    assert f"annotate {second}" in row
    code, shown = shell.of(made, "check")
    assert code == 2
    assert (
        f"{path}:3: covers: {second} is stated as 2028-02-14T04:00:00Z to 2028" in shown
    )
    assert f"covers: {first} is" not in shown


def test_page_and_pdf_ask_for_it_again_where_auditors_may_read_the_text(
    tmp_path: Path,
) -> None:
    made = listening(tmp_path, hours(1, 5))
    (old,) = digest_gaps(made)
    _later(made)
    (new,) = digest_gaps(made)
    path = note_of(old.id)
    report = made.programme.report(NAME)
    says = (
        f"{old.id} is stated as 2028-02-14T01:00:00Z to 2028-02-14T05:00:00Z;"
        " evidence/cloudtrail/000002.json, a correction (corrects 000001), moved it;"
        f" now {new.id} from 2028-02-14T03:00:00Z to 2028-02-14T05:00:00Z. What to do:"
    )
    page = pages(Book(reports=(report,)))
    for shown in map(text_of, (page[f"{NAME}/3.4/index.md"], pdf.page(report))):
        assert "CONFIRM AGAIN" in shown
        assert f"{path}:2" in shown
        assert f"{SIGNED}:11" in shown
        assert says in shown
    assert "CONFIRM AGAIN" not in page[f"{NAME}/12.1/index.md"]
    body = made.file(path).replace(b"---\n", b'---\naudience: "internal"\n', 1)
    made.merge({path: body}, "j-moreau", "Keep it to us")
    report = made.programme.report(NAME)
    page = pages(Book(reports=(report,)))
    for shown in map(text_of, (page[f"{NAME}/3.4/index.md"], pdf.page(report))):
        assert f"{path}:" not in shown
        assert f"{SIGNED}:11" in shown


def test_what_opened_and_closed_since_is_confirmed_again_without_a_correction(
    tmp_path: Path, shell: Shell
) -> None:
    made = signed(tmp_path)
    (old,) = deviations(made)
    path = note_of(old.id)
    body = made.file(path).replace(b'end: "2028-02-14T03:17:00Z"\n', b"")
    made.merge({path: body}, "j-moreau", "As it was while it was open")
    made.capture()
    code, text = shell.of(made, "status", NAME)
    assert code == 1
    assert (
        f"to confirm again: {path}:2: {old.id} is stated as 2028-02-14T03:12:00Z to"
        " open; now it from 2028-02-14T03:12:00Z to 2028-02-14T03:17:00Z; "
    ) in text
    assert again(made, shell, path)[0] == 0
    assert b'end: "2028-02-14T03:17:00Z"\n' in made.file(path)


def test_status_tells_other_programs_what_moved(tmp_path: Path, shell: Shell) -> None:
    made = listening(tmp_path, hours(1, 5))
    (old,) = digest_gaps(made)
    _later(made)
    (new,) = digest_gaps(made)
    _, text = shell.of(made, "status", NAME, "--json")
    rows = json.loads(text)["assessments"][0]["superseded"]
    assert {row["path"] for row in rows} == {
        note_of(old.id),
        ATTESTED,
        SIGNED,
    }
    for row in rows:
        assert (row["id"], row["now"]) == (old.id, [new.id])
        assert row["by"] == "evidence/cloudtrail/000002.json"


def test_a_refresh_of_nothing_and_of_what_stands_is_said(
    tmp_path: Path, shell: Shell
) -> None:
    made = signed(tmp_path)
    (old,) = deviations(made)
    code, text = again(made, shell, note_of("dev-0000000000000000"))
    assert code == 2
    assert "there is no annotation here" in text
    code, text = again(made, shell, note_of(old.id))
    assert code == 0
    assert "its times are the ledger's" in text
    code, text = shell.of(made, "annotate", "--as", "j-moreau")
    assert code == 2
    assert "name the ids, and give --title" in text
