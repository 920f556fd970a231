# SPDX-License-Identifier: Apache-2.0
"""A small programme as values: two accounts, five days, one of each thing.

Enough for pages: an exact five-minute deviation, a deviation open at the end, an
evidence gap, a manual requirement, an inherited and a not-applicable one.
"""

from __future__ import annotations

from dataclasses import replace

from controlbook.assess import assess
from controlbook.digest import digest_of, merkle_root, sha256
from controlbook.model import (
    Annotation,
    Assessment,
    ConfigRule,
    Control,
    Framework,
    Judgement,
    Ledger,
    Library,
    ManualDocument,
    ManualEvidence,
    Person,
    Pull,
    Requirement,
    RequirementStatus,
    Review,
    RuleInstance,
    Run,
    Settings,
    SignOff,
    Stale,
    Standing,
    State,
    Status,
    StoredObject,
    Team,
    Transition,
)
from controlbook.render.report import Book, Commit, Report
from controlbook.subjects import requirement_subject
from controlbook.timeline import DAY, Instant, Interval, instant

PROD, STAGING = "111122223333", "111122224444"
REGION = "eu-west-1"
START = instant("2028-02-12T00:00:00Z")
DAYS = 5
PERIOD = Interval(START, Instant(START + DAYS * DAY))
SSE = "S3_BUCKET_SERVER_SIDE_ENCRYPTION_ENABLED"
RDS = "RDS_STORAGE_ENCRYPTED"
BUCKETS = tuple(f"AWS::S3::Bucket/bucket-{n}" for n in range(6))
STALE_BUCKET = "AWS::S3::Bucket/stale-backup-archive"
DATABASE = "AWS::RDS::DBInstance/orders"

LABELS = {
    "satisfied": "In Place",
    "compensated": "In Place w/ CCW",
    "not-satisfied": "Not in Place",
    "not-applicable": "N/A",
    "not-tested": "Not Tested",
}


def stored(role: str, name: str) -> StoredObject:
    """Name an object in a vault without a lock."""
    digest = sha256(name.encode())
    return StoredObject(
        role=role,
        bucket="vault",
        key=f"packs/config/{digest}.ndjson.gz",
        version_id=f"sha256:{digest}",
        sha256=digest,
        size=1234,
        lock_mode="none",
        lock_until="",
        records=12,
        content_sha256=sha256(digest.encode()),
        content_size=5678,
        records_root=merkle_root([name.encode()]),
    )


def instance(identifier: str, rule: str, account: str, population: int) -> RuleInstance:
    """Describe a deployed rule."""
    return RuleInstance(
        key=digest_of([identifier, [], account, REGION])[:16],
        rule=rule,
        deployed_as=rule,
        identifier=identifier,
        parameters=(),
        account=account,
        region=REGION,
        trigger="change",
        population=population,
        counts=(("COMPLIANT", population),),
        records_root=merkle_root([rule.encode(), account.encode()]),
    )


INSTANCES = (
    instance(SSE, "s3-bucket-server-side-encryption-enabled", PROD, 4),
    instance(SSE, "s3-bucket-server-side-encryption-enabled", STAGING, 3),
    instance(RDS, "rds-storage-encrypted", PROD, 1),
    instance(RDS, "rds-storage-encrypted", STAGING, 0),
)


def move(
    row: RuleInstance, resource: str, at: str, before: State, after: State
) -> Transition:
    """Describe a change of state."""
    return Transition(
        at=instant(at),
        instance=row.key,
        rule=row.rule,
        account=row.account,
        region=row.region,
        resource=resource,
        before=before,
        after=after,
        precision="change",
    )


MOVES = (
    move(
        INSTANCES[0],
        STALE_BUCKET,
        "2028-02-14T03:12:00Z",
        State.COMPLIANT,
        State.NON_COMPLIANT,
    ),
    move(
        INSTANCES[0],
        STALE_BUCKET,
        "2028-02-14T03:17:00Z",
        State.NON_COMPLIANT,
        State.COMPLIANT,
    ),
    move(
        INSTANCES[2],
        DATABASE,
        "2028-02-13T08:00:00Z",
        State.COMPLIANT,
        State.INSUFFICIENT_DATA,
    ),
    move(
        INSTANCES[2],
        DATABASE,
        "2028-02-13T14:00:00Z",
        State.INSUFFICIENT_DATA,
        State.COMPLIANT,
    ),
    move(
        INSTANCES[2],
        DATABASE,
        "2028-02-16T10:00:00Z",
        State.COMPLIANT,
        State.NON_COMPLIANT,
    ),
)


