# SPDX-License-Identifier: Apache-2.0
"""An assessment as OSCAL: read by another program, and by our own import."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import happened
import pytest
import shelf
import small
from hypothesis import given
from hypothesis import strategies as st
from trestle.oscal import OSCAL_VERSION
from trestle.oscal.assessment_plan import AssessmentPlan
from trestle.oscal.assessment_results import AssessmentResults
from trestle.oscal.catalog import Catalog
from trestle.oscal.component import ComponentDefinition
from trestle.oscal.poam import PlanOfActionAndMilestones
from trestle.oscal.profile import Profile

from controlbook.imports.oscal import oscal
from controlbook.library import read
from controlbook.model import (
    Conclusion,
    Framework,
    MappedControl,
    Requirement,
    RequirementStatus,
    Status,
)
from controlbook.render.data import data_files
from controlbook.render.oscal import NAMESPACE, VERSION, oscal_files
from controlbook.render.oscal.document import control_ids, prose
from controlbook.render.oscal.results import state_of
from controlbook.render.oscal.risks import is_open

if TYPE_CHECKING:
    from collections.abc import Iterator

    from controlbook.render.report import Report

ROOT = Path(__file__).parents[3]
GOLDEN = Path(__file__).parent / "golden" / "oscal"
READERS = {
    "catalog": Catalog,
    "profile": Profile,
    "component-definition": ComponentDefinition,
    "assessment-plan": AssessmentPlan,
    "assessment-results": AssessmentResults,
    "plan-of-action-and-milestones": PlanOfActionAndMilestones,
}
SIGNED = {Status.SIGNED, Status.SIGNED_WITH_DEVIATIONS}


def mapped(report: Report) -> Report:
    """Give the requirements the rows that a framework file gives them."""
    found = {
        number: replace(
            item, mappings=tuple(MappedControl(control=n) for n in item.controls)
        )
        for number, item in report.framework.requirements.items()
    }
    return replace(report, framework=replace(report.framework, requirements=found))


def concluded(report: Report, number: str, conclusion: str) -> Report:
    """Let the assessor of a requirement conclude otherwise, in a way that counts."""
    signed = replace(
        small.statuses()["9.1"],
        requirement=number,
        conclusion=conclusion,
        judgement=small.judgement("assessor", number, "m-lindqvist"),
    )
    return replace(report, statuses={**report.statuses, number: signed})


def documents(report: Report) -> dict[str, Any]:
    """Give a report's documents by the name of their model."""
    found: dict[str, Any] = {}
    for path, body in oscal_files(report, data_files(report)).items():
        assert path.startswith("oscal/")
        found |= json.loads(body)
    return found


def result(report: Report) -> dict[str, Any]:
    (only,) = documents(report)["assessment-results"]["results"]
    assert isinstance(only, dict)
    return only


def finding(report: Report, number: str) -> dict[str, Any]:
    found = {valued(f, "requirement")[0]: f for f in result(report)["findings"]}
    node = found[number]
    assert isinstance(node, dict)
    return node


def valued(node: dict[str, Any], name: str) -> list[str]:
    return [p["value"] for p in node.get("props", ()) if p["name"] == name]


def about(nodes: list[dict[str, Any]], name: str, value: str) -> dict[str, Any]:
    """Find the one node that has a property of this value."""
    (only,) = [node for node in nodes if value in valued(node, name)]
    return only


def walk(node: object) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
        for below in node.values():
            yield from walk(below)
    elif isinstance(node, list):
        for below in node:
            yield from walk(below)


REPORTS = {
    "released": mapped(small.report()),
    "draft": mapped(small.report(release="")),
    "hostile": shelf.hostile(),
    "events": happened.report(
        "none", *happened.runs(happened.event("2028-02-13T10:00:00Z"))
    ),
}


