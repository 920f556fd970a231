# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from controlbook.check import check
from controlbook.errors import InvalidFiles
from controlbook.library import GOVERNED, read
from controlbook.model import Deviation, Findings, Gap
from controlbook.timeline import Interval, instant

if TYPE_CHECKING:
    from controlbook.timeline import Instant

ROOT = Path(__file__).parents[2]
START, END = instant("2028-02-14T03:12:00Z"), instant("2028-02-14T03:17:00Z")
DEV, OPEN, GAP = "dev-5f2c9a1e77b04c13", "dev-00000000000000aa", "gap-00000000000000bb"
PATH = "annotations/2028-02/stale-backup-archive.md"
SIGNOFF = "signoffs/PCI-2028-Q1/requirements/9.1.yml"
TEXT = "A deploy job replaced the bucket policy; auto-remediation put it back."


def deviation(id_: str, start: Instant, end: Instant | None) -> Deviation:
    return Deviation(
        id=id_,
        rule="s3-bucket-server-side-encryption-enabled",
        identifier="S3_BUCKET_SERVER_SIDE_ENCRYPTION_ENABLED",
        parameters=(),
        account="111122223333",
        region="eu-west-1",
        resource="AWS::S3::Bucket/stale-backup-archive",
        start=start,
        end=end,
        within=Interval(START, END),
        ended_by="remediated" if end else "open",
        precision="change",
    )


def findings(*deviations: Deviation) -> dict[str, Findings]:
    gap = Gap(
        id=GAP,
        reason="insufficient-data",
        account="111122224444",
        region="eu-west-1",
        rule="redshift-cluster-kms-enabled",
        start=START,
        end=END,
        within=Interval(START, END),
    )
    return {
        "PCI-2028-Q1": Findings(
            assessment="PCI-2028-Q1",
            collected=None,
            closed=False,
            controls={},
            requirements={},
            deviations=deviations or (deviation(DEV, START, END),),
            gaps=(gap,),
            unmapped=(),
        )
    }


def annotation(*, covers: str = DEV, times: str = "", text: str = TEXT) -> bytes:
    return (
        f'---\ncovers: ["{covers}"]\n{times}author: "j-moreau"\n---\n{text}\n'
    ).encode()


TIMES = 'start: "2028-02-14T03:12:00Z"\nend: "2028-02-14T03:17:00Z"\n'


def signoff(acknowledged: str) -> bytes:
    names = "controls mapping scope evidence findings annotations manual attestations"
    subject = "".join(
        f'  - {{name: "{name}", sha256: "{"a" * 64}"}}\n' for name in names.split()
    )
    return f"""\
format: "controlbook/signoff/1"
assessment: "PCI-2028-Q1"
requirement: "9.1"
role: "assessor"
person: "a-okafor"
github_id: "4100201"
decision: "sign"
conclusion: "satisfied"
statement: "AWS's attestation is on file."
acknowledged: ["{acknowledged}"]
claimed_at: "2028-04-03T08:15:00Z"
prev: "{"0" * 64}"
base: "{"b" * 40}"
generator: "0.1.0"
subject:
{subject}""".encode()


def found(
    files: dict[str, bytes], facts: dict[str, Findings] | None = None
) -> list[str]:
    everything = {
        path.relative_to(ROOT).as_posix(): path.read_bytes()
        for prefix in GOVERNED
        for path in [ROOT / prefix, *(ROOT / prefix).rglob("*")]
        if path.is_file()
    } | files
    facts = findings() if facts is None else facts
    return [str(problem) for problem in check(read(everything), everything, facts)]


def test_the_example_programme_has_no_problem() -> None:
    assert found({}) == []
    assert found({}, {}) == []


def test_an_annotation_that_fits_the_facts_has_no_problem() -> None:
    assert found({PATH: annotation(times=TIMES)}) == []


def test_an_orphan_is_told_with_the_line_of_the_id() -> None:
    assert found({PATH: annotation(covers=OPEN)}) == [
        (
            f"{PATH}:2: covers: no assessment has {OPEN}; "
            "take the id from `status`, or remove it"
        )
    ]


def test_without_findings_nothing_is_held_against_the_facts() -> None:
    assert found({PATH: annotation(covers=OPEN)}, {}) == []


TRUE = "2028-02-14T03:12:00Z to 2028-02-14T03:17:00Z"
AGAIN = f"run `controlbook annotate --refresh {PATH}`"


