# SPDX-License-Identifier: Apache-2.0
"""A small, real programme: Git, a directory vault, merged pull requests, a release.

Two accounts in scope and one outside; five days; a deviation, an evidence gap, a
document, an exclusion. Site and PDF are stubs: others build them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import answered

from controlbook.digest import ZERO, canonical, merkle_root, sha256
from controlbook.git import Repository
from controlbook.ledger import (
    fold_states,
    manifest_bytes,
    manifest_path,
    records_root_lines,
    rule_key,
    state_lines,
)
from controlbook.manifest import long_lists, starts_anew
from controlbook.model import (
    Contradiction,
    DigestChain,
    Missing,
    Observation,
    Pull,
    Review,
    RuleInstance,
    Run,
    Standing,
    State,
    StoredObject,
    Transition,
)
from controlbook.programme import Programme
from controlbook.render.bundle import publish, write_bundle
from controlbook.render.manifest import ledger_heads, tag_message
from controlbook.sources.looking import Before, Item, Seen, observation
from controlbook.subjects import control_subject, requirement_subject
from controlbook.timeline import DAY, HOUR, Instant, Interval, instant, iso
from controlbook.vault.directory import DirectoryVault
from controlbook.vault.packs import Pack, pack, verbatim

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from controlbook.sources import SourceError
    from controlbook.vault import Vault
    from controlbook.vault.s3 import S3Vault

NAME = "PCI-2028-FEB"
LEDGER = "5b0c6f0e-2f1d-4f5b-9a53-6f6f2a1c7d10"
PROD, STAGING, FOREIGN = "111122223333", "111122224444", "111122229999"
REGION = "eu-west-1"
HOME = "us-east-1"
"""Where IAM's events are recorded."""
START = instant("2028-02-12T00:00:00Z")
DAYS = 5
IDENTIFIER = "S3_BUCKET_SERVER_SIDE_ENCRYPTION_ENABLED"
RULE = "s3-bucket-server-side-encryption-enabled"
BOT = ("controlbook[bot]", "controlbook@example.com")
AUDITED = "audit-manager:5f4b16e2-6d1c-52ad-96b1-42df9e6e0220"
RETAIN = instant("2035-04-01T00:00:00Z")

POPULATION = {PROD: 3, STAGING: 2, FOREIGN: 4}
STALE = "AWS::S3::Bucket/stale-backup-archive"

PEOPLE = """people:
  j-moreau:
    name: "Jeanne Moreau"
    github: "j-moreau"
    github_ids: ["4100123"]
    roles: ["control-owner"]
  a-okafor:
    name: "Adaeze Okafor"
    github: "a-okafor"
    github_ids: ["4100201"]
    roles: ["assessor"]
  c-novak:
    name: "Clara Novak"
    github: "c-novak"
    github_ids: ["4100301"]
    roles: ["compliance-officer"]
"""
ENCRYPTED = f"""id: "buckets-encrypted"
title: "Buckets are encrypted"
statement: |
  Every bucket is encrypted at rest.
owner: "j-moreau"
evidence:
  - config: "{RULE}"
"""
POLICY = """id: "policy-kept"
title: "A security policy is kept"
statement: |
  There is a security policy, and it is reviewed every year.
owner: "j-moreau"
evidence:
  - manual: "security-policy"
"""
FRAMEWORK = """id: "pci-dss-3.2.1"
title: "PCI DSS 3.2.1"
labels:
  satisfied: "In Place"
  compensated: "In Place w/ CCW"
  not-satisfied: "Not in Place"
  not-applicable: "N/A"
  not-tested: "Not Tested"
requirements:
  "3":
    title: "Stored data"
  "3.4":
    title: "Stored PAN unreadable"
    parent: "3"
    controls: ["buckets-encrypted"]
  "3.10":
    title: "Archives"
    parent: "3"
    controls: ["buckets-encrypted"]
  "9.9":
    title: "Card readers"
    not-applicable: "We have no card reader."
  "12.1":
    title: "Security policy"
    controls: ["policy-kept"]
"""
ASSESSMENT = f"""id: "{NAME}"
title: "Five days of February 2028"
entity: "Example Payments"
framework: "pci-dss-3.2.1"
period: {{start: "2028-02-12T00:00:00Z", end: "2028-02-17T00:00:00Z"}}
accounts: {{payments-prod: "{PROD}", payments-staging: "{STAGING}"}}
regions: ["{REGION}"]
requirements: ["3.4", "9.9", "12.1"]
excluded: {{"3.10": "Archives are assessed in a report of their own."}}
assessors: {{default: "a-okafor"}}
retention: {{until: "2035-04-01T00:00:00Z"}}
"""
OWNERS = """* @c-novak
/controls/ @j-moreau
/annotations/ @j-moreau
/signoffs/ @c-novak
/signoffs/*/controls/ @j-moreau
/signoffs/*/requirements/ @a-okafor
"""
SETTINGS = f"""[tool.controlbook]
ledger = "{LEDGER}"
vault = "../vault"
github = "example/payments-compliance"
"""


