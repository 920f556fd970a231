# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

import pytest
from collecting import ABOUT, Desk, desk

from controlbook.collect import Collected, Collector
from controlbook.crosscheck import OurRecord
from controlbook.errors import Exit
from controlbook.ledger import read_ledger
from controlbook.sandbox import audit_manager
from controlbook.sandbox.audit_manager import RULES, SET
from controlbook.sandbox.example import REGION, example
from controlbook.sandbox.tiny import tiny
from controlbook.sandbox.trouble import StaleCheck, Trouble
from controlbook.sources.audit_manager import AuditManager, Paced
from controlbook.timeline import instant
from controlbook.vault.packs import unpack

if TYPE_CHECKING:
    from pathlib import Path

    from controlbook.model import Run

FIRST, SECOND = "2028-01-04T06:00:00Z", "2028-01-05T06:00:00Z"
FOLDER = "auditmanager:GetEvidenceByEvidenceFolder"


def save(open_desk: Desk, at: str, *, wanted: bool = True) -> Collected:
    """Let the stream run at an instant."""
    streams = ("config", "audit-manager") if wanted else ("config",)
    settings = replace(open_desk.library.settings, streams=streams)
    library = replace(open_desk.library, settings=settings)
    open_desk.now = instant(at)
    open_desk.sandbox.set_clock(open_desk.now)

    @cache
    def ours() -> OurRecord:
        return OurRecord.of(read_ledger(open_desk.git), ())

    collector = Collector(
        library=library,
        vault=open_desk.vault,
        clock=lambda: open_desk.now,
        commit=open_desk.commit,
        about=ABOUT,
    )
    source = AuditManager(library, ours, open_desk.aws, pause=lambda _: None)
    return collector.collect(source, open_desk.git)


def runs(open_desk: Desk) -> tuple[Run, ...]:
    return read_ledger(open_desk.git).runs["audit-manager"]


def asked(open_desk: Desk, call: str = FOLDER) -> int:
    return open_desk.sandbox.calls.count(call)


def test_tree_folders_comments_and_changes_are_saved_word_for_word(
    tmp_path: Path,
) -> None:
    with desk(tiny(), tmp_path) as open_desk:
        assert save(open_desk, FIRST).code is Exit.FINE
        (run,) = runs(open_desk)
        (row,) = run.observations
        counts = dict(row.counts)
        assert (counts["control"], counts["comment"], counts["change"]) == (2, 2, 3)
        assert counts["delegation"] == 1
        # Three days of three buckets, and one day of a database.
        assert (counts["folder"], counts["evidence"]) == (4, 10)
        assert counts["empty folders"] == 2
        stored = next(each for each in run.objects if each.role == "source")
        pages = [json.loads(x) for x in unpack(open_desk.vault.get(stored.key))]
        assert any("Looked at by hand" in page["body"] for page in pages)
        assert {page["parameters"].get("controlSetId", SET) for page in pages} == {SET}
        assert b"Looked at by hand" not in b"".join(open_desk.git.values())


def test_a_folder_that_was_read_is_not_asked_for_again(tmp_path: Path) -> None:
    with desk(tiny(), tmp_path) as open_desk:
        save(open_desk, FIRST)
        before = asked(open_desk)
        assert before == 4
        save(open_desk, SECOND)
        assert asked(open_desk) - before == 1
        assert dict(runs(open_desk)[-1].observations[0].counts)["folder"] == 5


def test_a_run_that_broke_off_goes_on_at_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = Paced.ask, []

    def breaking(self: Paced, service: str, method: str, *place, **parameters):  # type: ignore[no-untyped-def] # noqa: ANN002, ANN003, ANN202 - stands in for ask
        calls.append(method)
        if calls.count("get_evidence_by_evidence_folder") == 3:
            parameters["evidenceFolderId"] = "0" * 8 + "-0000-0000-0000-" + "0" * 12
        return real(self, service, method, *place, **parameters)

    with desk(tiny(), tmp_path) as open_desk:
        monkeypatch.setattr(Paced, "ask", breaking)
        assert save(open_desk, FIRST).code is Exit.UNAVAILABLE
        (row,) = runs(open_desk)[-1].observations
        assert (row.state, row.result) == (
            "source-failed",
            "ResourceNotFoundException",
        )
        monkeypatch.setattr(Paced, "ask", real)
        before = asked(open_desk)
        assert save(open_desk, "2028-01-04T07:00:00Z").code is Exit.FINE
        assert asked(open_desk) - before == 2
        assert dict(runs(open_desk)[-1].observations[0].counts)["evidence"] == 10


def test_a_folder_that_gives_less_than_it_counts_is_no_evidence(
    tmp_path: Path,
) -> None:
    trouble = Trouble(blank_listings=("GetEvidenceByEvidenceFolder",))
    with desk(tiny(), tmp_path, trouble) as open_desk:
        assert save(open_desk, FIRST).code is Exit.UNAVAILABLE
        (row,) = runs(open_desk)[-1].observations
        assert (row.state, row.result) == ("source-failed", "PartialAnswer")
        assert "counts 3" in runs(open_desk)[-1].notes[0]


@pytest.mark.parametrize("size", [1, 2])
def test_pages_are_followed_through_empty_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr("controlbook.sandbox.audit_manager.PAGE", size)
    trouble = Trouble(empty_pages=("first", "middle", "last"))
    with desk(tiny(), tmp_path, trouble) as open_desk:
        assert save(open_desk, FIRST).code is Exit.FINE
        assert dict(runs(open_desk)[-1].observations[0].counts)["evidence"] == 10


