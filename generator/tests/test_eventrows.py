# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import small
from happened import CONTROL, event, findings, ledger, library, run, runs
from hypothesis import given
from hypothesis import strategies as st

from controlbook import bundle_verify
from controlbook.digest import canonical, merkle_root, parse_canonical, sha256
from controlbook.eventrows import EVENT, counted, event_problems
from controlbook.extracts import carried_packs, extract, read_extract
from controlbook.manifest import (
    MalformedManifestError,
    document,
    manifest_bytes,
    read_manifest,
)
from controlbook.model import ALSO_AT_HOME, AT_HOME, Event, Ledger, Recorded
from controlbook.recount import recount
from controlbook.subjects import evidence_root, scope_document
from controlbook.timeline import Instant

if TYPE_CHECKING:
    from controlbook.faults import Fault

ONE = event("2028-02-13T09:41:07Z")
TWO = event("2028-02-13T11:00:00Z", small.STAGING)


def test_run_with_events_is_written_and_read_again() -> None:
    base = replace(run(1, ONE, TWO), rules_root=merkle_root([]))
    data = manifest_bytes(base, None)
    assert read_manifest(data, base.sha256, None) == base


def test_manifest_without_events_is_spelt_as_before() -> None:
    tree = document(small.run(2), None)
    assert not {"asked", "event_counts", "events", "chains"} & set(tree)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("events", ["no row"]),
        ("events", "no list"),
        ("event_counts", [{"source": "a"}]),
        ("chains", [{"digests": -1}]),
        ("asked", [{"source": 1}]),
    ],
)
def test_malformed_event_fields_are_refused(key: str, value: object) -> None:
    tree = {**document(replace(run(1), rules_root=merkle_root([])), None), key: value}
    with pytest.raises(MalformedManifestError):
        read_manifest(canonical(tree), "0" * 64, None)


@given(
    st.builds(
        Event,
        at=st.integers(0, 2**40).map(Instant),
        id=st.uuids().map(str),
        source=st.just("iam.amazonaws.com"),
        event=st.sampled_from(["CreateUser", "DeleteUser"]),
        account=st.sampled_from([small.PROD, small.STAGING]),
        region=st.just("us-east-1"),
        actor=st.text("abc:/", min_size=1),
        about=st.text("abc=", max_size=5),
        error=st.sampled_from(["", "AccessDenied"]),
    )
)
def test_record_of_an_event_reads_back(one: Event) -> None:
    tree = parse_canonical(EVENT.line(one))
    assert isinstance(tree, dict)
    assert EVENT.read(tree) == one


def test_sound_run_has_no_problems() -> None:
    assert list(event_problems(run(1, ONE, TWO))) == []
    assert list(event_problems(small.run(2))) == []


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"events": (TWO, ONE)}, "not in order"),
        ({"events": (ONE, ONE, TWO)}, "not in order, or stand twice"),
        ({"events": (replace(ONE, about="userName=x"), TWO)}, "do not give its root"),
        ({"events": ()}, ""),
        ({"event_counts": counted([ONE])}, "no count of its query"),
        ({"asked": ()}, "was not asked for"),
        ({"expected": ((small.PROD, "us-east-1"),)}, "not an expected place"),
        ({"window": run(2).window}, "outside"),
        ({"chains": run(1).chains[:1]}, "without digests"),
    ],
)
def test_contradiction_within_a_run_is_named(
    changed: dict[str, object], problem: str
) -> None:
    found = list(event_problems(replace(run(1, ONE, TWO), **changed)))  # type: ignore[arg-type]
    if problem:
        assert any(problem in text for text in found), found
    else:
        # A manifest may list fewer events than it counts; the record pack has them.
        assert found == []


def test_count_below_what_is_listed_is_a_problem() -> None:
    base = run(1, ONE)
    (row,) = base.event_counts
    short = replace(base, event_counts=(replace(row, count=0),))
    assert any("counts 0, but lists 1" in text for text in event_problems(short))


# --- what a bundle carries --------------------------------------------------------


