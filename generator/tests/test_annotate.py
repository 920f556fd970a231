# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace

import pytest

from controlbook import yamltext
from controlbook.annotate import annotation, slug
from controlbook.errors import ControlbookError
from controlbook.model import Deviation, Gap
from controlbook.timeline import HOUR, Instant, Interval, instant

START = instant("2028-02-14T03:12:00Z")
END = instant("2028-02-14T03:17:00Z")
DEVIATION = Deviation(
    id="dev-5f2c9a1e77b04c13",
    rule="s3-bucket-server-side-encryption-enabled",
    identifier="S3_BUCKET_SERVER_SIDE_ENCRYPTION_ENABLED",
    parameters=(),
    account="111122223333",
    region="eu-west-1",
    resource="AWS::S3::Bucket/stale-backup-archive",
    start=START,
    end=END,
    within=Interval(START, END),
    ended_by="remediated",
    precision="change",
)
GAP = Gap(
    id="gap-00aa00aa00aa00aa",
    reason="insufficient-data",
    account="111122224444",
    region="eu-west-1",
    rule="redshift-cluster-kms-enabled",
    start=Instant(START - 31 * 24 * HOUR),
    end=END,
    within=Interval(START, END),
)
BODY = "AWS Config recorded the bucket at 03:12Z; its remediation put it right again."


def test_an_annotation_carries_the_facts_it_explains() -> None:
    path, body = annotation(
        title="Stale backup archive",
        covers=[DEVIATION],
        author="j-moreau",
        body=f"\n{BODY}\n\n",
        ticket="PCI-4432",
    )
    assert path == "annotations/2028-02/stale-backup-archive.md"
    assert body.decode() == (
        "---\n"
        'title: "Stale backup archive"\n'
        'covers: ["dev-5f2c9a1e77b04c13"]\n'
        'start: "2028-02-14T03:12:00Z"\n'
        'end: "2028-02-14T03:17:00Z"\n'
        'author: "j-moreau"\n'
        'ticket: "PCI-4432"\n'
        'audience: "auditor"\n'
        "---\n"
        f"{BODY}\n"
    )
    text = yamltext.front_matter(body)
    assert not text.flaws
    assert text.body == f"{BODY}\n"


def test_times_that_differ_are_stated_one_by_one_and_open_ends_left_out() -> None:
    path, body = annotation(
        title="Two", covers=[DEVIATION, GAP], author="j-moreau", body=BODY
    )
    assert path == "annotations/2028-01/two.md"
    assert b'covers: ["dev-5f2c9a1e77b04c13", "gap-00aa00aa00aa00aa"]\n' in body
    assert b"start:" not in body
    assert b"end:" not in body
    assert (
        b'times: ["dev-5f2c9a1e77b04c13 2028-02-14T03:12:00Z to 2028-02-14T03:17:00Z",'
        b' "gap-00aa00aa00aa00aa 2028-01-14T03:12:00Z to 2028-02-14T03:17:00Z"]\n'
    ) in body
    still = replace(DEVIATION, end=None)
    _, body = annotation(title="Open", covers=[still], author="j-moreau", body=BODY)
    assert b'start: "2028-02-14T03:12:00Z"\n' in body
    assert b"end:" not in body


def test_a_second_annotation_of_a_title_stands_beside_the_first() -> None:
    taken = {"annotations/2028-02/same.md", "annotations/2028-02/same-2.md"}
    path, _ = annotation(
        title="Same", covers=[DEVIATION], author="j-moreau", body=BODY, taken=taken
    )
    assert path == "annotations/2028-02/same-3.md"


@pytest.mark.threat("T46")
@pytest.mark.parametrize("body", ["", "TODO", "Fixed.", "<cause> and <remediation>"])
def test_an_annotation_without_content_is_refused(body: str) -> None:
    with pytest.raises(ControlbookError, match="does not count"):
        annotation(title="x", covers=[DEVIATION], author="j-moreau", body=body)


def test_an_annotation_of_nothing_is_refused() -> None:
    with pytest.raises(ControlbookError, match="covers nothing"):
        annotation(title="x", covers=[], author="j-moreau", body=BODY)


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("VPC flow logs: NET-881", "vpc-flow-logs-net-881"),
        ("Clé périmée", "cle-perimee"),
        ("../../etc/passwd", "etc-passwd"),
        ("日本", "annotation"),
        ("x" * 90, "x" * 60),
    ],
)
def test_a_title_makes_a_file_name(title: str, name: str) -> None:
    assert slug(title) == name
