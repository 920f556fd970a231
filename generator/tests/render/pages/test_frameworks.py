# SPDX-License-Identifier: Apache-2.0
"""The page of frameworks, and what a requirement's page says of other frameworks."""

from __future__ import annotations

from dataclasses import replace

import small

from controlbook.model import Framework, MappedControl, MappingState, Requirement
from controlbook.render.pages import View, pages
from controlbook.render.pages.frameworks import NUMBERS_SHOWN, shared
from controlbook.render.report import Book, Report

CONTROL = "pan-encrypted-at-rest"


def row(number: str, state: MappingState) -> Requirement:
    mapped = MappedControl(control=CONTROL, source="x", state=state)
    reviewed = (CONTROL,) if state is MappingState.REVIEWED else ()
    return Requirement(
        number=number, title=f"Title {number}", controls=reviewed, mappings=(mapped,)
    )


def other(*items: Requirement) -> Framework:
    return Framework(
        id="other",
        title="Another Standard",
        labels={},
        requirements={item.number: item for item in items},
        sources={"x": "Somewhere, 2026"},
        note="Sections only.",
    )


def beside(framework: Framework) -> Report:
    base = small.report()
    frameworks = {**base.library.frameworks, framework.id: framework}
    return replace(base, library=replace(base.library, frameworks=frameworks))


def test_reviewed_and_proposed_numbers_stand_apart_and_long_lists_are_cut() -> None:
    many = [row(f"P{n}", MappingState.PROPOSED) for n in range(NUMBERS_SHOWN + 3)]
    view = View(report=beside(other(row("R1", MappingState.REVIEWED), *many)))
    item = view.report.framework.requirements["3.4"]
    found = [each for each in shared(view, item) if each.framework.id == "other"]
    assert [(each.reviewed, each.total) for each in found] == [
        (True, 1),
        (False, NUMBERS_SHOWN + 3),
    ]
    assert len(found[1].numbers) == NUMBERS_SHOWN
    made = pages(Book(reports=(view.report,)))["PCI-2028-FEB/3.4/index.md"]
    assert f"(showing {NUMBERS_SHOWN} of {NUMBERS_SHOWN + 3})" in made
    assert "No row says that a requirement is satisfied." in made


def test_the_page_of_frameworks_tells_numbers_sources_and_note() -> None:
    report = beside(other(row("R1", MappingState.PROPOSED)))
    made = pages(Book(reports=(report,)))["frameworks/index.md"]
    assert "Another Standard" in made
    assert "Somewhere, 2026" in made
    assert "Sections only." in made


def test_a_page_names_its_proposals_and_rests_on_none_of_them() -> None:
    base = small.report()
    item = base.framework.requirements["3.4"]
    proposal = MappedControl(
        control="buckets-encrypted", source="x", state=MappingState.PROPOSED
    )
    mapped = tuple(MappedControl(control=name) for name in item.controls)
    changed = replace(item, mappings=(*mapped, proposal))
    framework = replace(
        base.framework,
        requirements={**base.framework.requirements, item.number: changed},
    )
    report = replace(base, framework=framework)
    made = pages(Book(reports=(report,)))["PCI-2028-FEB/3.4/index.md"]
    assert "Proposed, not reviewed:</strong> 1 control (buckets-encrypted)." in made
    assert "Nothing on this page rests on it." in made
    assert 'href="../../controls/buckets-encrypted/' not in made.split("Proposed,")[0]
