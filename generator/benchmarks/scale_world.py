# SPDX-License-Identifier: Apache-2.0
"""An organisation of a thousand accounts, and the AWS that shows one day of it.

Everything follows from numbers by formula, so that a million resources need no memory
and the ledger's opening state, the delivered files and the aggregator cannot disagree.
Run as a program it serves AWS's answers on loopback and prints its port; a GET of
/_calls tells what was asked, and how long answering took.

Per account × Region: `rules` rules, `resources` resources, each under `under` of the
rules; every NINTH resource begins NON_COMPLIANT under its first rule; on the day the
first `moves` resources change the verdict of their first rule, once each.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import sys
import time
from collections import Counter
from dataclasses import dataclass
from functools import cached_property, lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from controlbook.digest import sha256
from controlbook.timeline import DAY, HOUR, MINUTE, Instant, instant, iso

REGIONS = ("eu-central-1", "eu-west-1", "us-east-1", "us-west-2")
START = instant("2028-02-14T00:00:00Z")
NOW = Instant(START + DAY + 6 * HOUR)
SINCE = instant("2027-11-01T08:00:00Z")
CREATED = SINCE // 1000
NINTH = 9
CAP = 25
QUARTER = 6 * HOUR
TYPE = "AWS::Config::ResourceCompliance"
GOOD, BAD = "COMPLIANT", "NON_COMPLIANT"
SCOPE = re.compile(r"Credential=([^/,]+)/\d{8}/([^/]+)/([^/]+)/aws4_request")
DELIVERY = "delivery"
AGGREGATOR = "org"


@dataclass(frozen=True)
class Organisation:
    """How large it is."""

    accounts: int = 1000
    regions: int = 4
    rules: int = 200
    resources: int = 250
    moves: int = 25
    under: int = 2

    @cached_property
    def places(self) -> list[tuple[str, str]]:
        """Every account × Region, sorted."""
        return [
            (f"{100000000000 + 37 * n}", region)
            for n in range(self.accounts)
            for region in REGIONS[: self.regions]
        ]

    def rule(self, number: int) -> str:
        """Name a rule as deployed."""
        return f"baseline-rule-{number:03d}"

    def arn(self, account: str, region: str, number: int) -> str:
        """Name a rule as items do."""
        mark = sha256(f"{account}{region}{number}".encode())[:6]
        place = f"arn:aws:config:{region}:{account}"
        return f"{place}:config-rule/config-rule-{mark}{number:03d}"

    def resource(self, account: str, region: str, number: int) -> str:
        """Name a resource."""
        mark = sha256(f"{account}{region}r{number}".encode())[:17]
        return f"AWS::EC2::Instance/i-{mark}"

    def judged_by(self, number: int) -> list[int]:
        """Give the rules that judge a resource."""
        return [(number * self.under + n) % self.rules for n in range(self.under)]

    def opening(self, number: int) -> str:
        """Give the verdict of a resource's first rule before the day."""
        return BAD if number % NINTH == 0 else GOOD

    def closing(self, number: int) -> str:
        """Give it after the day."""
        before = self.opening(number)
        return before if number >= self.moves else BAD if before == GOOD else GOOD

    def moved_at(self, number: int) -> Instant:
        """Give when a resource changed."""
        step = DAY // max(self.moves, 1)
        return Instant(START + number * step + 1 + number)

    @cached_property
    def bad_after(self) -> Counter[int]:
        """Count the NON_COMPLIANT resources of each rule after the day."""
        return Counter(
            self.judged_by(n)[0]
            for n in range(self.resources)
            if self.closing(n) == BAD
        )

    # --- what AWS shows -----------------------------------------------------------

    @lru_cache(maxsize=8)  # noqa: B019 - one organisation a process
    def file(self, account: str, region: str, quarter: int) -> bytes:
        """Give a delivered file: what moved in six hours."""
        first = START + quarter * QUARTER
        items = []
        for number in range(self.moves):
            at = self.moved_at(number)
            if not first <= at < first + QUARTER:
                continue
            entries = [
                {
                    "configRuleName": self.rule(rule),
                    "configRuleArn": self.arn(account, region, rule),
                    "configRuleId": f"config-rule-{rule:03d}",
                    "complianceType": self.closing(number) if place == 0 else GOOD,
                    "configRuleInvokedTime": iso(at),
                    "resultRecordedTime": iso(at),
                }
                for place, rule in enumerate(self.judged_by(number))
            ]
            items.append(
                {
                    "relatedEvents": [],
                    "relationships": [],
                    "configuration": {
                        "complianceType": self.closing(number),
                        "targetResourceId": self.resource(account, region, number),
                        "targetResourceType": "AWS::EC2::Instance",
                        "configRuleList": entries,
                    },
                    "supplementaryConfiguration": {},
                    "tags": {},
                    "configurationItemVersion": "1.3",
                    "configurationItemCaptureTime": iso(at),
                    "configurationStateId": at,
                    "awsAccountId": account,
                    "configurationItemStatus": "OK",
                    "resourceType": TYPE,
                    "resourceId": self.resource(account, region, number),
                    "awsRegion": region,
                    "configurationStateMd5Hash": "",
                }
            )
        document = {"fileVersion": "1.0", "requestId": "", "configurationItems": items}
        return gzip.compress(json.dumps(document).encode(), 6, mtime=0)

    def keys(self, account: str, region: str) -> list[tuple[str, str]]:
        """Give the day's files: key and when it was written."""
        found = []
        for quarter in range(DAY // QUARTER):
            first = Instant(START + quarter * QUARTER)
            last = Instant(first + QUARTER)
            if not any(first <= self.moved_at(n) < last for n in range(self.moves)):
                continue
            stamps = "_".join(re.sub("[-:]", "", iso(at)) for at in (first, last))
            day = iso(START)[:10].split("-")
            folder = "/".join(str(int(part)) for part in day)
            found.append(
                (
                    f"AWSLogs/{account}/Config/{region}/{folder}/ConfigHistory/"
                    f"{account}_Config_{region}_ConfigHistory_{TYPE}_{stamps}_1.json.gz",
                    iso(Instant(last + 10 * MINUTE)),
                )
            )
        return found


Row = dict[str, object]


class Answers:
    """AWS's answers by operation."""

    def __init__(self, org: Organisation) -> None:
        """Answer for an organisation."""
        self.org = org
        self.calls: Counter[str] = Counter()

    def json(self, operation: str, account: str, region: str, asked: Row) -> Row:
        """Answer a JSON operation."""
        name = "_" + re.sub("(?<!^)([A-Z])", r"_\1", operation).lower()
        answer: Row = getattr(self, name)(account, region, asked)
        return answer

    @staticmethod
    def _page(rows: str, found: list[Row], asked: Row, size: int) -> Row:
        start = int(str(asked.get("NextToken") or 0))
        page: Row = {rows: found[start : start + size]}
        if start + size < len(found):
            page["NextToken"] = str(start + size)
        return page

    def _list_accounts(self, _account: str, _region: str, asked: Row) -> Row:
        rows: list[Row] = [
            {"Id": account, "Status": "ACTIVE"}
            for account, _ in self.org.places[:: self.org.regions]
        ]
        return self._page("Accounts", rows, asked, 20)

    def _describe_configuration_aggregator_sources_status(
        self, _account: str, _region: str, asked: Row
    ) -> Row:
        rows: list[Row] = [
            {
                "SourceId": account,
                "SourceType": "ACCOUNT",
                "AwsRegion": region,
                "LastUpdateStatus": "SUCCEEDED",
                "LastUpdateTime": NOW // 1000,
            }
            for account, region in self.org.places
        ]
        return self._page("AggregatedSourceStatusList", rows, asked, 100)

    def _describe_aggregate_compliance_by_config_rules(
        self, _account: str, _region: str, asked: Row
    ) -> Row:
        start, org = int(str(asked.get("NextToken") or 0)), self.org
        count = len(org.places) * org.rules
        rows = []
        for index in range(start, min(start + 1000, count)):
            account, region = org.places[index // org.rules]
            rule = index % org.rules
            bad = org.bad_after[rule]
            verdict: Row = {"ComplianceType": BAD if bad else GOOD}
            if bad:
                count_of = {"CappedCount": min(bad, CAP), "CapExceeded": bad > CAP}
                verdict["ComplianceContributorCount"] = count_of
            rows.append(
                {
                    "ConfigRuleName": org.rule(rule),
                    "Compliance": verdict,
                    "AccountId": account,
                    "AwsRegion": region,
                }
            )
        page: Row = {"AggregateComplianceByConfigRules": rows}
        if start + 1000 < count:
            page["NextToken"] = str(start + 1000)
        return page

    def _describe_config_rules(self, account: str, region: str, asked: Row) -> Row:
        rows: list[Row] = [
            {
                "ConfigRuleName": self.org.rule(rule),
                "ConfigRuleArn": self.org.arn(account, region, rule),
                "ConfigRuleId": f"config-rule-{rule:03d}",
                "Source": {
                    "Owner": "AWS",
                    "SourceIdentifier": f"BASELINE_RULE_{rule:03d}",
                },
                "InputParameters": "{}",
                "ConfigRuleState": "ACTIVE",
            }
            for rule in range(self.org.rules)
        ]
        return self._page("ConfigRules", rows, asked, 25)

    def _describe_config_rule_evaluation_status(
        self, account: str, region: str, asked: Row
    ) -> Row:
        rows: list[Row] = [
            {
                "ConfigRuleName": self.org.rule(rule),
                "ConfigRuleArn": self.org.arn(account, region, rule),
                "ConfigRuleId": f"config-rule-{rule:03d}",
                "FirstActivatedTime": CREATED,
                "FirstEvaluationStarted": True,
                "LastSuccessfulEvaluationTime": START // 1000,
                "LastSuccessfulInvocationTime": START // 1000,
            }
            for rule in range(self.org.rules)
        ]
        size = int(str(asked.get("Limit") or 1000))
        return self._page("ConfigRulesEvaluationStatus", rows, asked, size)

    def _describe_configuration_recorders(
        self, _account: str, _region: str, _asked: Row
    ) -> Row:
        group = {"allSupported": True, "includeGlobalResourceTypes": True}
        return {
            "ConfigurationRecorders": [{"name": "default", "recordingGroup": group}]
        }

    def _describe_configuration_recorder_status(
        self, _account: str, _region: str, _asked: Row
    ) -> Row:
        status = {"name": "default", "recording": True, "lastStartTime": CREATED}
        return {"ConfigurationRecordersStatus": [status]}

    def _describe_delivery_channel_status(
        self, _account: str, _region: str, _asked: Row
    ) -> Row:
        info = {"lastStatus": "Success", "lastSuccessfulTime": NOW // 1000}
        status = {"name": "default", "configHistoryDeliveryInfo": info}
        return {"DeliveryChannelsStatus": [status]}

    def _lookup_events(self, _account: str, _region: str, _asked: Row) -> Row:
        return {"Events": []}

    def s3(self, path: str, query: dict[str, list[str]]) -> bytes:
        """Answer a listing, or an object."""
        parts = path.split("/")
        if "prefix" not in query:
            account, region = parts[3], parts[5]
            first = re.search(r"_(\d{8})T(\d{2})0000Z_", path)
            return self.org.file(account, region, int(first[2]) // 6 if first else 0)
        prefix = query["prefix"][0]
        _, account, _, region = prefix.split("/")[:4]
        rows = "".join(
            f"<Contents><Key>{key}</Key><LastModified>{written}</LastModified>"
            "<Size>1</Size></Contents>"
            for key, written in self.org.keys(account, region)
            if key.startswith(prefix)
        )
        return (
            '<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/'
            f'doc/2006-03-01/"><IsTruncated>false</IsTruncated>{rows}'
            "</ListBucketResult>"
        ).encode()


STS = """<{0}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><{0}Result>
{1}</{0}Result></{0}Response>"""


def assumed(body: str) -> str:
    """Give a role's credentials; the access key names the account."""
    account = parse_qs(body)["RoleArn"][0].split(":")[4]
    return STS.format(
        "AssumeRole",
        f"<Credentials><AccessKeyId>AS{account}</AccessKeyId><SecretAccessKey>s"
        "</SecretAccessKey><SessionToken>t</SessionToken>"
        "<Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>",
    )


class Handler(BaseHTTPRequestHandler):
    """HTTP/1.1 with keep-alive, in one packet a reply."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    answers: Answers

    def _serve(self) -> None:
        size = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(size)
        parts = urlsplit(self.path)
        if parts.path == "/_calls":
            found = {"calls": dict(self.answers.calls), "cpu": time.process_time()}
            self._reply(json.dumps(found).encode(), "application/json")
            return
        match = SCOPE.search(self.headers.get("Authorization", ""))
        key, region, service = match.groups() if match else ("", "", "")
        if service == "s3":
            query = parse_qs(parts.query)
            operation = "ListObjectsV2" if "prefix" in query else "GetObject"
            self.answers.calls[f"s3:{operation}"] += 1
            self._reply(self.answers.s3(parts.path, query), "application/xml")
        elif service == "sts":
            text = body.decode()
            operation = parse_qs(text)["Action"][0]
            self.answers.calls[f"sts:{operation}"] += 1
            own = self.answers.org.places[0][0]
            known = f"<Account>{own}</Account><Arn>arn:aws:iam::{own}:role/c</Arn>"
            answer = (
                assumed(text)
                if operation == "AssumeRole"
                else STS.format("GetCallerIdentity", known)
            )
            self._reply(answer.encode(), "text/xml")
        else:
            operation = self.headers["X-Amz-Target"].rpartition(".")[2]
            self.answers.calls[f"{service}:{operation}"] += 1
            asked = json.loads(body)
            found = self.answers.json(operation, key[2:], region, asked)
            self._reply(json.dumps(found).encode(), "application/x-amz-json-1.1")

    do_GET = do_POST = _serve  # noqa: N815 - the standard library's names

    def _reply(self, body: bytes, kind: str) -> None:
        self.send_response_only(200)
        self.send_header("Date", "Tue, 15 Feb 2028 06:00:00 GMT")
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def sized(parser: argparse.ArgumentParser) -> None:
    """Let the command line say how large the organisation is."""
    for name in ("accounts", "regions", "rules", "resources", "moves", "under"):
        parser.add_argument(f"--{name}", type=int, default=getattr(Organisation, name))


def organisation(options: argparse.Namespace) -> Organisation:
    """Give the organisation that the command line asks for."""
    names = ("accounts", "regions", "rules", "resources", "moves", "under")
    return Organisation(**{name: getattr(options, name) for name in names})


def main() -> None:
    """Serve until the input ends."""
    parser = argparse.ArgumentParser()
    sized(parser)
    Handler.answers = Answers(organisation(parser.parse_args()))
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    print(server.server_address[1], flush=True)
    import threading  # noqa: PLC0415 - only here

    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()


if __name__ == "__main__":
    main()
