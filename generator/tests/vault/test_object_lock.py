# SPDX-License-Identifier: Apache-2.0
"""What the vault leans on: how an S3 with Object Lock behaves, one case each.

These are cases about the store, not about us. They run against SeaweedFS; where AWS
answers with another error code, the case asserts the refusal and not the code. What a
copy does with locks has no case: SeaweedFS takes the source's along, AWS does not.
"""

from __future__ import annotations

import base64
import hashlib
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from collections.abc import Callable

    from weed import Store

    Case = Callable[["Shelf"], None]

pytestmark = pytest.mark.slow

BUCKET, PLAIN = "object-lock", "no-lock"
COMPLIANCE, GOVERNANCE = "COMPLIANCE", "GOVERNANCE"
# The server's clock decides what it takes as a date to come.
NOW = datetime.fromtimestamp(int(time.time()), UTC)  # noqa: TID251
DAY = timedelta(days=1)


@dataclass
class Shelf:
    """One key of its own in a locked bucket, and what a case does to it."""

    client: Any  # boto3 has no types
    key: str
    bucket: str = BUCKET
    versions: list[str] = field(default_factory=list)

    @property
    def name(self) -> dict[str, str]:
        return {"Bucket": self.bucket, "Key": self.key}

    @property
    def pinned(self) -> dict[str, str]:
        return {**self.name, "VersionId": self.versions[0]}

    def put(self, body: bytes = b"one", **options: object) -> dict[str, Any]:
        answer: dict[str, Any] = self.client.put_object(
            **self.name, Body=body, ChecksumAlgorithm="SHA256", **options
        )
        self.versions.append(answer.get("VersionId", ""))
        return answer

    def locked(self, mode: str = COMPLIANCE, until: datetime = NOW + 2 * DAY) -> None:
        self.put(ObjectLockMode=mode, ObjectLockRetainUntilDate=until)

    def retain(self, mode: str, until: datetime, **options: object) -> None:
        self.client.put_object_retention(
            **self.pinned,
            Retention={"Mode": mode, "RetainUntilDate": until},
            **options,
        )

    def retention(self) -> tuple[str, datetime]:
        row = self.client.get_object_retention(**self.pinned)["Retention"]
        return row["Mode"], row["RetainUntilDate"]

    def delete(self, **options: object) -> None:
        self.client.delete_object(**self.pinned, **options)

    def read(self) -> bytes:
        body: bytes = self.client.get_object(**self.pinned)["Body"].read()
        return body

    def default(self, **rule: object) -> None:
        self.client.put_object_lock_configuration(
            Bucket=self.bucket,
            ObjectLockConfiguration={
                "ObjectLockEnabled": "Enabled",
                "Rule": {"DefaultRetention": rule},
            },
        )

    def new_bucket(self, *, lock: bool = True) -> None:
        self.bucket = self.key
        self.client.create_bucket(Bucket=self.bucket, ObjectLockEnabledForBucket=lock)


def refused(act: Callable[..., object], *words: object, **options: object) -> int:
    """Demand that the store refuses; give the status of its answer."""
    with pytest.raises(ClientError) as caught:
        act(*words, **options)
    status: int = caught.value.response["ResponseMetadata"]["HTTPStatusCode"]
    assert 400 <= status < 500
    return status


CASES: dict[str, Case] = {}


def case(act: Case) -> Case:
    CASES[act.__name__] = act
    return act


# --- buckets ---


@case
def a_locked_bucket_has_versions(shelf: Shelf) -> None:
    answer = shelf.client.get_bucket_versioning(Bucket=BUCKET)
    assert answer["Status"] == "Enabled"


@case
def a_locked_bucket_says_so(shelf: Shelf) -> None:
    answer = shelf.client.get_object_lock_configuration(Bucket=BUCKET)
    assert answer["ObjectLockConfiguration"]["ObjectLockEnabled"] == "Enabled"


