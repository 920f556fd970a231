# SPDX-License-Identifier: Apache-2.0
"""From what a source holds to what stands in the programme's files.

Rules enforced here:
- nothing that people wrote is replaced: titles, statements, parameters, answers and
  mappings stay; what the source says otherwise is a note;
- a rule that a control already names is not given a second control;
- a mapping comes in as proposed, with its source: no assessment rests on it before
  somebody reviewed it;
- a title is the source's own only where its text is free; else it is one of ours, from
  a framework of the same family, and else the number.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from controlbook.editing import edited, insert_sorted, listing, table, text
from controlbook.editors import modeline
from controlbook.errors import ControlbookError
from controlbook.kinds.frameworks import natural
from controlbook.model import (
    ConfigRule,
    EventQuery,
    ManualDocument,
    SecurityHubControl,
    Snapshot,
)
from controlbook.reading import id_flaw
from controlbook.yamlwriter import flow_mapping, quoted

from . import Item, slug

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from controlbook.model import (
        Control,
        EvidenceSource,
        Framework,
        Library,
    )

    from . import Imported

    Files = Mapping[str, bytes]

RELATION = "intersects"
"""The weakest claim: that a rule speaks to a requirement says no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where an import goes."""

    framework: str = ""
    """Id of the framework that takes numbers and mappings; empty: controls only."""
    title: str = ""
    """Title of the framework, if the import makes it."""
    owner: str = ""
    """Owner of the controls that the import makes."""
    under: str = ""
    """A number that every rule is mapped to, where the source names none."""


@dataclass(slots=True, kw_only=True)
class Plan:
    """The files as they shall be, and what the reader of the difference should know."""

    files: dict[str, bytes] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    controls: int = 0
    """New controls."""
    present: int = 0
    """Pieces of evidence that a control already names."""
    requirements: int = 0
    mappings: int = 0


def plan(imported: Imported, library: Library, files: Files, target: Target) -> Plan:
    """Work out which files an import writes or edits."""
    made = Plan(notes=list(imported.notes))
    if imported.marked:
        made.notes.append(
            f"the text belongs to {imported.marked}: numbers and rules were taken, "
            "titles and descriptions were not"
        )
    controls = _controls(imported, library, target, made)
    if target.framework:
        _framework(imported, library, files, target, controls, made)
    elif imported.items or imported.pairs:
        made.notes.append("numbers and mappings were left out: give --framework")
    return made


# --- controls -------------------------------------------------------------------


def _controls(
    imported: Imported, library: Library, target: Target, made: Plan
) -> dict[str, tuple[str, ...]]:
    """Give the controls that name each piece of evidence, the closest one first.

    Where there is none, one is planned.
    """
    found: dict[str, tuple[str, ...]] = {}
    taken = {control_id.casefold() for control_id in library.controls}
    for source in imported.evidence:
        naming = _naming(library.controls.values(), source)
        if naming:
            made.present += 1
            made.notes += _other_parameters(naming[0], source)
            found[source.key] = tuple(control.id for control in naming)
            continue
        name = _free(_id_of(source), taken)
        taken.add(name.casefold())
        if not target.owner:
            message = f"no control names {source.key}, and a new one needs an owner"
            advice = "give --owner, a person or team of people.yml"
            raise ControlbookError(message, place="--owner", advice=advice)
        made.files[f"controls/{name}.yml"] = _control(name, source, target.owner)
        made.controls += 1
        found[source.key] = (name,)
    return found


def _naming(controls: Iterable[Control], source: EvidenceSource) -> list[Control]:
    """List the controls that name some evidence, those that name least else first."""
    close = [c for c in controls if any(_same(own, source) for own in c.evidence)]
    return sorted(close, key=lambda c: (len(c.evidence), c.id))


def _other_parameters(control: Control, source: EvidenceSource) -> Iterator[str]:
    """Say where a control demands other parameters than the source has."""
    own = next(each for each in control.evidence if _same(each, source))
    if not isinstance(own, ConfigRule) or not isinstance(source, ConfigRule):
        return
    mine, theirs = dict(own.parameters), dict(source.parameters)
    for name in sorted(mine.keys() & theirs.keys()):
        if mine[name] != theirs[name]:
            yield (
                f"{control.path}: demands {name} = {mine[name]} of {own.name}, the "
                f"source has {theirs[name]}: left as it is"
            )
    if theirs and not mine:
        pairs = ", ".join(f"{k}={v}" for k, v in sorted(theirs.items()))
        yield (
            f"{control.path}: demands no parameters of {own.name}, the source has "
            f"{pairs}: left as it is"
        )


def _same(one: EvidenceSource, other: EvidenceSource) -> bool:
    if isinstance(one, ConfigRule) and isinstance(other, ConfigRule):
        return one.identifier == other.identifier
    return one.key == other.key


def _id_of(source: EvidenceSource) -> str:
    if isinstance(source, ConfigRule):
        return source.name if not id_flaw(source.name) else slug(source.name)
    return slug(source.key.partition(":")[2])


def _free(name: str, taken: set[str]) -> str:
    if name.casefold() not in taken:
        return name
    number = 2
    while f"{name[:60]}-{number}".casefold() in taken:
        number += 1
    return f"{name[:60]}-{number}"


def _control(name: str, source: EvidenceSource, owner: str) -> bytes:
    path = f"controls/{name}.yml"
    lines = [
        f"id: {quoted(name)}",
        f"title: {quoted(_title_of(source))}",
        "statement: |",
        f"  {_statement_of(source)}",
        f"owner: {quoted(owner)}",
        "evidence:",
        *_evidence_lines(source),
    ]
    return (modeline(path) + "\n".join(lines) + "\n").encode()


_SHOUTED = re.compile(
    r"acl|acm|api|aws|cmk|dms|dns|eb|ebs|ec2|ecr|ecs|efs|eks|elb|emr|iam|ip|kms|mfa|rds"
    r"|s3|sns|sqs|ssh|ssl|ssm|tls|vpc|waf"
)


def _title_of(source: EvidenceSource) -> str:
    """Make a title of a rule's name: words, with AWS's abbreviations in capitals."""
    words = re.split(r"[-_:.]+", source.key.partition(":")[2])
    shown = [word.upper() if _SHOUTED.fullmatch(word) else word for word in words]
    title = " ".join(filter(None, shown))
    return title[:1].upper() + title[1:]


def _statement_of(source: EvidenceSource) -> str:
    match source:
        case ConfigRule():
            return (
                f"AWS Config's rule {source.name} finds every resource that it judges "
                "compliant, in every account in scope."
            )
        case EventQuery():
            return f"Events {source.event} of {source.source} are known and looked at."
        case Snapshot():
            return f"The answer of {source.call} is kept, and somebody reads it."
        case SecurityHubControl():
            return f"Security Hub's control {source.control} passes in every account."
        case ManualDocument():
            return f"The document {source.document} is kept and up to date."


def _evidence_lines(source: EvidenceSource) -> list[str]:
    match source:
        case ConfigRule():
            lines = [f"  - config: {quoted(source.name)}"]
            if source.identifier.startswith("custom-"):
                kind = source.identifier.partition(":")[0].removeprefix("custom-")
                lines.append(f"    custom: {quoted(kind)}")
            if source.parameters:
                lines.append("    parameters:")
                lines += [
                    f"      {quoted(k)}: {quoted(v)}" for k, v in source.parameters
                ]
            return lines
        case EventQuery():
            fields = {
                "source": source.source,
                "event": source.event,
                "expect": source.expect,
            }
            return [f"  - cloudtrail: {flow_mapping(fields)}"]
        case _:
            kind, _, what = source.key.partition(":")
            return [f"  - {kind}: {quoted(what)}"]


# --- the framework ----------------------------------------------------------------


def _framework(
    imported: Imported,
    library: Library,
    files: Files,
    target: Target,
    controls: Mapping[str, tuple[str, ...]],
    made: Plan,
) -> None:
    if flaw := id_flaw(target.framework):
        raise ControlbookError(flaw, place="--framework")
    path = f"frameworks/{target.framework}.yml"
    known = library.frameworks.get(target.framework)
    data = files.get(path)
    if data is None or known is None:
        data = _empty(path, imported, target)
    wanted = _wanted(imported, target, controls, known)
    items = {item.number: item for item in imported.items}
    for number in wanted:
        items.setdefault(number, Item(number=number))
    titled = partial(_titled, library, target.framework)
    sources = dict(known.sources) if known else {}

    def edit(tree: Any) -> None:  # noqa: ANN401 - ruamel has no types
        requirements = tree["requirements"]
        if requirements is None or isinstance(requirements, str):
            requirements = tree["requirements"] = table({})
        if not requirements:
            requirements.fa.set_block_style()
        _add_items(requirements, items, titled, made)
        for number, claims in wanted.items():
            rows = _lacking(requirements[number], known, number, claims, made)
            keyed = [(control, _key_of(sources, said)) for control, said in rows]
            _add_mappings(requirements[number], keyed)
            made.mappings += len(keyed)
        _add_sources(tree, sources)

    after = edited(path, data, edit)
    if after != files.get(path) and items:
        made.files[path] = after


def _empty(path: str, imported: Imported, target: Target) -> bytes:
    """Write a framework file without requirements."""
    title = target.title or imported.title
    head = [modeline(path).rstrip("\n"), f"id: {quoted(target.framework)}"]
    head.append(f"title: {quoted(title)}")
    if imported.marked:
        license_ = f"{imported.marked} keeps the text: numbers only, titles are ours"
        head.append(f"license: {quoted(license_)}")
    return ("\n".join([*head, "requirements: {}"]) + "\n").encode()


def _wanted(
    imported: Imported,
    target: Target,
    controls: Mapping[str, tuple[str, ...]],
    known: Framework | None,
) -> dict[str, dict[str, str]]:
    """Give, for each number, the controls that the source pairs with it, and who says.

    A pair that some control already stands for is there; of several who say the same,
    the first in the alphabet is named.
    """
    found: dict[str, dict[str, str]] = {}
    for pair in sorted(imported.pairs):
        claims = found.setdefault(pair.number, {})
        naming = controls[pair.evidence]
        if not mapped_controls(known, pair.number) & {*naming}:
            claims.setdefault(naming[0], pair.source or imported.source)
    if target.under and not imported.pairs:
        every = sorted({naming[0] for naming in controls.values()})
        found[target.under] = dict.fromkeys(every, imported.source)
    return {number: found[number] for number in sorted(found, key=natural)}


def mapped_controls(known: Framework | None, number: str) -> set[str]:
    """Give the controls that a framework maps to a number, in whatever state."""
    own = known.requirements.get(number) if known else None
    return {mapped.control for mapped in own.mappings} if own else set()


def _titled(library: Library, framework: str, item: Item) -> str:
    """Give an item's title: the source's, else ours of the same family, else none."""
    if item.title:
        return item.title
    family = _family(framework)
    for name in sorted(library.frameworks):
        known = library.frameworks[name].requirements.get(item.number)
        if _family(name) == family and known is not None:
            return known.title
    return ""


def _family(framework: str) -> str:
    """Give a framework's name without its version: `pci-dss` of `pci-dss-3.2.1`."""
    return re.split(r"-v?\d+(?:\.\d+)*\Z|-r\d+\Z|-\d{4}\Z", framework)[0]


