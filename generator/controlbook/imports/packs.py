# SPDX-License-Identifier: Apache-2.0
"""Conformance packs: as templates, and as Config says that they are deployed.

Rules enforced here:
- a rule is its SourceIdentifier; its parameters are those that a deployment with the
  template's defaults would have;
- a rule that AWS does not manage, as far as the package knows, is not taken and named;
- a pack's template says nothing of requirements; a deployed pack may.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from controlbook.digest import sha256
from controlbook.managed_rules import find, recognise
from controlbook.model import ConfigRule

from . import Imported, Pair, owner_of_text, slug
from .cloudformation import NoValue, Template, Unknown, read

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .cloudformation import Value

RULE = "AWS::Config::ConfigRule"
_IDENTIFIER = re.compile(r"[A-Z0-9_]{1,256}\Z")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,128}\Z")


def template(data: bytes, name: str, given: Mapping[str, str]) -> Imported:
    """Read a conformance pack's template, with the parameters given."""
    found = Template.of(read(data, name), given, name)
    rules: dict[str, ConfigRule] = {}
    notes: list[str] = []
    others: dict[str, int] = {}
    for logical, resource in found.resources.items():
        kind = str(resource.get("Type", ""))
        if kind != RULE:
            others[kind] = others.get(kind, 0) + 1
            continue
        rule, said = _rule(found, logical, resource)
        notes += said
        if rule is not None:
            notes += _twice(rules, rule)
            rules.setdefault(rule.key, rule)
    notes += [
        f"{count} × {kind}: not a rule, left out" for kind, count in others.items()
    ]
    title = name.rpartition("/")[2].rpartition(".")[0] or name
    return Imported(
        key=slug(title),
        source=f"conformance pack {name.rpartition('/')[2]}, sha256 {sha256(data)}",
        title=title.replace("-", " "),
        marked=owner_of_text(title),
        evidence=tuple(rules.values()),
        notes=tuple(notes),
    )


def _rule(
    found: Template, logical: str, resource: Mapping[str, Any]
) -> tuple[ConfigRule | None, list[str]]:
    condition = resource.get("Condition")
    if isinstance(condition, str):
        holds = found.holds(condition)
        if isinstance(holds, Unknown):
            return None, [f"{logical}: not taken, {holds.why}"]
        if not holds:
            return None, [f"{logical}: not taken, its condition {condition} is false"]
    properties = resource.get("Properties")
    if not isinstance(properties, dict):
        return None, [f"{logical}: not taken, it has no properties"]
    name = found.value(properties.get("ConfigRuleName", logical))
    source = found.value(properties.get("Source", {}))
    parameters, notes = _parameters(
        logical, found.value(properties.get("InputParameters", {}))
    )
    if isinstance(name, (Unknown, NoValue)) or not isinstance(name, str):
        name = logical
    if not isinstance(source, dict):
        return None, [f"{logical}: not taken, its source is unknown"]
    owner, identifier = source.get("Owner"), source.get("SourceIdentifier")
    rule, why = config_rule(name, owner, identifier, parameters)
    return rule, [*notes, f"{logical}: not taken, {why}"] if why else notes


def config_rule(
    name: str,
    owner: object,
    identifier: object,
    parameters: Mapping[str, str],
) -> tuple[ConfigRule | None, str]:
    """Give the evidence that a deployed rule is, or why it is none that we know."""
    given = tuple(sorted(parameters.items()))
    if owner in {"CUSTOM_LAMBDA", "CUSTOM_POLICY"}:
        kind = "lambda" if owner == "CUSTOM_LAMBDA" else "guard"
        bare = recognise(name)[0] if "-conformance-pack-" in name else name
        if not _NAME.match(bare):
            return None, f"{bare!r} is no rule name"
        return (
            ConfigRule(name=bare, identifier=f"custom-{kind}:{bare}", parameters=given),
            "",
        )
    if owner != "AWS" or not isinstance(identifier, str):
        return None, "its source is neither AWS nor custom, or known only when deployed"
    managed = find(identifier)
    if managed is None or not _IDENTIFIER.match(identifier):
        return None, f"AWS's rule {identifier} is not in the package's list"
    return (
        ConfigRule(name=managed.name, identifier=managed.identifier, parameters=given),
        "",
    )


def _parameters(logical: str, value: Value) -> tuple[dict[str, str], list[str]]:
    if isinstance(value, str):
        try:
            value = json.loads(value or "{}")
        except ValueError:
            return {}, [f"{logical}: its InputParameters are no JSON, left out"]
    if isinstance(value, Unknown):
        return {}, [f"{logical}: parameters left out, {value.why}"]
    if not isinstance(value, dict):
        return {}, []
    taken: dict[str, str] = {}
    notes = []
    for key, found in value.items():
        if isinstance(found, str) and found.strip():
            taken[key] = found
        elif isinstance(found, Unknown):
            notes.append(f"{logical}: parameter {key} left out, {found.why}")
        elif not isinstance(found, str):
            taken[key] = json.dumps(found, separators=(",", ":"))
    return taken, notes


def _twice(rules: Mapping[str, ConfigRule], rule: ConfigRule) -> list[str]:
    other = rules.get(rule.key)
    if other is None or other.parameters == rule.parameters:
        return []
    return [f"{rule.name} stands twice with different parameters: the first was taken"]


def deployed(
    pack: str,
    compliance: Iterable[Mapping[str, Any]],
    rules: Iterable[Mapping[str, Any]],
    place: tuple[str, str],
) -> Imported:
    """Read a deployed pack: rows of its compliance, and of DescribeConfigRules."""
    by_name = {str(row.get("ConfigRuleName")): row for row in rules}
    evidence: dict[str, ConfigRule] = {}
    pairs: set[Pair] = set()
    notes: list[str] = []
    for row in compliance:
        name = str(row["ConfigRuleName"])
        described = by_name.get(name)
        if described is None:
            notes.append(f"{name}: not taken, DescribeConfigRules does not know it")
            continue
        source = described.get("Source", {})
        parameters, said = _parameters(name, described.get("InputParameters") or {})
        notes += said
        rule, why = config_rule(
            name, source.get("Owner"), source.get("SourceIdentifier"), parameters
        )
        if rule is None:
            notes.append(f"{name}: not taken, {why}")
            continue
        notes += _twice(evidence, rule)
        evidence.setdefault(rule.key, rule)
        pairs |= {Pair(number=n, evidence=rule.key) for n in row.get("Controls", ())}
    if evidence and not pairs:
        notes.append("the pack names no requirements: only rules were taken")
    account, region = place
    return Imported(
        key=slug(pack),
        source=f"conformance pack {pack}, as deployed in {account} {region}",
        title=pack,
        marked=owner_of_text(pack),
        evidence=tuple(evidence.values()),
        pairs=tuple(sorted(pairs)),
        notes=tuple(notes),
    )