@case
def a_plain_bucket_has_no_lock_configuration(shelf: Shelf) -> None:
    ask = shelf.client.get_object_lock_configuration
    assert refused(ask, Bucket=PLAIN) == 404


@case
def versioning_of_a_locked_bucket_cannot_be_suspended(shelf: Shelf) -> None:
    refused(
        shelf.client.put_bucket_versioning,
        Bucket=BUCKET,
        VersioningConfiguration={"Status": "Suspended"},
    )


@case
def a_bucket_without_versions_takes_no_lock(shelf: Shelf) -> None:
    shelf.bucket = PLAIN
    refused(shelf.default, Mode=COMPLIANCE, Days=1)


@case
def a_bucket_gets_its_lock_later_once_it_has_versions(shelf: Shelf) -> None:
    shelf.new_bucket(lock=False)
    refused(shelf.default, Mode=COMPLIANCE, Days=1)
    shelf.client.put_bucket_versioning(
        Bucket=shelf.bucket, VersioningConfiguration={"Status": "Enabled"}
    )
    shelf.default(Mode=COMPLIANCE, Days=1)
    shelf.put()
    assert refused(shelf.delete) == 403


@case
def a_lock_configuration_of_an_unknown_status_is_refused(shelf: Shelf) -> None:
    refused(
        shelf.client.put_object_lock_configuration,
        Bucket=BUCKET,
        ObjectLockConfiguration={
            "ObjectLockEnabled": "Disabled",
            "Rule": {"DefaultRetention": {"Mode": COMPLIANCE, "Days": 1}},
        },
    )


@case
def a_default_retention_in_days_reads_back(shelf: Shelf) -> None:
    shelf.new_bucket()
    shelf.default(Mode=COMPLIANCE, Days=3)
    answer = shelf.client.get_object_lock_configuration(Bucket=shelf.bucket)
    rule = answer["ObjectLockConfiguration"]["Rule"]["DefaultRetention"]
    assert (rule["Mode"], rule["Days"]) == (COMPLIANCE, 3)


@case
def a_default_retention_in_years_reads_back(shelf: Shelf) -> None:
    shelf.new_bucket()
    shelf.default(Mode=GOVERNANCE, Years=1)
    answer = shelf.client.get_object_lock_configuration(Bucket=shelf.bucket)
    rule = answer["ObjectLockConfiguration"]["Rule"]["DefaultRetention"]
    assert (rule["Mode"], rule["Years"]) == (GOVERNANCE, 1)


@case
def a_default_retention_in_days_and_years_is_refused(shelf: Shelf) -> None:
    refused(shelf.default, Mode=COMPLIANCE, Days=1, Years=1)


@case
def a_default_retention_without_length_is_refused(shelf: Shelf) -> None:
    refused(shelf.default, Mode=COMPLIANCE)


@case
def a_default_retention_of_no_days_is_refused(shelf: Shelf) -> None:
    refused(shelf.default, Mode=COMPLIANCE, Days=0)


@case
def a_default_retention_of_negative_years_is_refused(shelf: Shelf) -> None:
    refused(shelf.default, Mode=COMPLIANCE, Years=-1)


@case
def a_default_retention_of_an_unknown_mode_is_refused(shelf: Shelf) -> None:
    refused(shelf.default, Mode="FOREVER", Days=1)


@case
def a_default_retention_locks_what_comes_without_one(shelf: Shelf) -> None:
    shelf.new_bucket()
    shelf.default(Mode=COMPLIANCE, Days=2)
    shelf.put()
    mode, until = shelf.retention()
    assert mode == COMPLIANCE
    assert NOW + DAY < until < NOW + 3 * DAY
    assert refused(shelf.delete) == 403


@case
def an_explicit_retention_wins_over_the_default(shelf: Shelf) -> None:
    shelf.new_bucket()
    shelf.default(Mode=GOVERNANCE, Days=1)
    shelf.locked(COMPLIANCE, NOW + 9 * DAY)
    assert shelf.retention() == (COMPLIANCE, NOW + 9 * DAY)


