# SPDX-License-Identifier: Apache-2.0
"""Which AWS Config rule a Security Hub control rests on.

Rules enforced here:
- only controls that AWS evaluates by one managed rule are named; of the others nothing
  is compared.
"""

from __future__ import annotations

import csv
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from .managed_rules import find

if TYPE_CHECKING:
    from collections.abc import Mapping


@cache
def _table() -> Mapping[str, str]:
    source = files("controlbook.data").joinpath("securityhub_controls.csv")
    rows = csv.DictReader(source.read_text("utf-8").splitlines())
    return {row["control"]: row["rule"] for row in rows}


def known() -> tuple[str, ...]:
    """List the controls that this version knows; AWS adds some every month."""
    return tuple(_table())


def rule_of(control: str) -> str:
    """Give the identifier of the managed rule behind a control, or nothing."""
    rule = find(_table().get(control, ""))
    return rule.identifier if rule else ""