@dataclass
class Example:
    """The programme while it is made; each method is one day's or one person's act."""

    root: Path
    skip: tuple[int, ...] = ()
    """Days (seq) on which nobody collects."""
    annotated: bool = True
    ledger: str = LEDGER
    locked: S3Vault | None = None
    """Evidence goes there, and into a folder where there is none."""
    now: Instant = START
    states: tuple[Standing, ...] = ()
    runs: list[Run] = field(default_factory=list)
    pulls: list[Pull] = field(default_factory=list)
    tag_key: Path | None = None
    """Public half of the key that signs the tag of a release; None: nobody signs."""
    tag_end: str = ""
    """What stands behind the tag's message."""

    def __post_init__(self) -> None:
        self.repository = Repository.create(self.root / "programme")
        self.vault: Vault = self.locked or DirectoryVault(self.root / "vault")
        self.rules = tuple(
            instance(account, POPULATION[account]) for account in sorted(POPULATION)
        )
        self._first_commit()

    # --- Git ---

    def _first_commit(self) -> None:
        document = self.vault.put(
            f"manual/security-policy/{sha256(b'policy')}",
            b"policy",
            role="manual",
            retain_until=RETAIN,
        )
        files = {
            "signoffs/people.yml": PEOPLE,
            "controls/buckets-encrypted.yml": ENCRYPTED,
            "controls/policy-kept.yml": POLICY,
            "frameworks/pci-dss-3.2.1.yml": FRAMEWORK,
            f"signoffs/{NAME}/assessment.yml": ASSESSMENT,
            ".github/CODEOWNERS": OWNERS,
            "pyproject.toml": SETTINGS.replace(
                "../vault", self.locked.url if self.locked else "../vault"
            ).replace(LEDGER, self.ledger),
            "evidence/manual/security-policy.yml": manual(document),
        }
        self.repository.write_and_commit(
            {path: text.encode() for path, text in files.items()},
            "Lay the programme down\n",
            at=Instant(START - 3 * DAY),
            author=BOT,
        )

    def commit(self, files: Mapping[str, bytes], message: str) -> str:
        head = self.repository.head()
        made = self.repository.commit_files(
            files, message, base=head, at=self.now, author=BOT
        )
        self.repository.set_branch("main", made)
        return made

    def merge(self, files: Mapping[str, bytes], reviewer: str, title: str) -> None:
        """Let a pull request be opened by the App, approved, merged and captured."""
        self.now = Instant(self.now + HOUR)
        base = self.repository.head()
        head = self.repository.commit_files(
            files, f"{title}\n", base=base, at=self.now, author=BOT
        )
        tree = self.repository.git("rev-parse", f"{head}^{{tree}}").decode().strip()
        merge = self.repository.commit_tree(
            tree, (base, head), f"Merge: {title}\n", at=self.now, author=BOT
        )
        self.repository.set_branch("main", merge)
        ids = {"j-moreau": "4100123", "a-okafor": "4100201", "c-novak": "4100301"}
        number = len(self.pulls) + 1
        self.pulls.append(
            Pull(
                number=number,
                url=f"https://github.com/example/payments-compliance/pull/{number}",
                title=title,
                author_id="4100901",
                author_login="controlbook[bot]",
                author_type="Bot",
                base=base,
                head=head,
                merge=merge,
                merged_by_id=ids[reviewer],
                merged_at=self.now,
                pushers=("4100901",),
                paths=tuple(sorted(files)),
                reviews=(
                    Review(
                        id=str(number),
                        user_id=ids[reviewer],
                        user_login=reviewer,
                        user_type="User",
                        state="APPROVED",
                        commit=head,
                        submitted=self.now,
                    ),
                ),
                ruleset_sha256=answered.RULESET,
                rule_suite="pass",
            )
        )

    # --- evidence ---

    def collect(self) -> None:
        for seq_of_day in range(1, DAYS + 2):
            if seq_of_day in self.skip:
                continue
            start = Instant(START + (seq_of_day - 2) * DAY)
            self._day(Interval(start, Instant(start + DAY)))

    def _day(self, window: Interval) -> None:
        moves = tuple(m for m in MOVES if window.contains(m.at))
        if not self.runs:
            self.states = opening(self.rules)
        self.states = fold_states(self.states, moves)
        rules = tuple(recount(row, self.states) for row in self.rules)
        seq = len(self.runs) + 1
        self.now = Instant(window.end + 6 * HOUR)
        objects = (
            self._store("source", verbatim_pack(seq), "config"),
            self._store("records", pack(records(rules, moves, seq)), "config"),
            self._store("state", pack(state_lines(self.states, rules)), "config"),
        )
        places = tuple(sorted((row.account, row.region) for row in rules))
        self._append(
            "config",
            window,
            rules=rules,
            transitions=tuple(sorted(moves)),
            objects=objects,
            expected=places,
            collected=places,
        )

    def correct(self, *moves: Transition, corrects: int) -> str:
        """Let history files arrive late; give the commit of their correction."""
        config = [run for run in self.runs if run.stream == "config"]
        self.now = Instant(self.now + HOUR)
        self.states = fold_states(self.states, tuple(sorted(moves)))
        rules = tuple(recount(row, self.states) for row in self.rules)
        seq = len(config) + 1
        places = tuple(sorted((row.account, row.region) for row in rules))
        self._append(
            "config",
            Interval(config[corrects - 1].window.start, config[-1].window.end),
            rules=rules,
            transitions=tuple(sorted(moves)),
            objects=(
                self._store("source", verbatim_pack(seq), "config"),
                self._store("records", pack(records(rules, moves, seq)), "config"),
                self._store("state", pack(state_lines(self.states, rules)), "config"),
            ),
            expected=places,
            collected=places,
            corrects=corrects,
        )
        return self.repository.resolve("main")

    def hear(self, *holes: Interval, corrects: int = 0, days: int = 2) -> str:
        """Collect events of a day; digests are lacking for these holes."""
        start = Instant(START + days * DAY)
        day = Interval(start, Instant(start + DAY))
        self.now = max(self.now, Instant(day.end + 6 * HOUR))
        places = ((PROD, HOME), (STAGING, HOME))
        self.now = Instant(self.now + HOUR)
        self._append(
            "cloudtrail",
            day,
            objects=(),
            expected=places,
            collected=places[1:] if holes else places,
            missing=tuple(
                Missing(account=PROD, region=HOME, reason="digest-gap", interval=hole)
                for hole in holes
            ),
            corrects=corrects,
            asked=(("iam.amazonaws.com", "CreateUser"),),
            chains=tuple(
                DigestChain(
                    account=account,
                    region=region,
                    trail="org-trail",
                    start=day.start,
                    end=Instant(day.end + HOUR),
                    digests=26,
                    log_files=3,
                    head=f"AWSLogs/{account}/CloudTrail-Digest/{iso(day.end)}.json.gz",
                    head_sha256=sha256(account.encode()),
                )
                for account, region in places
            ),
        )
        return self.repository.resolve("main")

    def audit(
        self,
        *items: Item,
        contradictions: tuple[Contradiction, ...] = (),
        seen: SourceError | None = None,
    ) -> None:
        """Collect Audit Manager: what its one assessment holds, or why none came."""
        place, key = ("111122226666", REGION), AUDITED
        self.now = Instant(self.now + HOUR)
        counts = (("contradictions", len(contradictions)),)
        found = seen or Seen(items=items, result="ACTIVE", counts=counts)
        row, lines = observation(key, place, found, Before(), self.now)
        before = [r.window.end for r in self.runs if r.stream == "audit-manager"]
        window = Interval(before[-1] if before else START, self.now)
        lost = Missing(
            account=place[0], region=REGION, reason="source-failed", interval=window
        )
        self._append(
            "audit-manager",
            window,
            missing=(lost,) if seen else (),
            observations=(row,),
            contradictions=contradictions,
            objects=(
                (self._store("records", pack(lines), "audit-manager"),) if lines else ()
            ),
            expected=(place,),
            collected=() if seen else (place,),
        )

    def capture(self) -> None:
        """Collect the reviews stream: every pull request so far."""
        lines = answered.lines_of(self.pulls)
        before = [run.window.end for run in self.runs if run.stream == "reviews"]
        window = Interval(before[-1] if before else START, self.now)
        self.now = Instant(self.now + HOUR)
        self._append(
            "reviews",
            window,
            pulls=tuple(self.pulls),
            objects=(self._store("reviews", pack(lines), "reviews"),),
        )

    def _append(  # noqa: PLR0913 - a run has this many facts
        self,
        stream: str,
        window: Interval,
        *,
        objects: tuple[StoredObject, ...],
        rules: tuple[RuleInstance, ...] = (),
        transitions: tuple[Transition, ...] = (),
        pulls: tuple[Pull, ...] = (),
        expected: tuple[tuple[str, str], ...] = (),
        collected: tuple[tuple[str, str], ...] = (),
        missing: tuple[Missing, ...] = (),
        observations: tuple[Observation, ...] = (),
        contradictions: tuple[Contradiction, ...] = (),
        corrects: int = 0,
        asked: tuple[tuple[str, str], ...] = (),
        chains: tuple[DigestChain, ...] = (),
    ) -> None:
        chain = [run for run in self.runs if run.stream == stream]
        previous = chain[-1] if chain else None
        counts: dict[str, int] = {}
        for row in rules:
            for state, count in row.counts:
                counts[state] = counts.get(state, 0) + count
        run = Run(
            stream=stream,
            seq=len(chain) + 1,
            kind="correction" if corrects else "regular",
            prev=previous.sha256 if previous else ZERO,
            sha256="",
            ledger=self.ledger,
            window=window,
            run_id=f"{stream}-{len(chain) + 1}",
            started=self.now,
            finished=Instant(self.now + 4_000),
            aws_date=self.now,
            principal="arn:aws:sts::111122226666:assumed-role/collector/ci",
            endpoint="http://127.0.0.1",
            vault=self.vault.kind,
            collector=(("name", "controlbook"), ("version", "0.1.0")),
            expected=expected,
            collected=collected,
            missing=missing,
            pages=3,
            throttles=0,
            complete=not missing,
            queries=(("config:DescribeConfigRules", "{}"),),
            counts=tuple(sorted(counts.items())),
            rules=rules,
            rules_root="",
            transitions=transitions,
            pulls=pulls,
            objects=objects,
            observations=observations,
            contradictions=contradictions,
            corrects=corrects,
            asked=asked,
            chains=chains,
        )
        run = replace(run, anew=starts_anew(run, chain))
        lists = tuple(
            self._store(role, pack(lines), stream)
            for role, lines in long_lists(run, previous)
        )
        run = replace(run, objects=(*run.objects, *lists))
        data = manifest_bytes(run, previous)
        run = replace(run, sha256=sha256(data))
        self.runs.append(run)
        self.vault.put(
            f"ledger/{stream}/{run.seq:06d}.json",
            data,
            role="manifest",
            retain_until=RETAIN,
        )
        path = manifest_path(stream, run.seq)
        self.commit({path: data}, f"Collect {stream} {run.seq}\n")

    def _store(self, role: str, made: Pack, stream: str) -> StoredObject:
        stored = self.vault.put(
            made.key(stream), made.body, role=role, retain_until=RETAIN
        )
        return replace(
            stored,
            bucket="vault" if stored.lock_mode == "none" else stored.bucket,
            records=made.records,
            content_sha256=made.content_sha256,
            content_size=made.content_size,
            records_root=made.records_root,
        )

    def checkpoint(self) -> None:
        """Commit heads and roots of all streams, as a release does."""
        streams = {
            head.stream: {"seq": head.seq, "sha256": head.sha256, "root": head.root}
            for head in ledger_heads(self.programme.ledger)
        }
        content = canonical({"type": "controlbook/checkpoint/1", "streams": streams})
        self.vault.put(
            "ledger/checkpoints/000001.json",
            content,
            role="checkpoint",
            retain_until=RETAIN,
        )
        self.commit({"evidence/checkpoints/000001.json": content}, "Checkpoint\n")

    # --- people ---

    @property
    def programme(self) -> Programme:
        programme = Programme(self.repository, "main")
        programme.vault = self.vault
        return programme

    def annotate(self) -> None:
        found = self.programme.findings(NAME)
        texts = iter(
            (
                "A deployment switched encryption off; remediation set it back.",
                "The rule had no verdict while its function was redeployed by us.",
                "The collector's runner was down for this day, and we mended it.",
            )
        )
        files = {}
        for item in (*found.deviations, *found.gaps):
            end = f'end: "{iso(item.end)}"\n' if item.end else ""
            files[f"annotations/2028-02/{item.id}.md"] = (
                f'---\ncovers: ["{item.id}"]\nstart: "{iso(item.start)}"\n{end}'
                f'author: "j-moreau"\nticket: "PCI-4432"\n---\n{next(texts)}\n'
            ).encode()
        self.merge(files, "j-moreau", "Explain what deviated")

    def sign(self) -> None:
        programme = self.programme
        library, ledger = programme.library, programme.ledger_of(NAME)
        found, assessment = programme.findings(NAME), programme.assessment(NAME)
        self.merge(
            {
                f"signoffs/{NAME}/controls/{name}.yml": record(
                    "control",
                    name,
                    "j-moreau",
                    "4100123",
                    at=self.now,
                    base=programme.commit,
                    ids=own.ids,
                    subject=control_subject(library, found, ledger, assessment, name),
                    before=programme.files.get(f"signoffs/{NAME}/controls/{name}.yml"),
                )
                for name, own in found.controls.items()
            },
            "j-moreau",
            "Attest",
        )
        programme = self.programme
        library = programme.library
        self.merge(
            {
                f"signoffs/{NAME}/requirements/{number}.yml": record(
                    "requirement",
                    number,
                    "a-okafor",
                    "4100201",
                    at=self.now,
                    base=programme.commit,
                    ids=found.requirements[number].ids,
                    subject=requirement_subject(
                        library, found, ledger, assessment, number
                    ),
                    before=programme.files.get(
                        f"signoffs/{NAME}/requirements/{number}.yml"
                    ),
                )
                for number in assessment.requirements
            },
            "a-okafor",
            "Sign off",
        )

    def release(self, name: str = NAME, out: str = "build") -> Path:
        """Build with stubs for site and PDF, tag, and write the bundle."""
        programme = self.programme
        folder = self.root / out
        site = folder / "site"
        for path in ("index.html", f"{NAME}/3.4.html", "assets/style.css"):
            (site / path).parent.mkdir(parents=True, exist_ok=True)
            (site / path).write_text(f"<!doctype html><title>{path}</title>\n")
        pdf = folder / f"{NAME}.pdf"
        pdf.write_bytes(b"%PDF-1.7 stub\n")
        report = programme.report(NAME, release=name, toolchain={"python": "3.11"})
        publication = publish(report, site=site, pdf=pdf, files=programme.files)
        if self.tag_key:
            self.repository.git("config", "gpg.format", "ssh")
            self.repository.git("config", "user.signingKey", str(self.tag_key))
        self.repository.tag(
            name,
            programme.commit,
            tag_message(publication.release) + self.tag_end,
            at=Instant(self.now + HOUR),
            author=BOT,
            signed=self.tag_key is not None,
        )
        return write_bundle(
            publication,
            report,
            repository=self.repository,
            vault=self.vault,
            files=programme.files,
            out=folder,
        )


