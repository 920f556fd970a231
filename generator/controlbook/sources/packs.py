# SPDX-License-Identifier: Apache-2.0
"""A conformance pack as it is deployed in one account, through Config.

Rules enforced here:
- Config gives no template back: rules and parameters are those of DescribeConfigRules,
  the requirements those that DescribeConformancePackCompliance names;
- a name that no pack bears is answered with the names there are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from controlbook.errors import ControlbookError
from controlbook.imports.packs import deployed
from controlbook.reading import did_you_mean

from .aws import Conversation, shared

if TYPE_CHECKING:
    from controlbook.imports import Imported
    from controlbook.model import Settings

NAMES = 25
"""How many rules one call describes."""


def deployed_pack(name: str, settings: Settings, account: str) -> Imported:
    """Read a deployed pack: in an account through the role, or in our own."""
    talk = Conversation(shared(settings.collector_role))
    place = (account, settings.region)
    packs = [
        str(row["ConformancePackName"])
        for row in talk.listing(
            "config", "describe_conformance_packs", "ConformancePackDetails", place
        )
    ]
    # An organization adds a suffix of its own to what people called the pack.
    fits = [pack for pack in packs if pack == name] or [
        pack
        for pack in packs
        if pack.removeprefix("OrgConformsPack-").startswith(f"{name}-")
    ]
    if len(fits) != 1:
        message = f"no conformance pack {name!r} is deployed"
        if fits:
            message = f"{name!r} may be {' or '.join(fits)}"
        raise ControlbookError(message, advice=did_you_mean(name, packs))
    rows = talk.listing(
        "config",
        "describe_conformance_pack_compliance",
        "ConformancePackRuleComplianceList",
        place,
        ConformancePackName=fits[0],
    )
    names = [str(row["ConfigRuleName"]) for row in rows]
    rules = [
        row
        for start in range(0, len(names), NAMES)
        for row in talk.listing(
            "config",
            "describe_config_rules",
            "ConfigRules",
            place,
            ConfigRuleNames=names[start : start + NAMES],
        )
    ]
    where = account or str(talk.ask("sts", "get_caller_identity")["Account"])
    return deployed(fits[0], rows, rules, (where, settings.region))