def _add_items(
    requirements: Any,  # noqa: ANN401 - ruamel has no types
    items: Mapping[str, Item],
    titled: Any,  # noqa: ANN401 - a partial
    made: Plan,
) -> None:
    untitled = []
    for number in sorted(items, key=natural):
        if number in requirements:
            continue
        item = items[number]
        title = titled(item)
        if not title:
            untitled.append(number)
        row = {"title": title or number}
        if item.parent and (item.parent in items or item.parent in requirements):
            row["parent"] = item.parent
        insert_sorted(requirements, number, table(row), natural)
        made.requirements += 1
    if untitled:
        few = ", ".join(untitled[:5]) + (", …" if len(untitled) > 5 else "")  # noqa: PLR2004 - enough to recognise
        made.notes.append(
            f"{len(untitled)} numbers stand in for their titles, which you write: {few}"
        )


def _lacking(
    row: Any,  # noqa: ANN401 - ruamel has no types
    known: Framework | None,
    number: str,
    claims: Mapping[str, str],
    made: Plan,
) -> list[tuple[str, str]]:
    """Give the claims that a requirement does not hold, if it takes mappings at all."""
    there = mapped_controls(known, number)
    lacking = [(name, said) for name, said in claims.items() if name not in there]
    if not lacking:
        return []
    for answer in ("inherited", "not-applicable", "unmapped"):
        if answer in row:
            made.notes.append(f"{number}: says {answer}, so nothing was mapped to it")
            return []
    return lacking


def _add_mappings(row: Any, keyed: Iterable[tuple[str, str]]) -> None:  # noqa: ANN401 - ruamel has no types
    """Add proposed mappings to one requirement, one a line."""
    for control, source in keyed:
        if "controls" not in row:
            row["controls"] = listing(())
        row["controls"].fa.set_block_style()
        mapping = {
            "control": control,
            "relation": RELATION,
            "source": source,
            "state": "proposed",
        }
        row["controls"].append(table(mapping, inline=True))


def _key_of(sources: dict[str, str], source: str) -> str:
    """Give the key under which a framework names a source, a new one if need be."""
    for key, known in sources.items():
        if known == source:
            return key
    name = slug(source.partition(", sha256")[0]) or "import"
    key = _free(name, {key.casefold() for key in sources})
    sources[key] = source
    return key


def _add_sources(tree: Any, sources: Mapping[str, str]) -> None:  # noqa: ANN401 - ruamel has no types
    if "sources" not in tree:
        if sources:
            place = list(tree).index("requirements")
            tree.insert(place, "sources", table(sources))
        return
    for key, source in sources.items():
        if key not in tree["sources"]:
            tree["sources"][key] = text(source)
