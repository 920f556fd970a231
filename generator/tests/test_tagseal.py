# SPDX-License-Identifier: Apache-2.0
"""The signature of a release's tag, from who signs to what the verifier says."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import keys
import proven
import pytest
import released
from running import controlbook
from tampering import opened, retagged, unpacked

from controlbook import bundle_verify
from controlbook.assurance import Given
from controlbook.errors import Exit
from controlbook.proofs import Trust
from controlbook.timeline import DAY, Instant
from controlbook.verify import verify

if TYPE_CHECKING:
    from pathlib import Path

    from controlbook.verify import Verdict

NAME = released.NAME
SIGNED = '{release: "ssh"}'
OPEN = '{release: "none"}'
OFFICER = "c-novak"


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return proven.key_ring(tmp_path_factory.mktemp("ring"))


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> keys.Authority:
    return keys.authority(tmp_path_factory.mktemp("authority"))


def bundle(
    folder: Path,
    ring: Path,
    authority: keys.Authority,
    signer: str,
    *,
    policy: str = SIGNED,
    late: int = 0,
    trusted: bool = True,
) -> Path:
    """Release with a tag that somebody signs; empty: nobody."""
    with proven.written(ring, authority, policy, trusted=trusted):
        made = proven.Proven(folder, keys=ring, authority=authority)
    proven.played(made)
    made.now = Instant(made.now + late)
    made.tag_key = ring / f"{signer}.pub" if signer else None
    return made.release()


@pytest.fixture(scope="module")
def whole(
    tmp_path_factory: pytest.TempPathFactory, ring: Path, authority: keys.Authority
) -> Path:
    return bundle(tmp_path_factory.mktemp("whole"), ring, authority, OFFICER)


def said(verdict: Verdict, step: str = "proofs") -> str:
    return "\n".join(c.message for c in verdict.checks if c.name == step)


@pytest.mark.parametrize("signer", [OFFICER, "job"])
def test_a_tag_signed_by_who_may_release_verifies(
    tmp_path: Path, ring: Path, authority: keys.Authority, signer: str
) -> None:
    made = bundle(tmp_path, ring, authority, signer)
    found = controlbook(tmp_path, "verify", str(made))
    assert found.code is Exit.FINE, found.text
    who = "collector" if signer == "job" else signer
    assert f"whether the tag's key is {who}'s: it came from the bundle" in found.text
    assert "when the tag was signed: its own date was taken (2028-" in found.text


@pytest.mark.threat("T62")
@pytest.mark.threat("T81")
def test_t62_no_signature_is_exit_4_where_the_policy_asks_for_one(
    tmp_path: Path, ring: Path, authority: keys.Authority
) -> None:
    made = bundle(tmp_path, ring, authority, "")
    found = controlbook(tmp_path, "verify", str(made))
    assert found.code is Exit.INTEGRITY
    assert (
        "release.tag: the policy asks for a signed tag: it carries no SSH signature"
        in found.text
    )
    # The bundle's own verifier judges no signature, but sees that there is none.
    code, own = bundle_verify.verify(str(unpacked(opened(made), tmp_path / "own")))
    assert code == Exit.INTEGRITY
    assert [text for _, _, text in own.faults] == [
        "release.tag: the policy asks for a signed tag, and it is not"
    ]


def test_the_bundles_own_verifier_says_that_it_judges_no_signature(
    whole: Path, tmp_path: Path
) -> None:
    folder = unpacked(opened(whole), tmp_path / "own")
    command = [sys.executable, "-I", bundle_verify.__file__, str(folder)]
    shown = subprocess.check_output(command, text=True)
    told = shown.partition("Not checked here:")[2]
    assert "whether signatures and time stamps hold" in told
    assert "L2 and L3 (controlbook verify)" in told


@pytest.mark.threat("T62")
def test_t62_an_auditors_policy_asks_for_it_though_the_bundles_does_not(
    tmp_path: Path, ring: Path, authority: keys.Authority
) -> None:
    made = bundle(tmp_path, ring, authority, "", policy=OPEN)
    told = controlbook(tmp_path, "verify", str(made))
    assert told.code is Exit.FINE, told.text
    assert "who made the release: it carries no SSH signature" in told.text
    policy = tmp_path / "policy.yml"
    policy.write_text('release: "ssh"\n')
    found = controlbook(tmp_path, "verify", str(made), "--policy", str(policy))
    assert found.code is Exit.INTEGRITY
    assert "the policy asks for a signed tag" in found.text


@pytest.mark.threat("T58")
@pytest.mark.parametrize("signer", ["stranger", "a-okafor", "j-moreau"])
@pytest.mark.parametrize("policy", [SIGNED, OPEN])
def test_t58_somebody_elses_key_is_no_signature(
    tmp_path: Path, ring: Path, authority: keys.Authority, signer: str, policy: str
) -> None:
    # Git calls it good: the key is known, and its owner's name is in the tag.
    made = bundle(tmp_path, ring, authority, signer, policy=policy)
    found = controlbook(tmp_path, "verify", str(made))
    assert found.code is Exit.INTEGRITY
    assert "it is by no key of a compliance officer, or of the job" in found.text


@pytest.mark.threat("T60")
def test_t60_the_auditors_own_signers_win(whole: Path, ring: Path) -> None:
    for key, code in ((OFFICER, Exit.FINE), ("stranger", Exit.INTEGRITY)):
        signers = f"{OFFICER} {keys.public(ring / key)}\n".encode()
        trust = Trust(signers=signers)
        verdict = verify(whole, given=Given(policy={"release": "ssh"}, trust=trust))
        seal = [line for line in said(verdict).splitlines() if "release.tag" in line]
        assert bool(seal) is (code is Exit.INTEGRITY), seal
        assert not any("the tag's key" in text for text in verdict.not_checked)


@pytest.mark.threat("T61")
def test_t61_a_key_that_was_no_longer_valid_when_the_tag_was_made(
    whole: Path, ring: Path
) -> None:
    line = f'{OFFICER} valid-before="20280201000000Z" {keys.public(ring / OFFICER)}\n'
    verdict = verify(whole, given=Given(trust=Trust(signers=line.encode())))
    assert verdict.code is Exit.INTEGRITY
    assert "release.tag: the policy asks for a signed tag" in said(verdict)
    assert "its key was no longer valid then" in said(verdict)


@pytest.mark.threat("T61")
@pytest.mark.threat("T23")
def test_t61_a_tag_that_is_dated_back_into_the_keys_validity(
    tmp_path: Path, ring: Path, authority: keys.Authority
) -> None:
    made = bundle(tmp_path, ring, authority, OFFICER, late=-3 * DAY)
    verdict = verify(made)
    assert verdict.code is Exit.INTEGRITY
    assert "but names a checkpoint with a time stamp of" in said(verdict)


def unsigned_tag(files: dict[str, bytes]) -> dict[str, bytes]:
    raw = files["release.tag"].partition(b"-----BEGIN")[0]
    return {**files, "release.tag": raw}


def swapped_pdf(files: dict[str, bytes]) -> dict[str, bytes]:
    path = f"{NAME}.pdf"
    return {**files, path: files[path] + b"\n%%EOF an incremental update\n"}


@pytest.mark.threat("T81")
@pytest.mark.threat("T62")
def test_t81_a_stripped_signature_contradicts_the_carried_repository(
    whole: Path, tmp_path: Path
) -> None:
    forged = unpacked(retagged(unsigned_tag(opened(whole))), tmp_path / NAME)
    verdict = verify(forged)
    assert verdict.code is Exit.INTEGRITY
    assert "release.tag: is not the tag in repo.bundle" in said(verdict, "history")


@pytest.mark.threat("T81")
def test_t81_an_appended_pdf_breaks_the_signature_of_the_tag(
    whole: Path, tmp_path: Path
) -> None:
    # The whole file's digest is what is signed: there is no "intact" for a part of it.
    files = swapped_pdf(opened(whole))
    verdict = verify(unpacked(files, tmp_path / "plain" / NAME))
    assert verdict.code is Exit.INTEGRITY
    assert f"{NAME}.pdf" in said(verdict, "release")
    verdict = verify(unpacked(retagged(files), tmp_path / "retagged" / NAME))
    assert verdict.code is Exit.INTEGRITY
    assert "release.tag: is not the tag in repo.bundle" in said(verdict, "history")


@pytest.mark.threat("T81")
def test_t81_a_forged_release_that_is_whole_in_itself_lacks_the_signature(
    tmp_path: Path, ring: Path, authority: keys.Authority
) -> None:
    # Who strips the signature and makes the repository anew owns no officer's key.
    for signer in ("", "stranger"):
        made = bundle(tmp_path / (signer or "none"), ring, authority, signer)
        trust = Trust(signers=f"{OFFICER} {keys.public(ring / OFFICER)}\n".encode())
        given = Given(policy={"release": "ssh"}, trust=trust)
        verdict = verify(made, given=given)
        assert verdict.code is Exit.INTEGRITY
        assert "release.tag: the policy asks for a signed tag" in said(verdict)


def test_a_pgp_signature_is_not_looked_at(
    tmp_path: Path, ring: Path, authority: keys.Authority
) -> None:
    with proven.written(ring, authority, SIGNED):
        made = proven.Proven(tmp_path, keys=ring, authority=authority)
    proven.played(made)
    made.tag_end = "-----BEGIN PGP SIGNATURE-----\n\nx\n-----END PGP SIGNATURE-----\n"
    verdict = verify(made.release())
    assert verdict.code is Exit.INTEGRITY
    assert "it carries a PGP signature, and SSH is asked for" in said(verdict)


def test_without_any_known_key_a_signature_is_said_to_be_nobodys(
    tmp_path: Path, ring: Path
) -> None:
    made = released.Example(tmp_path)
    made.collect()
    made.annotate()
    made.sign()
    made.capture()
    made.checkpoint()
    made.tag_key = ring / f"{OFFICER}.pub"
    verdict = verify(made.release())
    assert verdict.code is Exit.FINE, [c.message for c in verdict.checks]
    told = "whose the tag's signature is: no key is known (--allowed-signers)"
    assert told in verdict.not_checked
