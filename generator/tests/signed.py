# SPDX-License-Identifier: Apache-2.0
"""The small programme, attested and signed by the book: every requirement counts."""

from __future__ import annotations

from dataclasses import replace

import small

from controlbook.assess import assess
from controlbook.digest import sha256
from controlbook.model import (
    Annotation,
    Arrival,
    Grant,
    Ledger,
    Library,
    Pull,
    Review,
    SignOff,
)
from controlbook.record import Record
from controlbook.subjects import control_subject, requirement_subject
from controlbook.timeline import Instant, instant

ASSESSMENT = small.library().assessments["PCI-2028-FEB"]
CODEOWNERS = (
    b"* @c-novak\n"
    b"/signoffs/*/controls/ @j-moreau\n"
    b"/signoffs/*/requirements/ @m-lindqvist\n"
)
ATTESTED_AT = instant("2028-02-18T09:30:00Z")
SIGNED_AT = instant("2028-02-19T09:30:00Z")
IDS = {"j-moreau": "4100123", "m-lindqvist": "4100202"}
TEXTS = (
    "A clean-up script removed the setting, and the remediation put it back at once.",
    "The database was restored from a snapshot that nobody had encrypted; it is moved.",
    "The rule's role was missing a permission for six hours, so there is no verdict.",
)


def library() -> Library:
    """Build the human files with everything annotated, attested and signed."""
    base = small.library()
    findings = assess(base, small.ledger(), small.standings(), ASSESSMENT)
    notes = tuple(
        Annotation(
            path=f"annotations/2028-02/note-{n}.md",
            sha256=sha256(f"note-{n}".encode()),
            covers=(item.id,),
            start=item.start,
            end=item.end,
            author="j-moreau",
            ticket="PCI-4432",
            title=f"Note {n}",
            body=TEXTS[n],
        )
        for n, item in enumerate((*findings.deviations, *findings.gaps))
    )
    return signed(replace(base, annotations=notes, codeowners=CODEOWNERS))


def signed(base: Library) -> Library:
    """Attest every control and sign every requirement on what is there now."""
    chain = small.ledger()
    assessment = base.assessments[ASSESSMENT.id]
    findings = assess(base, chain, small.standings(), assessment)
    attestations = tuple(
        _file(
            "owner",
            name,
            found.ids,
            control_subject(base, findings, chain, assessment, name),
        )
        for name, found in findings.controls.items()
    )
    base = replace(base, signoffs=attestations)
    signoffs = tuple(
        _file(
            "assessor",
            number,
            found.ids,
            requirement_subject(base, findings, chain, assessment, number),
        )
        for number, found in findings.requirements.items()
    )
    return replace(base, signoffs=(*attestations, *signoffs))


def _file(
    role: str, about: str, ids: tuple[str, ...], subject: tuple[tuple[str, str], ...]
) -> SignOff:
    owner = role == "owner"
    person = "j-moreau" if owner else "m-lindqvist"
    folder = "controls" if owner else "requirements"
    return SignOff(
        path=f"signoffs/PCI-2028-FEB/{folder}/{about}.yml",
        sha256=sha256(f"{role} {about}".encode()),
        role=role,
        assessment="PCI-2028-FEB",
        about=about,
        person=person,
        github_id=IDS[person],
        decision="attest" if owner else "sign",
        conclusion="" if owner else "satisfied",
        statement=f"I looked at {about} and know of nothing else.\n",
        acknowledged=ids,
        claimed_at=ATTESTED_AT if owner else SIGNED_AT,
        prev="0" * 64,
        base="a" * 40,
        generator="controlbook 0.1.0",
        subject=subject,
    )


def pull_of(file: SignOff) -> Pull:
    """Give the pull request that the App opened and the person approved."""
    submitted = Instant(file.claimed_at + 60_000)
    return Pull(
        number=7,
        url="https://github.com/example/payments-compliance/pull/7",
        title=f"Sign {file.about}",
        author_id="4100901",
        author_login="controlbook[bot]",
        author_type="Bot",
        base="a" * 40,
        head=sha256(b"head" + file.path.encode())[:40],
        merge=sha256(b"merge" + file.path.encode())[:40],
        merged_by_id=file.github_id,
        merged_at=Instant(submitted + 60_000),
        pushers=("4100901",),
        paths=(file.path,),
        reviews=(
            Review(
                id="1",
                user_id=file.github_id,
                user_login=file.person,
                user_type="User",
                state="APPROVED",
                commit=sha256(b"head" + file.path.encode())[:40],
                submitted=submitted,
            ),
        ),
        ruleset_sha256=sha256(b"rules"),
        rule_suite="pass",
    )


def arrival_of(pull: Pull, path: str) -> Arrival:
    """Give how a file came to main by a merge commit of that pull request."""
    return Arrival(
        path=path,
        merge=pull.merge,
        parents=("a" * 40, pull.head),
        at=pull.merged_at,
        reviewed_same=True,
        codeowners=CODEOWNERS,
    )


def record(
    base: Library | None = None,
    *,
    pulls: dict[str, Pull] | None = None,
    arrivals: dict[str, Arrival] | None = None,
    ledger: Ledger | None = None,
    granted: Pull | None = None,
) -> Record:
    """Bring it together; `pulls` and `arrivals` replace those of some paths.

    `granted` is the pull request that brought the delegations.
    """
    base = base or library()
    own = {file.path: pull_of(file) for file in base.signoffs} | (pulls or {})
    found = {path: arrival_of(pull, path) for path, pull in own.items()}
    reviews = replace(
        small.run(1),
        stream="reviews",
        rules=(),
        transitions=(),
        objects=(),
        pulls=(*own.values(), *([granted] if granted else [])),
    )
    runs = (ledger or small.ledger()).runs
    chain = Ledger(runs={**runs, "reviews": (reviews,)})
    return Record(
        library=base,
        findings=assess(base, chain, small.standings(), ASSESSMENT),
        ledger=chain,
        assessment=base.assessments["PCI-2028-FEB"],
        arrivals=found | (arrivals or {}),
        grants=tuple(
            Grant(delegation=given, merge=granted.merge if granted else "")
            for given in base.assessments[ASSESSMENT.id].delegations
        ),
    )
