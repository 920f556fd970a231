# SPDX-License-Identifier: Apache-2.0
"""The scope of an assessment as an OSCAL assessment plan.

Rules enforced here:
- what is left out of the assessment stands here with its reason;
- there is no system security plan, since a programme holds none of its facts, and the
  plan says so where OSCAL wants it named.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from controlbook.render.facts import indexed
from controlbook.timeline import iso

from .components import COMPONENTS
from .document import Head, document, filled, line, prop, props

if TYPE_CHECKING:
    from controlbook.render.report import Report

    from .document import Ids, Node, Nodes

PLAN = "assessment-plan.json"

TOOLS = {
    "config": "AWS Config",
    "cloudtrail": "AWS CloudTrail",
    "snapshot": "Read-only AWS calls",
    "security-hub": "AWS Security Hub",
    "audit-manager": "AWS Audit Manager",
    "reviews": "Reviews of pull requests on GitHub",
}
"""Stream → where its evidence comes from."""


def assessment_plan(report: Report, ids: Ids) -> Node:
    """Write what is assessed, where, when, by whom, and what is not."""
    assessment = report.assessment
    no_plan = ids.own("resource", "no-system-security-plan")
    accounts: Nodes = [
        account_item(report, ids, number) for _, number in assessment.accounts
    ]
    return document(
        report,
        ids,
        "assessment-plan",
        Head(
            title=f"{assessment.id}: assessment plan",
            people=True,
            about=props(
                ("framework", report.framework.id),
                ("entity", assessment.entity),
                *(("region", region) for region in assessment.regions),
            ),
        ),
        {
            "import-ssp": {"href": f"#{no_plan}"},
            "local-definitions": filled({"inventory-items": accounts}),
            "reviewed-controls": reviewed(report, ids)
            | filled({"props": _left_out(report)}),
            "assessment-subjects": [
                {
                    "type": "inventory-item",
                    "include-subjects": [
                        account_subject(ids, number)
                        for _, number in assessment.accounts
                    ],
                }
            ],
            "assessment-assets": _assets(report, ids),
            "tasks": [
                {
                    "uuid": ids.own("task", "collect"),
                    "type": "action",
                    "title": "Collect evidence of the period",
                    "description": "Half-open: the end does not belong to the period.",
                    "timing": {
                        "within-date-range": {
                            "start": iso(assessment.period.start),
                            "end": iso(assessment.period.end),
                        }
                    },
                }
            ],
            "back-matter": {"resources": [_no_plan(no_plan)]},
        },
    )


def reviewed(report: Report, ids: Ids) -> Node:
    """Choose the numbers in scope, as plan and results demand."""
    chosen: Nodes = [
        {"control-id": ids.controls[number]}
        for number in report.assessment.requirements
    ]
    return {"control-selections": [filled({"include-controls": chosen})]}


def account_item(report: Report, ids: Ids, account: str) -> Node:
    """Describe an account of the scope."""
    name = report.assessment.account_name(account)
    return {
        "uuid": ids.lasting("account", account),
        "description": line(f"AWS account {account} ({name})"),
        "props": [
            {"name": "asset-id", "value": account},
            prop("account-name", name),
        ],
    }


def account_subject(ids: Ids, account: str) -> Node:
    """Refer to an account of the scope."""
    return {"subject-uuid": ids.lasting("account", account), "type": "inventory-item"}


def _left_out(report: Report) -> Nodes:
    return [
        prop("excluded", number, remarks=reason)
        for number, reason in report.assessment.excluded
    ]


def _assets(report: Report, ids: Ids) -> Node:
    """Name the streams that the evidence came by."""
    used = {
        stream: runs
        for stream in sorted(report.ledger.runs)
        if (runs := indexed(report.ledger, report.assessment, stream))
    }
    uses: Nodes = [{"component-uuid": ids.lasting("stream", stream)} for stream in used]
    return filled(
        {
            "components": [
                {
                    "uuid": ids.lasting("stream", stream),
                    "type": "service",
                    "title": TOOLS.get(stream, stream),
                    "description": f"Source of the evidence stream {stream}.",
                    "props": props(
                        ("stream", stream),
                        ("endpoint", runs[-1].endpoint),
                        ("runs", len(runs)),
                    ),
                    "status": {"state": "operational"},
                }
                for stream, runs in used.items()
            ],
            "assessment-platforms": [
                filled(
                    {
                        "uuid": ids.lasting("platform"),
                        "title": "controlbook",
                        "uses-components": uses,
                    }
                )
            ],
        }
    )


def _no_plan(uuid: str) -> Node:
    return {
        "uuid": uuid,
        "title": "No system security plan",
        "description": "A controlbook programme keeps no system security plan. What it"
        " knows of the system stands in the component definition.",
        "props": [prop("no-oscal-ssp", "yes")],
        "rlinks": [{"href": COMPONENTS, "media-type": "application/oscal+json"}],
    }
