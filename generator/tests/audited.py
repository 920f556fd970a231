# SPDX-License-Identifier: Apache-2.0
"""What Audit Manager might say of the small, released programme."""

from __future__ import annotations

from typing import TYPE_CHECKING

import released

from controlbook.digest import sha256
from controlbook.model import Contradiction
from controlbook.sources.looking import Item
from controlbook.timeline import instant

if TYPE_CHECKING:
    from pathlib import Path

SET, THERE = "Data at rest / backups", "Stored objects are encrypted"
BUCKET = f"arn:aws:s3:::{released.PROD}-1"
COMMENT = "Looked at by hand; see the ticket."


def item(kind: str, name: str, numbers: dict[str, int] | None = None, /, **said: str):  # type: ignore[no-untyped-def] # noqa: ANN201 - an Item
    """Keep one thing, as the source does."""
    return Item(
        name=f"{kind}/{name}",
        sha256=sha256(f"{kind}/{name}".encode()),
        fields=tuple(sorted((k, str(n)) for k, n in (numbers or {}).items())),
        said=tuple(sorted(said.items())),
    )


def folder(day: str, evidence: int, **numbers: int) -> Item:
    """Keep a folder of one day."""
    found: Item = item(
        "folder",
        f"{THERE} {day}",
        {"evidence": evidence, **numbers},
        at=f"{day}T00:00:00Z",
        set=SET,
        control=THERE,
        rules=released.IDENTIFIER,
    )
    return found


def items() -> tuple[Item, ...]:
    """Give an assessment with one control, a comment and three folders."""
    where = {"set": SET, "control": THERE}
    return (
        item(
            "assessment",
            "payments",
            name="payments",
            status="ACTIVE",
            at="2028-01-01T00:00:00Z",
            accounts=f"{released.PROD} {released.STAGING}",
            owners="arn:aws:iam::111122226666:role/audit-owner",
        ),
        item("control", THERE, status="REVIEWED", response="MANUAL", **where),
        item(
            "comment",
            f"{THERE}/0",
            by="audit-owner",
            at="2028-02-13T09:00:00Z",
            text=COMMENT,
            **where,
        ),
        item(
            "change",
            "1",
            at="2028-02-13T10:00:00Z",
            by="arn:aws:iam::111122226666:role/audit-owner",
            action="REVIEWED",
            object="CONTROL",
            name=THERE,
        ),
        item("delegation", "d1", to="role/delegate", set=SET, status="COMPLETE"),
        folder("2028-02-11", 5, compared=5),
        folder("2028-02-13", 5, compared=5, contradictions=1),
        folder("2028-02-16", 5, compared=3, **{"not in our record": 2}),
    )


def contradiction(
    at: str = "2028-02-13T23:59:59Z",
    account: str = released.PROD,
    resource: str = BUCKET,
    identifier: str = released.IDENTIFIER,
    theirs: str = "NON_COMPLIANT",
    ours: str = "COMPLIANT",
    number: int = 1,
) -> Contradiction:
    """Say that Audit Manager found a bucket that was encrypted to be none."""
    return Contradiction(
        evidence=released.AUDITED,
        group=SET,
        control=THERE,
        at=instant(at),
        identifier=identifier,
        account=account,
        resource=resource,
        theirs=theirs,
        ours=(ours,),
        id=f"00000000-0000-4000-8000-{number:012d}",
    )


def programme(root: Path) -> released.Example:
    """Make the small programme, with what Audit Manager said, up to its sign-off."""
    made = released.Example(root)
    made.collect()
    made.audit(*items(), contradictions=(contradiction(),))
    made.annotate()
    made.sign()
    made.capture()
    made.checkpoint()
    return made
