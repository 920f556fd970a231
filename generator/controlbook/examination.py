# SPDX-License-Identifier: Apache-2.0
"""A read-only look at the real accounts: each kind of call once, each answer checked.

Rules enforced here:
- nothing is changed anywhere, and nothing is recorded;
- what could not be asked is listed with the answer that came: a look that was refused
  finds nothing, and does not say that all is well;
- an answer that does not fit botocore's model of it is told: the package was built
  against that model, and never against AWS.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from botocore.validate import ParamValidator

from .diagnosis import (
    Bucket,
    Finding,
    custom_remarks,
    delivery_findings,
    demands,
    in_words,
    places_of,
    recorder_findings,
    rule_findings,
    source_findings,
    vault_findings,
)
from .sources import SourceError
from .sources.aws import Connections, Conversation, endpoint_of
from .sources.gathering import SELECT
from .sources.items import TYPE, item_of
from .sources.survey import survey

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from botocore.model import Shape

    from .diagnosis import Place
    from .model import Library, RuleInstance
    from .sources.aws import Answer
    from .timeline import Instant

_ABSENT = {
    "NoSuchBucketPolicy",
    "NoSuchPublicAccessBlockConfiguration",
    "ObjectLockConfigurationNotFoundError",
    "ServerSideEncryptionConfigurationNotFoundError",
}
"""S3's answers that say: there is no such setting."""


