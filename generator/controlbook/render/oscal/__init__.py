# SPDX-License-Identifier: Apache-2.0
"""One assessment as OSCAL documents, for tools that speak it.

Rules enforced here:
- the documents follow from the report alone, as the tables do: `verify` derives them
  again and compares them to the byte;
- they lead to the other files of the bundle by relative path and SHA-256.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from controlbook.digest import canonical, sha256

from .catalog import CATALOG, catalog, profile
from .components import COMPONENTS, component_definition
from .document import NAMESPACE, VERSION, Ids
from .plan import PLAN, assessment_plan
from .results import RESULTS, assessment_results
from .risks import POAM, plan_of_action

if TYPE_CHECKING:
    from collections.abc import Mapping

    from controlbook.render.report import Report

__all__ = ["NAMESPACE", "VERSION", "oscal_files"]


def oscal_files(report: Report, data: Mapping[str, bytes]) -> dict[str, bytes]:
    """Write a report as OSCAL, by path below the build; `data` are its data files."""
    ids = Ids.of(report)
    digests = {path: sha256(body) for path, body in data.items()}
    found = {
        CATALOG: catalog(report, ids),
        "profile.json": profile(report, ids),
        COMPONENTS: component_definition(report, ids),
        PLAN: assessment_plan(report, ids),
        RESULTS: assessment_results(report, ids, digests),
        POAM: plan_of_action(report, ids, digests),
    }
    return {
        f"oscal/{name}": canonical(node)
        for name, node in found.items()
        if node is not None
    }
