# SPDX-License-Identifier: Apache-2.0
"""What is wrong with how evidence is made, and what to do: judged from plain answers.

Rules enforced here:
- a finding names the place, what is wrong, and what to do;
- a remark is something to know that breaks nothing, such as a team's own rule where
  AWS manages one of that name;
- a rule is matched as assessing matches it: by identifier, with every parameter that
  the control demands.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .managed_rules import find
from .model import ConfigRule
from .timeline import DAY, iso

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from .model import Assessment, Library, RuleInstance
    from .timeline import Instant

Place = tuple[str, str]
"""(account, Region)"""

LATE = 2 * DAY
"""After how long without a delivery something is wrong, and not merely quiet."""


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class Finding:
    """One thing wrong, or worth knowing."""

    place: str
    kind: str
    message: str
    advice: str
    remark: bool = False
    """Worth knowing, but nothing is broken by it."""

    @property
    def line(self) -> str:
        """Say it on one line."""
        head = "remark: " if self.remark else ""
        return f"{self.place}: {head}{self.message}; {self.advice}"


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class Demand:
    """A rule that some control rests on, in one place."""

    place: Place
    control: str
    rule: ConfigRule


def in_words(place: Place) -> str:
    """Name an account × Region."""
    return " ".join(filter(None, place)) or "own account"


def demands(library: Library) -> tuple[Demand, ...]:
    """List every rule that an assessment's controls rest on, place by place."""
    found = {
        Demand(place=place, control=control, rule=rule)
        for assessment in library.assessments.values()
        for control in mapped_controls(library, assessment)
        for rule in library.controls[control].evidence
        if isinstance(rule, ConfigRule)
        for place in places_of(assessment)
    }
    return tuple(sorted(found, key=lambda d: (d.place, d.control, d.rule.name)))


def mapped_controls(library: Library, assessment: Assessment) -> tuple[str, ...]:
    """List the controls that an assessment's requirements rest on."""
    framework = library.frameworks.get(assessment.framework)
    if framework is None:
        return ()
    return tuple(
        sorted(
            {
                control
                for number in assessment.requirements
                for control in framework.requirements[number].controls
                if control in library.controls
            }
        )
    )


def places_of(assessment: Assessment) -> tuple[Place, ...]:
    """List the account × Regions of an assessment."""
    return tuple(
        (number, region)
        for _, number in assessment.accounts
        for region in assessment.regions
    )


def rule_findings(
    wanted: Iterable[Demand], deployed: Mapping[Place, Sequence[RuleInstance]]
) -> Iterator[Finding]:
    """Compare what controls demand with what is deployed, in places that answered."""
    for demand in wanted:
        if demand.place not in deployed:
            continue
        rows = deployed[demand.place]
        same = [row for row in rows if row.identifier == demand.rule.identifier]
        fitting = [
            row for row in same if demand.rule.met_by(row.identifier, row.parameters)
        ]
        if not same:
            yield _absent(demand, rows)
        elif not fitting:
            yield _other_parameters(demand, same[0])
        else:
            yield from _not_working(demand, fitting)


def _finding(demand: Demand, kind: str, message: str, advice: str) -> Finding:
    place = f"{in_words(demand.place)} {demand.rule.name}"
    return Finding(place=place, kind=kind, message=message, advice=advice)


def _absent(demand: Demand, rows: Sequence[RuleInstance]) -> Finding:
    twin = next((row for row in rows if row.rule == demand.rule.name), None)
    path = f"controls/{demand.control}.yml"
    if twin is not None and twin.identifier.startswith("custom-"):
        kind = twin.identifier.partition(":")[0].removeprefix("custom-")
        message = f"{path} wants AWS's rule, and a custom rule of that name is deployed"
        advice = f'deploy {demand.rule.identifier}, or write custom: "{kind}"'
        return _finding(demand, "custom-rule-instead", message, advice)
    if demand.rule.identifier.startswith("custom-") and twin is not None:
        message = f"{path} wants the team's own rule, and AWS's is deployed"
        return _finding(demand, "managed-rule-instead", message, "drop `custom`")
    message = f"the rule is not deployed, and {path} rests on it"
    advice = f"deploy {demand.rule.identifier}, or change the control"
    return _finding(demand, "rule-absent", message, advice)


def _other_parameters(demand: Demand, row: RuleInstance) -> Finding:
    there = dict(row.parameters)
    differences = ", ".join(
        f"{name} is {there.get(name, 'not set')} instead of {value}"
        for name, value in demand.rule.parameters
        if there.get(name) != value
    )
    message = f"deployed as {row.deployed_as} with other parameters: {differences}"
    advice = f"deploy what controls/{demand.control}.yml demands, or change it there"
    return _finding(demand, "parameters-differ", message, advice)


def _not_working(demand: Demand, rows: Sequence[RuleInstance]) -> Iterator[Finding]:
    if all(row.status not in {"ok", "idle"} for row in rows):
        status = rows[0].status
        message = f"deployed as {rows[0].deployed_as}, but it is {status}"
        advice = "read its error in the console of AWS Config, then re-evaluate it"
        yield _finding(demand, "rule-failing", message, advice)