class Examination:
    """One look, with what it found and what it could not ask."""

    def __init__(self, library: Library, aws: Connections, now: Instant) -> None:
        """Begin; nothing is asked yet."""
        self.library = library
        self.settings = library.settings
        self.now = now
        self.talk = _Checked(aws)
        profile = self.settings.vault_profile
        # The vault is asked as its reader, whom another account may know only.
        self._vault_talk = _Checked(Connections("", profile)) if profile else self.talk
        self.findings: list[Finding] = []
        self.refused: list[str] = []
        self.principal = ""
        self.endpoint = ""

    @property
    def calls(self) -> tuple[str, ...]:
        """Every kind of call that was made, sorted."""
        asked = (*self.talk.queries, *self._vault_talk.queries)
        return tuple(sorted({api for api, _ in asked}))

    @property
    def surprises(self) -> tuple[str, ...]:
        """Answers that do not fit botocore's models, sorted."""
        return tuple(sorted(self.talk.surprises | self._vault_talk.surprises))

    def examine(self, account: str = "") -> None:
        """Look at everything, or at one account and what all share."""
        expected = [
            place
            for place in sorted(
                {
                    place
                    for assessment in self.library.assessments.values()
                    for place in places_of(assessment)
                }
            )
            if account in {"", place[0]}
        ]
        self._identity()
        self._organization(expected)
        self._aggregator(expected)
        deployed: dict[Place, tuple[RuleInstance, ...]] = {}
        for place in expected:
            self._place(place, deployed)
        wanted = [d for d in demands(self.library) if d.place in deployed]
        self.findings += rule_findings(wanted, deployed)
        self.findings += custom_remarks(self.library)
        self._unmapped(deployed)
        self._delivery_bucket()
        self._vault()

    def _refuse(self, error: SourceError) -> None:
        self.refused.append(str(error))

    # --- who asks, and whom -------------------------------------------------------

    def _identity(self) -> None:
        # Without an identity nothing else can be asked: this error ends the look.
        answer = self.talk.ask("sts", "get_caller_identity")
        self.principal = str(answer["Arn"])
        self.endpoint = endpoint_of(
            self.talk.aws.client("config", "", self.settings.region)
        )

    def _organization(self, expected: list[Place]) -> None:
        try:
            rows = self.talk.listing("organizations", "list_accounts", "Accounts")
        except SourceError as error:
            self._refuse(error)
            return
        active = {row["Id"] for row in rows if row.get("Status") == "ACTIVE"}
        for account in sorted({place[0] for place in expected} - active):
            self.findings.append(
                Finding(
                    place=account,
                    kind="account-missing",
                    message="the organization has no such active account",
                    advice="mend `accounts` of the assessment, or the organization",
                )
            )

    def _aggregator(self, expected: list[Place]) -> None:
        here = ("", self.settings.region)
        name = self.settings.aggregator
        try:
            self.talk.ask(
                "config",
                "describe_configuration_aggregators",
                here,
                ConfigurationAggregatorNames=[name],
            )
            rows = self.talk.listing(
                "config",
                "describe_configuration_aggregator_sources_status",
                "AggregatedSourceStatusList",
                here,
                ConfigurationAggregatorName=name,
            )
        except SourceError as error:
            if error.answer != "NoSuchConfigurationAggregatorException":
                self._refuse(error)
                return
            self.findings.append(
                Finding(
                    place=f"aggregator {name}",
                    kind="aggregator-missing",
                    message=f"there is none in {self.settings.region} of this account",
                    advice="mend aggregator and region in pyproject.toml",
                )
            )
            return
        status = {
            (row["SourceId"], row["AwsRegion"]): row.get("LastUpdateStatus", "UNKNOWN")
            for row in rows
            if row.get("AwsRegion")
        }
        self.findings += source_findings(expected, status)
        self._aggregate_calls(name)

    def _aggregate_calls(self, name: str) -> None:
        """Make each of the collector's aggregate calls once, for its rights."""
        here = ("", self.settings.region)
        common = {"ConfigurationAggregatorName": name}
        try:
            page = self.talk.ask(
                "config",
                "describe_aggregate_compliance_by_config_rules",
                here,
                **common,
            )
            for row in page["AggregateComplianceByConfigRules"][:1]:
                asked = {
                    k: row[k] for k in ("ConfigRuleName", "AccountId", "AwsRegion")
                }
                self.talk.ask(
                    "config",
                    "get_aggregate_compliance_details_by_config_rule",
                    here,
                    **common,
                    **asked,
                    Limit=1,
                )
            chosen = self.talk.ask(
                "config",
                "select_aggregate_resource_config",
                here,
                **common,
                Expression=SELECT,
                Limit=1,
            )
            for text in chosen["Results"][:1]:
                item = item_of(json.loads(text))
                self.talk.ask(
                    "config",
                    "get_resource_config_history",
                    (item.account, item.region),
                    resourceType=TYPE,
                    resourceId=item.resource,
                    limit=1,
                )
        except SourceError as error:
            self._refuse(error)

    # --- each account × Region ----------------------------------------------------

    def _place(
        self, place: Place, deployed: dict[Place, tuple[RuleInstance, ...]]
    ) -> None:
        try:
            found = survey(self.talk, place)
            channels = self.talk.ask("config", "describe_delivery_channels", place)
        except SourceError as error:
            self._refuse(error)
            return
        deployed[place] = tuple(rule.instance for rule in found.rules or ())
        self.findings += recorder_findings(
            place,
            recording=found.recording,
            compliance_recorded=found.compliance_recorded,
        )
        rows = channels["DeliveryChannels"]
        self.findings += delivery_findings(
            place,
            str(rows[0].get("s3BucketName", "")) if rows else "",
            self.settings.delivery_bucket,
            found.delivered,
            self.now,
        )

    def _unmapped(self, deployed: Mapping[Place, tuple[RuleInstance, ...]]) -> None:
        known = {demand.rule.identifier for demand in demands(self.library)}
        for place, rows in sorted(deployed.items()):
            others = sorted({row.rule for row in rows if row.identifier not in known})
            if others:
                self.findings.append(
                    Finding(
                        place=in_words(place),
                        kind="rules-unmapped",
                        message=f"no control rests on {', '.join(others)}",
                        advice="name them in a control, or leave them",
                        remark=True,
                    )
                )

    # --- buckets ------------------------------------------------------------------

    def _delivery_bucket(self) -> None:
        bucket = self.settings.delivery_bucket
        if not bucket:
            return
        try:
            self.talk.ask("s3", "list_objects_v2", Bucket=bucket, MaxKeys=1)
        except SourceError as error:
            if error.answer in {"NoSuchBucket", "404"}:
                self.findings.append(
                    Finding(
                        place=f"s3://{bucket}",
                        kind="delivery-bucket-missing",
                        message="there is no such bucket",
                        advice="mend delivery-bucket in pyproject.toml",
                    )
                )
            else:
                self._refuse(error)

    def _vault(self) -> None:
        url = self.settings.vault
        if not url.startswith("s3://"):
            self.findings.append(
                Finding(
                    place=f"vault {url}",
                    kind="vault-is-a-folder",
                    message="evidence in a folder can be replaced: pages say DEMO",
                    advice='use a bucket with Object Lock: vault = "s3://…"',
                )
            )
            return
        bucket = url.removeprefix("s3://").partition("/")[0]
        try:
            self.findings += vault_findings(self._bucket(bucket))
        except SourceError as error:
            if error.answer not in {"NoSuchBucket", "404"}:
                self._refuse(error)
                return
            self.findings.append(
                Finding(
                    place=f"s3://{bucket}",
                    kind="vault-missing",
                    message="there is no such bucket",
                    advice="make it with Object Lock; see docs/adopting.md",
                )
            )

    def _bucket(self, name: str) -> Bucket:
        versioning = self._vault_talk.ask("s3", "get_bucket_versioning", Bucket=name)
        lock = self._setting("get_object_lock_configuration", name)
        block = self._setting("get_public_access_block", name)
        encryption = self._setting("get_bucket_encryption", name)
        policy = self._setting("get_bucket_policy", name)
        rules = encryption.get("ServerSideEncryptionConfiguration", {}).get("Rules", [])
        methods = [
            rule.get("ApplyServerSideEncryptionByDefault", {}).get("SSEAlgorithm", "")
            for rule in rules
        ]
        return Bucket(
            name=name,
            lock=lock.get("ObjectLockConfiguration"),
            versioning=str(versioning.get("Status", "")),
            public_access_block=block.get("PublicAccessBlockConfiguration"),
            encryption=next(filter(None, methods), ""),
            policy=str(policy.get("Policy", "")),
        )

    def _setting(self, method: str, bucket: str) -> Answer:
        try:
            return self._vault_talk.ask("s3", method, Bucket=bucket)
        except SourceError as error:
            if error.answer in _ABSENT:
                return {}
            raise


