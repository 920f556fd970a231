# SPDX-License-Identifier: Apache-2.0
"""SSH signatures by stock `ssh-keygen`: making them, and judging them.

Rules enforced here (trust.md 2.3, T58 to T61):
- a signature counts for one principal and one namespace, never for whoever signed;
- a file of allowed signers names its principals in full: no pattern, no authority;
- a key counts only while its person is valid, at a time that is given, never "now".
Nothing is fetched; what is written lies in a folder of its own and is gone afterwards.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import ControlbookError, Exit
from .timeline import SECOND, Instant, instant, to_datetime

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .model import Person
    from .timeline import Interval

SIGNOFF = "controlbook-signoff"
"""The namespace of people's signatures of sign-off files."""
CHECKPOINT = "controlbook-checkpoint"
"""The namespace of a job's signatures of checkpoints."""
TAG = "git"
"""The namespace in which Git signs tags."""
COLLECTOR = "collector"
"""The principal that signs checkpoints, and may sign the tag of a release."""
UNKNOWN = "it is by no key that is known for this person"
EARLIEST, LATEST = Instant(SECOND), instant("2099-12-31T00:00:00Z")
"""Times at which a key with a validity does not hold: for where no time is trusted."""

_KEY = re.compile(r"(?P<kind>[a-z0-9@.-]+) (?P<body>[A-Za-z0-9+/=]+)(?: .*)?\Z")
_PATTERN = re.compile(r"[*?!,]")
_FINGERPRINT = re.compile(r"(SHA256:[A-Za-z0-9+/]+)\s*\Z")


@dataclass(frozen=True, slots=True)
class Seen:
    """What `ssh-keygen` says of a signature."""

    key: str = ""
    """Fingerprint of the key, where the signature is good."""
    why: str = ""
    """Why it is not."""


def allowed_signers(people: Iterable[Person], namespace: str = SIGNOFF) -> bytes:
    """Write the people's keys as `ssh-keygen` reads allowed signers."""
    return b"".join(
        _line(person.id, key, namespace, person.valid)
        for person in people
        for key in person.ssh_keys
    )


def checkpoint_signers(keys: Iterable[str], namespace: str = CHECKPOINT) -> bytes:
    """Write the keys of the job that signs checkpoints as allowed signers."""
    return b"".join(_line(COLLECTOR, key, namespace, None) for key in keys)


def _line(principal: str, key: str, namespace: str, valid: Interval | None) -> bytes:
    # Options stand in one field: a second one would be taken for the key.
    options = [f'namespaces="{namespace}"']
    if valid is not None:
        # OpenSSH counts the last second as valid; our intervals are half-open.
        last = Instant(valid.end - SECOND)
        options += [
            f'valid-after="{moment(valid.start)}"',
            f'valid-before="{moment(last)}"',
        ]
    found = _KEY.match(key)
    if not found:
        return b""
    return f"{principal} {','.join(options)} {found['kind']} {found['body']}\n".encode()


def signers_flaw(content: bytes) -> str:
    """Say what makes a file of allowed signers unfit; empty where it is fit."""
    try:
        lines = content.decode("utf-8").splitlines()
    except UnicodeDecodeError:
        return "it is not text"
    for number, line in enumerate(lines, 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if _PATTERN.search(words[0]):
            return f"line {number}: {words[0]!r} stands for more than one person"
        if len(words) > 1 and "cert-authority" in words[1].lower():
            return f"line {number}: an authority may name anybody"
    return ""


def moment(at: Instant) -> str:
    """Write an instant as OpenSSH reads it, in UTC."""
    return to_datetime(at).strftime("%Y%m%d%H%M%SZ")


def judge(
    content: bytes,
    signature: str,
    *,
    signers: bytes,
    principal: str,
    namespace: str,
    at: Instant,
) -> Seen:
    """Judge whether a signature over some bytes is a principal's, valid at a time."""
    with tempfile.TemporaryDirectory(prefix="controlbook-") as folder:
        allowed, armoured = Path(folder) / "allowed", Path(folder) / "signature"
        allowed.write_bytes(signers)
        armoured.write_text(signature, encoding="utf-8")
        done = _run(
            *("-Y", "verify", "-f", str(allowed), "-I", principal, "-n", namespace),
            *("-s", str(armoured), f"-Overify-time={moment(at)}"),
            stdin=content,
        )
    said = done.stdout.decode(errors="replace")
    good = f'Good "{namespace}" signature for {principal} with '
    found = _FINGERPRINT.search(said.split("\n", 1)[0])
    if done.returncode == 0 and said.startswith(good) and found:
        return Seen(key=found[1])
    return Seen(why=_why(done.stderr.decode(errors="replace"), namespace))


def _why(said: str, namespace: str) -> str:
    if "namespace does not match" in said:
        return f"it was made in another namespace than {namespace}"
    if "expired" in said:
        return "its key was no longer valid then"
    if "not yet valid" in said:
        return "its key was not yet valid then"
    if "incorrect signature" in said:
        return "it is over other bytes"
    return UNKNOWN


def sign(content: bytes, key: Path, namespace: str) -> bytes:
    """Sign bytes with a key (or, by its public half, with an agent); give the armour.

    Raises ControlbookError where `ssh-keygen` does not sign.
    """
    done = _run("-Y", "sign", "-n", namespace, "-f", str(key), stdin=content)
    if done.returncode or not done.stdout.startswith(b"-----BEGIN SSH SIGNATURE-----"):
        said = done.stderr.decode(errors="replace").strip().splitlines()
        message = f"ssh-keygen does not sign: {said[-1] if said else 'it said nothing'}"
        raise ControlbookError(
            message, place=str(key), advice="name a private key, or load it in an agent"
        )
    return done.stdout


def _run(*arguments: str, stdin: bytes) -> subprocess.CompletedProcess[bytes]:
    program = shutil.which("ssh-keygen")
    if not program:
        message = "ssh-keygen is not installed, so SSH signatures stay unread"
        raise ControlbookError(
            message, advice="install OpenSSH 8.9 or later", code=Exit.UNAVAILABLE
        )
    return subprocess.run(  # noqa: S603 - a fixed program, arguments without a shell
        [program, *arguments], input=stdin, capture_output=True, check=False
    )