@pytest.mark.parametrize("kind", READERS)
def test_the_document_is_as_reviewed(kind: str, request: pytest.FixtureRequest) -> None:
    text = json.dumps(documents(REPORTS["released"])[kind], indent=1, sort_keys=True)
    file = GOLDEN / f"{kind}.json"
    if request.config.getoption("--update-golden"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{text}\n", encoding="utf-8", newline="\n")
    assert file.exists(), "run pytest with --update-golden, and review the difference"
    assert f"{text}\n" == file.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", REPORTS)
def test_another_program_reads_every_document_and_writes_the_same(name: str) -> None:
    for kind, body in documents(REPORTS[name]).items():
        assert body["metadata"]["oscal-version"] == VERSION == "1.1.2"
        # compliance-trestle refuses every version but its own; 1.2 takes what 1.1 has.
        body["metadata"]["oscal-version"] = OSCAL_VERSION
        read_back = READERS[kind].model_validate(body)
        written = json.loads(
            read_back.model_dump_json(by_alias=True, exclude_none=True)
        )
        assert plain(written) == plain(body)


def plain(node: Any) -> Any:  # noqa: ANN401 - JSON
    """Leave aside how a moment is spelt."""
    if isinstance(node, dict):
        return {key: plain(value) for key, value in node.items()}
    if isinstance(node, list):
        return [plain(value) for value in node]
    return re.sub(r"(?:\.0+)?\+00:00\Z", "Z", node)


@pytest.mark.parametrize("name", REPORTS)
def test_no_uuid_stands_for_two_things_and_none_leads_nowhere(name: str) -> None:
    found = documents(REPORTS[name])
    for body in found.values():
        given = [node["uuid"] for node in walk(body) if "uuid" in node]
        assert len(given) == len(set(given))
    known = {n["uuid"] for body in found.values() for n in walk(body) if "uuid" in n}
    keys = ("observation-uuid", "risk-uuid", "subject-uuid", "component-uuid")
    for node in [n for body in found.values() for n in walk(body)]:
        for key in (*keys, "actor-uuid"):
            assert node.get(key, next(iter(known))) in known
        assert set(node.get("party-uuids", ())) <= known
        href = str(node.get("href", ""))
        assert not href.startswith("#") or href[1:] in known


@pytest.mark.parametrize("name", REPORTS)
def test_what_refers_to_a_control_refers_to_one_of_the_catalog(name: str) -> None:
    found = documents(REPORTS[name])
    ids = {node["id"] for node in walk(found["catalog"]) if "id" in node}
    for kind, body in found.items():
        for node in walk(body):
            for key in ("control-id", "target-id"):
                assert node.get(key, next(iter(ids))) in ids, kind
            assert set(node.get("with-ids", ())) <= ids


def test_the_same_commit_gives_the_same_bytes_and_another_the_same_names() -> None:
    report = REPORTS["released"]
    data = data_files(report)
    assert oscal_files(report, data) == oscal_files(report, data)
    later = replace(report, commit=replace(report.commit, id="e" * 40))
    old, new = documents(report), documents(later)
    for kind in old:
        assert old[kind]["uuid"] != new[kind]["uuid"]
    assert [f["uuid"] for f in result(report)["findings"]] == [
        f["uuid"] for f in result(later)["findings"]
    ]


def test_another_programme_gives_other_names() -> None:
    report = REPORTS["released"]
    settings = replace(
        report.library.settings, ledger="5b0c6f0e-2f1d-4f5b-9a53-6f6f2a1c7d10"
    )
    other = replace(report, library=replace(report.library, settings=settings))
    ours, theirs = (
        {n["uuid"] for n in walk(documents(r)) if "uuid" in n} for r in (report, other)
    )
    assert not ours & theirs


STANDS = {
    # number: status, state, reason
    "3.4": ("signed-with-deviations", "satisfied", "pass"),
    "3.5": ("stale", "not-satisfied", "other"),
    "3.10": ("in-review", "not-satisfied", "other"),
    "9.1": ("signed", "satisfied", "other"),  # inherited
    "9.9": ("unreviewed", "not-satisfied", "other"),  # not applicable, unsigned
}


@pytest.mark.parametrize("number", STANDS)
def test_a_requirement_stands_as_it_stands(number: str) -> None:
    status, state, reason = STANDS[number]
    node = finding(REPORTS["released"], number)
    told = node["target"]["status"]
    assert (valued(node, "status"), told["state"], told["reason"]) == (
        [status],
        state,
        reason,
    )
    unsigned = "Not concluded" in told.get("remarks", "")
    assert unsigned == (status not in {"signed", "signed-with-deviations"})
    assert ("origins" in node) == (not unsigned)


@pytest.mark.parametrize(
    ("status", "conclusion", "counts"),
    [*product(Status, ("", *Conclusion), (True, False))],
    ids=lambda value: str(value) or "none",
)
def test_satisfied_needs_a_sign_off_that_counts_and_says_so(
    status: Status,
    conclusion: str,
    counts: bool,  # noqa: FBT001 - a case
) -> None:
    judged = replace(small.judgement("assessor", "3.4", "m-lindqvist"), counts=counts)
    row = replace(
        small.statuses()["3.4"], status=status, conclusion=conclusion, judgement=judged
    )
    state = state_of(row, Requirement(number="3.4", title="Stored PAN unreadable"))
    signed = status in SIGNED and counts
    good = {Conclusion.SATISFIED, Conclusion.COMPENSATED}
    assert (state is not None and state.state == "satisfied") == (
        signed and conclusion in good
    )
    assert (state is None) == (signed and conclusion == Conclusion.NOT_APPLICABLE)
    if state and not signed:
        assert (state.state, state.reason) == ("not-satisfied", "other")
        assert not state.implemented


def test_every_requirement_in_scope_is_a_finding_or_signed_as_not_applicable() -> None:
    report = concluded(REPORTS["released"], "9.9", "not-applicable")
    found = result(report)
    told = [valued(node, "requirement")[0] for node in found["findings"]]
    (absent,) = [p for p in found["props"] if p["name"] == "not-applicable"]
    assert (absent["value"], absent["remarks"]) == ("9.9", "We have no card reader.")
    assert [*told, "9.9"] == list(report.assessment.requirements)
    chosen = found["reviewed-controls"]["control-selections"][0]["include-controls"]
    assert len(chosen) == len(report.assessment.requirements)


def test_not_tested_is_never_satisfied_and_says_why() -> None:
    node = finding(concluded(REPORTS["released"], "3.10", "not-tested"), "3.10")
    told = node["target"]["status"]
    assert (told["state"], told["reason"]) == ("not-satisfied", "other")
    assert told["remarks"].startswith("Signed as not tested")
    assert "implementation-status" not in node["target"]


def test_what_is_left_out_stands_in_the_plan_with_its_reason() -> None:
    plan = documents(REPORTS["released"])["assessment-plan"]
    (left,) = plan["reviewed-controls"]["props"]
    assert left["value"] == "1"
    assert left["remarks"] == "Assessed by the networking team's own report."


def test_only_what_counts_is_an_attestation() -> None:
    titles = [
        part["title"]
        for node in result(REPORTS["released"])["attestations"]
        for part in node["parts"]
    ]
    assert titles == [
        "3.4: In Place",
        "9.1: In Place",
        "Control key-management",
        "Control pan-encrypted-at-rest",
    ]


def test_an_attestation_that_does_not_count_is_none() -> None:
    report = REPORTS["released"]
    row = report.statuses["3.4"]
    void = {
        name: replace(judged, counts=False) for name, judged in row.attestations.items()
    }
    rows = {**report.statuses, "3.4": replace(row, attestations=void)}
    titles = [
        part["title"]
        for node in result(replace(report, statuses=rows))["attestations"]
        for part in node["parts"]
    ]
    assert titles == ["3.4: In Place", "9.1: In Place", "Control key-management"]


def test_a_deviation_is_exact_and_closed_where_it_was_remediated() -> None:
    found = result(REPORTS["released"])
    seen = about(found["observations"], "within-ms", "300000")
    assert valued(seen, "start") == ["2028-02-14T03:12:00Z"]
    assert valued(seen, "end") == ["2028-02-14T03:17:00Z"]
    assert seen["methods"] == ["TEST"]
    risk = about(found["risks"], "deviation", valued(seen, "deviation")[0])
    assert risk["status"] == "closed"
    assert [entry["start"] for entry in risk["risk-log"]["entries"]] == [
        "2028-02-14T03:12:00Z",
        "2028-02-14T03:17:00Z",
    ]


def test_a_gap_is_no_deviation_and_tests_nothing() -> None:
    found = result(REPORTS["released"])
    gap = about(found["observations"], "reason", "insufficient-data")
    assert valued(gap, "within-ms") == [str(6 * 3_600_000)]
    assert gap["methods"] == ["UNKNOWN"]
    assert "Never counted as compliant" in gap["description"]
    assert not valued(gap, "deviation")


def test_what_a_deviation_rests_on_is_cited_by_digest() -> None:
    report = REPORTS["released"]
    body = documents(report)["assessment-results"]
    seen = about(body["results"][0]["observations"], "within-ms", "300000")
    cited = {row["href"][1:] for row in seen["relevant-evidence"]}
    links = {
        link["href"]: link["hashes"][0]["value"]
        for row in body["back-matter"]["resources"]
        if row["uuid"] in cited
        for link in row["rlinks"]
    }
    day = [
        run for run in report.ledger.config if run.window.contains(small.MOVES[0].at)
    ]
    assert links[f"../ledger/config/{day[0].seq:06d}.json"] == day[0].sha256
    assert "../data/deviations.csv" in links


def test_the_plan_of_action_holds_what_is_open_and_nothing_else() -> None:
    report = REPORTS["released"]
    found = documents(report)["plan-of-action-and-milestones"]
    opened = [i.id for i in report.findings.deviations if i.end is None]
    assert len(opened) == 1
    assert [valued(risk, "deviation") for risk in found["risks"]] == [opened]
    assert {risk["status"] for risk in found["risks"]} == {"open"}


def test_without_anything_open_there_is_no_plan_of_action() -> None:
    report = REPORTS["released"]
    closed = tuple(i for i in report.findings.deviations if i.end is not None)
    quiet = replace(report, findings=replace(report.findings, deviations=closed))
    assert "plan-of-action-and-milestones" not in documents(quiet)


@pytest.mark.parametrize(
    ("ended_by", "still_open"),
    [
        ("remediated", False),
        ("deleted", False),
        ("left-population", True),
        ("not-applicable", True),
        ("evidence-lost", True),
        ("event", True),
        ("not-met", True),
        ("open", True),
    ],
)
def test_a_risk_closes_by_remedy_or_deletion_alone(
    ended_by: str,
    still_open: bool,  # noqa: FBT001 - a case
) -> None:
    (item, *_) = small.report().findings.deviations
    assert is_open(replace(item, ended_by=ended_by)) is still_open


def test_a_deviation_that_no_control_names_is_there_and_says_so() -> None:
    report = REPORTS["released"]
    found = report.findings
    (first, *rest) = found.deviations
    moved = replace(found, deviations=tuple(rest), unmapped=(first,))
    seen = about(
        result(replace(report, findings=moved))["observations"], "deviation", first.id
    )
    assert valued(seen, "mapped") == ["no"]


def test_a_draft_from_a_sandbox_says_both_in_title_and_property() -> None:
    for body in documents(REPORTS["draft"]).values():
        metadata = body["metadata"]
        assert metadata["title"].startswith("DEMO DRAFT ")
        assert valued(metadata, "marking") == ["DEMO", "DRAFT"]
        assert metadata["version"].startswith("draft-")
    for body in documents(REPORTS["released"]).values():
        assert valued(body["metadata"], "marking") == ["DEMO"]
        assert body["metadata"]["version"] == "PCI-2028-FEB"


def test_while_collecting_no_count_speaks_of_the_period() -> None:
    report = REPORTS["draft"]
    until = small.Interval(
        small.PERIOD.start, small.Instant(small.PERIOD.start + small.DAY)
    )
    early = replace(
        report, findings=replace(report.findings, closed=False, collected=until)
    )
    found = result(early)
    assert found["end"] == "2028-02-13T00:00:00Z"
    assert "Collection is not complete" in found["description"]
    told = [
        o["description"]
        for o in found["observations"]
        if "evidence;" in o["description"]
    ]
    assert told
    assert all("collected so far" in each for each in told)
    assert not any("existed in the period" in each for each in told)


def test_internal_notes_stay_out() -> None:
    report = REPORTS["released"]
    assert "Explained by Jeanne Moreau" in json.dumps(documents(report))
    hidden = tuple(replace(n, audience="internal") for n in report.library.annotations)
    secret = replace(report, library=replace(report.library, annotations=hidden))
    text = json.dumps(documents(secret))
    assert "Explained by" not in text
    assert "auto-remediation" not in text


def test_what_joins_where_something_invisible_stood_is_one_letter_again() -> None:
    assert prose("e\u200b\u0301") == "\u00e9"


def test_people_s_text_is_only_text() -> None:
    for node in walk(documents(REPORTS["hostile"])):
        for key in ("title", "description", "prose", "remarks", "text"):
            shown = str(node.get(key, ""))
            assert not re.search(r"(?<!\\)[<\[`{]", shown), shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a < b & c", "a &lt; b & c"),
        ("&lt;script&gt;", "&amp;lt;script&amp;gt;"),
        ("[x](javascript:y)", "\\[x](javascript:y)"),
        ("{{ insert: param, p }}", "\\{\\{ insert: param, p }}"),
        ("\\[x]", "\\\\\\[x]"),
        ("- one\n- two", "- one\n- two"),
    ],
)
def test_what_would_be_active_is_escaped(text: str, shown: str) -> None:
    assert prose(text) == shown