def example(
    root: Path,
    *,
    skip: tuple[int, ...] = (),
    annotated: bool = True,
    ledger: str = LEDGER,
    locked: S3Vault | None = None,
) -> Example:
    """Make the programme up to its last sign-off."""
    made = Example(root, skip=skip, ledger=ledger, locked=locked)
    made.collect()
    if annotated:
        made.annotate()
    made.sign()
    made.capture()
    made.checkpoint()
    return made


def instance(account: str, population: int) -> RuleInstance:
    return RuleInstance(
        key=rule_key(IDENTIFIER, (), account, REGION),
        rule=RULE,
        deployed_as=f"{RULE}-conformance-pack-abc123",
        identifier=IDENTIFIER,
        parameters=(),
        account=account,
        region=REGION,
        trigger="change",
        population=population,
        counts=(("COMPLIANT", population),),
        records_root="",
    )


def opening(rules: Iterable[RuleInstance]) -> tuple[Standing, ...]:
    since = instant("2027-06-01T00:00:00Z")
    return tuple(
        sorted(
            Standing(
                instance=row.key, resource=name, state=State.COMPLIANT, since=since
            )
            for row in rules
            for name in resources(row.account)
        )
    )


def resources(account: str) -> list[str]:
    names = [f"AWS::S3::Bucket/{account}-{n}" for n in range(POPULATION[account])]
    return [STALE, *names[1:]] if account == PROD else names


