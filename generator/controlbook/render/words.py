# SPDX-License-Identifier: Apache-2.0
"""The words, shapes and numbers that every output shows alike.

Rules enforced here:
- a share is cut, never rounded: "100 %" stands only where part equals whole, and "0 %"
  only where nothing is there;
- a status is a word, a shape and a tone, so that colour alone never tells it;
- times are UTC and say so.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from controlbook.digest import sha256
from controlbook.model import ALL, Conclusion, State, Status
from controlbook.timeline import DAY, HOUR, MINUTE, SECOND, iso

if TYPE_CHECKING:
    from collections.abc import Iterable

    from controlbook.model import (
        Framework,
        Observation,
        ObservedResult,
        RequirementStatus,
    )
    from controlbook.timeline import Instant

MILLION = 1_000_000
LATEST = {"update": " at the latest"}
"""What is said behind a time that AWS's history does not tell."""
OBSERVATIONS = 12
"""Observations that a page lists of one piece of evidence; the data files have all."""
NOTHING = "–"
"""Stands where there is nothing to show."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """How a status looks: a word, a shape that survives black and white, a tone."""

    word: str
    shape: str
    """disc | ring | half | diamond | triangle | square | cross | bar"""
    tone: str
    """good | watch | bad | calm | idle; the style sheets give the colours."""
    meaning: str


STATUS = {
    Status.COLLECTING: Label(
        word="Collecting",
        shape="half",
        tone="calm",
        meaning="The period has not ended, or evidence of it is still to come.",
    ),
    Status.IN_REVIEW: Label(
        word="In review",
        shape="ring",
        tone="idle",
        meaning="Collected; its control owners or its assessor have still to act.",
    ),
    Status.ATTESTED: Label(
        word="Attested",
        shape="square",
        tone="calm",
        meaning="Every control owner has attested; the assessor has not signed.",
    ),
    Status.SIGNED: Label(
        word="Signed",
        shape="disc",
        tone="good",
        meaning="Signed by its assessor; the period shows no deviation. Green only"
        " where it was found satisfied.",
    ),
    Status.SIGNED_WITH_DEVIATIONS: Label(
        word="Signed with deviations",
        shape="diamond",
        tone="watch",
        meaning="Signed by its assessor, who acknowledged its deviations.",
    ),
    Status.REJECTED: Label(
        word="Rejected",
        shape="cross",
        tone="bad",
        meaning="Its assessor refused to sign.",
    ),
    Status.STALE: Label(
        word="Stale",
        shape="triangle",
        tone="watch",
        meaning="Signed, but what was signed has changed since.",
    ),
    Status.UNREVIEWED: Label(
        word="Unreviewed",
        shape="bar",
        tone="bad",
        meaning="There is a sign-off or an attestation that does not count.",
    ),
}

STATE = {
    State.COMPLIANT: Label(
        word="Compliant", shape="disc", tone="good", meaning="AWS Config said so."
    ),
    State.NON_COMPLIANT: Label(
        word="Non-compliant", shape="cross", tone="bad", meaning="AWS Config said so."
    ),
    State.NOT_APPLICABLE: Label(
        word="Not applicable",
        shape="ring",
        tone="idle",
        meaning="The rule does not apply to the resource.",
    ),
    State.INSUFFICIENT_DATA: Label(
        word="Insufficient data",
        shape="bar",
        tone="watch",
        meaning="AWS Config could not tell: an evidence gap.",
    ),
    State.UNKNOWN: Label(
        word="Unknown",
        shape="bar",
        tone="watch",
        meaning="The rule no longer speaks of the resource: an evidence gap.",
    ),
    State.ABSENT: Label(
        word="Absent", shape="ring", tone="idle", meaning="Not in the population."
    ),
}

GAP_REASONS = {
    "no-run": "no collection covers this time",
    "rule-absent": "the rule was not deployed",
    "rule-failing": "the rule failed to run",
    "parameters-differ": "the rule ran with other parameters than the control demands",
    "insufficient-data": "AWS Config had insufficient data to decide",
    "rule-vanished": "the rule stopped speaking of a resource that still exists",
    "state-unknown": "the state at this time is not known",
    "recorder-stopped": "AWS Config's recorder was stopped",
    "not-recorded": "AWS Config did not record this resource type",
    "source-outdated": "the aggregator's data of this account was outdated",
    "source-failed": "this account could not be read",
    "account-missing": "the account is missing from the aggregator",
    "delivery-behind": "AWS Config's delivery was behind",
    "stream-not-collected": "this kind of evidence was not collected",
    "not-asked": "the controls did not yet ask for it when others were asked",
    "no-support-plan": "the account's support plan does not include the answer",
    "hub-no-data": "Security Hub has no finding to judge by",
    "digest-gap": "signed digests of CloudTrail's deliveries are missing",
    "digest-invalid": "a digest of CloudTrail's deliveries did not verify",
    "log-invalid": "a CloudTrail log file is not the one that its digest names",
    "not-validated": "the trail writes no digests, so nothing proves it complete",
    "trail-selective": "the trail leaves out events that the control asks about",
    "lookup-expired": "LookupEvents reaches no further back than 90 days",
    "document-missing": "no document covers this time",
    "document-expired": "the document had expired",
}

ENDINGS = {
    "remediated": "compliant again",
    "deleted": "resource deleted (not a remediation)",
    "left-population": "no longer looked at by the rule (not a remediation)",
    "not-applicable": "the rule no longer applied (not a remediation)",
    "evidence-lost": "evidence lost (not a remediation)",
    "open": "still open",
    "event": "an event: it was over at once",
    "not-met": "none came in the whole period",
}

FREQUENCIES = {
    "One_Hour": "1 h",
    "Three_Hours": "3 h",
    "Six_Hours": "6 h",
    "Twelve_Hours": "12 h",
    "TwentyFour_Hours": "24 h",
}

TRIGGERS = {
    "change": "on change",
    "periodic": "periodic",
    "both": "on change and periodic",
}

RULE_STATUS = {
    "ok": "",
    "idle": "nothing to look at",
    "never-evaluated": "never evaluated",
}
"""What a deployed rule's status says beside its verdicts."""

