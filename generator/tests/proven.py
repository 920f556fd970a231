# SPDX-License-Identifier: Apache-2.0
"""The small programme of released.py, with SSH keys, signed and stamped checkpoints."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from unittest.mock import patch

import keys
import released

from controlbook import ssh
from controlbook.checkpoints import checkpoint_bytes, path_of
from controlbook.commands.seal import review_text
from controlbook.forge.reading import signatures_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from controlbook.timeline import Instant

NAME = released.NAME
PEOPLE = ("j-moreau", "a-okafor", "c-novak", "stranger", "job")


@dataclass
class Proven(released.Example):
    """Each merge carries the reviewer's signatures; each checkpoint the job's."""

    keys: Path = field(kw_only=True)
    authority: keys.Authority = field(kw_only=True)
    signed_by: Mapping[str, str] = field(default_factory=dict)
    """reviewer → whose key signs instead; empty: nobody's."""
    namespace: str = ssh.SIGNOFF
    stamped_at: Instant | None = None
    """The token's time instead of the checkpoint's."""
    sidecars: tuple[str, ...] = (".sig", ".tsr")

    def merge(self, files: Mapping[str, bytes], reviewer: str, title: str) -> None:
        super().merge(files, reviewer, title)
        signer = self.signed_by.get(reviewer, reviewer)
        signatures = {
            path: keys.ssh_sign(self.keys / signer, body, self.namespace)
            for path, body in files.items()
            if signer and path.startswith("signoffs/")
        }
        pull = self.pulls[-1]
        said = signatures_in(review_text(signatures).replace("\n", "\r\n"))
        review = replace(pull.reviews[0], signatures=said)
        self.pulls[-1] = replace(pull, reviews=(review,))

    def checkpoint(self) -> None:
        ledger = self.programme.ledger
        number = 1 + len(self.programme.witnesses)
        path = path_of(number)
        content = checkpoint_bytes(ledger, released.LEDGER, number)
        at = self.now if self.stamped_at is None else self.stamped_at
        job = self.keys / "job"
        sides = {
            ".sig": lambda: keys.ssh_sign(job, content, ssh.CHECKPOINT).encode(),
            ".tsr": lambda: self.authority.token_at(content, at),
        }
        files = {path: content, **{path + end: sides[end]() for end in self.sidecars}}
        for place, body in files.items():
            key = place.replace("evidence/", "ledger/", 1)
            self.vault.put(key, body, role="checkpoint", retain_until=released.RETAIN)
        self.commit(files, "Checkpoint\n")


def key_ring(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in PEOPLE:
        keys.ssh_key(folder, name)
    return folder


@contextmanager
def written(
    ring: Path, authority: keys.Authority, policy: str, *, trusted: bool = True
) -> Iterator[None]:
    """Let the programme's files name the keys, the roots and a policy."""
    people = released.PEOPLE
    for role, name in (
        ("control-owner", "j-moreau"),
        ("assessor", "a-okafor"),
        ("compliance-officer", "c-novak"),
    ):
        line = f'    roles: ["{role}"]\n'
        people = people.replace(
            line, f'{line}    ssh_keys: ["{keys.public(ring / name)}"]\n'
        )
    settings = released.SETTINGS
    if trusted:
        settings += (
            f'checkpoint-keys = ["{keys.public(ring / "job")}"]\n'
            f'tsa-roots = ["""{authority.root}"""]\n'
        )
    scope = f"{released.ASSESSMENT}policy: {policy}\n"
    with (
        patch.object(released, "PEOPLE", people),
        patch.object(released, "SETTINGS", settings),
        patch.object(released, "ASSESSMENT", scope),
    ):
        yield


def played(made: Proven) -> Proven:
    """Play the programme up to its checkpoint."""
    made.collect()
    made.annotate()
    made.sign()
    made.capture()
    made.checkpoint()
    return made
