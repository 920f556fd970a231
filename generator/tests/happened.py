# SPDX-License-Identifier: Apache-2.0
"""The small programme with an event query, and `cloudtrail` runs that answer it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import small

from controlbook.assess import assess
from controlbook.digest import sha256
from controlbook.eventrows import counted
from controlbook.model import (
    Control,
    DigestChain,
    Event,
    EventQuery,
    Ledger,
    Library,
    Missing,
    Run,
)
from controlbook.subjects import requirement_subject
from controlbook.timeline import DAY, HOUR, Instant, Interval, instant, iso

if TYPE_CHECKING:
    from controlbook.model import Findings
    from controlbook.render.report import Report

IAM, HOME = "iam.amazonaws.com", "us-east-1"
CONTROL = "accounts-on-request"


def event(at: str, account: str = small.PROD, user: str = "robot") -> Event:
    """Somebody created a user."""
    return Event(
        at=instant(at),
        id=f"{sha256(f'{at}{account}'.encode())[:8]}-0000-4000-8000-000000000000",
        source=IAM,
        event="CreateUser",
        account=account,
        region=HOME,
        actor=f"arn:aws:sts::{account}:assumed-role/operator/l-haddad",
        about=f"userName={user}",
    )


def run(
    day: int, *events: Event, missing: tuple[Missing, ...] = (), digests: bool = True
) -> Run:
    """Give the run that closes one day of the period."""
    base = small.run(2)
    window = Interval(
        Instant(small.START + day * DAY), Instant(small.START + (day + 1) * DAY)
    )
    places = ((small.PROD, HOME), (small.STAGING, HOME))
    lost = {(row.account, row.region) for row in missing if row.interval == window}
    return replace(
        base,
        stream="cloudtrail",
        seq=day + 1,
        window=window,
        started=Instant(window.end + 6 * HOUR),
        finished=Instant(window.end + 6 * HOUR),
        aws_date=Instant(window.end + 6 * HOUR),
        run_id=f"events-{day}",
        sha256=sha256(f"events {day}".encode()),
        rules=(),
        counts=(),
        transitions=(),
        objects=(small.stored("records", f"events {day}"),),
        expected=places,
        collected=tuple(place for place in places if place not in lost),
        missing=missing,
        asked=((IAM, "CreateUser"),),
        event_counts=counted(events),
        events=tuple(sorted(events)),
        chains=tuple(
            DigestChain(
                account=account,
                region=region,
                trail="org-trail",
                start=window.start,
                end=Instant(window.end + HOUR),
                digests=26,
                log_files=3,
                head=f"AWSLogs/{account}/CloudTrail-Digest/{iso(window.end)}.json.gz",
                head_sha256=sha256(f"{account}{day}".encode()),
            )
            for account, region in places
        )
        if digests
        else (),
    )


def runs(*events: Event, days: int = small.DAYS, **options: bool) -> tuple[Run, ...]:
    """Give a run for each day, with the day's events."""
    found = []
    for day in range(days):
        window = run(day).window
        own = (each for each in events if window.contains(each.at))
        found.append(run(day, *own, **options))
    return tuple(found)


def library(expect: str = "any") -> Library:
    """Let requirement 3.5 rest on the event query."""
    base = small.library()
    query = EventQuery(source=IAM, event="CreateUser", expect=expect)
    control = Control(
        id=CONTROL,
        title="User accounts are created on request",
        statement="On request only.\n",
        owner="j-moreau",
        evidence=(query,),
        path=f"controls/{CONTROL}.yml",
        sha256=sha256(b"control"),
    )
    framework = base.frameworks["pci-dss-3.2.1"]
    item = replace(framework.requirements["3.5"], controls=(CONTROL,))
    requirements = {**framework.requirements, "3.5": item}
    return replace(
        base,
        controls={**base.controls, CONTROL: control},
        frameworks={framework.id: replace(framework, requirements=requirements)},
    )


def ledger(*found: Run) -> Ledger:
    """Put the event runs beside the small programme's own."""
    return Ledger(runs={**small.ledger().runs, "cloudtrail": found})


def findings(expect: str, *found: Run) -> Findings:
    """Assess the small programme with these event runs."""
    base = library(expect)
    assessment = base.assessments["PCI-2028-FEB"]
    return assess(base, ledger(*found), small.standings(), assessment)


def report(expect: str, *found: Run) -> Report:
    """Build the whole report with these event runs."""
    base, chain = library(expect), ledger(*found)
    made = small.report()
    own = findings(expect, *found)
    return replace(
        made,
        library=base,
        ledger=chain,
        findings=own,
        framework=base.frameworks["pci-dss-3.2.1"],
        subjects={
            number: requirement_subject(base, own, chain, made.assessment, number)
            for number in made.assessment.requirements
        },
    )