CONCLUSIONS = {
    Conclusion.SATISFIED: "Satisfied",
    Conclusion.NOT_SATISFIED: "Not satisfied",
    Conclusion.COMPENSATED: "Compensated",
    Conclusion.NOT_APPLICABLE: "Not applicable",
    Conclusion.NOT_TESTED: "Not tested",
}

SUBJECT_PARTS = {
    "controls": "text of the controls",
    "mapping": "mapping of requirement, controls and evidence",
    "scope": "scope of the assessment",
    "evidence": "evidence of rules and events (Merkle root over its records)",
    "findings": "findings: population, coverage, results, deviations, gaps",
    "annotations": "annotations",
    "manual": "manual evidence",
    "attestations": "the control owners' attestations",
}

EMPTY = frozenset({sha256(b""), sha256(b"[]"), sha256(b"{}")})
"""What a digest is where there was nothing to hash: no record, no row, no entry."""

NOT_AN_OPINION = (
    "Management's evidence and the named internal assessor's sign-off. "
    "Not an auditor's opinion."
)

CANNOT_BE_PROVEN = (
    "That AWS Config's verdict was right: controlbook keeps what AWS said, unchanged.",
    "Anything from before the first digest that somebody outside has kept: who controls"
    " repository and vault can have written it anew.",
    "That the collector told the truth as it wrote, and that nothing was hidden from"
    " AWS Config at that moment.",
    "That a reviewer read with care, or was free in the decision.",
    "The conduct of GitHub and of the owners of the organization: where a sign-off"
    " carries no signature of its own, who approved it rests on GitHub's record.",
    "That a key was in its owner's hands alone before it was revoked.",
    "That the evidence outlives its AWS account or its encryption key: a lock ends with"
    " either.",
    "Anything about accounts outside the organization or outside the scope.",
    "The moment of a change, where only the moment of its detection was recorded.",
    "Any legal weight: an SSH signature is no qualified electronic signature, and a"
    " sign-off is no auditor's opinion.",
)
"""What no check of this report can show; printed with every verification."""


def conclusion(framework: Framework, word: str) -> str:
    """Give the framework's own label of a conclusion; empty while there is none."""
    if not word:
        return ""
    known = dict(CONCLUSIONS)
    fallback = known.get(Conclusion(word), word) if word in known else word
    return framework.labels.get(word, fallback)


_TONES = {
    Conclusion.COMPENSATED: "calm",
    Conclusion.NOT_SATISFIED: "bad",
    Conclusion.NOT_TESTED: "watch",
    Conclusion.NOT_APPLICABLE: "idle",
}


