# SPDX-License-Identifier: Apache-2.0
"""Proof levels, checkpoints and trusted time, from the programme to the verifier."""

from __future__ import annotations

from typing import TYPE_CHECKING

import keys
import proven
import pytest
import released
from tampering import opened, resealed, unpacked, without

from controlbook import ssh
from controlbook.assurance import Given, read_policy, read_roots
from controlbook.errors import Exit
from controlbook.model import Status
from controlbook.proofs import Trust
from controlbook.timeline import DAY, HOUR, Instant, instant
from controlbook.verify import verify

if TYPE_CHECKING:
    from pathlib import Path

    from controlbook.verdict import Verdict

NAME = released.NAME
L3 = '{signoff: "L3", checkpoint: "ssh+rfc3161"}'
L2 = '{signoff: "L2"}'
L1 = '{signoff: "L1"}'
SIGNED = {Status.SIGNED, Status.SIGNED_WITH_DEVIATIONS}


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return proven.key_ring(tmp_path_factory.mktemp("ring"))


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> keys.Authority:
    return keys.authority(tmp_path_factory.mktemp("authority"))


def play(
    folder: Path,
    ring: Path,
    authority: keys.Authority,
    policy: str,
    *,
    trusted: bool = True,
    **fields: object,
) -> proven.Proven:
    with proven.written(ring, authority, policy, trusted=trusted):
        made = proven.Proven(folder, keys=ring, authority=authority, **fields)  # type: ignore[arg-type] # fields of all types
    return proven.played(made)


@pytest.fixture(scope="module")
def whole(
    tmp_path_factory: pytest.TempPathFactory, ring: Path, authority: keys.Authority
) -> tuple[proven.Proven, Path]:
    made = play(tmp_path_factory.mktemp("whole"), ring, authority, L3)
    return made, made.release()


def statuses(made: proven.Proven) -> dict[str, Status]:
    return {n: row.status for n, row in made.programme.statuses(NAME).items()}


def reasons(made: proven.Proven) -> str:
    rows = made.programme.statuses(NAME).values()
    return "\n".join(
        reason
        for row in rows
        for judgement in (row.judgement, *row.attestations.values())
        for reason in judgement.reasons
    )


def said(verdict: Verdict, step: str) -> str:
    return "\n".join(c.message for c in verdict.checks if c.name == step)


def test_signed_and_stamped_reaches_the_highest_level(
    whole: tuple[proven.Proven, Path],
) -> None:
    rows = whole[0].programme.statuses(NAME)
    assert {row.judgement.level for row in rows.values()} == {"L3"}
    assert {row.status for row in rows.values()} <= SIGNED


def test_such_a_bundle_verifies(whole: tuple[proven.Proven, Path]) -> None:
    verdict = verify(whole[1], raw=whole[0].root / "vault")
    assert verdict.code is Exit.FINE, [c.message for c in verdict.checks]
    told = "\n".join(verdict.not_checked)
    assert "the policy came from the bundle" in told
    assert "they came from the bundle (--allowed-signers)" in told
    assert "no roots were given (--tsa-roots)" in told
    assert "no trusted time" not in told


def test_what_the_auditor_brings_is_not_listed_as_unchecked(
    whole: tuple[proven.Proven, Path], ring: Path, authority: keys.Authority
) -> None:
    given = Given(
        policy=read_policy(L3.encode(), "policy.yml"),
        trust=Trust(
            signers=signers(ring), roots=read_roots(authority.root.encode(), "")
        ),
        require=("policy", "allowed-signers", "tsa-roots"),
    )
    verdict = verify(whole[1], given=given)
    assert verdict.code is Exit.FINE, [c.message for c in verdict.checks]
    told = "\n".join(verdict.not_checked)
    assert "came from the bundle" not in told
    assert "no roots were given" not in told