def custom_remarks(library: Library) -> Iterator[Finding]:
    """Remark where a team runs a rule of its own, and AWS manages one of that name."""
    for control in library.controls.values():
        for rule in control.evidence:
            if not isinstance(rule, ConfigRule):
                continue
            managed = find(rule.name)
            if rule.identifier.startswith("custom-") and managed is not None:
                yield Finding(
                    place=control.path,
                    kind="managed-rule-exists",
                    message=f"{rule.name} is the team's own rule, and AWS manages "
                    f"{managed.identifier} of that name",
                    advice="keep it if it checks something else, and say so in the "
                    "statement",
                    remark=True,
                )


def recorder_findings(
    place: Place, *, recording: bool, compliance_recorded: bool
) -> Iterator[Finding]:
    """Judge a recorder: on, and keeping compliance."""
    if not recording:
        yield Finding(
            place=in_words(place),
            kind="recorder-stopped",
            message="the configuration recorder is off: nothing is evaluated",
            advice="start it; the time without it is an evidence gap",
        )
    if not compliance_recorded:
        yield Finding(
            place=in_words(place),
            kind="not-recorded",
            message="AWS::Config::ResourceCompliance is not recorded: no exact times",
            advice="record that type; its items are billed",
        )


def delivery_findings(
    place: Place,
    bucket: str,
    wanted: str,
    delivered: Instant | None,
    now: Instant,
) -> Iterator[Finding]:
    """Judge a delivery channel: to the right bucket, and lately."""
    if wanted and bucket != wanted:
        yield Finding(
            place=in_words(place),
            kind="delivery-elsewhere",
            message=f"history is delivered to {bucket or 'no bucket'}, not to {wanted}",
            advice="mend the delivery channel, or delivery-bucket in pyproject.toml",
        )
    if wanted and (delivered is None or now - delivered > LATE):
        last = iso(delivered) if delivered is not None else "never"
        message = f"history was last delivered {last}"
        advice = "look at the bucket's policy and at the channel's last error"
        yield Finding(
            place=in_words(place), kind="delivery-late", message=message, advice=advice
        )


def source_findings(
    expected: Iterable[Place], sources: Mapping[Place, str]
) -> Iterator[Finding]:
    """Judge the aggregator's sources against the places that assessments need."""
    for place in expected:
        status = sources.get(place)
        if status is None:
            yield Finding(
                place=in_words(place),
                kind="source-missing",
                message="the aggregator does not cover this account and Region",
                advice="add it to the aggregator, or authorise it in that account",
            )
        elif status != "SUCCEEDED":
            yield Finding(
                place=in_words(place),
                kind=f"source-{status.lower()}",
                message=f"the aggregator's source is {status}: what it shows is old",
                advice="look at its last error in DescribeConfigurationAggregator"
                "SourcesStatus",
            )


# --- the vault ------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """What S3 says of the vault's bucket; None where there is no such setting."""

    name: str
    lock: Mapping[str, Any] | None
    versioning: str
    public_access_block: Mapping[str, Any] | None
    encryption: str
    policy: str


def vault_findings(bucket: Bucket) -> Iterator[Finding]:
    """Judge whether a bucket keeps what is put into it."""
    place = f"s3://{bucket.name}"

    def finding(kind: str, message: str, advice: str) -> Finding:
        return Finding(place=place, kind=kind, message=message, advice=advice)

    if bucket.versioning != "Enabled":
        yield finding(
            "vault-not-versioned",
            f"versioning is {bucket.versioning or 'off'}",
            "enable it: a lock holds versions",
        )
    lock = bucket.lock or {}
    if lock.get("ObjectLockEnabled") != "Enabled":
        yield finding(
            "vault-not-locked",
            "Object Lock is off: anybody with the right to delete can",
            "make a bucket with Object Lock; see docs/adopting.md",
        )
    else:
        default = lock.get("Rule", {}).get("DefaultRetention", {})
        if default.get("Mode") != "COMPLIANCE":
            yield finding(
                "vault-default-retention",
                f"the default retention is {default.get('Mode', 'none')}",
                "set COMPLIANCE: what is put in without a date is locked too",
            )
    block = bucket.public_access_block or {}
    names = (
        "BlockPublicAcls",
        "IgnorePublicAcls",
        "BlockPublicPolicy",
        "RestrictPublicBuckets",
    )
    off = [name for name in names if not block.get(name)]
    if off:
        yield finding(
            "vault-public-access",
            f"public access is not blocked: {', '.join(off)}",
            "switch all four on",
        )
    if not bucket.encryption:
        yield finding(
            "vault-not-encrypted",
            "no default encryption is set",
            "set SSE-KMS or SSE-S3",
        )
    if not bucket.policy:
        yield finding(
            "vault-no-policy",
            "there is no bucket policy",
            "deny deletes and requests without TLS; let the two roles in only",
        )
