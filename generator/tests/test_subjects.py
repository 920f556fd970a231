# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace

import pytest
import signed
import small

from controlbook.assess import assess
from controlbook.model import Ledger, Library, ManualEvidence, State
from controlbook.subjects import Subject, control_subject, requirement_subject

ORDER = [
    "controls",
    "mapping",
    "scope",
    "evidence",
    "findings",
    "annotations",
    "manual",
]


def subject(
    number: str = "3.4", library: Library | None = None, ledger: Ledger | None = None
) -> Subject:
    base, chain = library or signed.library(), ledger or small.ledger()
    scope = base.assessments[signed.ASSESSMENT.id]
    found = assess(base, chain, small.standings(), scope)
    return requirement_subject(base, found, chain, scope, number)


def changed(before: Subject, after: Subject) -> list[str]:
    now = dict(after)
    return [name for name, digest in before if now[name] != digest]


def test_the_parts_stand_in_their_order() -> None:
    assert [name for name, _ in subject()] == [*ORDER, "attestations"]
    base = signed.library()
    found = assess(base, small.ledger(), small.standings(), signed.ASSESSMENT)
    owner = control_subject(
        base, found, small.ledger(), signed.ASSESSMENT, "key-management"
    )
    assert [name for name, _ in owner] == ORDER


def test_equal_content_gives_equal_subjects_in_any_order() -> None:
    base = signed.library()
    turned = replace(
        base,
        annotations=base.annotations[::-1],
        signoffs=base.signoffs[::-1],
        controls=dict(reversed(base.controls.items())),
    )
    assert subject(library=turned) == subject(library=base)


def test_reviews_never_count() -> None:
    chain = Ledger(runs={**small.ledger().runs, "reviews": (small.run(1),)})
    assert subject(ledger=chain) == subject()


@pytest.mark.parametrize("number", ["3.4", "3.10"])
def test_other_records_of_a_rule_change_its_evidence(number: str) -> None:
    runs = small.ledger().config
    rows = (replace(runs[2].rules[0], records_root="0" * 64), *runs[2].rules[1:])
    chain = Ledger(runs={"config": (*runs[:2], replace(runs[2], rules=rows))})
    whole = Ledger(runs={"config": (*chain.config, *runs[3:])})
    assert changed(subject(number), subject(number, ledger=whole)) == ["evidence"]
    assert subject("3.5", ledger=whole) == subject("3.5")


def test_an_added_transition_changes_evidence_and_findings() -> None:
    runs = small.ledger().config
    flip = small.move(
        small.INSTANCES[0],
        small.BUCKETS[0],
        "2028-02-12T01:00:00Z",
        State.COMPLIANT,
        State.NON_COMPLIANT,
    )
    day = replace(runs[1], transitions=(*runs[1].transitions, flip))
    chain = Ledger(runs={"config": (runs[0], day, *runs[2:])})
    assert changed(subject(), subject(ledger=chain)) == ["evidence", "findings"]


def test_manual_evidence_binds_the_object_too() -> None:
    base = signed.library()
    paper: ManualEvidence = base.manual["key-policy"]
    other = replace(paper, object=replace(paper.object, sha256="0" * 64))
    swapped = replace(base, manual={"key-policy": other})
    assert changed(subject("3.5"), subject("3.5", swapped)) == ["manual"]
    assert subject("3.4", swapped) == subject("3.4")


def test_a_reason_for_no_controls_is_part_of_the_mapping() -> None:
    base = signed.library()
    framework = base.frameworks["pci-dss-3.2.1"]
    item = replace(framework.requirements["9.1"], inherited="Somebody else does it.")
    other = replace(framework, requirements={**framework.requirements, "9.1": item})
    altered = replace(base, frameworks={framework.id: other})
    assert changed(subject("9.1"), subject("9.1", altered)) == ["mapping"]


def test_a_changed_attestation_changes_the_assessors_subject() -> None:
    base = signed.library()
    files = tuple(
        replace(f, sha256="0" * 64) if f.about == "pan-encrypted-at-rest" else f
        for f in base.signoffs
    )
    altered = replace(base, signoffs=files)
    assert changed(subject(), subject(library=altered)) == ["attestations"]
    assert subject("3.5", altered) == subject("3.5")