@case
def a_default_retention_leaves_older_objects_alone(shelf: Shelf) -> None:
    shelf.new_bucket()
    shelf.put()
    shelf.default(Mode=COMPLIANCE, Days=2)
    refused(shelf.retention)
    shelf.delete()


# --- putting with a lock ---


@case
def a_put_with_a_lock_reads_back_its_lock(shelf: Shelf) -> None:
    shelf.locked()
    head = shelf.client.head_object(**shelf.pinned)
    assert head["ObjectLockMode"] == COMPLIANCE
    assert head["ObjectLockRetainUntilDate"] == NOW + 2 * DAY
    assert shelf.retention() == (COMPLIANCE, NOW + 2 * DAY)


@case
def a_put_with_a_mode_and_no_date_is_refused(shelf: Shelf) -> None:
    refused(shelf.put, ObjectLockMode=COMPLIANCE)


@case
def a_put_with_a_date_and_no_mode_is_refused(shelf: Shelf) -> None:
    refused(shelf.put, ObjectLockRetainUntilDate=NOW + DAY)


@case
def a_put_with_a_past_date_is_refused(shelf: Shelf) -> None:
    refused(shelf.locked, COMPLIANCE, NOW - DAY)


@case
def a_put_with_an_unknown_mode_is_refused(shelf: Shelf) -> None:
    refused(shelf.locked, "FOREVER")


@case
def a_put_with_a_lock_into_a_plain_bucket_is_refused(shelf: Shelf) -> None:
    shelf.bucket = PLAIN
    refused(shelf.locked)


@case
def a_put_with_a_wrong_checksum_is_refused(shelf: Shelf) -> None:
    wrong = base64.b64encode(hashlib.sha256(b"two").digest()).decode()
    refused(shelf.put, b"one", ChecksumSHA256=wrong)
    assert refused(shelf.client.head_object, **shelf.name) == 404


@case
def a_checksum_reads_back(shelf: Shelf) -> None:
    shelf.locked()
    head = shelf.client.head_object(**shelf.pinned, ChecksumMode="ENABLED")
    due = base64.b64encode(hashlib.sha256(b"one").digest()).decode()
    assert head["ChecksumSHA256"] == due


@case
def if_none_match_refuses_a_key_that_is_there(shelf: Shelf) -> None:
    shelf.locked()
    assert refused(shelf.put, b"two", IfNoneMatch="*") == 412
    assert shelf.read() == b"one"


@case
def if_none_match_sees_nothing_below_a_delete_marker(shelf: Shelf) -> None:
    shelf.locked()
    shelf.client.delete_object(**shelf.name)
    shelf.put(b"two", IfNoneMatch="*")
    assert shelf.read() == b"one"


@case
def an_overwrite_is_a_new_version_and_locks_nothing(shelf: Shelf) -> None:
    shelf.locked()
    shelf.put(b"two")
    assert shelf.versions[0] != shelf.versions[1]
    assert shelf.read() == b"one"
    assert shelf.retention() == (COMPLIANCE, NOW + 2 * DAY)
    ask = shelf.client.get_object_retention
    refused(ask, **shelf.name, VersionId=shelf.versions[1])


def in_parts(shelf: Shelf, **options: object) -> None:
    """Put one version by a multipart upload."""
    upload = shelf.client.create_multipart_upload(**shelf.name, **options)["UploadId"]
    part = shelf.client.upload_part(
        **shelf.name, UploadId=upload, PartNumber=1, Body=b"one"
    )
    answer = shelf.client.complete_multipart_upload(
        **shelf.name,
        UploadId=upload,
        MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]},
    )
    shelf.versions.append(answer["VersionId"])