def run(seq: int) -> Run:
    """Give the run that closes the day before `START` plus `seq` days."""
    window = Interval(
        Instant(START + (seq - 2) * DAY), Instant(START + (seq - 1) * DAY)
    )
    places = ((PROD, REGION), (STAGING, REGION))
    return Run(
        stream="config",
        seq=seq,
        kind="regular",
        prev=sha256(str(seq - 1).encode()),
        sha256=sha256(str(seq).encode()),
        ledger="00000000-0000-4000-8000-000000000000",
        window=window,
        run_id=f"run-{seq}",
        started=Instant(window.end + 6 * 3_600_000),
        finished=Instant(window.end + 6 * 3_600_000 + 4_000),
        aws_date=Instant(window.end + 6 * 3_600_000),
        principal="arn:aws:sts::111122226666:assumed-role/collector/ci",
        endpoint="http://127.0.0.1",
        vault="directory",
        collector=(("name", "controlbook"), ("version", "0.1.0")),
        expected=places,
        collected=places,
        missing=(),
        pages=17,
        throttles=0,
        complete=True,
        queries=(
            (
                "config:DescribeAggregateComplianceByConfigRules",
                '{"ConfigurationAggregatorName":"org"}',
            ),
        ),
        counts=(("COMPLIANT", 8),),
        rules=INSTANCES,
        rules_root=merkle_root([b"rules"]),
        transitions=tuple(m for m in MOVES if window.contains(m.at)),
        pulls=(),
        objects=(stored("source", f"s{seq}"), stored("state", f"t{seq}")),
    )


def standings() -> tuple[Standing, ...]:
    """Give the opening state: everything compliant since long before."""
    since = instant("2027-06-01T00:00:00Z")
    in_prod = (*BUCKETS[:3], STALE_BUCKET)
    return tuple(
        Standing(instance=row.key, resource=name, state=State.COMPLIANT, since=since)
        for row, names in (
            (INSTANCES[0], in_prod),
            (INSTANCES[1], BUCKETS[3:]),
            (INSTANCES[2], (DATABASE,)),
        )
        for name in names
    )


def people() -> dict[str, Person]:
    """Give an owner, an assessor and a compliance officer."""
    return {
        "j-moreau": Person(
            id="j-moreau",
            name="Jeanne Moreau",
            login="j-moreau",
            github_ids=("4100123",),
            roles=("control-owner",),
            organisation="Example Payments",
        ),
        "m-lindqvist": Person(
            id="m-lindqvist",
            name="Maja Lindqvist",
            login="m-lindqvist",
            github_ids=("4100202",),
            roles=("assessor",),
            organisation="Example Payments",
            qualification="ISA",
        ),
        "c-novak": Person(
            id="c-novak",
            name="Čeněk Novák",
            login="c-novak",
            github_ids=("4100301",),
            roles=("compliance-officer",),
        ),
    }


def control(name: str, title: str, *evidence: ConfigRule | ManualDocument) -> Control:
    """Describe a control that j-moreau owns."""
    return Control(
        id=name,
        title=title,
        statement=f"{title}, in every account of the payments estate.\n",
        owner="j-moreau",
        evidence=evidence,
        path=f"controls/{name}.yml",
        sha256=sha256(name.encode()),
    )