class _Checked(Conversation):
    """A conversation that holds every answer against botocore's model of it."""

    def __init__(self, aws: Connections) -> None:
        super().__init__(aws)
        self.surprises: set[str] = set()

    def ask(
        self,
        service: str,
        method: str,
        place: tuple[str, str] = ("", ""),
        **parameters: object,
    ) -> Answer:
        answer = super().ask(service, method, place, **parameters)
        client = self.aws.client(service, *place)
        name = client.meta.method_to_api_mapping[method]
        shape = client.meta.service_model.operation_model(name).output_shape
        body = {
            key: value for key, value in answer.items() if key != "ResponseMetadata"
        }
        report = ParamValidator().validate(body, shape)
        if report.has_errors():
            for error in report.generate_report().splitlines():
                self.surprises.add(f"{service}:{name}: {error}")
        for error in unknown_words(body, shape, ""):
            self.surprises.add(f"{service}:{name}: {error}")
        return answer


def unknown_words(value: Any, shape: Shape, where: str) -> Iterator[str]:  # noqa: ANN401 - an answer has no types
    """Yield the values that the model's closed sets do not hold."""
    kind = shape.type_name
    if kind == "structure" and isinstance(value, dict):
        for name, inner in shape.members.items():  # type: ignore[attr-defined] # a structure has members
            if name in value:
                yield from unknown_words(value[name], inner, f"{where}.{name}")
    elif kind == "list" and isinstance(value, list):
        for item in value:
            yield from unknown_words(item, shape.member, where)  # type: ignore[attr-defined] # a list has one
    elif kind == "string" and isinstance(value, str):
        known = getattr(shape, "enum", [])
        if known and value not in known:
            yield f"{where.lstrip('.')} is {value!r}, which the model does not know"
