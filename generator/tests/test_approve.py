# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import signed
import small

from controlbook.approve import approve
from controlbook.model import (
    Delegation,
    Grant,
    Ledger,
    Library,
    MappedControl,
    MappingState,
    Pull,
    RequirementStatus,
    Status,
    Team,
)
from controlbook.timeline import Instant, Interval, instant

if TYPE_CHECKING:
    from controlbook.record import Record

PATH = "signoffs/PCI-2028-FEB/requirements/3.4.yml"
OWNER_PATH = "signoffs/PCI-2028-FEB/controls/pan-encrypted-at-rest.yml"


def judged(record: Record, number: str = "3.4") -> RequirementStatus:
    return approve(record)[number]


def pull(path: str = PATH) -> Pull:
    file = next(f for f in signed.library().signoffs if f.path == path)
    return signed.pull_of(file)


def with_file(path: str = PATH, **fields: object) -> Library:
    base = signed.library()
    return replace(
        base,
        signoffs=tuple(
            replace(f, **fields) if f.path == path else f  # type: ignore[arg-type]
            for f in base.signoffs
        ),
    )


def refused(record: Record, words: str, number: str = "3.4") -> None:
    """Assert that the sign-off does not count, for the reason given."""
    row = judged(record, number)
    assert row.status is Status.UNREVIEWED
    assert row.conclusion == ""
    assert any(words in reason for reason in row.judgement.reasons), row.judgement


def test_what_is_signed_by_the_book_counts() -> None:
    table = approve(signed.record())
    assert {number: row.status for number, row in table.items()} == {
        "3.4": Status.SIGNED_WITH_DEVIATIONS,
        "3.5": Status.SIGNED,
        "3.10": Status.SIGNED_WITH_DEVIATIONS,
        "9.1": Status.SIGNED,
        "9.9": Status.SIGNED,
    }
    assert all(row.waiting == () for row in table.values())
    assert all(row.conclusion == "satisfied" for row in table.values())


def test_nothing_signed_is_in_review_and_waits_for_the_owner() -> None:
    base = replace(signed.library(), signoffs=())
    row = judged(signed.record(base))
    assert row.status is Status.IN_REVIEW
    assert row.waiting == (("j-moreau", "attest pan-encrypted-at-rest"),)


def test_attested_waits_for_the_assessor() -> None:
    base = signed.library()
    base = replace(base, signoffs=tuple(f for f in base.signoffs if f.role == "owner"))
    row = judged(signed.record(base))
    assert row.status is Status.ATTESTED
    assert row.waiting == (("m-lindqvist", "sign 3.4"),)


def test_a_requirement_that_rests_on_proposals_cannot_be_signed() -> None:
    record = signed.record()
    framework = record.library.frameworks["pci-dss-3.2.1"]
    proposal = MappedControl(
        control="buckets-encrypted", source="aws", state=MappingState.PROPOSED
    )
    bare = replace(
        framework.requirements["9.1"], inherited="", mappings=(proposal,), controls=()
    )
    library = replace(
        record.library,
        frameworks={
            framework.id: replace(
                framework, requirements={**framework.requirements, "9.1": bare}
            )
        },
    )
    proposed = replace(record, library=library)
    refused(proposed, "rests on proposed mappings that nobody reviewed", "9.1")
    assert judged(proposed, "9.1").waiting == (
        ("m-lindqvist", "have the proposed mappings of 9.1 reviewed"),
    )


def test_a_requirement_without_controls_needs_the_assessor_alone() -> None:
    base = replace(signed.library(), signoffs=())
    row = judged(signed.record(base), "9.1")
    assert row.waiting == (("m-lindqvist", "sign 9.1"),)


@pytest.mark.threat("T38")
def test_somebody_who_is_not_the_assessor_does_not_count() -> None:
    base = with_file(person="c-novak", github_id="4100301")
    refused(signed.record(base), "c-novak is not the assessor of 3.4 (m-lindqvist)")


@pytest.mark.threat("T38")
def test_an_attestation_by_somebody_else_does_not_count() -> None:
    base = with_file(OWNER_PATH, person="c-novak", github_id="4100301")
    row = judged(signed.record(base))
    assert row.status is Status.UNREVIEWED
    (reason, *_) = row.attestations["pan-encrypted-at-rest"].reasons
    assert "c-novak is not the owner" in reason
    assert "the attestation of pan-encrypted-at-rest does not count" in (
        row.judgement.reasons
    )