def recount(row: RuleInstance, states: Iterable[Standing]) -> RuleInstance:
    own = [state for state in states if state.instance == row.key]
    counts: dict[str, int] = {}
    for state in own:
        counts[state.state.value] = counts.get(state.state.value, 0) + 1
    return replace(
        row,
        population=len(own),
        counts=tuple(sorted(counts.items())),
        records_root=merkle_root(records_root_lines(own)),
    )


def records(
    rules: Iterable[RuleInstance], moves: Iterable[Transition], seq: int
) -> list[bytes]:
    return [
        *(
            canonical(
                {
                    "account": row.account,
                    "region": row.region,
                    "rule": row.rule,
                    "seq": seq,
                }
            )
            for row in rules
        ),
        *(
            canonical(
                {
                    "account": move.account,
                    "region": move.region,
                    "resource": move.resource,
                    "at": iso(move.at),
                }
            )
            for move in moves
        ),
    ]


def verbatim_pack(seq: int) -> Pack:
    made = pack([canonical({"answer": seq})])
    return verbatim(made.body, records=1)


def move(
    account: str, resource: str, at: str, before: State, after: State
) -> Transition:
    return Transition(
        at=instant(at),
        instance=rule_key(IDENTIFIER, (), account, REGION),
        rule=RULE,
        account=account,
        region=REGION,
        resource=resource,
        before=before,
        after=after,
        precision="change",
    )


