# SPDX-License-Identifier: Apache-2.0
"""SSH keys and a time-stamp authority of our own, by stock ssh-keygen and openssl.

`openssl ts -reply` stamps the time of now; `token_at` signs the same structure by
`openssl cms`, with a time that is chosen.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING

from controlbook.digest import sha256
from controlbook.timeline import to_datetime

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from controlbook.timeline import Instant

POLICY = "1.3.6.1.4.1.99999.1"
OTHER_POLICY = "1.3.6.1.4.1.99999.2"
_TST_INFO = "1.2.840.113549.1.9.16.1.4"


def ssh_key(folder: Path, name: str) -> Path:
    """Make a key; its public half lies beside it as `<name>.pub`."""
    path = folder / name
    _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(path))
    return path


def public(key: Path) -> str:
    return key.with_suffix(".pub").read_text().strip()


def ssh_sign(key: Path, content: bytes, namespace: str) -> str:
    return _run(
        *("ssh-keygen", "-q", "-Y", "sign", "-n", namespace, "-f", str(key)),
        stdin=content,
    ).decode()


@dataclass(frozen=True)
class Authority:
    """A root, a certificate that may stamp time, and one that may not."""

    folder: Path

    @property
    def root(self) -> str:
        return (self.folder / "root.pem").read_text()

    def reply(self, query: bytes) -> bytes:
        """Answer a query as an authority does, now."""
        (self.folder / "query.tsq").write_bytes(query)
        self._openssl(
            *("ts", "-reply", "-config", "tsa.cnf", "-queryfile", "query.tsq"),
            *("-out", "reply.tsr"),
        )
        return (self.folder / "reply.tsr").read_bytes()

    def query(self, content: bytes, *options: str) -> bytes:
        given = options or ("-sha256",)
        return self._openssl(
            "ts", "-query", "-data", self._file("data", content), "-cert", *given
        )

    def token_at(
        self,
        content: bytes,
        at: Instant,
        *,
        signer: str = "tsa",
        policy: str = POLICY,
        digest: str = "",
        status: int = 0,
    ) -> bytes:
        """Stamp a time of our choice."""
        imprint = bytes.fromhex(digest or sha256(content))
        info = _der(
            0x30,
            _der(2, b"\1")
            + _oid(policy)
            + _der(
                0x30,
                _der(0x30, _oid("2.16.840.1.101.3.4.2.1") + _der(5, b""))
                + _der(4, imprint),
            )
            + _der(2, b"\7")
            + _der(0x18, to_datetime(at).strftime("%Y%m%d%H%M%SZ").encode()),
        )
        signed = self._openssl(
            *("cms", "-sign", "-binary", "-nodetach", "-outform", "DER", "-cades"),
            *("-md", "sha256", "-econtent_type", _TST_INFO),
            *("-in", self._file("info", info)),
            *("-signer", f"{signer}.pem", "-inkey", f"{signer}.key"),
        )
        # Who rejects gives no token.
        body = signed if status in {0, 1} else b""
        return _der(0x30, _der(0x30, _der(2, bytes([status]))) + body)

    def openssl_verifies(self, content: bytes, token: bytes) -> bool:
        done = subprocess.run(
            [
                *("openssl", "ts", "-verify", "-data", self._file("data", content)),
                *("-in", self._file("token", token), "-CAfile", "root.pem"),
            ],
            cwd=self.folder,
            capture_output=True,
            check=False,
        )
        return done.returncode == 0

    def _file(self, name: str, content: bytes) -> str:
        (self.folder / name).write_bytes(content)
        return name

    def _openssl(self, *arguments: str) -> bytes:
        return _run("openssl", *arguments, cwd=self.folder)


def authority(folder: Path) -> Authority:
    """Make a root and its certificates."""
    folder.mkdir(parents=True, exist_ok=True)
    made = Authority(folder)
    _certificate(made, "root", "", "basicConstraints=critical,CA:TRUE\n")
    _certificate(made, "tsa", "root", "extendedKeyUsage=critical,timeStamping\n")
    _certificate(made, "web", "root", "extendedKeyUsage=critical,serverAuth\n")
    _certificate(made, "stranger", "", "extendedKeyUsage=critical,timeStamping\n")
    (folder / "serial").write_text("01\n")
    (folder / "tsa.cnf").write_text(
        "[tsa]\ndefault_tsa = own\n[own]\nserial = serial\nsigner_cert = tsa.pem\n"
        f"signer_key = tsa.key\nsigner_digest = sha256\ndefault_policy = {POLICY}\n"
        "digests = sha256\ness_cert_id_alg = sha256\n"
    )
    return made


def _certificate(made: Authority, name: str, issuer: str, extensions: str) -> None:
    folder = made.folder
    (folder / f"{name}.ext").write_text(extensions)
    _run(
        *("openssl", "req", "-new", "-newkey", "rsa:2048", "-nodes"),
        *("-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}"),
        cwd=folder,
    )
    by = issuer or name
    signed = ["-CA", f"{by}.pem", "-CAkey", f"{by}.key", "-CAcreateserial"]
    _run(
        *("openssl", "x509", "-req", "-in", f"{name}.csr", "-days", "9000"),
        *(signed if issuer else ["-signkey", f"{name}.key"]),
        *("-extfile", f"{name}.ext", "-out", f"{name}.pem"),
        cwd=folder,
    )


def serve(answer: object) -> Iterator[str]:
    """Serve an authority over HTTP; `answer` maps a query to a reply."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            query = self.rfile.read(int(self.headers["Content-Length"]))
            assert self.headers["Content-Type"] == "application/timestamp-query"
            body = answer(query)  # type: ignore[operator] # a function
            self.send_response(200)
            self.send_header("Content-Type", "application/timestamp-reply")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
            del format, arguments

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def imprint_of(query: bytes) -> str:
    """Read the SHA-256 out of a query: the octet string after the algorithm."""
    at = query.index(b"\x04\x20") + 2
    return query[at : at + 32].hex()


def _der(tag: int, body: bytes) -> bytes:
    if len(body) < 0x80:
        return bytes([tag, len(body)]) + body
    size = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(size)]) + size + body


def _oid(text: str) -> bytes:
    first, second, *rest = (int(part) for part in text.split("."))
    body = bytearray([first * 40 + second])
    for number in rest:
        septets = [number & 0x7F]
        while number := number >> 7:
            septets.append(0x80 | (number & 0x7F))
        body.extend(reversed(septets))
    return _der(6, bytes(body))


def _run(*arguments: str, stdin: bytes = b"", cwd: Path | None = None) -> bytes:
    done = subprocess.run(
        arguments,
        input=stdin,
        capture_output=True,
        check=False,
        cwd=cwd,
        env={**os.environ, "OPENSSL_CONF": os.devnull},
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def der_of(certificate: Path) -> bytes:
    return _run("openssl", "x509", "-in", str(certificate), "-outform", "DER")