def label(status: RequirementStatus) -> Label:
    """Give the label of one requirement's status.

    Green is for what was found satisfied, without a deviation: a signature under
    another conclusion takes that conclusion's tone, and never a milder one.
    """
    plain = STATUS[status.status]
    tone = _TONES.get(Conclusion(status.conclusion)) if status.conclusion else None
    signed = status.status in {Status.SIGNED, Status.SIGNED_WITH_DEVIATIONS}
    weaker = plain.tone == "good" or tone == "bad"
    return replace(plain, tone=tone) if tone and signed and weaker else plain


def tally(
    framework: Framework, statuses: Iterable[RequirementStatus]
) -> tuple[tuple[Label, int], ...]:
    """Count requirements by label, in the order of the statuses.

    What was signed under another conclusion than satisfied is counted apart and says
    so, in the framework's own word.
    """
    counts = Counter(
        (status.status, _counted(framework, status)) for status in statuses
    )
    order = list(Status)
    return tuple(
        (shown, number)
        for (_, shown), number in sorted(
            counts.items(), key=lambda pair: (order.index(pair[0][0]), pair[0][1].word)
        )
    )


def _counted(framework: Framework, status: RequirementStatus) -> Label:
    plain, shown = STATUS[status.status], label(status)
    if shown.tone == plain.tone:
        return shown
    named = conclusion(framework, status.conclusion)
    return replace(shown, word=f"{plain.word}: {named}")


def collector(parts: Iterable[tuple[str, str]]) -> str:
    """Write what collected: `controlbook 0.1.0, lock file SHA-256 0aca…`."""
    known = dict(parts)
    program = f"{known.pop('name', '')} {known.pop('version', '')}".strip()
    lock = known.pop("lock_sha256", "")
    found = [program, *(f"{name} {value}" for name, value in sorted(known.items()))]
    if lock:
        found.append(f"lock file SHA-256 {lock}")
    return ", ".join(part for part in found if part)


def percent(part: int, whole: int) -> str:
    """Write a share: cut, never rounded; "100 %" only if part equals whole.

    Two decimals suffice mostly; near both ends there are four, and beyond these the
    sentence says "> 99.9999 %" or "< 0.0001 %".
    """
    if whole <= 0:
        return NOTHING
    if part >= whole:
        return "100 %"
    if part <= 0:
        return "0 %"
    millionths, rest = divmod(part * MILLION, whole)
    if millionths == 0:
        return "< 0.0001 %"
    if millionths == MILLION - 1 and rest:  # four decimals say too little
        return "> 99.9999 %"
    if 100 <= millionths < MILLION - 100:  # noqa: PLR2004 - 0.01 % and 99.99 %
        return f"{millionths // 10_000}.{millionths // 100 % 100:02d} %"
    return f"{millionths // 10_000}.{millionths % 10_000:04d} %"


def duration(millis: int) -> str:
    """Write a length of time exactly: `5 min`, `6 h`, `1 d 4 h`, `2 min 30 s`."""
    parts = []
    for unit, name in (
        (DAY, "d"),
        (HOUR, "h"),
        (MINUTE, "min"),
        (SECOND, "s"),
        (1, "ms"),
    ):
        count, millis = divmod(millis, unit)
        if count:
            parts.append(f"{count:,} {name}")
    return " ".join(parts) or "0 min"


def short_time(moment: Instant) -> str:
    """Write an instant as `2028-02-14T03:12Z`; seconds only where not zero."""
    text = iso(moment)
    return text.removesuffix(":00Z") + "Z" if text.endswith(":00Z") else text


def day(moment: Instant) -> str:
    """Write the UTC day of an instant."""
    return iso(moment)[:10]


def stretch(start: Instant, end: Instant | None) -> str:
    """Write an interval, naming the day once where it begins and ends in one."""
    if end is None:
        return f"since {short_time(start)}"
    left, right = short_time(start), short_time(end)
    if left[:11] == right[:11]:
        right = right[11:]
    return f"{left} to {right}"


def count(number: int, noun: str, plural: str = "") -> str:
    """Write a number with its noun: `1 account`, `4 accounts`."""
    word = noun if number == 1 else plural or f"{noun}s"
    return f"{number:,} {word}"