_LATE = f"AWS::S3::Bucket/{STAGING}-1"
MOVES = (
    move(PROD, STALE, "2028-02-14T03:12:00Z", State.COMPLIANT, State.NON_COMPLIANT),
    move(PROD, STALE, "2028-02-14T03:17:00Z", State.NON_COMPLIANT, State.COMPLIANT),
    move(
        STAGING, _LATE, "2028-02-15T08:00:00Z", State.COMPLIANT, State.INSUFFICIENT_DATA
    ),
    move(
        STAGING, _LATE, "2028-02-15T14:00:00Z", State.INSUFFICIENT_DATA, State.COMPLIANT
    ),
)


def manual(document: StoredObject) -> str:
    return f"""id: "security-policy"
title: "Security policy"
owner: "j-moreau"
period: {{start: "2028-01-01T00:00:00Z", end: "2029-01-01T00:00:00Z"}}
received: "2028-01-10T09:00:00Z"
expires: "2029-01-01T00:00:00Z"
file: "policy.pdf"
content_sha256: "{sha256(b"policy")}"
size: "6"
object:
  bucket: "{"vault" if document.lock_mode == "none" else document.bucket}"
  key: "{document.key}"
  version_id: "{document.version_id}"
  sha256: "{document.sha256}"
  size: "6"
  lock_mode: "{document.lock_mode}"
  lock_until: "{document.lock_until}"
"""