@pytest.mark.threat("T39")
def test_an_assessor_who_owns_a_mapped_control_does_not_count() -> None:
    base = signed.library()
    team = Team(id="platform", name="Platform", members=("j-moreau", "m-lindqvist"))
    control = replace(base.controls["pan-encrypted-at-rest"], owner="platform")
    base = replace(
        base,
        teams={**base.teams, "platform": team},
        controls={**base.controls, control.id: control},
    )
    refused(signed.record(base), "assesses 3.4 and owns pan-encrypted-at-rest")


@pytest.mark.threat("T39")
def test_an_assessor_who_wrote_an_annotation_does_not_count() -> None:
    base = signed.library()
    notes = tuple(replace(n, author="m-lindqvist") for n in base.annotations)
    base = signed.signed(replace(base, annotations=notes))
    refused(signed.record(base), "m-lindqvist wrote an annotation")


@pytest.mark.threat("T39")
@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"author_id": "4100202"}, "opened the pull request"),
        ({"pushers": ("4100901", "4100202")}, "pushed last"),
    ],
)
def test_nobody_binds_themselves(fields: dict[str, object], words: str) -> None:
    changed = replace(pull(), **fields)  # type: ignore[arg-type]
    refused(signed.record(pulls={PATH: changed}), words)


@pytest.mark.threat("T40")
def test_an_id_that_people_yml_does_not_know_counts_for_nobody() -> None:
    review = replace(pull().reviews[0], user_id="999")
    changed = replace(pull(), reviews=(review,))
    refused(signed.record(pulls={PATH: changed}), "did not review pull request #7")
    refused(signed.record(with_file(github_id="999")), "GitHub id 999 is not")


@pytest.mark.threat("T40")
def test_two_ids_of_one_person_are_one_person() -> None:
    base = signed.library()
    person = replace(base.people["m-lindqvist"], github_ids=("4100202", "555"))
    base = replace(base, people={**base.people, "m-lindqvist": person})
    changed = replace(pull(), author_id="555")
    refused(signed.record(base, pulls={PATH: changed}), "opened the pull request")


@pytest.mark.threat("T41")
def test_bytes_that_changed_after_the_review_do_not_count() -> None:
    arrival = replace(signed.arrival_of(pull(), PATH), reviewed_same=False)
    refused(signed.record(arrivals={PATH: arrival}), "not the bytes that were reviewed")


@pytest.mark.threat("T41")
def test_a_file_that_no_captured_pull_request_brought_does_not_count() -> None:
    arrival = replace(signed.arrival_of(pull(), PATH), merge="f" * 40)
    refused(signed.record(arrivals={PATH: arrival}), "no captured pull request")


@pytest.mark.threat("T42")
def test_an_annotation_edited_afterwards_makes_it_stale() -> None:
    base = signed.library()
    edited = replace(base.annotations[0], sha256="e" * 64)
    base = replace(base, annotations=(edited, *base.annotations[1:]))
    row = judged(signed.record(base))
    assert row.status is Status.STALE
    assert [stale.name for stale in row.judgement.stale] == ["annotations"]
    assert judged(signed.record(base), "3.5").status is Status.SIGNED


@pytest.mark.threat("T43")
def test_a_control_edited_afterwards_makes_only_its_requirements_stale() -> None:
    base = signed.library()
    edited = replace(base.controls["key-management"], sha256="e" * 64)
    base = replace(base, controls={**base.controls, "key-management": edited})
    table = approve(signed.record(base))
    assert table["3.5"].status is Status.STALE
    assert [s.name for s in table["3.5"].judgement.stale] == ["controls"]
    assert table["3.4"].status is Status.SIGNED_WITH_DEVIATIONS


@pytest.mark.threat("T44")
def test_removing_a_rule_with_its_deviation_makes_it_stale() -> None:
    base = signed.library()
    control = base.controls["pan-encrypted-at-rest"]
    less = replace(control, evidence=control.evidence[:1])
    base = replace(base, controls={**base.controls, control.id: less})
    record = signed.record(base)
    row = judged(record)
    assert row.status is Status.STALE
    assert {"mapping", "findings", "evidence"} <= {s.name for s in row.judgement.stale}
    assert record.findings.unmapped


@pytest.mark.threat("T27")
@pytest.mark.threat("T45")
def test_a_narrowed_scope_makes_it_stale() -> None:
    base = signed.library()
    narrower = replace(signed.ASSESSMENT, accounts=signed.ASSESSMENT.accounts[:1])
    base = replace(base, assessments={narrower.id: narrower})
    record = signed.record(base)
    assert "scope" in {s.name for s in judged(record).judgement.stale}


