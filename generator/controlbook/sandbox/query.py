# SPDX-License-Identifier: Apache-2.0
"""The little of AWS Config's SQL that the aggregator's query needs.

Rules enforced here:
- `SELECT field, … WHERE field op 'value' AND …`, nothing else; what is not understood
  is InvalidExpressionException, never an empty answer;
- every comparison is of strings, as the published query schema types the fields.
"""

from __future__ import annotations

import operator
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .items import COMPLIANCE, compact, configuration, iso_millis
from .protocol import ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .recording import Record

RULES = "configRuleList"

FIELDS = (
    "accountId",
    "awsRegion",
    "resourceId",
    "resourceType",
    "resourceName",
    "configurationItemCaptureTime",
    "configurationItemStatus",
    "configurationStateId",
    "version",
    "configuration",
    "configuration.targetResourceType",
    "configuration.targetResourceId",
    "configuration.complianceType",
    "configuration.configRuleList",
)

_SELECT = re.compile(
    r"\s*SELECT\s+(.+?)\s+WHERE\s+(.+?)\s*;?\s*\Z", re.IGNORECASE | re.DOTALL
)
_CONDITION = re.compile(
    r"([\w.]+)\s*(<=|>=|!=|<>|=|<|>)\s*'((?:[^']|'')*)'\s*", re.DOTALL
)
_IN = re.compile(
    r"([\w.]+)\s+IN\s*\(\s*('[^']*'(?:\s*,\s*'[^']*')*)\s*\)\s*", re.IGNORECASE
)
_AND = re.compile(r"AND\s+", re.IGNORECASE)

_OPERATORS: Mapping[str, Callable[[str, str], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<>": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}


@dataclass(frozen=True, slots=True)
class Condition:
    """One comparison of the WHERE clause."""

    field: str
    holds: Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Query:
    """A parsed query over configuration items."""

    fields: tuple[str, ...]
    conditions: tuple[Condition, ...]

    def selects(self, record: Record) -> bool:
        """Tell whether every condition holds for a record."""
        return all(each.holds(_text(record, each.field)) for each in self.conditions)

    def row(self, record: Record) -> str:
        """Give the record's row as a JSON string."""
        settings = configuration(record)
        flat = {**_plain(record), "configuration": settings}
        found: dict[str, Any] = {}  # JSON of the fields asked for
        for field in self.fields:
            head, _, member = field.partition(".")
            if member:
                found.setdefault(head, {})[member] = settings[member]
            else:
                found[field] = flat[field]
        return compact(found)


def _plain(record: Record) -> dict[str, str]:
    return {
        "accountId": record.account,
        "awsRegion": record.region,
        "resourceId": record.resource,
        "resourceType": COMPLIANCE,
        "resourceName": "",
        "configurationItemCaptureTime": iso_millis(record.at),
        "configurationItemStatus": record.status,
        "configurationStateId": str(record.at),
        "version": "1.3",
    }


def _text(record: Record, field: str) -> str:
    """Give a property as the text that a condition compares."""
    head, _, member = field.partition(".")
    if head != "configuration":
        return _plain(record)[field]
    settings = configuration(record)
    return compact(settings[member]) if member == RULES else str(settings[member])


def parse(expression: str) -> Query:
    """Read a query; raises InvalidExpressionException for what is beyond us."""
    match = _SELECT.match(expression)
    if not match:
        raise _invalid(why="expected SELECT … WHERE …")
    fields = tuple(field.strip() for field in match[1].split(","))
    for field in fields:
        _known(field)
    return Query(fields, tuple(_conditions(match[2])))


def _conditions(text: str) -> list[Condition]:
    found = []
    position = 0
    while True:
        if match := _CONDITION.match(text, position):
            found.append(_comparison(match[1], match[2], match[3].replace("''", "'")))
        elif match := _IN.match(text, position):
            values = frozenset(re.findall(r"'([^']*)'", match[2]))
            found.append(
                Condition(_known(match[1], condition=True), values.__contains__)
            )
        else:
            raise _invalid(why=f"not understood at {text[position : position + 40]!r}")
        position = match.end()
        if position == len(text):
            return found
        joint = _AND.match(text, position)
        if not joint:
            raise _invalid(why=f"expected AND at {text[position : position + 40]!r}")
        position = joint.end()


def _comparison(field: str, sign: str, value: str) -> Condition:
    compare = _OPERATORS[sign]
    return Condition(_known(field, condition=True), lambda found: compare(found, value))


def _known(field: str, *, condition: bool = False) -> str:
    if field not in FIELDS or (condition and field == "configuration"):
        raise _invalid(why=f"the sandbox knows no property {field!r}")
    return field


def _invalid(*, why: str) -> ServiceError:
    return ServiceError(code="InvalidExpressionException", message=why)