def record(  # noqa: PLR0913 - and a sign-off
    kind: str,
    about: str,
    person: str,
    github_id: str,
    *,
    at: Instant,
    base: str,
    ids: tuple[str, ...],
    subject: tuple[tuple[str, str], ...],
    before: bytes | None = None,
) -> bytes:
    """Write an attestation or a sign-off by hand, as `attest` and `signoff` do.

    `before` is the version that it replaces.
    """
    owner = kind == "control"
    listed = ", ".join(f'"{name}"' for name in ids)
    lines = [
        f'format: "controlbook/{"attestation" if owner else "signoff"}/1"',
        f'assessment: "{NAME}"',
        f'{kind}: "{about}"',
        f'role: "{"owner" if owner else "assessor"}"',
        f'person: "{person}"',
        f'github_id: "{github_id}"',
        f'decision: "{"attest" if owner else "sign"}"',
        *([] if owner else ['conclusion: "satisfied"']),
        "statement: |",
        "  I read the evidence and the annotations, and they agree.",
        f"acknowledged: [{listed}]",
        f'claimed_at: "{iso(at)}"',
        f'prev: "{sha256(before) if before else ZERO}"',
        f'base: "{base}"',
        'generator: "controlbook 0.1.0"',
        "subject:",
        *(f'  - {{name: "{name}", sha256: "{digest}"}}' for name, digest in subject),
    ]
    return "".join(f"{line}\n" for line in lines).encode()