def signers(ring: Path, **instead: str) -> bytes:
    """Write an auditor's own file; `instead` gives one person another's key."""
    lines = [
        f"{who} {keys.public(ring / instead.get(who.replace('-', '_'), who))}\n"
        for who in ("j-moreau", "a-okafor", "c-novak")
    ]
    job = keys.public(ring / instead.get("job", "job"))
    return "".join([*lines, f"{ssh.COLLECTOR} {job}\n"]).encode()


@pytest.mark.parametrize(
    ("name", "input_"), [("pin", "pin"), ("raw", "raw"), ("policy", "policy")]
)
def test_an_input_that_is_required_and_not_given(
    whole: tuple[proven.Proven, Path], name: str, input_: str
) -> None:
    verdict = verify(whole[1], given=Given(require=(name,)))
    assert verdict.code is Exit.UNAVAILABLE
    assert f"--{input_} was required" in said(verdict, "required")


# --- signatures ---------------------------------------------------------------------


@pytest.mark.threat("T58")
def test_somebody_elses_key_makes_no_sign_off(
    tmp_path: Path, ring: Path, authority: keys.Authority
) -> None:
    made = play(tmp_path, ring, authority, L2, signed_by={"a-okafor": "stranger"})
    assert set(statuses(made).values()) == {Status.UNREVIEWED}
    assert "by no key that is known for this person" in reasons(made)


@pytest.mark.threat("T59")
def test_another_namespace_makes_no_sign_off(
    tmp_path: Path, ring: Path, authority: keys.Authority
) -> None:
    made = play(tmp_path, ring, authority, L2, namespace="git")
    assert set(statuses(made).values()) == {Status.UNREVIEWED}
    assert "in another namespace than controlbook-signoff" in reasons(made)


@pytest.mark.threat("T62")
def test_no_signature_is_not_a_lower_level(
    tmp_path: Path, ring: Path, authority: keys.Authority
) -> None:
    made = play(tmp_path, ring, authority, L2, signed_by={"a-okafor": ""})
    assert set(statuses(made).values()) == {Status.UNREVIEWED}
    assert "asks for proof L2: its review carries no SSH signature" in reasons(made)


def test_a_policy_may_ask_less_of_owners(
    tmp_path: Path, ring: Path, authority: keys.Authority
) -> None:
    policy = '{signoff: "L2", attestation: "L1"}'
    made = play(tmp_path, ring, authority, policy, signed_by={"j-moreau": ""})
    assert set(statuses(made).values()) <= SIGNED


@pytest.mark.threat("T60")
def test_the_auditors_own_signers_win(
    whole: tuple[proven.Proven, Path], ring: Path
) -> None:
    trust = Trust(signers=signers(ring, a_okafor="stranger"))
    verdict = verify(whole[1], given=Given(trust=trust))
    assert verdict.code is Exit.INTEGRITY
    assert "the assessor's required proof is missing" in said(verdict, "proofs")
    assert f"signoffs/{NAME}/requirements/3.4.yml" in said(verdict, "proofs")


@pytest.mark.threat("T60")
def test_a_key_that_the_sign_offs_own_pull_request_adds_does_not_count(
    tmp_path: Path, ring: Path, authority: keys.Authority
) -> None:
    # people.yml of the first parent decides, so no file brings its own key.
    with proven.written(ring, authority, L2):
        made = proven.Proven(
            tmp_path,
            keys=ring,
            authority=authority,
            signed_by={"a-okafor": "stranger"},
        )
        proven.played(made)
        text = made.programme.files["signoffs/people.yml"].decode()
        own = keys.public(ring / "a-okafor")
        with_own = text.replace(own, f'{own}", "{keys.public(ring / "stranger")}')
        made.merge({"signoffs/people.yml": with_own.encode()}, "j-moreau", "Add a key")
    assert set(statuses(made).values()) == {Status.UNREVIEWED}
    assert "by no key that is known for this person" in reasons(made)


