# SPDX-License-Identifier: Apache-2.0
"""How far a framework is mapped, and what else the same controls speak to.

Rules enforced here:
- catalogued, mapped, reviewed and assessed are four numbers, and none stands for
  another: a proposal is mapped and not reviewed, a reason to have no control is
  reviewed and has no control;
- a rule is reached through a control that a requirement maps, proposed or reviewed; a
  team's own rule is none of AWS's, whatever its name;
- a relation between two requirements claims no more than both mappings do.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .kinds.frameworks import answered, assessable, natural
from .model import ConfigRule, MappedControl, MappingState, Relation

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from .model import Framework, Library, Requirement

Pair = tuple[str, str]
"""A requirement's number, and AWS's name of a Config rule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Numbers of one framework; headings and reasons are counted apart."""

    catalogued: int
    """Every number in the file."""
    mapped: int
    """Those with at least one control, proposed or reviewed."""
    reviewed: int
    """Those that a person answered: by a control, or with a reason to have none."""
    assessed: int
    """Those in the scope of an assessment of this programme."""
    with_rule: int
    """Those from which a rule of AWS can be reached."""
    headings: int
    """Those that only stand above others."""
    explained: int
    """Those with nothing but a reason why nothing is mapped."""
    silent: int
    """Those with neither a control, nor a reason, nor anything below them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The pairs that are reached, held against those of a reference."""

    reference: int
    reached: int
    """Pairs of the reference that are reached."""
    missing: tuple[Pair, ...]
    """Pairs of the reference that are not."""
    extra: tuple[Pair, ...]
    """Pairs that are reached and that the reference does not have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Elsewhere:
    """A requirement of any framework that a control in common speaks to as well."""

    framework: str
    number: str
    title: str
    relation: Relation
    """What this other requirement shares with the one that was asked for."""
    controls: tuple[str, ...]
    """The controls in common."""
    reviewed: bool
    """Whether both mappings of at least one control are reviewed."""


def counts(library: Library, framework: Framework) -> Counts:
    """Count how far a framework is catalogued, mapped, reviewed and assessed."""
    items = tuple(framework.requirements.values())
    parents = {item.parent for item in items}
    bare = [
        item
        for item in items
        if not (_mappings(item) or answered(item) or item.number in parents)
    ]
    return Counts(
        catalogued=len(items),
        mapped=sum(1 for item in items if _mappings(item)),
        reviewed=sum(1 for item in items if answered(item)),
        assessed=len(_assessed(library, framework)),
        with_rule=len({number for number, _ in pairs(library, framework)}),
        headings=sum(
            1
            for item in items
            if item.number in parents and not _mappings(item) and not answered(item)
        ),
        explained=sum(1 for item in bare if item.unmapped),
        silent=sum(1 for item in bare if not item.unmapped),
    )


def _assessed(library: Library, framework: Framework) -> frozenset[str]:
    known = frozenset(assessable(framework))
    return frozenset(
        number
        for assessment in library.assessments.values()
        if assessment.framework == framework.id
        for number in assessment.requirements
        if number in known
    )


def pairs(library: Library, framework: Framework) -> frozenset[Pair]:
    """Give every (requirement, rule of AWS) that is reached through a control."""
    return frozenset(
        (item.number, rule)
        for item in framework.requirements.values()
        for row in _mappings(item)
        for rule in rules_of(library, row.control)
    )


def through(library: Library, framework: Framework, pair: Pair) -> tuple[str, ...]:
    """Name the controls by which a pair is reached."""
    number, rule = pair
    item = framework.requirements.get(number)
    return tuple(
        row.control
        for row in (_mappings(item) if item else ())
        if rule in rules_of(library, row.control)
    )


def rules_of(library: Library, control: str) -> frozenset[str]:
    """Give AWS's names of the managed rules that are evidence of a control."""
    entry = library.controls.get(control)
    return frozenset(
        source.canonical_name or source.name
        for source in (entry.evidence if entry else ())
        if isinstance(source, ConfigRule)
        and not source.identifier.startswith(("custom-lambda:", "custom-guard:"))
    )


def compare(reached: Collection[Pair], reference: Collection[Pair]) -> Comparison:
    """Hold what is reached against a reference: recall and precision in pairs."""
    ours, theirs = frozenset(reached), frozenset(reference)
    return Comparison(
        reference=len(theirs),
        reached=len(ours & theirs),
        missing=tuple(sorted(theirs - ours, key=_by_number)),
        extra=tuple(sorted(ours - theirs, key=_by_number)),
    )


def _by_number(pair: Pair) -> tuple[object, str]:
    return natural(pair[0]), pair[1]