def carried(*events: Event) -> tuple[dict[str, bytes], object]:
    """Give the packs of a bundle, and the ledger whose runs name them."""
    made = []
    packs = {}
    for each in runs(*events):
        lines = sorted(
            EVENT.line(row) for row in events if each.window.contains(row.at)
        )
        content = b"".join(line + b"\n" for line in lines)
        stored = replace(
            small.stored("records", f"{each.seq}"),
            records=len(lines),
            content_sha256=sha256(content),
            records_root=merkle_root(lines),
        )
        packs[sha256(content)] = (lines, stored)
        made.append(replace(each, objects=(stored,)))
    chain = ledger(*made)
    assessment = library().assessments["PCI-2028-FEB"]
    found = findings("any", *made)
    needed = {
        digest: stored
        for digest, stored in carried_packs(chain, found, {}, assessment).items()
        if digest in packs
    }
    return {digest: extract(packs[digest][0], assessment) for digest in needed}, chain


def faults(packs: dict[str, bytes], chain: object) -> tuple[Fault, ...]:
    assessment = library().assessments["PCI-2028-FEB"]
    return recount(chain, assessment, packs, whole=False).faults  # type: ignore[arg-type]


def test_bundle_carries_the_records_of_days_with_events_and_no_others() -> None:
    packs, chain = carried(ONE, TWO)
    assert len(packs) == 1
    (data,) = packs.values()
    assert len(read_extract(data).records) == 2, "recorded outside the scope's Regions"
    assert faults(packs, chain) == ()
    assert findings("any", *runs(ONE)).controls[CONTROL].events[0].count == 1


def test_events_of_other_accounts_are_hidden_and_their_leaf_stays() -> None:
    outside = event("2028-02-13T12:00:00Z", "999999999999")
    packs, chain = carried(ONE, outside)
    (data,) = packs.values()
    found = read_extract(data)
    assert (len(found.records), found.hidden) == (1, 1)
    assert faults(packs, chain) == ()


def test_record_that_is_changed_is_named_twice_by_pack_and_by_count() -> None:
    packs, chain = carried(ONE, TWO)
    ((digest, data),) = packs.items()
    changed = {digest: data.replace(b"userName=robot", b"userName=human", 1)}
    texts = [text for _, text in faults(changed, chain)]
    assert any("Merkle root" in text for text in texts)
    assert any("do not give its count and root" in text for text in texts)


def bundle_of(packs: dict[str, bytes], chain: object) -> bundle_verify.Bundle:
    """Lay out what the bundle's own verifier needs to count events again."""
    bundle = bundle_verify.Bundle("unread")
    bundle.files = {f"packs/{digest}.leaves": data for digest, data in packs.items()}
    bundle.runs["cloudtrail"] = [
        bundle_verify.Run(
            f"{each.seq}",
            document(replace(each, rules_root=merkle_root([])), None),
            {},
        )
        for each in chain.runs["cloudtrail"]  # type: ignore[attr-defined] # a ledger
    ]
    return bundle


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (b"", b"", []),
        (b"userName=robot", b"userName=human", ["root is"]),
        (b"CreateUser", b"DeleteUser", ["count is", "root is"]),
    ],
    ids=["as collected", "another user", "another event"],
)
def test_verifier_without_dependencies_counts_events_again(
    old: bytes, new: bytes, says: list[str]
) -> None:
    packs, chain = carried(ONE, TWO)
    ((digest, data),) = packs.items()
    bundle = bundle_of({digest: data.replace(old, new, 1)}, chain)
    scope = scope_document(library().assessments["PCI-2028-FEB"], "")
    bundle_verify.events(bundle, bundle_verify.Scope(scope))
    found = [text for _, _, text in bundle.faults]
    assert len(found) == len(says), found
    assert all(part in text for part, text in zip(says, found, strict=True)), found


def test_verifier_without_dependencies_binds_events_alike() -> None:
    """verify.py of a bundle and the product give one evidence root."""
    made = tuple(replace(each, rules_root=merkle_root([])) for each in runs(ONE, TWO))
    chain = Ledger(runs={"cloudtrail": made})
    base = library()
    assessment = base.assessments["PCI-2028-FEB"]
    control = base.controls[CONTROL]
    carried_runs = [
        bundle_verify.Run(f"{run_.seq}", document(run_, None), {}) for run_ in made
    ]
    again = bundle_verify.evidence_root(
        {"cloudtrail": carried_runs},
        bundle_verify.Scope(scope_document(assessment, "")),
        [{"key": control.evidence[0].key}],
    )
    assert again == evidence_root(Recorded(), chain, assessment, (control,))
    assert again != merkle_root([])
    assert {*AT_HOME, *ALSO_AT_HOME} == bundle_verify.AT_HOME
