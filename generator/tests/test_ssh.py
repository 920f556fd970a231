# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import keys
import pytest

from controlbook import ssh
from controlbook.errors import ControlbookError, Exit
from controlbook.model import Person
from controlbook.timeline import Instant, Interval, instant

if TYPE_CHECKING:
    from pathlib import Path

CONTENT = b'format: "controlbook/signoff/1"\n'
AT = instant("2028-04-03T09:15:00Z")
VALID = Interval(instant("2028-01-01T00:00:00Z"), instant("2028-07-01T00:00:00Z"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    for name in ("lindqvist", "okafor"):
        keys.ssh_key(folder, name)
    return folder


def person(
    folder: Path, name: str = "lindqvist", valid: Interval | None = None
) -> Person:
    return Person(
        id=f"m-{name}" if name == "lindqvist" else f"a-{name}",
        name=name,
        login=name,
        github_ids=("1",),
        ssh_keys=(f"{keys.public(folder / name)} laptop",),
        valid=valid,
    )


def judged(
    signature: str,
    people: list[Person],
    *,
    content: bytes = CONTENT,
    at: Instant = AT,
) -> ssh.Seen:
    return ssh.judge(
        content,
        signature,
        signers=ssh.allowed_signers(people),
        principal="m-lindqvist",
        namespace=ssh.SIGNOFF,
        at=at,
    )


def signature(
    folder: Path, name: str = "lindqvist", namespace: str = ssh.SIGNOFF
) -> str:
    return keys.ssh_sign(folder / name, CONTENT, namespace)


def test_a_persons_signature_names_the_key(folder: Path) -> None:
    found = judged(signature(folder), [person(folder), person(folder, "okafor")])
    assert found.key.startswith("SHA256:")
    assert found.why == ""


def test_other_bytes_are_not_signed(folder: Path) -> None:
    found = judged(signature(folder), [person(folder)], content=CONTENT + b" ")
    assert (found.key, found.why) == ("", "it is over other bytes")


@pytest.mark.threat("T58")
def test_another_persons_key_is_not_this_persons(folder: Path) -> None:
    people = [person(folder), person(folder, "okafor")]
    found = judged(signature(folder, "okafor"), people)
    assert found.key == ""
    assert found.why == "it is by no key that is known for this person"


@pytest.mark.threat("T59")
@pytest.mark.parametrize("namespace", ["git", "file", ssh.CHECKPOINT])
def test_another_namespace_does_not_count(folder: Path, namespace: str) -> None:
    found = judged(signature(folder, namespace=namespace), [person(folder)])
    assert "another namespace" in found.why


@pytest.mark.threat("T61")
@pytest.mark.parametrize(
    ("at", "why"),
    [
        ("2027-12-31T23:59:59Z", "its key was not yet valid then"),
        ("2028-01-01T00:00:00Z", ""),
        ("2028-06-30T23:59:59Z", ""),
        ("2028-07-01T00:00:00Z", "its key was no longer valid then"),
    ],
)
def test_a_key_counts_while_its_person_is_valid(
    folder: Path, at: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    people = [person(folder, valid=VALID)]
    assert judged(signature(folder), people, at=instant(at)).why == why


def test_a_broken_armour_is_no_signature(folder: Path) -> None:
    text = signature(folder).replace("U1NIU0lH", "AAAAAAAA")
    assert judged(text, [person(folder)]).why


def test_a_key_with_options_in_front_is_left_out(folder: Path) -> None:
    sly = replace(
        person(folder), ssh_keys=(f'namespaces="*" {keys.public(folder / "okafor")}',)
    )
    assert ssh.allowed_signers([sly]) == b""


@pytest.mark.threat("T58")
@pytest.mark.parametrize(
    "line",
    [
        "* ssh-ed25519 AAAA",
        "m-* ssh-ed25519 AAAA",
        "m-lindqvist,* ssh-ed25519 AAAA",
        "!x,m-lindqvist ssh-ed25519 AAAA",
        "m-lindqvist cert-authority ssh-ed25519 AAAA",
        'm-lindqvist namespaces="git",CERT-authority ssh-ed25519 AAAA',
    ],
)
def test_signers_that_stand_for_many_are_refused(line: str) -> None:
    assert ssh.signers_flaw(f"# ours\n\n{line}\n".encode()).startswith("line 3: ")


def test_signers_in_full_are_taken(folder: Path) -> None:
    assert ssh.signers_flaw(ssh.allowed_signers([person(folder, valid=VALID)])) == ""


def test_sign_makes_what_judge_believes(folder: Path) -> None:
    armour = ssh.sign(CONTENT, folder / "lindqvist", ssh.SIGNOFF).decode()
    assert judged(armour, [person(folder)]).why == ""


def test_a_key_that_is_not_there_signs_nothing(tmp_path: Path) -> None:
    with pytest.raises(ControlbookError, match="ssh-keygen does not sign"):
        ssh.sign(CONTENT, tmp_path / "none", ssh.SIGNOFF)


def test_without_ssh_keygen_nothing_is_believed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = signature(folder)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ControlbookError) as caught:
        judged(text, [person(folder)])
    assert caught.value.code is Exit.UNAVAILABLE