@case
def a_multipart_upload_keeps_its_lock(shelf: Shelf) -> None:
    in_parts(shelf, ObjectLockMode=COMPLIANCE, ObjectLockRetainUntilDate=NOW + 2 * DAY)
    assert shelf.retention() == (COMPLIANCE, NOW + 2 * DAY)
    assert refused(shelf.delete) == 403
    assert refused(shelf.delete, BypassGovernanceRetention=True) == 403
    assert shelf.read() == b"one"


@case
def a_multipart_upload_keeps_its_legal_hold(shelf: Shelf) -> None:
    in_parts(shelf, ObjectLockLegalHoldStatus="ON")
    assert refused(shelf.delete) == 403
    shelf.client.put_object_legal_hold(**shelf.pinned, LegalHold={"Status": "OFF"})
    shelf.delete()


@case
def a_put_with_lock_and_hold_reads_both_back(shelf: Shelf) -> None:
    shelf.put(
        ObjectLockMode=GOVERNANCE,
        ObjectLockRetainUntilDate=NOW + DAY,
        ObjectLockLegalHoldStatus="ON",
    )
    head = shelf.client.head_object(**shelf.pinned)
    assert head["ObjectLockMode"] == GOVERNANCE
    assert head["ObjectLockRetainUntilDate"] == NOW + DAY
    assert head["ObjectLockLegalHoldStatus"] == "ON"
    assert refused(shelf.delete, BypassGovernanceRetention=True) == 403


# --- changing a lock ---


@case
def a_lock_can_be_put_on_later(shelf: Shelf) -> None:
    shelf.put()
    shelf.retain(COMPLIANCE, NOW + DAY)
    assert shelf.retention() == (COMPLIANCE, NOW + DAY)


@case
def compliance_is_extended(shelf: Shelf) -> None:
    shelf.locked()
    shelf.retain(COMPLIANCE, NOW + 5 * DAY)
    assert shelf.retention() == (COMPLIANCE, NOW + 5 * DAY)


@case
def compliance_is_never_shortened(shelf: Shelf) -> None:
    shelf.locked()
    refused(shelf.retain, COMPLIANCE, NOW + DAY)
    refused(shelf.retain, COMPLIANCE, NOW + DAY, BypassGovernanceRetention=True)
    assert shelf.retention() == (COMPLIANCE, NOW + 2 * DAY)


@case
def compliance_never_becomes_governance(shelf: Shelf) -> None:
    shelf.locked()
    refused(shelf.retain, GOVERNANCE, NOW + 5 * DAY)
    assert shelf.retention() == (COMPLIANCE, NOW + 2 * DAY)


@case
def compliance_is_never_taken_away(shelf: Shelf) -> None:
    shelf.locked()
    refused(
        shelf.client.put_object_retention,
        **shelf.pinned,
        Retention={},
        BypassGovernanceRetention=True,
    )
    assert shelf.retention() == (COMPLIANCE, NOW + 2 * DAY)


@case
def governance_is_extended(shelf: Shelf) -> None:
    shelf.locked(GOVERNANCE)
    shelf.retain(GOVERNANCE, NOW + 5 * DAY)
    assert shelf.retention() == (GOVERNANCE, NOW + 5 * DAY)


@case
def governance_is_shortened_by_a_bypass_only(shelf: Shelf) -> None:
    shelf.locked(GOVERNANCE)
    refused(shelf.retain, GOVERNANCE, NOW + DAY)
    shelf.retain(GOVERNANCE, NOW + DAY, BypassGovernanceRetention=True)
    assert shelf.retention() == (GOVERNANCE, NOW + DAY)


@case
def governance_becomes_compliance(shelf: Shelf) -> None:
    shelf.locked(GOVERNANCE)
    shelf.retain(COMPLIANCE, NOW + 5 * DAY, BypassGovernanceRetention=True)
    assert shelf.retention() == (COMPLIANCE, NOW + 5 * DAY)