_KINDS = {
    "AWS::::Account": "account",
    "AWS::EC2::Volume": "EBS volume",
    "AWS::EC2::VPC": "VPC",
    "AWS::EC2::Instance": "EC2 instance",
    "AWS::EC2::SecurityGroup": "security group",
    "AWS::EC2::Subnet": "subnet",
    "AWS::KMS::Key": "KMS key",
    "AWS::Lambda::Function": "Lambda function",
    "AWS::CloudTrail::Trail": "CloudTrail trail",
    "AWS::CloudTrail::Event": "CloudTrail event",
    "AWS::DynamoDB::Table": "DynamoDB table",
    "AWS::RDS::DBInstance": "RDS database instance",
    "AWS::RDS::DBSnapshot": "RDS database snapshot",
    "AWS::ElasticLoadBalancingV2::LoadBalancer": "load balancer",
    "AWS::AutoScaling::AutoScalingGroup": "Auto Scaling group",
    "AWS::Redshift::Cluster": "Redshift cluster",
    "AWS::OpenSearch::Domain": "OpenSearch domain",
    "AWS::Elasticsearch::Domain": "OpenSearch domain",
    "AWS::SecretsManager::Secret": "secret",
    "AWS::CloudFront::Distribution": "CloudFront distribution",
    "AWS::ACM::Certificate": "ACM certificate",
}
_WORDS = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z0-9]+|[A-Z0-9]+")


def resource_kind(resource_type: str, number: int = 2) -> str:
    """Name a resource type in words, for so many of them: `S3 buckets`."""
    noun = _KINDS.get(resource_type)
    if noun is None:
        parts = [part for part in resource_type.split("::") if part]
        if len(parts) != 3:  # noqa: PLR2004 - AWS::<service>::<type>
            return "resource" if number == 1 else "resources"
        words = [
            word if word.isupper() else word.lower()
            for word in _WORDS.findall(parts[2])
        ]
        noun = " ".join([parts[1], *words])
    return noun if number == 1 else _plural(noun)


def _plural(noun: str) -> str:
    if noun.endswith(("s", "x", "ch", "sh")):
        return f"{noun}es"
    if re.search(r"[^aeiou]y\Z", noun):
        return f"{noun[:-1]}ies"
    return f"{noun}s"


def kind_of(resource: str) -> str:
    """Give the resource type of `AWS::S3::Bucket/name`."""
    return resource.split("/", 1)[0]


def name_of(resource: str) -> str:
    """Give the name of `AWS::S3::Bucket/name`."""
    return resource.split("/", 1)[-1]


def gap_reason(reason: str) -> str:
    """Say in words why there is no evidence."""
    return GAP_REASONS.get(reason, reason.replace("-", " "))


def worth_showing(result: ObservedResult) -> tuple[Observation, ...]:
    """Choose observations to print: each place's last, then failures and changes."""
    last = [place.observations[-1] for place in result.places if place.observations]
    rows = [row for place in result.places for row in place.observations]
    told = [r for r in rows if r.state != "observed" or r.changes or r.moves]
    chosen = dict.fromkeys((*last[:OBSERVATIONS], *sorted(told, key=lambda r: r.at)))
    found = list(chosen)[:OBSERVATIONS]
    return tuple(sorted(found, key=lambda row: (row.account, row.region, row.at)))


def precision(text: str) -> str:
    """Say how exact the edges of a deviation are (`change`, `periodic:<frequency>`)."""
    if text.startswith("periodic:"):
        every = FREQUENCIES.get(text.split(":", 1)[1], "")
        if not every:
            return "seen at a periodic evaluation; began and ended some time before"
        return f"seen at a periodic evaluation: within {every} before"
    if text == "look":
        return "seen at a look; began at some time since the look before"
    if text == "history":
        return "told by Security Hub's own history of the finding"
    if text == "event":
        return "the second that CloudTrail gives"
    if text == "period":
        return "judged over the whole period"
    if text == "seed":
        return "in force when collection began; its start is earlier"
    return "recorded on change: when AWS Config evaluated it"


def trigger(kind: str, frequency: str) -> str:
    """Say when a rule is evaluated: `on change`, `periodic, every 24 h`."""
    word = TRIGGERS.get(kind, kind)
    every = FREQUENCIES.get(frequency, frequency)
    return f"{word}, every {every}" if every and kind != "change" else word


def rule_status(status: str) -> str:
    """Say what ails a deployed rule; empty while it works."""
    if status.startswith("failing:"):
        return f"failing: {status.removeprefix('failing:')}"
    return RULE_STATUS.get(status, status)


def everything(word: str, noun: str) -> str:
    """Write `all accounts` where a gap names no single one."""
    return f"all {noun}s" if word == ALL else word


def size(number: int) -> str:
    """Write a number of bytes exactly."""
    return f"{number:,} bytes"