@pytest.mark.threat("T60")
def test_a_change_of_keys_is_on_the_report_with_who_approved_it(
    tmp_path: Path, ring: Path, authority: keys.Authority
) -> None:
    with proven.written(ring, authority, L1):
        made = proven.Proven(tmp_path, keys=ring, authority=authority)
    text = made.programme.files["signoffs/people.yml"].decode()
    old, new = keys.public(ring / "a-okafor"), keys.public(ring / "stranger")
    changed = text.replace(f'"{old}"', f'"{old}", "{new}"').encode()
    made.merge({"signoffs/people.yml": changed}, "j-moreau", "Add a key")
    made.commit({"signoffs/people.yml": text.encode()}, "Take it back unseen")
    proven.played(made)
    first, second = made.programme.report(NAME).people_changes
    assert (first.person, first.pull, first.approved_by) == (
        "a-okafor",
        1,
        ("j-moreau",),
    )
    assert first.what.startswith("ssh_keys: ")
    assert new in first.what
    assert (second.pull, second.approved_by) == (0, ())


@pytest.mark.threat("T61")
def test_the_auditors_dates_of_a_key_hold_at_the_time_of_the_review(
    whole: tuple[proven.Proven, Path], ring: Path
) -> None:
    lines = signers(ring).decode().splitlines(keepends=True)
    left = [
        line.replace("a-okafor ", 'a-okafor valid-before="20280201000000Z" ')
        for line in lines
    ]
    trust = Trust(signers="".join(left).encode())
    verdict = verify(whole[1], given=Given(trust=trust))
    assert verdict.code is Exit.INTEGRITY
    assert "its key was no longer valid then" in said(verdict, "proofs")


@pytest.mark.threat("T61")
def test_without_a_trusted_time_validity_is_listed_as_unchecked(
    tmp_path: Path, ring: Path, authority: keys.Authority
) -> None:
    made = play(tmp_path, ring, authority, L2, sidecars=())
    verdict = verify(made.release())
    assert verdict.code is Exit.FINE, [c.message for c in verdict.checks]
    assert any("GitHub's times were taken" in text for text in verdict.not_checked)
    assert any("no trusted time" in text for text in verdict.not_checked)


@pytest.mark.threat("T62")
def test_an_auditors_policy_asks_more_than_the_bundles(
    tmp_path: Path, ring: Path, authority: keys.Authority
) -> None:
    made = play(
        tmp_path, ring, authority, L1, signed_by={"a-okafor": "", "j-moreau": ""}
    )
    bundle = made.release()
    assert verify(bundle).code is Exit.FINE
    verdict = verify(bundle, given=Given(policy={"signoff": "L2"}))
    assert verdict.code is Exit.INTEGRITY
    assert "required proof is missing" in said(verdict, "proofs")


# --- checkpoints and their sidecars ---------------------------------------------------


@pytest.mark.threat("T62")
@pytest.mark.parametrize("end", [".sig", ".tsr"])
def test_a_sidecar_that_was_stripped(
    whole: tuple[proven.Proven, Path], tmp_path: Path, end: str
) -> None:
    files = opened(whole[1])
    path = f"ledger/checkpoints/000001.json{end}"
    forged = unpacked(resealed(without(files, path)), tmp_path / NAME)
    verdict = verify(forged)
    assert verdict.code is Exit.INTEGRITY
    assert "carries no" in said(verdict, "proofs")


@pytest.mark.threat("T62")
@pytest.mark.parametrize(
    ("left", "why"), [((".tsr",), "no SSH signature"), ((".sig",), "no time stamp")]
)
def test_a_sidecar_that_never_was_and_that_the_policy_asks_for(
    tmp_path: Path,
    ring: Path,
    authority: keys.Authority,
    left: tuple[str, ...],
    why: str,
) -> None:
    made = play(tmp_path, ring, authority, L1, sidecars=left)
    bundle = made.release()
    assert verify(bundle).code is Exit.FINE
    policy = {"checkpoint": "ssh+rfc3161"}
    verdict = verify(bundle, given=Given(policy=policy))
    assert verdict.code is Exit.INTEGRITY
    assert f"it carries {why}" in said(verdict, "proofs")