def library() -> Library:
    """Build the human files' values."""
    controls = (
        control(
            "pan-encrypted-at-rest",
            "Stored PAN is encrypted at rest",
            ConfigRule(name="s3-bucket-server-side-encryption-enabled", identifier=SSE),
            ConfigRule(name="rds-storage-encrypted", identifier=RDS),
        ),
        control(
            "buckets-encrypted",
            "Buckets are encrypted",
            ConfigRule(name="s3-bucket-server-side-encryption-enabled", identifier=SSE),
        ),
        control(
            "key-management", "Keys are managed", ManualDocument(document="key-policy")
        ),
    )
    requirements = (
        Requirement(number="3", title="Stored data"),
        Requirement(
            number="3.4",
            title="Stored PAN unreadable",
            parent="3",
            controls=("pan-encrypted-at-rest",),
        ),
        Requirement(
            number="3.5",
            title="Keys protected",
            parent="3",
            controls=("key-management",),
        ),
        Requirement(
            number="3.10",
            title="Archives protected",
            parent="3",
            controls=("buckets-encrypted",),
        ),
        Requirement(
            number="9.1",
            title="Entry to facilities",
            inherited="AWS operates the data centres.",
        ),
        Requirement(
            number="9.9", title="Card readers", not_applicable="We have no card reader."
        ),
    )
    framework = Framework(
        id="pci-dss-3.2.1",
        title="PCI DSS 3.2.1",
        labels=LABELS,
        requirements={item.number: item for item in requirements},
        retired="2024-03-31",
    )
    assessment = Assessment(
        id="PCI-2028-FEB",
        title="PCI DSS, five days of February 2028",
        framework="pci-dss-3.2.1",
        period=PERIOD,
        accounts=(("payments-prod", PROD), ("payments-staging", STAGING)),
        regions=(REGION,),
        requirements=("3.4", "3.5", "3.10", "9.1", "9.9"),
        excluded=(("1", "Assessed by the networking team's own report."),),
        assessors=(("default", "m-lindqvist"),),
        retention_until=instant("2035-04-01T00:00:00Z"),
        entity="Example Payments",
        path="signoffs/PCI-2028-FEB/assessment.yml",
    )
    return Library(
        settings=Settings(
            ledger="00000000-0000-4000-8000-000000000000",
            github="example/payments-compliance",
            entity="Example Payments",
            ticket_url="https://tickets.example.com/browse/{ticket}",
        ),
        people=people(),
        teams={"networking": Team(id="networking", name="Networking", members=())},
        controls={item.id: item for item in controls},
        frameworks={framework.id: framework},
        assessments={assessment.id: assessment},
        manual={"key-policy": document()},
    )


def document() -> ManualEvidence:
    """Describe a key policy that covers the whole period."""
    return ManualEvidence(
        id="key-policy",
        title="Key management policy",
        owner="j-moreau",
        version="3",
        covers=Interval(
            instant("2028-01-01T00:00:00Z"), instant("2029-01-01T00:00:00Z")
        ),
        received=instant("2028-01-10T09:00:00Z"),
        expires=instant("2029-01-01T00:00:00Z"),
        file="key-policy.pdf",
        content_sha256=sha256(b"key policy"),
        size=20480,
        object=stored("manual", "key-policy"),
        path="evidence/manual/key-policy.yml",
        sha256=sha256(b"key-policy.yml"),
    )


def ledger() -> Ledger:
    """Build six daily runs, the first one closing the day before the period."""
    return Ledger(runs={"config": tuple(run(seq) for seq in range(1, DAYS + 2))})


def annotation(item_id: str, title: str, start: Instant, end: Instant) -> Annotation:
    """Explain a deviation with Markdown of several kinds."""
    return Annotation(
        path=f"annotations/2028-02/{title}.md",
        sha256=sha256(title.encode()),
        covers=(item_id,),
        start=start,
        end=end,
        author="j-moreau",
        ticket="PCI-4432",
        title=title,
        body=(
            "AWS Config recorded the bucket as **non-compliant** at 03:12Z; the "
            "auto-remediation put the setting back at 03:17Z.\n\n"
            "- cause: a manual change\n- impact: none\n\n"
            "<script>alert(1)</script> [x](javascript:alert(1)) `{{ braces }}`\n"
        ),
    )


