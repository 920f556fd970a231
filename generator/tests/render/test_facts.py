# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace

import small

from controlbook.digest import canonical, digest_of, parse_canonical, sha256
from controlbook.render.facts import facts_of, facts_root, heads
from controlbook.render.report import Commit
from controlbook.timeline import instant


def test_facts_are_canonical_json_that_reads_back() -> None:
    document = facts_of(small.report())
    assert parse_canonical(canonical(document)) == document
    assert facts_root(document) == digest_of(document)


def test_facts_know_no_build() -> None:
    report = small.report()
    other = replace(
        report,
        commit=Commit(id="e" * 40, at=instant("2029-01-01T00:00:00Z")),
        release="another-name",
        toolchain={"python": "9"},
        generator="controlbook 99",
    )
    assert facts_of(report) == facts_of(other)


def test_every_requirement_in_scope_has_a_row_with_and_without_evidence() -> None:
    rows = facts_of(small.report())["requirements"]
    assert [row["number"] for row in rows] == ["3.4", "3.5", "3.10", "9.1", "9.9"]
    assert rows[4]["not-applicable"] == "We have no card reader."


def test_deviations_and_gaps_stand_in_full_with_their_annotations() -> None:
    report = small.report()
    document = facts_of(report)
    assert len(document["deviations"]) == len(report.findings.deviations) == 2
    assert len(document["gaps"]) == 1
    row = document["deviations"][0]
    assert (row["start"], row["end"]) == (
        "2028-02-14T03:12:00Z",
        "2028-02-14T03:17:00Z",
    )
    note = report.library.annotations[0]
    assert row["annotations"] == [[note.path, note.sha256]]
    assert "gap-" in document["gaps"][0]["id"]


def test_a_signed_row_names_pull_request_reviewer_and_subject() -> None:
    report = small.report()
    row = facts_of(report)["requirements"][0]
    judgement = row["judgement"]
    assert judgement["counts"] == "yes"
    assert judgement["pull"]["head"] == "b" * 40
    assert judgement["pull"]["reviewer-id"] == "4100202"
    assert judgement["pull"]["reviewed-at"] == "2028-02-18T09:30:00Z"
    assert row["subject"] == [list(pair) for pair in report.subjects["3.4"]]
    assert [a["control"] for a in row["attestations"]] == ["pan-encrypted-at-rest"]


def test_a_stale_row_names_old_and_new_digest() -> None:
    row = facts_of(small.report())["requirements"][1]
    assert row["judgement"]["stale"] == [
        ["annotations", sha256(b"old"), sha256(b"new")]
    ]


def test_a_changed_verdict_changes_the_facts_root() -> None:
    report = small.report()
    run = report.ledger.config[3]
    runs = (*report.ledger.config[:3], replace(run, sha256="0" * 64))
    other = replace(report, ledger=replace(report.ledger, runs={"config": runs}))
    assert facts_root(facts_of(report)) != facts_root(facts_of(other))


def test_heads_bind_every_manifest_of_a_stream() -> None:
    ledger = small.ledger()
    head = heads(ledger)["config"]
    assert (head["seq"], head["sha256"]) == (6, ledger.config[-1].sha256)
    swapped = (ledger.config[1], ledger.config[0], *ledger.config[2:])
    assert heads(replace(ledger, runs={"config": swapped}))["config"] != head


def test_the_evidence_index_names_object_version_and_lock() -> None:
    rows = facts_of(small.report())["evidence"]
    assert [row["seq"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert rows[0]["objects"][0]["lock"] == ["none", ""]
    assert rows[0]["objects"][0]["version-id"].startswith("sha256:")


def test_only_people_with_a_part_in_it_are_named() -> None:
    people = facts_of(small.report())["people"]
    assert [person["id"] for person in people] == ["j-moreau", "m-lindqvist"]
