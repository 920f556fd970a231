# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC
from typing import TYPE_CHECKING

import keys
import pytest
import rfc3161_client
from cryptography import x509

from controlbook import stamps
from controlbook.digest import sha256
from controlbook.errors import ControlbookError, Exit
from controlbook.timeline import from_datetime, instant, iso

if TYPE_CHECKING:
    from pathlib import Path

CONTENT = b'{"type":"controlbook/checkpoint/1"}'
AT = instant("2028-04-05T06:00:00Z")
serving = contextmanager(keys.serve)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> keys.Authority:
    return keys.authority(tmp_path_factory.mktemp("authority"))


def other_judge(token: bytes, content: bytes, root: str) -> tuple[bool, int]:
    """Judge with another implementation: (believed, the time it reads)."""
    reply = rfc3161_client.decode_timestamp_response(token)
    certificate = x509.load_pem_x509_certificate(root.encode())
    verifier = rfc3161_client.VerifierBuilder(roots=[certificate]).build()
    try:
        believed = verifier.verify_message(reply, content)
    except rfc3161_client.VerificationError:
        believed = False
    return believed, from_datetime(reply.tst_info.gen_time.astimezone(UTC))


def test_a_token_at_a_chosen_time_is_believed(authority: keys.Authority) -> None:
    token = authority.token_at(CONTENT, AT)
    assert stamps.judge(token, CONTENT, [authority.root]) == stamps.Stamp(AT)
    assert other_judge(token, CONTENT, authority.root) == (True, AT)
    assert authority.openssl_verifies(CONTENT, token)


def test_a_real_reply_is_believed_by_both(authority: keys.Authority) -> None:
    token = authority.reply(stamps.request(CONTENT))
    found = stamps.judge(token, CONTENT, [authority.root], policy=keys.POLICY)
    assert found.why == ""
    assert other_judge(token, CONTENT, authority.root) == (True, found.at)


@pytest.mark.threat("T63")
def test_a_token_over_another_digest(authority: keys.Authority) -> None:
    token = authority.token_at(CONTENT, AT, digest=sha256(b"other"))
    found = stamps.judge(token, CONTENT, [authority.root])
    assert found.why == "the time-stamp token is over another digest"
    assert not other_judge(token, CONTENT, authority.root)[0]


@pytest.mark.threat("T63")
def test_a_token_under_another_policy(authority: keys.Authority) -> None:
    token = authority.token_at(CONTENT, AT, policy=keys.OTHER_POLICY)
    found = stamps.judge(token, CONTENT, [authority.root], policy=keys.POLICY)
    assert found.why == f"the token's policy is {keys.OTHER_POLICY}, not {keys.POLICY}"
    assert stamps.judge(token, CONTENT, [authority.root]).why == ""


@pytest.mark.threat("T63")
def test_a_certificate_that_may_not_stamp_time(authority: keys.Authority) -> None:
    token = authority.token_at(CONTENT, AT, signer="web")
    found = stamps.judge(token, CONTENT, [authority.root])
    assert "not to be trusted" in found.why
    assert not other_judge(token, CONTENT, authority.root)[0]


@pytest.mark.threat("T63")
def test_a_certificate_of_another_root(authority: keys.Authority) -> None:
    token = authority.token_at(CONTENT, AT, signer="stranger")
    assert "not to be trusted" in stamps.judge(token, CONTENT, [authority.root]).why
    assert not other_judge(token, CONTENT, authority.root)[0]


@pytest.mark.threat("T63")
def test_an_injected_certificate(authority: keys.Authority) -> None:
    # The signer's certificate is replaced by another of the same size and names.
    token = authority.token_at(CONTENT, AT)
    der = keys.der_of(authority.folder / "tsa.pem")
    other = bytearray(der)
    other[-1] ^= 1
    assert der in token
    forged = token.replace(der, bytes(other))
    assert "not to be trusted" in stamps.judge(forged, CONTENT, [authority.root]).why


@pytest.mark.threat("T63")
@pytest.mark.parametrize(("status", "said"), [(2, "rejected"), (1, "modif")])
def test_a_token_that_is_not_granted(
    authority: keys.Authority, status: int, said: str
) -> None:
    token = authority.token_at(CONTENT, AT, status=status)
    found = stamps.judge(token, CONTENT, [authority.root])
    assert "did not grant it" in found.why
    assert said in found.why
    assert found.at is None


@pytest.mark.threat("T63")
def test_a_certificate_that_was_not_valid_then(authority: keys.Authority) -> None:
    token = authority.token_at(CONTENT, instant("2001-01-01T00:00:00Z"))
    found = stamps.judge(token, CONTENT, [authority.root])
    assert "not yet valid" in found.why


def test_without_roots_nothing_is_believed(authority: keys.Authority) -> None:
    found = stamps.judge(authority.token_at(CONTENT, AT), CONTENT, [])
    assert found == stamps.Stamp(AT, "no root of a time-stamp authority is known")


@pytest.mark.threat("T63")
def test_no_flip_of_a_byte_changes_the_time(authority: keys.Authority) -> None:
    # Some bytes of a reply are outside the signature; none of them is what we read.
    token = authority.token_at(CONTENT, AT)
    for place in range(0, len(token), 23):
        forged = bytearray(token)
        forged[place] ^= 1
        found = stamps.judge(bytes(forged), CONTENT, [authority.root])
        assert found.why or found.at == AT, place


def test_an_authority_is_asked_over_http(authority: keys.Authority) -> None:
    with serving(authority.reply) as url:
        token = stamps.fetch(url, CONTENT)
    assert stamps.judge(token, CONTENT, [authority.root]).why == ""


def test_an_authority_that_refuses_gives_no_token(authority: keys.Authority) -> None:
    def refuse(query: bytes) -> bytes:
        del query
        return authority.token_at(CONTENT, AT, status=2)

    with serving(refuse) as url, pytest.raises(ControlbookError) as caught:
        stamps.fetch(url, CONTENT)
    assert "did not grant it" in str(caught.value)
    assert caught.value.code is Exit.UNAVAILABLE


def test_an_authority_that_is_not_there() -> None:
    with pytest.raises(ControlbookError) as caught:
        stamps.fetch("http://127.0.0.1:9", CONTENT)
    assert caught.value.code is Exit.UNAVAILABLE


def test_the_machine_s_configuration_takes_no_part(
    authority: keys.Authority, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = tmp_path / "openssl.cnf"
    broken.write_text("openssl_conf = nothing\n[nothing\n")
    monkeypatch.setenv("OPENSSL_CONF", str(broken))
    token = authority.token_at(CONTENT, AT)
    assert iso(stamps.judge(token, CONTENT, [authority.root]).at or AT) == iso(AT)
    assert stamps.judge(token, CONTENT, [authority.root]).why == ""