def test_a_listing_that_turns_in_circles_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controlbook.sandbox.audit_manager.PAGE", 1)
    with desk(tiny(), tmp_path, Trouble(looped_token=True)) as open_desk:
        assert save(open_desk, FIRST).code is Exit.UNAVAILABLE
        assert runs(open_desk)[-1].missing


def test_without_the_stream_among_the_settings_nothing_is_asked(
    tmp_path: Path,
) -> None:
    with desk(tiny(), tmp_path) as open_desk:
        assert not save(open_desk, FIRST, wanted=False).runs
        assert not [c for c in open_desk.sandbox.calls if "auditmanager" in c]


def test_its_verdicts_are_held_against_our_own_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with desk(tiny(), tmp_path) as open_desk:
        open_desk.days("2028-01-01T06:00:00Z", 4)
        save(open_desk, FIRST)
        counts = dict(runs(open_desk)[-1].observations[0].counts)
        assert counts["contradictions"] == 0
    monkeypatch.setitem(
        __import__("controlbook.sandbox.audit_manager", fromlist=["CHECK"]).CHECK,
        "COMPLIANT",
        "NON_COMPLIANT",
    )
    with desk(tiny(), tmp_path / "other") as open_desk:
        open_desk.days("2028-01-01T06:00:00Z", 4)
        save(open_desk, FIRST)
        run = runs(open_desk)[-1]
        counts = dict(run.observations[0].counts)
        assert len(run.contradictions) == counts["contradictions"] > 0
        assert {row.ours for row in run.contradictions} == {("COMPLIANT",)}


def test_reviewed_stays_a_word_of_the_vault(tmp_path: Path) -> None:
    with desk(tiny(), tmp_path) as open_desk:
        save(open_desk, FIRST)
        (run,) = runs(open_desk)
        assert run.pulls == ()
        assert run.observations[0].result == "ACTIVE"


def test_requests_keep_to_twenty_a_second(tmp_path: Path) -> None:
    now = [0.0]
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        now[0] += seconds

    with desk(tiny(), tmp_path) as open_desk:
        talk = Paced(open_desk.aws, clock=lambda: now[0], pause=pause)
        for _ in range(21):
            talk.ask("sts", "get_caller_identity")
    assert sum(pauses) == pytest.approx(1.0)


def test_the_rules_of_the_sandbox_are_the_worlds() -> None:
    known = {rule.identifier for rule in example().rules}
    assert set(RULES.values()) <= known


def test_a_folder_ahead_of_our_record_is_read_again_when_that_has_caught_up(
    tmp_path: Path,
) -> None:
    with desk(tiny(), tmp_path) as open_desk:
        open_desk.days("2028-01-01T06:00:00Z", 3)  # up to the end of 2 January
        save(open_desk, FIRST)
        (row,) = runs(open_desk)[-1].observations
        assert dict(row.counts)["ahead of our record"] == 3, "the third day's buckets"
        before = asked(open_desk)
        open_desk.days("2028-01-04T06:00:00Z", 2)
        save(open_desk, SECOND)
        (row,) = runs(open_desk)[-1].observations
        assert "ahead of our record" not in dict(row.counts)
        assert asked(open_desk) - before == 2, "the one that waited, and the new one"


def test_a_check_that_lags_behind_is_a_contradiction_of_each_day(
    tmp_path: Path,
) -> None:
    stale = StaleCheck(
        account="000000000001",
        region=REGION,
        identifier="S3_BUCKET_SERVER_SIDE_ENCRYPTION_ENABLED",
        resource="AWS::S3::Bucket/beta",
        start=instant("2028-01-01T10:01:00Z"),
        end=instant("2028-01-03T00:00:00Z"),
    )
    with desk(tiny(), tmp_path, Trouble(stale_checks=(stale,))) as open_desk:
        open_desk.days("2028-01-01T06:00:00Z", 4)
        save(open_desk, FIRST)
        (run,) = runs(open_desk)
        assert [(row.at, row.theirs, row.ours) for row in run.contradictions] == [
            (instant(f"2028-01-0{day}T23:59:59Z"), "NON_COMPLIANT", ("COMPLIANT",))
            for day in (1, 2)
        ]
        assert {row.control for row in run.contradictions} == {
            "Stored objects are encrypted"
        }
        # The next day's run finds nothing new, and repeats nothing.
        open_desk.days("2028-01-05T06:00:00Z", 1)
        save(open_desk, SECOND)
        assert runs(open_desk)[-1].contradictions == ()
        assert dict(runs(open_desk)[-1].observations[0].counts)["contradictions"] == 2


def test_what_people_wrote_is_kept_in_whatever_form_they_typed_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An e and its accent apart (NFD) have no canonical JSON of their own."""
    name = "Databases are encrypted"
    typed = ("j-moreau", 0, "verifie\u0301 le 2 janvier")
    comments = {**audit_manager.COMMENTS, name: typed}
    monkeypatch.setattr(audit_manager, "COMMENTS", comments)
    with desk(tiny(), tmp_path) as open_desk:
        assert save(open_desk, FIRST).code is Exit.FINE
        (run,) = runs(open_desk)
        stored = next(each for each in run.objects if each.role == "records")
        lines = unpack(open_desk.vault.get(stored.key), stored)
        assert any("verifi\u00e9 le 2 janvier".encode() in line for line in lines)
