# SPDX-License-Identifier: Apache-2.0
"""An assessment against the last period: what it rests on, and what came of it.

Rules enforced here (T44, auditors.md 3 and 4):
- the last period is the latest assessment of the same framework that ended before or
  with this one's start;
- it is taken as it was released, or as it stood when its files last changed: never by
  today's mapping, or what went since would go from both;
- what is lost (a rule, a control, a place, a requirement) is told apart from what came,
  with the deviations that nobody has to explain any more because of it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .model import ConfigRule, EventQuery, Snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .model import (
        Assessment,
        EvidenceSource,
        Findings,
        Library,
        Requirement,
        RequirementStatus,
    )

WHOLE = ""
"""In place of a requirement's number: the assessment as a whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """One assessment with the files that stood for it."""

    assessment: Assessment
    library: Library
    findings: Findings | None = None
    """None where nobody asks what came of it."""
    statuses: Mapping[str, RequirementStatus] | None = None

    def requirement(self, number: str) -> Requirement | None:
        """Give a requirement in its scope."""
        framework = self.library.frameworks[self.assessment.framework]
        found = framework.requirements.get(number)
        return found if number in self.assessment.requirements else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One thing that was otherwise in the last period."""

    requirement: str
    """Its number, or WHOLE."""
    what: str
    then: str
    """Empty: it was not there."""
    now: str
    """Empty: it is not there any more."""
    lost: bool = False
    """Less is looked at than in the last period."""
    remark: str = ""

    @property
    def words(self) -> str:
        """Say it in one line."""
        about = f"{self.requirement}: " if self.requirement else ""
        if not self.now:
            said = f"{self.what} {self.then} is gone"
        elif not self.then:
            said = f"{self.what} {self.now} is new"
        else:
            said = f"{self.what} {self.then} → {self.now}"
        return f"{about}{said}{f' ({self.remark})' if self.remark else ''}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prior:
    """The last period, and every difference to it."""

    assessment: str
    taken_at: str
    """The release, or the commit, that it was taken at."""
    differences: tuple[Difference, ...]
    unread: str = ""
    """Why it cannot be compared; empty where it can."""

    def of(self, requirement: str) -> tuple[Difference, ...]:
        """Give the differences of one requirement, or of the WHOLE."""
        return tuple(d for d in self.differences if d.requirement == requirement)

    @property
    def lost(self) -> tuple[Difference, ...]:
        """Give what is no longer looked at."""
        return tuple(d for d in self.differences if d.lost)


def prior_of(library: Library, assessment: Assessment) -> Assessment | None:
    """Choose the last period of an assessment; None where it is the first."""
    earlier = [
        other
        for other in library.assessments.values()
        if other.framework == assessment.framework
        and other.id != assessment.id
        and other.period.end <= assessment.period.start
    ]
    return max(
        earlier, key=lambda a: (a.period.end, a.period.start, a.id), default=None
    )


def against(old: Period, new: Period) -> tuple[Difference, ...]:
    """List every difference: scope first, then the requirements in their order."""
    order = new.library.frameworks[new.assessment.framework].requirements
    numbers = dict.fromkeys(
        (*old.assessment.requirements, *new.assessment.requirements)
    )
    places = {number: place for place, number in enumerate(order)}
    return (
        *_scope(old.assessment, new.assessment),
        *(
            row
            for number in sorted(numbers, key=lambda n: (places.get(n, -1), n))
            for row in _requirement(old, new, number)
        ),
    )


def _scope(old: Assessment, new: Assessment) -> Iterator[Difference]:
    accounts = {number: f"{number} ({name})" for name, number in old.accounts}
    accounts_now = {number: f"{number} ({name})" for name, number in new.accounts}
    yield from _sets(WHOLE, "account", accounts, accounts_now)
    yield from _sets(
        WHOLE,
        "Region",
        {region: region for region in old.regions},
        {region: region for region in new.regions},
    )


def _requirement(old: Period, new: Period, number: str) -> Iterator[Difference]:
    before, after = old.requirement(number), new.requirement(number)
    if before is None or after is None:
        yield Difference(
            requirement=number,
            what="requirement",
            then="" if before is None else "in scope",
            now="" if after is None else "in scope",
            lost=after is None,
        )
        return
    yield from _sets(
        number,
        "control",
        {name: name for name in before.controls},
        {name: name for name in after.controls},
    )
    yield from _sets(
        number,
        "evidence",
        _evidence(old.library, before),
        _evidence(new.library, after),
        _unmapped(old.library, before, new),
    )
    yield from _came_of_it(old, new, number)


def _sets(
    number: str,
    what: str,
    then: Mapping[str, str],
    now: Mapping[str, str],
    remarks: Mapping[str, str] | None = None,
) -> Iterator[Difference]:
    for key in dict.fromkeys((*then, *now)):
        was, is_ = then.get(key, ""), now.get(key, "")
        if was != is_:
            yield Difference(
                requirement=number,
                what=what,
                then=was,
                now=is_,
                # Other parameters may ask for less, which nobody can tell from here.
                lost=bool(was),
                remark="" if is_ else (remarks or {}).get(key, ""),
            )


def _sources(library: Library, item: Requirement) -> Iterator[EvidenceSource]:
    for control in item.controls:
        yield from library.controls[control].evidence


def _evidence(library: Library, item: Requirement) -> dict[str, str]:
    found: dict[str, set[str]] = {}
    for source in _sources(library, item):
        found.setdefault(source.key, set()).add(_told(source))
    return {key: " and ".join(sorted(told)) for key, told in found.items()}


def _told(source: EvidenceSource) -> str:
    pairs: tuple[tuple[str, str], ...] = ()
    if isinstance(source, ConfigRule | Snapshot):
        pairs = source.parameters
    if isinstance(source, EventQuery):
        pairs = (("expect", source.expect),)
    told = ", ".join(f"{key}={value}" for key, value in pairs)
    return f"{source.key} ({told})" if told else source.key


def _unmapped(library: Library, item: Requirement, new: Period) -> dict[str, str]:
    """Say how many deviations of this period stand under evidence no control names."""
    found = new.findings.unmapped if new.findings else ()
    under = Counter(deviation.identifier for deviation in found)
    return {
        source.key: f"{n} deviation{'s' * (n != 1)} under it in this period, unmapped"
        for source in _sources(library, item)
        if isinstance(source, ConfigRule) and (n := under[source.identifier])
    }


def _came_of_it(old: Period, new: Period, number: str) -> Iterator[Difference]:
    was, is_ = _results(old, number), _results(new, number)
    for what in dict.fromkeys((*was, *is_)) if was and is_ else ():
        if was[what] != is_[what]:
            yield Difference(
                requirement=number, what=what, then=was[what], now=is_[what]
            )


def _results(period: Period, number: str) -> dict[str, str]:
    if period.findings is None or period.statuses is None:
        return {}
    own, status = period.findings.requirements[number], period.statuses[number]
    return {
        "status": status.status.value,
        "conclusion": status.conclusion or "none",
        "deviations": str(len(own.deviations)),
        "evidence gaps": str(len(own.gaps)),
    }