def test_another_requirements_assessor_does_not_disturb() -> None:
    base = signed.library()
    other = replace(
        signed.ASSESSMENT, assessors=(("3.5", "c-novak"), ("default", "m-lindqvist"))
    )
    base = replace(base, assessments={other.id: other})
    table = approve(signed.record(base))
    assert table["3.4"].status is Status.SIGNED_WITH_DEVIATIONS
    assert table["3.5"].status is not Status.SIGNED


@pytest.mark.threat("T46")
@pytest.mark.parametrize("text", ["", "TODO", "lorem ipsum dolor", signed.TEXTS[1]])
def test_text_without_content_of_its_own_explains_nothing(text: str) -> None:
    base = signed.library()
    empty = replace(base.annotations[0], body=text)
    base = signed.signed(replace(base, annotations=(empty, *base.annotations[1:])))
    refused(signed.record(base), "is not annotated")


@pytest.mark.threat("T47")
def test_an_annotation_with_other_times_explains_nothing() -> None:
    base = signed.library()
    wrong = replace(base.annotations[0], end=instant("2028-02-14T03:16:00Z"))
    base = signed.signed(replace(base, annotations=(wrong, *base.annotations[1:])))
    refused(signed.record(base), "is not annotated")


def test_an_internal_annotation_explains_nothing_to_an_auditor() -> None:
    base = signed.library()
    hidden = replace(base.annotations[0], audience="internal")
    base = signed.signed(replace(base, annotations=(hidden, *base.annotations[1:])))
    refused(signed.record(base), "is not annotated")


def test_every_deviation_and_gap_must_be_acknowledged_and_no_other() -> None:
    file = next(f for f in signed.library().signoffs if f.path == PATH)
    fewer = with_file(acknowledged=file.acknowledged[1:])
    refused(signed.record(fewer), f"{file.acknowledged[0]} is not acknowledged")
    more = with_file(acknowledged=(*file.acknowledged, "dev-0000000000000000"))
    refused(signed.record(more), "is none of its deviations or gaps")


def test_a_conclusion_before_the_period_ends_does_not_count() -> None:
    early = with_file(claimed_at=instant("2028-02-16T00:00:00Z"))
    refused(signed.record(early), "is before the period's end")


def test_a_conclusion_before_its_last_evidence_does_not_count() -> None:
    at = Instant(small.run(6).finished - 1)
    refused(signed.record(with_file(claimed_at=at)), "is before its last evidence")


@pytest.mark.threat("T48")
@pytest.mark.threat("T49")
def test_the_codeowners_of_the_first_parent_decide() -> None:
    arrival = replace(signed.arrival_of(pull(), PATH), codeowners=b"* @c-novak\n")
    refused(signed.record(arrivals={PATH: arrival}), "CODEOWNERS did not ask")


@pytest.mark.threat("T52")
def test_a_merge_by_bypass_does_not_count() -> None:
    changed = replace(pull(), rule_suite="bypass")
    refused(signed.record(pulls={PATH: changed}), "bypassed the branch rules")


@pytest.mark.threat("T53")
def test_a_push_after_the_approval_voids_it() -> None:
    review = replace(pull().reviews[0], commit="0" * 40)
    changed = replace(pull(), reviews=(review,))
    refused(signed.record(pulls={PATH: changed}), "not the final head")


@pytest.mark.threat("T54")
@pytest.mark.parametrize("state", ["DISMISSED", "CHANGES_REQUESTED"])
def test_the_last_deciding_review_is_what_counts(state: str) -> None:
    first = pull().reviews[0]
    later = replace(first, id="2", state=state, submitted=Instant(first.submitted + 1))
    for reviews in ((first, later), (later, first)):
        changed = replace(pull(), reviews=reviews)
        refused(signed.record(pulls={PATH: changed}), f"last review is {state}")


def test_a_later_comment_does_not_void_an_approval() -> None:
    first = pull().reviews[0]
    talk = replace(
        first, id="2", state="COMMENTED", submitted=Instant(first.submitted + 1)
    )
    record = signed.record(pulls={PATH: replace(pull(), reviews=(first, talk))})
    assert judged(record).status is Status.SIGNED_WITH_DEVIATIONS


@pytest.mark.threat("T55")
def test_a_bot_is_not_a_reviewer() -> None:
    review = replace(pull().reviews[0], user_type="Bot")
    changed = replace(pull(), reviews=(review,))
    refused(signed.record(pulls={PATH: changed}), "not by a person")


@pytest.mark.threat("T56")
def test_a_squash_merge_does_not_count() -> None:
    arrival = replace(signed.arrival_of(pull(), PATH), parents=("a" * 40,))
    refused(signed.record(arrivals={PATH: arrival}), "not merged by a merge commit")


