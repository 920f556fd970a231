# SPDX-License-Identifier: Apache-2.0
"""From a person's SSH key to a sign-off of level L3; only GitHub is imitated."""

from __future__ import annotations

import json
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import keys
import proven
import pytest
import released

from controlbook.checkpoints import read_checkpoints
from controlbook.cli import run
from controlbook.errors import ControlbookError
from controlbook.git import Repository
from controlbook.model import Status
from controlbook.programme import Programme
from controlbook.sandbox import cast
from controlbook.sandbox import github as sandbox
from controlbook.sandbox.clock import Clock
from controlbook.sandbox.github_server import serve
from controlbook.timeline import DAY, HOUR, Instant, iso

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from controlbook.outcome import Outcome

NAME = released.NAME
SIGNED = {Status.SIGNED, Status.SIGNED_WITH_DEVIATIONS}
STATEMENTS = {
    "buckets-encrypted": "Buckets are mine, and the two findings are explained.",
    "policy-kept": "The policy is mine; it was reviewed in January of this year.",
    "3.4": "I compared the deviation with its ticket, and the gap with the runs.",
    "9.9": "I asked the shops: none of them has a card reader of ours.",
    "12.1": "I read the policy and the minutes of the review that approved it.",
}


@dataclass
class Office:
    """The programme's work tree, its GitHub, and the people's keys."""

    made: proven.Proven
    url: str
    clock: Clock
    ring: Path

    @property
    def repository(self) -> Repository:
        return self.made.repository

    def do(self, *arguments: str) -> Outcome:
        """Run a verb; an hour passes."""
        self.clock.set(Instant(self.clock.now() + HOUR))
        at = iso(self.clock.now())
        root = str(self.repository.root)
        return run([*arguments, "-C", root, "--as-of", at, "-q"])

    def propose(self, person: str, verb: str, *about: str) -> tuple[int, str]:
        """Propose; give the pull request's number and its head's name."""
        words = self.made.root / "words.yml"
        words.write_text(
            "".join(
                f'"{name}":\n  statement: "{STATEMENTS[name]}"\n'
                + ('  conclusion: "satisfied"\n' if verb == "signoff" else "")
                for name in about
            )
        )
        self.repository.push("origin", "+HEAD:refs/heads/main")
        opened = self.do(
            verb, NAME, *about, "--as", person, "--from", str(words), "--pr"
        )
        pull = opened.data["pull"]
        number = pull["number"]  # type: ignore[index]
        row = self.ask(person, "GET", f"/pulls/{number}")
        head = str(row["head"]["ref"])  # type: ignore[index]
        self.repository.fetch("origin", f"+{head}:refs/remotes/origin/{head}")
        return int(number), f"origin/{head}"

    def ask(self, who: str, method: str, path: str, **fields: str) -> object:
        request = urllib.request.Request(  # noqa: S310 - our own server
            f"{self.url}/repos/{cast.REPOSITORY}{path}",
            data=json.dumps(fields).encode() if fields else None,
            method=method,
            headers={"Authorization": f"Bearer {who}"},
        )
        with urllib.request.urlopen(request) as response:  # noqa: S310
            return json.load(response)

    def approve(self, number: int, person: str, body: str) -> None:
        path = f"/pulls/{number}"
        self.ask(person, "POST", f"{path}/reviews", event="APPROVE", body=body)
        self.ask(person, "PUT", f"{path}/merge", merge_method="merge")
        self.repository.update("origin", "main")

    def levels(self) -> dict[str, tuple[Status, str]]:
        table = Programme(self.repository).statuses(NAME)
        return {n: (row.status, row.judgement.level) for n, row in table.items()}