def _mappings(item: Requirement) -> tuple[MappedControl, ...]:
    """Give all mappings; a requirement made without rows has bare, reviewed ones."""
    written = item.mappings
    return written or tuple(MappedControl(control=name) for name in item.controls)


# --- one evidence set, seen from every framework ------------------------------------


def users(library: Library) -> Mapping[str, tuple[tuple[str, str, MappedControl], ...]]:
    """Give, for every control, the (framework, number, mapping) that name it."""
    found: dict[str, list[tuple[str, str, MappedControl]]] = defaultdict(list)
    for id_, framework in sorted(library.frameworks.items()):
        for number, item in framework.requirements.items():
            for row in _mappings(item):
                found[row.control].append((id_, number, row))
    return {control: tuple(rows) for control, rows in found.items()}


def elsewhere(
    library: Library,
    framework: str,
    item: Requirement,
    index: Mapping[str, tuple[tuple[str, str, MappedControl], ...]] | None = None,
) -> tuple[Elsewhere, ...]:
    """Say what else the reviewed controls of a requirement speak to, by framework.

    `index` is what `users` gives, for those who ask about many requirements.
    """
    index = users(library) if index is None else index
    shared: dict[tuple[str, str], list[tuple[MappedControl, MappedControl]]] = (
        defaultdict(list)
    )
    for own in _mappings(item):
        if own.state is MappingState.REVIEWED:
            for other_id, other_number, row in index.get(own.control, ()):
                if (other_id, other_number) != (framework, item.number):
                    shared[other_id, other_number].append((own, row))
    found = [
        Elsewhere(
            framework=other_id,
            number=other_number,
            title=library.frameworks[other_id].requirements[other_number].title,
            relation=_strongest(_composed(own, row) for own, row in rows),
            controls=tuple(own.control for own, _ in rows),
            reviewed=any(row.state is MappingState.REVIEWED for _, row in rows),
        )
        for (other_id, other_number), rows in shared.items()
    ]
    return tuple(sorted(found, key=lambda row: (row.framework, natural(row.number))))


@dataclass(frozen=True, slots=True, kw_only=True)
class Bridge:
    """A number of one framework and one of another that the same controls speak to."""

    number: str
    other: str
    relation: Relation
    """What the first covers of the second, at most."""
    reviewed: bool
    """Whether somebody stands behind both mappings of one of the controls."""
    controls: tuple[str, ...]


def between(
    library: Library, first: Framework, second: Framework
) -> tuple[Bridge, ...]:
    """Lead from the numbers of one framework to those of another.

    The nearest comes first: a control that few numbers name says more than one that
    many name.
    """
    index = {
        control: [(number, row) for id_, number, row in rows if id_ == second.id]
        for control, rows in users(library).items()
    }
    found: list[tuple[float, Bridge]] = []
    for number, item in first.requirements.items():
        shared: dict[str, list[tuple[MappedControl, MappedControl]]] = defaultdict(list)
        for own in _mappings(item):
            for other, row in index.get(own.control, ()):
                shared[other].append((own, row))
        for other, rows in shared.items():
            near = sum(1 / len(index[own.control]) for own, _ in rows)
            bridge = Bridge(
                number=number,
                other=other,
                relation=_strongest(_composed(own, row) for own, row in rows),
                reviewed=any(
                    own.state is row.state is MappingState.REVIEWED for own, row in rows
                ),
                controls=tuple(sorted(own.control for own, _ in rows)),
            )
            found.append((-near, bridge))
    found.sort(key=lambda row: (natural(row[1].number), row[0], natural(row[1].other)))
    return tuple(bridge for _, bridge in found)


_INVERSE = {
    Relation.EQUAL: Relation.EQUAL,
    Relation.SUBSET: Relation.SUPERSET,
    Relation.SUPERSET: Relation.SUBSET,
    Relation.INTERSECTS: Relation.INTERSECTS,
}
_STRENGTH = (
    Relation.EQUAL,
    Relation.SUPERSET,
    Relation.SUBSET,
    Relation.INTERSECTS,
)


def _composed(own: MappedControl, other: MappedControl) -> Relation:
    """Say what the control's requirement `own` covers of the one of `other`.

    A mapping's relation says what the *control* covers of a requirement. Covering is
    transitive in one direction: requirement ⊇ control ⊇ other requirement.
    """
    first, second = _INVERSE[own.relation], other.relation
    if first is Relation.EQUAL:
        return second
    if second in {Relation.EQUAL, first}:
        return first
    return Relation.INTERSECTS


def _strongest(relations: Iterator[Relation]) -> Relation:
    return min(relations, key=_STRENGTH.index)