@pytest.mark.threat("T62")
def test_a_proof_that_the_policy_demands_is_not_replaced_by_less() -> None:
    base = signed.library()
    strict = replace(signed.ASSESSMENT, policy=(("signoff", "L2"),))
    base = signed.signed(replace(base, assessments={strict.id: strict}))
    row = judged(signed.record(base))
    assert row.status is Status.UNREVIEWED


NOVAK = "4100301"
"""The compliance officer, who stands in for m-lindqvist."""


def given(**changes: Any) -> Delegation:  # noqa: ANN401 - fields of all types
    fields: dict[str, Any] = {
        "giver": "m-lindqvist",
        "receiver": "c-novak",
        "role": "assessor",
        "requirements": ("3.4",),
        "interval": Interval(
            instant("2028-02-01T00:00:00Z"), instant("2028-03-01T00:00:00Z")
        ),
    }
    return Delegation(**fields | changes)


def granting(github_id: str) -> Pull:
    """Give the captured pull request that brought the delegation."""
    file = next(f for f in signed.library().signoffs if f.path == PATH)
    approved = signed.pull_of(replace(file, path="assessment", github_id=github_id))
    return replace(approved, paths=(signed.ASSESSMENT.path,))


def delegated(
    *delegations: Delegation, approver: str = NOVAK, by: str = "c-novak"
) -> Record:
    """Let somebody sign 3.4 by delegation."""
    base = signed.library()
    scope = replace(signed.ASSESSMENT, delegations=delegations)
    base = signed.signed(replace(base, assessments={scope.id: scope}))
    file = next(f for f in base.signoffs if f.path == PATH)
    acting = replace(file, person=by, github_id=base.people[by].github_ids[0])
    files = tuple(acting if f.path == PATH else f for f in base.signoffs)
    base = replace(base, signoffs=files)
    login = base.people[by].login.encode()
    owners = signed.CODEOWNERS.replace(b"@m-lindqvist", b"@m-lindqvist @" + login)
    arrival = replace(
        signed.arrival_of(signed.pull_of(acting), PATH), codeowners=owners
    )
    return signed.record(base, arrivals={PATH: arrival}, granted=granting(approver))


@pytest.mark.threat("T64")
@pytest.mark.parametrize("approver", [NOVAK, "4100202"])
def test_a_delegate_counts_within_the_dates(approver: str) -> None:
    row = judged(delegated(given(), approver=approver))
    assert row.status is Status.SIGNED_WITH_DEVIATIONS


@pytest.mark.threat("T64")
def test_an_expired_delegation_names_its_dates() -> None:
    until = Interval(instant("2028-02-01T00:00:00Z"), instant("2028-02-10T00:00:00Z"))
    refused(
        delegated(given(interval=until)),
        "holds from 2028-02-01T00:00:00Z to 2028-02-10T00:00:00Z, not at",
    )


@pytest.mark.threat("T64")
def test_a_delegation_that_was_taken_back_ends_there() -> None:
    revoked = given(revoked=instant("2028-02-18T00:00:00Z"))
    refused(delegated(revoked), "to 2028-02-18T00:00:00Z, not at")
    later = given(revoked=instant("2028-02-25T00:00:00Z"))
    assert judged(delegated(later)).status is Status.SIGNED_WITH_DEVIATIONS


@pytest.mark.threat("T64")
def test_a_delegation_runs_out_between_writing_and_approving() -> None:
    end = Instant(signed.SIGNED_AT + 30_000)
    until = Interval(instant("2028-02-01T00:00:00Z"), end)
    refused(delegated(given(interval=until)), "not at 2028-02-19T09:31:00Z")


@pytest.mark.threat("T64")
def test_a_delegation_is_not_passed_on() -> None:
    first = given(receiver="j-moreau")
    second = given(giver="j-moreau")
    refused(delegated(first, second), "by j-moreau passes on what was delegated")


@pytest.mark.threat("T64")
def test_a_foreign_delegation_gives_nothing() -> None:
    refused(delegated(given(giver="j-moreau")), "gives away what is not theirs")
    refused(delegated(given(requirements=("3.5",))), "is not the assessor of 3.4")
    refused(delegated(given(role="owner")), "is not the assessor of 3.4")


@pytest.mark.threat("T64")
def test_a_delegation_that_somebody_else_approved_gives_nothing() -> None:
    refused(
        delegated(given(), approver="4100123"),
        "approved neither by them nor by a compliance officer",
    )