def numbered(*numbers: str) -> Framework:
    found = {n: Requirement(number=n, title=n) for n in numbers}
    return Framework(id="std-1", title="S", labels={}, requirements=found)


def test_a_number_becomes_a_name_that_oscal_allows() -> None:
    found = control_ids(numbered("3.4", "3.10", "164.312(a)(1)", "AC-2(1)"))
    assert list(found.values()) == [
        *("std-1_3.4", "std-1_3.10", "std-1_164.312.a.1", "std-1_AC-2.1"),
    ]


@given(st.sets(st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9.()_-]{0,8}\Z"), min_size=1))
def test_no_two_numbers_share_a_name(numbers: set[str]) -> None:
    found = control_ids(numbered(*numbers))
    assert all(re.fullmatch(r"[A-Za-z_][\w.-]*", name) for name in found.values())
    assert len(set(found.values())) == len(numbers)


LIBRARY = read(
    {
        str(path.relative_to(ROOT)): path.read_bytes()
        for folder in ("controls", "frameworks", "signoffs")
        for path in sorted((ROOT / folder).rglob("*.yml"))
    }
    | {"pyproject.toml": (ROOT / "pyproject.toml").read_bytes()}
)


@pytest.mark.parametrize("name", sorted(LIBRARY.frameworks))
def test_our_own_import_reads_the_same_numbers_back(name: str) -> None:
    framework = LIBRARY.frameworks[name]
    report = small.report(release="")
    assessment = replace(report.assessment, requirements=(), excluded=())
    nothing = replace(report.findings, controls={}, requirements={})
    report = replace(
        report,
        framework=framework,
        assessment=assessment,
        findings=nothing,
        statuses={},
    )
    body = oscal_files(report, data_files(report))["oscal/catalog.json"]
    taken = oscal(body, "catalog.json")
    assert taken.notes == ()
    assert {item.number: item.parent for item in taken.items} == {
        item.number: item.parent for item in framework.requirements.values()
    }
    kept = {item.number: item.title for item in taken.items if item.title}
    assert kept == (
        {}
        if taken.marked
        else {i.number: prose(i.title) for i in framework.requirements.values()}
    )
    catalog = json.loads(body)["catalog"]
    catalog["metadata"]["oscal-version"] = OSCAL_VERSION
    assert Catalog.model_validate(catalog)


def test_properties_of_ours_are_marked_as_ours() -> None:
    oscal_s_own = {"label", "asset-id"}
    for node in walk(documents(REPORTS["released"])):
        for row in node.get("props", ()):
            assert (row.get("ns") == NAMESPACE) == (row["name"] not in oscal_s_own)


def test_a_flipped_status_changes_the_document() -> None:
    report = REPORTS["released"]
    rows: dict[str, RequirementStatus] = dict(report.statuses)
    rows["3.4"] = replace(rows["3.4"], status=Status.STALE, conclusion="")
    flipped = finding(replace(report, statuses=rows), "3.4")
    assert flipped["target"]["status"]["state"] == "not-satisfied"