@case
def governance_becomes_compliance_by_a_bypass_only(shelf: Shelf) -> None:
    shelf.locked(GOVERNANCE)
    refused(shelf.retain, COMPLIANCE, NOW + 2 * DAY)
    assert shelf.retention() == (GOVERNANCE, NOW + 2 * DAY)


@case
def a_retention_wins_over_the_default_that_came_first(shelf: Shelf) -> None:
    shelf.new_bucket()
    shelf.default(Mode=GOVERNANCE, Days=1)
    shelf.put()
    shelf.retain(GOVERNANCE, NOW + 9 * DAY)
    assert shelf.retention() == (GOVERNANCE, NOW + 9 * DAY)


@case
def a_retention_is_of_one_version(shelf: Shelf) -> None:
    shelf.put()
    shelf.put(b"two")
    shelf.retain(COMPLIANCE, NOW + DAY)
    refused(
        shelf.client.get_object_retention, **shelf.name, VersionId=shelf.versions[1]
    )
    shelf.client.delete_object(**shelf.name, VersionId=shelf.versions[1])
    assert refused(shelf.delete) == 403


@case
def a_retain_until_date_is_told_to_the_second_in_iso_8601(shelf: Shelf) -> None:
    told: list[bytes] = []
    shelf.client.meta.events.register(
        "after-call.s3.GetObjectRetention",
        lambda http_response, **_: told.append(http_response.content),
    )
    shelf.locked(until=NOW + 2 * DAY)
    shelf.retention()
    until = (NOW + 2 * DAY).strftime("%Y-%m-%dT%H:%M:%S")
    assert f"<RetainUntilDate>{until}".encode() in told[0]


@case
def a_retention_in_the_past_is_refused(shelf: Shelf) -> None:
    shelf.put()
    refused(shelf.retain, COMPLIANCE, NOW - DAY)


@case
def a_retention_of_an_unknown_mode_is_refused(shelf: Shelf) -> None:
    shelf.put()
    refused(shelf.retain, "FOREVER", NOW + DAY)


@case
def a_retention_in_a_plain_bucket_is_refused(shelf: Shelf) -> None:
    shelf.bucket = PLAIN
    shelf.client.put_object(**shelf.name, Body=b"one")
    refused(
        shelf.client.put_object_retention,
        **shelf.name,
        Retention={"Mode": COMPLIANCE, "RetainUntilDate": NOW + DAY},
    )
    refused(shelf.client.get_object_retention, **shelf.name)


# --- deleting ---


@case
def a_locked_version_is_not_deleted(shelf: Shelf) -> None:
    shelf.locked()
    assert refused(shelf.delete) == 403
    assert shelf.read() == b"one"


@case
def no_bypass_deletes_under_compliance(shelf: Shelf) -> None:
    shelf.locked()
    assert refused(shelf.delete, BypassGovernanceRetention=True) == 403


@case
def a_bypass_deletes_under_governance(shelf: Shelf) -> None:
    shelf.locked(GOVERNANCE)
    assert refused(shelf.delete) == 403
    shelf.delete(BypassGovernanceRetention=True)
    refused(shelf.read)


@case
def a_delete_marker_hides_and_removes_nothing(shelf: Shelf) -> None:
    shelf.locked()
    answer = shelf.client.delete_object(**shelf.name)
    assert answer["DeleteMarker"] is True
    assert refused(shelf.client.get_object, **shelf.name) == 404
    assert shelf.read() == b"one"
    assert shelf.retention() == (COMPLIANCE, NOW + 2 * DAY)


@case
def a_delete_marker_is_listed_and_is_not_locked(shelf: Shelf) -> None:
    shelf.locked()
    marker = shelf.client.delete_object(**shelf.name)["VersionId"]
    listed = shelf.client.list_object_versions(Bucket=BUCKET, Prefix=shelf.key)
    assert [row["VersionId"] for row in listed["DeleteMarkers"]] == [marker]
    assert [row["VersionId"] for row in listed["Versions"]] == shelf.versions
    shelf.client.delete_object(**shelf.name, VersionId=marker)
    assert shelf.client.get_object(**shelf.name)["Body"].read() == b"one"


