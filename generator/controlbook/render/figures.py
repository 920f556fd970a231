# SPDX-License-Identifier: Apache-2.0
"""Every figure of a report as files for programs: the tables, and OSCAL.

Rules enforced here:
- what stands here follows from the report alone: `verify` derives all of it again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .data import data_files
from .oscal import oscal_files

if TYPE_CHECKING:
    from .report import Report


def figures(report: Report) -> dict[str, bytes]:
    """Write a report's data files and OSCAL documents, by path below the build."""
    tables = data_files(report)
    return {**tables, **oscal_files(report, tables)}