def judgement(role: str, about: str, person: str, *stale: Stale) -> Judgement:
    """Give a file that was approved on pull request 7."""
    submitted = instant("2028-02-18T09:30:00Z")
    pull = Pull(
        number=7,
        url="https://github.com/example/payments-compliance/pull/7",
        title=f"Sign {about}",
        author_id="4100901",
        author_login="controlbook[bot]",
        author_type="Bot",
        base="a" * 40,
        head="b" * 40,
        merge="c" * 40,
        merged_by_id="4100202",
        merged_at=instant("2028-02-18T09:31:00Z"),
        pushers=("4100901",),
        paths=(f"signoffs/PCI-2028-FEB/requirements/{about}.yml",),
        reviews=(
            Review(
                id="1",
                user_id="4100202",
                user_login=person,
                user_type="User",
                state="APPROVED",
                commit="b" * 40,
                submitted=submitted,
            ),
        ),
        ruleset_sha256=sha256(b"rules"),
        rule_suite="pass",
    )
    signoff = SignOff(
        path=pull.paths[0],
        sha256=sha256(about.encode()),
        role=role,
        assessment="PCI-2028-FEB",
        about=about,
        person=person,
        github_id="4100202",
        decision="sign" if role == "assessor" else "attest",
        conclusion="satisfied" if role == "assessor" else "",
        statement="I read the evidence and the annotation, and they agree.\n",
        acknowledged=(),
        claimed_at=submitted,
        prev="0" * 64,
        base="a" * 40,
        generator="controlbook 0.1.0",
        subject=(("controls", sha256(b"c")), ("mapping", sha256(b"m"))),
    )
    return Judgement(
        signoff=signoff, counts=not stale, reasons=(), stale=tuple(stale), pull=pull
    )


NOBODY = Judgement(signoff=None, counts=False, reasons=("nobody has signed",), stale=())


def statuses() -> dict[str, RequirementStatus]:
    """Give one requirement in each of five states."""
    stale = Stale(name="annotations", signed=sha256(b"old"), now=sha256(b"new"))
    table = {
        "3.4": (
            Status.SIGNED_WITH_DEVIATIONS,
            judgement("assessor", "3.4", "m-lindqvist"),
        ),
        "3.5": (Status.STALE, judgement("assessor", "3.5", "m-lindqvist", stale)),
        "3.10": (Status.IN_REVIEW, NOBODY),
        "9.1": (Status.SIGNED, judgement("assessor", "9.1", "m-lindqvist")),
        "9.9": (Status.UNREVIEWED, NOBODY),
    }
    controls = {
        "3.4": ("pan-encrypted-at-rest",),
        "3.5": ("key-management",),
        "3.10": ("buckets-encrypted",),
    }
    return {
        number: RequirementStatus(
            requirement=number,
            status=status,
            interim=None,
            conclusion="satisfied" if found.counts else "",
            judgement=found,
            attestations={
                name: judgement("owner", name, "j-moreau") if found.signoff else NOBODY
                for name in controls.get(number, ())
            },
            unannotated=(),
            waiting=() if found.counts else (("m-lindqvist", f"sign {number}"),),
        )
        for number, (status, found) in table.items()
    }


def report(*, release: str = "PCI-2028-FEB") -> Report:
    """Build the whole report as a build would."""
    base = library()
    assessment = base.assessments["PCI-2028-FEB"]
    chain = ledger()
    findings = assess(base, chain, standings(), assessment)
    notes = tuple(
        annotation(item.id, f"note-{n}", item.start, item.end or PERIOD.end)
        for n, item in enumerate((*findings.deviations, *findings.gaps))
        if item.end is not None
    )
    full = replace(base, annotations=notes)
    return Report(
        library=full,
        ledger=chain,
        assessment=assessment,
        framework=full.frameworks[assessment.framework],
        findings=findings,
        statuses=statuses(),
        subjects={
            number: requirement_subject(full, findings, chain, assessment, number)
            for number in assessment.requirements
        },
        closing=standings(),
        commit=Commit(id="d" * 40, at=instant("2028-02-19T08:00:00Z")),
        facts_root=sha256(b"facts"),
        release=release,
        generator="controlbook 0.1.0",
        toolchain={"python": "3.11.7", "weasyprint": "70.0"},
    )


def book() -> Book:
    """Give a site of two: one released, one draft."""
    return Book(reports=(report(), report(release="")))