@case
def deleting_many_says_which_were_locked(shelf: Shelf) -> None:
    shelf.locked()
    shelf.put(b"two")
    names = [{"Key": shelf.key, "VersionId": version} for version in shelf.versions]
    answer = shelf.client.delete_objects(Bucket=BUCKET, Delete={"Objects": names})
    assert [row["Key"] for row in answer["Errors"]] == [shelf.key]
    assert [row["VersionId"] for row in answer["Deleted"]] == [shelf.versions[1]]
    assert shelf.read() == b"one"


@case
def a_lock_that_has_ended_holds_nothing(shelf: Shelf) -> None:
    soon = datetime.fromtimestamp(int(time.time()) + 3, UTC)  # noqa: TID251
    shelf.locked(COMPLIANCE, soon)
    assert refused(shelf.delete) == 403
    time.sleep(4)
    shelf.delete()
    refused(shelf.read)


# --- legal hold ---


@case
def a_legal_hold_keeps_a_version_without_a_date(shelf: Shelf) -> None:
    shelf.put(ObjectLockLegalHoldStatus="ON")
    assert shelf.client.head_object(**shelf.pinned)["ObjectLockLegalHoldStatus"] == "ON"
    assert refused(shelf.delete) == 403
    assert refused(shelf.delete, BypassGovernanceRetention=True) == 403


@case
def a_legal_hold_that_is_lifted_holds_nothing(shelf: Shelf) -> None:
    shelf.put()
    for status in ("ON", "OFF"):
        shelf.client.put_object_legal_hold(**shelf.pinned, LegalHold={"Status": status})
        answer = shelf.client.get_object_legal_hold(**shelf.pinned)
        assert answer["LegalHold"]["Status"] == status
    shelf.delete()


@case
def a_lifted_hold_leaves_the_retention(shelf: Shelf) -> None:
    shelf.locked()
    for status in ("ON", "OFF"):
        shelf.client.put_object_legal_hold(**shelf.pinned, LegalHold={"Status": status})
    assert refused(shelf.delete) == 403


@case
def a_legal_hold_of_an_unknown_status_is_refused(shelf: Shelf) -> None:
    shelf.put()
    act = shelf.client.put_object_legal_hold
    refused(act, **shelf.pinned, LegalHold={"Status": "MAYBE"})


@case
def a_legal_hold_in_a_plain_bucket_is_refused(shelf: Shelf) -> None:
    shelf.bucket = PLAIN
    shelf.client.put_object(**shelf.name, Body=b"one")
    act = shelf.client.put_object_legal_hold
    refused(act, **shelf.name, LegalHold={"Status": "ON"})
    refused(shelf.client.get_object_legal_hold, **shelf.name)


@case
def a_bucket_that_holds_locked_versions_is_not_deleted(shelf: Shelf) -> None:
    shelf.new_bucket()
    shelf.locked()
    shelf.client.delete_object(**shelf.name)
    refused(shelf.client.delete_bucket, Bucket=shelf.bucket)


@pytest.fixture(scope="module")
def client(store: Store) -> Any:  # noqa: ANN401 - boto3 has no types
    client = store.client()
    client.create_bucket(Bucket=BUCKET, ObjectLockEnabledForBucket=True)
    client.create_bucket(Bucket=PLAIN)
    return client


@pytest.mark.parametrize("name", CASES)
def test_a_store_with_object_lock(client: Any, name: str) -> None:  # noqa: ANN401
    CASES[name](Shelf(client, name.replace("_", "-")))