@pytest.mark.threat("T58")
def test_a_checkpoint_signed_by_another_key(
    whole: tuple[proven.Proven, Path], ring: Path
) -> None:
    trust = Trust(signers=signers(ring, job="stranger"))
    verdict = verify(whole[1], given=Given(trust=trust))
    assert verdict.code is Exit.INTEGRITY
    assert "its SSH signature does not count" in said(verdict, "proofs")


@pytest.mark.threat("T63")
def test_a_token_of_an_authority_that_the_auditor_does_not_trust(
    whole: tuple[proven.Proven, Path], authority: keys.Authority
) -> None:
    stranger = (authority.folder / "stranger.pem").read_bytes()
    trust = Trust(roots=read_roots(stranger, "roots.pem"))
    verdict = verify(whole[1], given=Given(trust=trust))
    assert verdict.code is Exit.INTEGRITY
    assert "the time-stamp token is not to be trusted" in said(verdict, "proofs")


def test_sidecars_without_keys_or_roots_are_listed_as_unchecked(
    tmp_path: Path, ring: Path, authority: keys.Authority
) -> None:
    made = play(tmp_path, ring, authority, L1, trusted=False)
    verdict = verify(made.release())
    assert verdict.code is Exit.FINE, [c.message for c in verdict.checks]
    assert any("no roots were given" in text for text in verdict.not_checked)


# --- time ---------------------------------------------------------------------------


@pytest.mark.threat("T24")
def test_a_run_dated_days_after_a_trusted_time_is_a_forgery(
    tmp_path: Path, ring: Path, authority: keys.Authority
) -> None:
    at = Instant(released.START + 2 * DAY)
    made = play(tmp_path, ring, authority, L1, stamped_at=at)
    verdict = verify(made.release())
    assert verdict.code is Exit.INTEGRITY
    assert "a trusted time" in said(verdict, "proofs")


@pytest.mark.threat("T24")
def test_a_run_dated_an_hour_after_a_trusted_time_is_shown(
    tmp_path: Path, ring: Path, authority: keys.Authority
) -> None:
    with proven.written(ring, authority, L1):
        made = proven.Proven(tmp_path, keys=ring, authority=authority)
    made.collect()
    made.annotate()
    made.sign()
    made.capture()
    made.stamped_at = Instant(made.now - HOUR // 2)
    made.checkpoint()
    assert verify(made.release()).code is Exit.FOUND


@pytest.mark.threat("T23")
def test_a_commit_dated_before_a_time_stamp_that_it_holds(
    tmp_path: Path, ring: Path, authority: keys.Authority
) -> None:
    made = play(tmp_path, ring, authority, L1)
    made.now = Instant(made.now - 3 * DAY)
    made.commit({"docs/note.md": b"backdated\n"}, "Note\n")
    verdict = verify(made.release())
    assert verdict.code is Exit.INTEGRITY
    assert "but holds a time stamp of" in said(verdict, "proofs")


@pytest.mark.threat("T23")
def test_dates_that_run_backwards_are_listed(
    tmp_path: Path, ring: Path, authority: keys.Authority
) -> None:
    made = play(tmp_path, ring, authority, L1, sidecars=())
    made.now = Instant(made.now - 3 * DAY)
    made.commit({"docs/note.md": b"backdated\n"}, "Note\n")
    verdict = verify(made.release())
    assert verdict.code is Exit.FINE, [c.message for c in verdict.checks]
    assert any("run backwards" in text for text in verdict.not_checked)


def test_l3_waits_for_a_checkpoint_that_holds_the_review(
    tmp_path: Path, ring: Path, authority: keys.Authority
) -> None:
    with proven.written(ring, authority, L3):
        made = proven.Proven(tmp_path, keys=ring, authority=authority)
    made.collect()
    made.annotate()
    made.checkpoint()
    made.sign()
    made.capture()
    assert set(statuses(made).values()) == {Status.UNREVIEWED}
    assert "no checkpoint with a time stamp holds its captured review" in reasons(made)
    made.checkpoint()
    assert set(statuses(made).values()) <= SIGNED
    assert instant("2028-02-12T00:00:00Z") < made.now