@contextmanager
def office(
    folder: Path, policy: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Office]:
    ring = proven.key_ring(folder / "ring")
    authority = keys.authority(folder / "authority")
    with proven.written(ring, authority, policy):
        made = proven.Proven(folder / "world", keys=ring, authority=authority)
    made.collect()
    made.annotate()
    made.repository.git("checkout", "--quiet", "--force", "main")
    made.repository.configure(cast.APP.login, cast.APP.address)
    remote = Repository.create(folder / "remote.git", bare=True)
    made.repository.add_remote("origin", str(remote.root))
    made.repository.push("origin", "HEAD:refs/heads/main")
    clock = Clock(Instant(made.now + DAY))
    github = sandbox.GitHub(remote.root, clock, cast.users(), cast.REPOSITORY)
    with serve(github) as url:
        monkeypatch.setenv("GITHUB_API_URL", url)
        monkeypatch.setenv("GITHUB_TOKEN", cast.APP_TOKEN)
        yield Office(made=made, url=url, clock=clock, ring=ring)


def seal(at: Office, head: str, person: str, key: str = "") -> str:
    path = str(at.ring / (key or person))
    return at.do("seal", head, "--as", person, "--key", path).text


def test_a_sealed_approval_is_worth_l2_and_a_stamped_checkpoint_l3(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = '{signoff: "L2", checkpoint: "ssh+rfc3161"}'
    with office(tmp_path, policy, monkeypatch) as at:
        number, head = at.propose(
            "j-moreau", "attest", "buckets-encrypted", "policy-kept"
        )
        at.approve(number, "j-moreau", seal(at, head, "j-moreau"))
        number, head = at.propose("a-okafor", "signoff", "3.4", "9.9", "12.1")
        body = seal(at, head, "a-okafor")
        assert body.count("-----BEGIN SSH SIGNATURE-----") == 3
        at.approve(number, "a-okafor", body)
        at.do("collect", "--stream", "reviews")
        found = at.levels()
        assert {status for status, _ in found.values()} <= SIGNED
        assert {level for _, level in found.values()} == {"L2"}

        with pytest.raises(ControlbookError, match="CONTROLBOOK_SIGNING_KEY is not"):
            at.do("checkpoint")
        monkeypatch.setenv("CONTROLBOOK_SIGNING_KEY", str(at.ring / "job"))
        clock = at.clock

        def reply(query: bytes) -> bytes:
            digest = keys.imprint_of(query)
            return at.made.authority.token_at(b"", clock.now(), digest=digest)

        with contextmanager(keys.serve)(reply) as authority:
            monkeypatch.setenv("CONTROLBOOK_TSA_URL", authority)
            first = at.do("checkpoint")
            again = at.do("checkpoint")
        assert first.data["signed"] is first.data["stamped"] is True
        assert (first.data["new"], again.data["new"]) == (True, False)
        assert {level for _, level in at.levels().values()} == {"L3"}
        (written,) = read_checkpoints(Programme(at.repository).files)
        vault = Programme(at.repository).vault
        assert vault.get("ledger/checkpoints/000001.json.sig") == written.signature
        assert vault.get("ledger/checkpoints/000001.json.tsr") == written.stamp


@pytest.mark.threat("T58")
def test_a_key_that_people_yml_does_not_know_seals_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with office(tmp_path, '{signoff: "L2"}', monkeypatch) as at:
        number, head = at.propose("j-moreau", "attest", "policy-kept")
        with pytest.raises(ControlbookError, match="would not count for j-moreau"):
            seal(at, head, "j-moreau", key="stranger")
        with pytest.raises(ControlbookError, match="no attestation or sign-off by"):
            seal(at, head, "a-okafor")
        told = at.do("seal", head, "--as", "j-moreau").text
        assert "ssh-keygen -Y sign -n controlbook-signoff" in told
        at.approve(number, "j-moreau", "Approved without a key.")
        at.do("collect", "--stream", "reviews")
        row = Programme(at.repository).statuses(NAME)["12.1"]
        reasons = row.attestations["policy-kept"].reasons
        assert any("carries no SSH signature" in reason for reason in reasons)