@pytest.mark.parametrize(
    ("times", "says"),
    [
        (TIMES.replace("03:12", "03:11"), "is stated as 2028-02-14T03:11:00Z to "),
        (TIMES.replace("03:17", "03:18"), "12:00Z to 2028-02-14T03:18:00Z, but the l"),
        (
            TIMES.partition("\n")[0] + "\n",
            "to open, but the ledger says 2028-02-14T03:1",
        ),
        ("", f"the times of {DEV} are not stated, but the ledger says {TRUE}; {AGAIN}"),
    ],
)
def test_times_that_do_not_match_the_facts_are_told(times: str, says: str) -> None:
    (problem,) = found({PATH: annotation(times=times)})
    assert problem.startswith(f"{PATH}:2: covers: ")
    assert says in problem


def test_an_open_deviation_has_no_end() -> None:
    facts = findings(deviation(DEV, START, None))
    assert found({PATH: annotation(times=TIMES.partition("\n")[0] + "\n")}, facts) == []
    told = found({PATH: annotation(times=TIMES)}, facts)
    assert told == [
        (
            f"{PATH}:2: covers: {DEV} is stated as {TRUE}, but the ledger says"
            f" 2028-02-14T03:12:00Z to open; {AGAIN}"
        )
    ]


def test_several_ids_with_different_times_state_those_of_each() -> None:
    """Without them nobody could tell later which of the ends had moved."""
    facts = findings(deviation(DEV, START, END), deviation(OPEN, END, None))
    both = f'{DEV}", "{OPEN}'
    open_ = f"{OPEN} 2028-02-14T03:17:00Z to open"
    times = f'times: ["{DEV} {TRUE}", "{open_}"]\n'
    assert found({PATH: annotation(covers=both, times=times)}, facts) == []
    bare = found({PATH: annotation(covers=both)}, facts)
    assert len(bare) == 2
    assert all(
        any(f"the times of {i} are not stated" in b for b in bare) for i in (DEV, OPEN)
    )
    (one,) = found({PATH: annotation(covers=both, times=TIMES)}, facts)
    assert f"{OPEN} is stated as {TRUE}, but the ledger says" in one
    moved = times.replace("to open", "to 2028-02-15T00:00:00Z")
    (one,) = found({PATH: annotation(covers=both, times=moved)}, facts)
    assert "is stated as 2028-02-14T03:17:00Z to 2028-02-15T00:00:00Z" in one


@pytest.mark.parametrize(
    ("times", "says"),
    [
        (DEV, "is not `ID START to END`"),
        (f"{OPEN} {TRUE}", f"{OPEN} is not among `covers`"),
        (f"{DEV} {TRUE[:20]} to {TRUE[:20]}", "ends before it starts"),
        (f"{DEV} yesterday to open", "'yesterday' is not a UTC time"),
        (f'{DEV} {TRUE}", "{DEV} {TRUE[:20]} to open', "stands twice"),
    ],
)
def test_times_that_cannot_be_read_are_told(times: str, says: str) -> None:
    made = {PATH: annotation(times=f'times: ["{times}"]\n')}
    with pytest.raises(InvalidFiles) as refused:
        found(made)
    assert any(
        f"{PATH}:3: times: " in str(each) and says in str(each)
        for each in refused.value.problems
    ), refused.value.problems


def test_text_that_explains_nothing_is_told_with_its_line() -> None:
    told = found({PATH: annotation(times=TIMES, text="TODO")})
    assert told == [
        (
            f"{PATH}:7: the text still holds the placeholder 'TODO'; "
            "write cause, remediation and ticket in your own words"
        )
    ]


def test_a_copied_text_is_told() -> None:
    other = "annotations/2028-03/other.md"
    told = found(
        {
            PATH: annotation(times=TIMES),
            other: annotation(covers=GAP, times=TIMES),
        }
    )
    assert len(told) == 1
    assert told[0].startswith(f"{other}:7: the text is a copy of {PATH}")


def test_acknowledging_what_does_not_exist_is_told() -> None:
    assert found({SIGNOFF: signoff(DEV)}) == []
    assert found({SIGNOFF: signoff(OPEN)}) == [
        (
            f"{SIGNOFF}:10: acknowledged: PCI-2028-Q1 has no {OPEN}; "
            "write the file again with `attest` or `signoff`"
        )
    ]


def test_codeowners_is_part_of_the_check() -> None:
    told = found({".github/CODEOWNERS": b"* @c-novak\n"})
    assert any("signoffs/PCI-2028-Q1/requirements/3.4.yml" in t for t in told)
