# SPDX-License-Identifier: Apache-2.0
"""Sign-offs and owners' attestations as OSCAL attestations.

Rules enforced here:
- only those that count are written: what does not count is told by its finding;
- each carries the statement as its author wrote it, and the digests it is bound to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from controlbook.render import words
from controlbook.timeline import iso

from .document import (
    ASSESSOR,
    NAMESPACE,
    OWNER,
    filled,
    line,
    prop,
    props,
    prose,
    responsible,
)

if TYPE_CHECKING:
    from controlbook.model import Judgement

    from .document import Node, Nodes
    from .shelf import Shelf


def attestations(shelf: Shelf) -> Nodes:
    """Write down every sign-off and every owner's attestation that counts, once."""
    found: Nodes = []
    owners: dict[str, Judgement] = {}
    for number, status in shelf.report.statuses.items():
        owners |= status.attestations
        if status.judgement.counts and status.conclusion:
            label = words.conclusion(shelf.report.framework, status.conclusion)
            title = f"{number}: {label}"
            found.append(_attestation(shelf, ASSESSOR, title, status.judgement))
    found += [
        _attestation(shelf, OWNER, f"Control {name}", judgement)
        for name, judgement in sorted(owners.items())
        if judgement.counts
    ]
    return [node for node in found if node]


def _attestation(shelf: Shelf, role: str, title: str, judgement: Judgement) -> Node:
    file, pull = judgement.signoff, judgement.pull
    if file is None:
        return {}
    cited = shelf.back.cite(
        f"sources/{file.path}",
        file.sha256,
        f"Signed file {file.path}",
        media_type="application/yaml",
    )
    people = {file.person} & set(shelf.report.library.people)
    about = [
        *props(
            ("person", file.person),
            ("decision", file.decision),
            ("conclusion", file.conclusion),
            ("claimed-at", iso(file.claimed_at)),
            ("level", judgement.level),
            ("pull-request", pull.url if pull else ""),
            ("approved-head", pull.head if pull else ""),
            ("merged-at", iso(pull.merged_at) if pull else ""),
        ),
        *(prop("acknowledged", name) for name in file.acknowledged),
        *(prop("subject", digest, of=name) for name, digest in file.subject),
        *(prop("flag", flag) for flag in judgement.flags),
    ]
    return filled(
        {
            "responsible-parties": responsible(shelf.ids, role, people),
            "parts": [
                {
                    "uuid": shelf.ids.own("attestation", role, file.about),
                    "name": "sign-off" if role == ASSESSOR else "owner-attestation",
                    "ns": NAMESPACE,
                    "title": line(title),
                    "props": about,
                    "prose": prose(file.statement),
                    "links": [{"href": cited, "rel": "reference"}],
                }
            ],
        }
    )
