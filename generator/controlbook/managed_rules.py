# SPDX-License-Identifier: Apache-2.0
"""AWS's managed Config rules: which names mean which rule.

Rules enforced here:
- a rule is its identifier; names are only ways to say it;
- the whole name is tried before anything is cut off it, since cutting damages names;
- a rule recognised by its name alone says so.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagedRule:
    """One rule that AWS manages, as far as the package knows it."""

    name: str
    identifier: str
    trigger: str
    """change | periodic | both, or empty where it is not known."""
    resource_types: tuple[str, ...]
    aliases: tuple[str, ...]


@cache
def managed_rules() -> Mapping[str, ManagedRule]:
    """Give every known managed rule by its own name."""
    text = files(f"{__package__}.data").joinpath("managed_rules.csv").read_text("utf-8")
    return {
        row["rule_name"]: ManagedRule(
            name=row["rule_name"],
            identifier=row["identifier"],
            trigger=row["trigger"],
            resource_types=tuple(filter(None, row["resource_types"].split(";"))),
            aliases=tuple(filter(None, row["aliases"].split(";"))),
        )
        for row in csv.DictReader(text.splitlines())
    }


@cache
def _spellings() -> Mapping[str, ManagedRule]:
    rules = managed_rules().values()
    found = {alias: rule for rule in rules for alias in rule.aliases}
    found |= {rule.identifier: rule for rule in rules}
    return found | {rule.name: rule for rule in rules}


def find(name: str) -> ManagedRule | None:
    """Find a managed rule by its name, a usual other name, or its identifier."""
    return _spellings().get(name)


def names() -> tuple[str, ...]:
    """List every name that `find` knows, for suggestions."""
    return tuple(_spellings())


_PACK = re.compile(r"-conformance-pack-[A-Za-z0-9]+\Z")
_PREFIX = re.compile(r"\A(?:securityhub-|OrgConfigRule-|AWSControlTower_)")
_SUFFIX = re.compile(r"-[a-z0-9]{6,8}\Z")


def recognise(deployed_as: str, identifier: str = "") -> tuple[str, str]:
    """Give a deployed rule's own name, and whether `identifier` or `name` told it.

    `identifier` is the SourceIdentifier of a rule that AWS manages, where it is known.
    """
    rule = find(identifier) if identifier else None
    if rule:
        return rule.name, "identifier"
    for candidate in _without_additions(deployed_as):
        rule = find(candidate)
        if rule:
            return rule.name, "name"
    # A team's own rule: cut only what cannot be part of the name.
    bare = _PACK.sub("", deployed_as)
    if _PREFIX.match(bare):
        return _SUFFIX.sub("", _PREFIX.sub("", bare)), "name"
    return bare, "name"


def _without_additions(deployed_as: str) -> Iterator[str]:
    """Yield the name with more and more of the additions of packs and services cut."""
    yield deployed_as
    bare = _PACK.sub("", deployed_as)
    yield bare
    unprefixed = _PREFIX.sub("", bare)
    yield unprefixed
    yield _SUFFIX.sub("", bare)
    yield _SUFFIX.sub("", unprefixed)