CEPH = {
    "changing_mode_from_compliance": "compliance_never_becomes_governance",
    "changing_mode_from_governance_with_bypass": "governance_becomes_compliance",
    "changing_mode_from_governance_without_bypass": (
        "governance_becomes_compliance_by_a_bypass_only"
    ),
    "delete_multipart_object_with_legal_hold_on": (
        "a_multipart_upload_keeps_its_legal_hold"
    ),
    "delete_multipart_object_with_retention": "a_multipart_upload_keeps_its_lock",
    "delete_object_with_legal_hold_off": "a_legal_hold_that_is_lifted_holds_nothing",
    "delete_object_with_legal_hold_on": "a_legal_hold_keeps_a_version_without_a_date",
    "delete_object_with_retention": "a_locked_version_is_not_deleted",
    "delete_object_with_retention_and_marker": (
        "a_delete_marker_hides_and_removes_nothing"
    ),
    "get_legal_hold": "a_legal_hold_that_is_lifted_holds_nothing",
    "get_legal_hold_invalid_bucket": "a_legal_hold_in_a_plain_bucket_is_refused",
    "get_obj_lock": "a_default_retention_in_days_reads_back",
    "get_obj_lock_invalid_bucket": "a_plain_bucket_has_no_lock_configuration",
    "get_obj_metadata": "a_put_with_lock_and_hold_reads_both_back",
    "get_obj_retention": "a_lock_can_be_put_on_later",
    "get_obj_retention_invalid_bucket": "a_retention_in_a_plain_bucket_is_refused",
    "get_obj_retention_iso8601": (
        "a_retain_until_date_is_told_to_the_second_in_iso_8601"
    ),
    "multi_delete_object_with_retention": "deleting_many_says_which_were_locked",
    "put_legal_hold": "a_legal_hold_that_is_lifted_holds_nothing",
    "put_legal_hold_invalid_bucket": "a_legal_hold_in_a_plain_bucket_is_refused",
    "put_legal_hold_invalid_status": "a_legal_hold_of_an_unknown_status_is_refused",
    "put_obj_lock": "a_default_retention_in_years_reads_back",
    "put_obj_lock_enable_after_create": (
        "a_bucket_gets_its_lock_later_once_it_has_versions"
    ),
    "put_obj_lock_invalid_bucket": "a_bucket_without_versions_takes_no_lock",
    "put_obj_lock_invalid_days": "a_default_retention_of_no_days_is_refused",
    "put_obj_lock_invalid_mode": "a_default_retention_of_an_unknown_mode_is_refused",
    "put_obj_lock_invalid_status": (
        "a_lock_configuration_of_an_unknown_status_is_refused"
    ),
    "put_obj_lock_invalid_years": "a_default_retention_of_negative_years_is_refused",
    "put_obj_lock_with_days_and_years": (
        "a_default_retention_in_days_and_years_is_refused"
    ),
    "put_obj_retention": "a_lock_can_be_put_on_later",
    "put_obj_retention_increase_period": "governance_is_extended",
    "put_obj_retention_invalid_bucket": "a_retention_in_a_plain_bucket_is_refused",
    "put_obj_retention_invalid_mode": "a_retention_of_an_unknown_mode_is_refused",
    "put_obj_retention_override_default_retention": (
        "a_retention_wins_over_the_default_that_came_first"
    ),
    "put_obj_retention_shorten_period": "governance_is_shortened_by_a_bypass_only",
    "put_obj_retention_shorten_period_bypass": (
        "governance_is_shortened_by_a_bypass_only"
    ),
    "put_obj_retention_versionid": "a_retention_is_of_one_version",
    "suspend_versioning": "versioning_of_a_locked_bucket_cannot_be_suspended",
    "uploading_obj": "a_put_with_lock_and_hold_reads_both_back",
}
"""Each `test_object_lock_…` of ceph/s3-tests → the case here that asks the same."""


def test_each_object_lock_test_of_ceph_has_a_case_here() -> None:
    assert len(CEPH) == 39
    assert sorted(set(CEPH.values()) - set(CASES)) == []
