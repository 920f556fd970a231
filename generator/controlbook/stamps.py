# SPDX-License-Identifier: Apache-2.0
"""RFC 3161 time stamps by stock `openssl`: asking an authority for one, judging it.

Rules enforced here (trust.md 1.6, T63):
- the imprint in the token is the SHA-256 of the very bytes, and the time is the one
  inside the signed part: parts of a reply outside the signature can change unseen;
- a token counts only if it is granted, signed by a certificate that may stamp time and
  leads to a root that was given, and under the expected policy where one is named;
- certificates have to be valid at the token's time, not now;
- no configuration and no root of the machine takes part.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from .digest import sha256
from .errors import ControlbookError, Exit
from .timeline import SECOND, Instant, from_datetime

if TYPE_CHECKING:
    from collections.abc import Iterable

LARGEST = 1 << 20
_TIMEOUT = 60
_PEM = re.compile(
    r"-----BEGIN CERTIFICATE-----\r?\n[A-Za-z0-9+/=\r\n]+-----END CERTIFICATE-----"
)
_STATUS = re.compile(r"^Status: (.+)\.$", re.MULTILINE)
_POLICY = re.compile(r"^Policy OID: (\S+)$", re.MULTILINE)
_TIME = re.compile(
    r"^Time stamp: ([A-Z][a-z]{2} +\d+ [0-9:]{8})(?:\.\d+)? (\d{4}) GMT$", re.MULTILINE
)
_REASON = re.compile(r"[^:]*:(?:Verify error:)?([^:\n]+)(?::status code.*)?$")


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a time-stamp token says, and whether it is to be believed."""

    at: Instant | None = None
    """The time in its signed part; None where the token cannot be read."""
    why: str = ""
    """Why it does not count; empty where it does."""


def certificates(text: str) -> tuple[str, ...]:
    """Find the certificates in a text of PEM."""
    return tuple(_PEM.findall(text))


def judge(
    token: bytes, content: bytes, roots: Iterable[str], *, policy: str = ""
) -> Stamp:
    """Judge a time-stamp reply over some bytes.

    `roots` are texts of PEM; `policy` is the only OID that is accepted, where given.
    """
    with tempfile.TemporaryDirectory(prefix="controlbook-") as folder:
        reply = Path(folder) / "reply.tsr"
        reply.write_bytes(token)
        shown = _run("ts", "-reply", "-in", str(reply), "-text")
        if shown.returncode:
            return Stamp(why="the time-stamp token cannot be read")
        text = shown.stdout.decode(errors="replace")
        status, at = _STATUS.search(text), _time(text)
        if not status or status[1] != "Granted":
            said = status[1].lower() if status else "without a status"
            return Stamp(why=f"the authority did not grant it: {said}")
        if at is None:
            return Stamp(why="the time-stamp token holds no time")
        named = _POLICY.search(text)
        if policy and (not named or named[1] != policy):
            said = named[1] if named else "none"
            return Stamp(at, f"the token's policy is {said}, not {policy}")
        trusted = [each for root in roots for each in certificates(root)]
        if not trusted:
            return Stamp(at, "no root of a time-stamp authority is known")
        file = Path(folder) / "roots.pem"
        file.write_text("\n".join([*trusted, ""]), encoding="ascii")
        checked = _run(
            *("ts", "-verify", "-digest", sha256(content), "-in", str(reply)),
            *("-CAfile", str(file), "-attime", str(at // SECOND)),
        )
    if checked.returncode == 0 and b"Verification: OK" in checked.stdout:
        return Stamp(at)
    return Stamp(at, _why(checked.stderr.decode(errors="replace")))


def _time(text: str) -> Instant | None:
    found = _TIME.search(text)
    if not found:
        return None
    written = f"{' '.join(found[1].split())} {found[2]}"
    try:
        moment = datetime.strptime(written, "%b %d %H:%M:%S %Y").replace(tzinfo=UTC)
    except ValueError:
        return None
    return from_datetime(moment)


def _why(said: str) -> str:
    lines = [line for line in said.splitlines() if ":error:" in line]
    if any("imprint mismatch" in line for line in lines):
        return "the time-stamp token is over another digest"
    found = _REASON.search(lines[0]) if lines else None
    reason = found[1].strip() if found else "openssl does not verify it"
    return f"the time-stamp token is not to be trusted: {reason}"


def request(content: bytes) -> bytes:
    """Write the query for a time stamp over some bytes."""
    done = _run("ts", "-query", "-digest", sha256(content), "-sha256", "-cert")
    if done.returncode:
        message = "openssl writes no time-stamp query"
        raise ControlbookError(message, advice="install OpenSSL 1.1.1 or later")
    return done.stdout


def fetch(url: str, content: bytes) -> bytes:
    """Ask a time-stamp authority; raises ControlbookError where it does not grant.

    Whether the token is to be trusted is judged with roots, when it is read.
    """
    if not url.startswith(("https://", "http://")):
        message = "is no address of a time-stamp authority"
        raise ControlbookError(message, place=url, advice="write https://…")
    # Here alone, for it brings HTTP and TLS along, which nearly no verb needs.
    import urllib.error  # noqa: PLC0415
    import urllib.request  # noqa: PLC0415

    asked = urllib.request.Request(  # noqa: S310 - the scheme was checked
        url,
        data=request(content),
        headers={
            "Content-Type": "application/timestamp-query",
            "Accept": "application/timestamp-reply",
        },
    )
    try:
        with urllib.request.urlopen(asked, timeout=_TIMEOUT) as reply:  # noqa: S310
            body: bytes = reply.read(LARGEST)
    except (urllib.error.URLError, TimeoutError, OSError) as error:
        message = f"the time-stamp authority does not answer: {error}"
        raise ControlbookError(
            message, place=url, advice="try again later", code=Exit.UNAVAILABLE
        ) from error
    stamp = judge(body, content, ())
    if stamp.at is None:
        raise ControlbookError(stamp.why, place=url, code=Exit.UNAVAILABLE)
    return body


def _run(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    program = shutil.which("openssl")
    if not program:
        message = "openssl is not installed, so time stamps stay unread"
        raise ControlbookError(
            message, advice="install OpenSSL 1.1.1 or later", code=Exit.UNAVAILABLE
        )
    # Its configuration may name policies, engines and defaults of this machine.
    environment = {**os.environ, "OPENSSL_CONF": os.devnull, "LC_ALL": "C"}
    environment.pop("SSL_CERT_FILE", None)
    environment.pop("SSL_CERT_DIR", None)
    return subprocess.run(  # noqa: S603 - a fixed program, arguments without a shell
        [program, *arguments], capture_output=True, check=False, env=environment
    )