@pytest.mark.threat("T64")
def test_a_delegation_without_a_captured_review_gives_nothing() -> None:
    record = delegated(given())
    record = replace(record, grants=(Grant(delegation=given(), merge="f" * 40),))
    refused(record, "approved neither by them nor by a compliance officer")


def test_scope_does_not_change_when_a_delegation_is_taken_back() -> None:
    # What a delegate signed before stays current; what comes after does not count.
    kept = given(revoked=instant("2028-02-25T00:00:00Z"))
    assert delegated(kept).findings.closed
    assert judged(delegated(kept)).judgement.stale == ()


def test_a_rejection_is_shown_as_such() -> None:
    row = judged(signed.record(with_file(decision="reject", conclusion="")))
    assert row.status is Status.REJECTED


def test_a_withdrawn_sign_off_no_longer_counts() -> None:
    row = judged(signed.record(with_file(decision="withdraw")))
    assert row.status is Status.ATTESTED
    assert row.waiting == (("m-lindqvist", "sign 3.4"),)


def test_a_document_that_expired_changes_the_status() -> None:
    base = signed.library()
    paper = replace(base.manual["key-policy"], expires=instant("2028-02-13T00:00:00Z"))
    expired = replace(base, manual={"key-policy": paper})
    row = judged(signed.record(expired), "3.5")
    assert row.status is Status.STALE
    assert "findings" in {stale.name for stale in row.judgement.stale}
    again = judged(signed.record(signed.signed(expired)), "3.5")
    assert again.status is Status.UNREVIEWED
    assert any("is not annotated" in reason for reason in again.judgement.reasons)


def test_a_rejection_may_be_followed_by_a_signature() -> None:
    rejected = with_file(decision="reject", conclusion="")
    assert judged(signed.record(rejected)).waiting == ()
    assert judged(signed.record()).status is Status.SIGNED_WITH_DEVIATIONS


def test_a_withdrawn_attestation_takes_the_sign_off_with_it() -> None:
    path = "signoffs/PCI-2028-FEB/controls/key-management.yml"
    base = signed.library()
    files = tuple(
        replace(f, decision="withdraw") if f.path == path else f for f in base.signoffs
    )
    row = judged(signed.record(replace(base, signoffs=files)), "3.5")
    assert row.status is Status.UNREVIEWED
    assert "the attestation of key-management does not count" in row.judgement.reasons
    assert ("j-moreau", "attest key-management") in row.waiting


def test_one_statement_for_many_requirements_counts_for_none() -> None:
    base = signed.library()
    said = "I looked at everything and know of nothing else."
    shared = tuple(
        replace(f, statement=said) if f.role == "owner" else f for f in base.signoffs
    )
    more = tuple(
        replace(f, about=f"other-{n}", path=f"signoffs/PCI-2028-FEB/controls/o{n}.yml")
        for n in range(3)
        for f in shared
        if f.about == "key-management" and f.role == "owner"
    )
    row = judged(signed.record(replace(base, signoffs=(*shared, *more))), "3.5")
    reasons = row.attestations["key-management"].reasons
    assert any("also stands for" in text and "other-0" in text for text in reasons)


@pytest.mark.parametrize("text", ["TODO", "ok", "asdf asdf asdf asdf asdf"])
def test_a_statement_that_says_nothing_does_not_count(text: str) -> None:
    refused(signed.record(with_file(statement=text)), "its statement says nothing")


def test_a_statement_carried_over_is_flagged_and_counts() -> None:
    base = signed.library()
    file = next(f for f in base.signoffs if f.path == PATH)
    before = replace(
        signed.ASSESSMENT,
        id="PCI-2028-JAN",
        period=Interval(
            instant("2028-01-01T00:00:00Z"), instant("2028-02-01T00:00:00Z")
        ),
    )
    old = replace(
        file,
        assessment=before.id,
        path="signoffs/PCI-2028-JAN/requirements/3.4.yml",
        statement=f"  {file.statement.upper()}",
    )
    base = replace(
        base,
        assessments={**base.assessments, before.id: before},
        signoffs=(*base.signoffs, old),
    )
    row = judged(signed.record(base))
    assert row.judgement.flags == ("text unchanged since PCI-2028-JAN",)
    assert row.status is Status.SIGNED_WITH_DEVIATIONS


def test_while_collecting_the_status_is_collecting_with_an_interim_one() -> None:
    base = signed.library()
    runs = {"config": small.ledger().config[:4]}
    row = judged(signed.record(base, ledger=Ledger(runs=runs)))
    assert row.status is Status.COLLECTING
    assert row.interim is Status.STALE
    assert row.conclusion == ""
