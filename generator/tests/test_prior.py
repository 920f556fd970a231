# SPDX-License-Identifier: Apache-2.0
"""What is otherwise than in the last period (T44), as values and from real Git."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import attacked
import released
import small
from attacked import CONTROL, NAME, SCOPE, Attacked, Shell

from controlbook.assess import assess
from controlbook.model import ConfigRule
from controlbook.prior import WHOLE, Difference, Period, against, prior_of
from controlbook.timeline import DAY, Instant, Interval

if TYPE_CHECKING:
    from pathlib import Path

    from controlbook.model import Assessment, Library

shell = attacked.shell
JAN = "PCI-2028-JAN"


def period(library: Library, assessment: Assessment) -> Period:
    findings = assess(library, small.ledger(), small.standings(), assessment)
    return Period(
        assessment=assessment,
        library=library,
        findings=findings,
        statuses=small.statuses(),
    )


def test_the_last_period_is_the_latest_of_the_framework_that_is_over() -> None:
    library = small.library()
    own = library.assessments["PCI-2028-FEB"]

    def earlier(name: str, days: int, **other: str) -> Assessment:
        end = Instant(small.START - days * DAY)
        span = Interval(Instant(end - 30 * DAY), end)
        return replace(own, id=name, period=span, **other)  # type: ignore[arg-type]

    others = (
        earlier("older", 40),
        earlier("last", 0),
        earlier("overlapping", -1),
        earlier("elsewhere", 0, framework="soc2"),
    )
    known = {each.id: each for each in (own, *others)}
    found = prior_of(replace(library, assessments=known), own)
    assert found is not None
    assert found.id == "last"
    assert prior_of(library, own) is None


def test_what_is_lost_is_told_apart_from_what_came() -> None:
    library = small.library()
    assessment = library.assessments["PCI-2028-FEB"]
    control = library.controls["pan-encrypted-at-rest"]
    bucket, database = control.evidence
    assert isinstance(database, ConfigRule)
    asked = replace(database, parameters=(("kmsKeyId", "any"),))
    fewer = replace(control, evidence=(asked,))
    new = period(
        replace(library, controls={**library.controls, control.id: fewer}),
        replace(assessment, accounts=assessment.accounts[:1]),
    )
    # The same rule still stands for 3.10, so that its deviation is not unmapped.
    found = against(period(library, assessment), new)
    assert found[0] == Difference(
        requirement=WHOLE,
        what="account",
        then=f"{small.STAGING} (payments-staging)",
        now="",
        lost=True,
    )
    lines = [row.words for row in found if row.requirement == "3.4"]
    assert lines[:2] == [
        f"3.4: evidence {bucket.key} is gone",
        f"3.4: evidence {database.key} → {database.key} (kmsKeyId=any)",
    ]
    assert "3.4: deviations 2 → 0" in lines
    assert [row.lost for row in found if row.what == "deviations"] == [False]
    back = against(new, period(library, assessment))
    assert not any(row.lost for row in back if row.what == "account")
    assert f"3.4: evidence {bucket.key} is new" in [row.words for row in back]
    assert against(new, new) == ()


def before(made: Attacked) -> None:
    """Let there be an assessment of the day before the period."""
    scope = made.file(SCOPE).decode().replace(NAME, JAN)
    scope = scope.replace('start: "2028-02-12', 'start: "2028-02-11')
    scope = scope.replace('end: "2028-02-17', 'end: "2028-02-12')
    made.commit({f"signoffs/{JAN}/assessment.yml": scope.encode()}, "Before\n")


def test_a_released_period_is_taken_at_its_tag(tmp_path: Path, shell: Shell) -> None:
    made = attacked.begun(tmp_path)
    before(made)
    made.repository.tag(
        JAN, made.repository.resolve("main"), "x\n", at=made.now, author=released.BOT
    )
    text = made.file(CONTROL).replace(
        released.RULE.encode(), b"s3-bucket-versioning-enabled"
    )
    scope = made.file(f"signoffs/{JAN}/assessment.yml") + b"# touched later\n"
    made.commit(
        {CONTROL: text, f"signoffs/{JAN}/assessment.yml": scope}, "Swap the rule\n"
    )
    _, shown = shell.of(made, "status", NAME)
    assert (
        f"less than in {JAN} (as of {JAN}): 3.4: evidence config:{released.RULE} is"
        " gone"
    ) in shown


def test_files_that_break_todays_rules_are_not_compared_and_that_is_said(
    tmp_path: Path, shell: Shell
) -> None:
    made = attacked.begun(tmp_path)
    good = made.file(CONTROL)
    made.commit({CONTROL: good + b"colour: red\n"}, "As it was once\n")
    before(made)
    made.commit({CONTROL: good}, "Mend\n")
    _, shown = shell.of(made, "status", NAME)
    assert f"not compared with {JAN}: its files break 1 of today's rules" in shown
