# SPDX-License-Identifier: Apache-2.0
"""AWS Support: the results of Trusted Advisor's checks.

Rules enforced here:
- it answers in its home Region only, and only an account with a support plan that
  includes it; every other gets SubscriptionRequiredException, which no model names;
- a check is made of each of the world's rules, so that it cannot contradict AWS
  Config; what a check flags is what the rule found NON_COMPLIANT, in every Region.

Built from botocore's shapes; never run against AWS.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from controlbook.timeline import iso

from .protocol import Service, ServiceError
from .world import NON_COMPLIANT, token_of

if TYPE_CHECKING:
    from .protocol import Caller, Params
    from .recording import Record, Recording
    from .trouble import Trouble

HOME = "us-east-1"
KNOWN = {"ROOT_ACCOUNT_MFA_ENABLED": ("7DAFEmoDos", "MFA on Root Account")}
"""Checks that go by the id and name that AWS gives them; the others are made up."""


def service(recording: Recording, trouble: Trouble) -> Service:
    """Put the emulated operations of Support together."""
    support = _Support(recording, trouble)
    return Service(
        "support",
        {
            "DescribeTrustedAdvisorChecks": support.checks,
            "DescribeTrustedAdvisorCheckResult": support.result,
        },
    )


class _Support:
    def __init__(self, recording: Recording, trouble: Trouble) -> None:
        self._recording = recording
        self._trouble = trouble

    def checks(self, caller: Caller, _params: Params) -> Params:
        self._demand(caller)
        return {
            "checks": [
                {
                    "id": ident,
                    "name": _name(identifier),
                    "description": "Made up for the sandbox.",
                    "category": "security",
                    "metadata": ["Region", "Resource"],
                }
                for ident, identifier in self._known().items()
            ]
        }

    def result(self, caller: Caller, params: Params) -> Params:
        self._demand(caller)
        ident = params["checkId"]
        identifier = self._known().get(ident)
        if identifier is None:
            message = f"there is no check {ident}"
            raise ServiceError(code="InvalidParameterValueException", message=message)
        judged: list[tuple[Record, str]] = [
            (record, entry.state)
            for region in self._recording.world.regions
            for record in self._recording.standing((caller.account, region), caller.now)
            for entry in record.entries
            if entry.rule.identifier == identifier
        ]
        flagged = [record for record, state in judged if state == NON_COMPLIANT]
        status = "error" if flagged else "ok" if judged else "not_available"
        return {
            "result": {
                "checkId": ident,
                "timestamp": iso(caller.now),
                "status": status,
                "resourcesSummary": {
                    "resourcesProcessed": len(judged),
                    "resourcesFlagged": len(flagged),
                    "resourcesIgnored": 0,
                    "resourcesSuppressed": 0,
                },
                "categorySpecificSummary": {},
                "flaggedResources": [
                    {
                        "status": "error",
                        "region": record.region,
                        "resourceId": token_of(ident, record.resource, length=20),
                        "isSuppressed": False,
                        "metadata": [record.region, record.target_id],
                    }
                    for record in flagged
                ],
            }
        }

    def _known(self) -> dict[str, str]:
        identifiers = sorted({rule.identifier for rule in self._recording.world.rules})
        return {_ident(name): name for name in identifiers}

    def _demand(self, caller: Caller) -> None:
        if caller.region != HOME:
            message = f"AWS Support answers in {HOME}, not in {caller.region}"
            raise ServiceError(code="UnknownOperationException", message=message)
        if caller.account in self._trouble.no_support_plan:
            message = "the account's support plan does not include this"
            raise ServiceError(code="SubscriptionRequiredException", message=message)


def _ident(identifier: str) -> str:
    return KNOWN.get(identifier, (token_of(identifier, length=10), ""))[0]


def _name(identifier: str) -> str:
    made = f"Check of {identifier.lower().replace('_', '-')}"
    return KNOWN.get(identifier, ("", made))[1]
