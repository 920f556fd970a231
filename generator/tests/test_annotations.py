# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from controlbook.annotations import substance
from controlbook.model import Annotation

GOOD = (
    "A deploy job replaced the bucket policy; auto-remediation put it back at 03:17Z."
)


def annotation(body: str, path: str = "annotations/b.md") -> Annotation:
    return Annotation(
        path=path, sha256="", covers=(), start=None, end=None, author="x", body=body
    )


def test_an_explanation_has_substance() -> None:
    assert substance(annotation(GOOD), ()) == ""


@pytest.mark.threat("T46")
@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("", "empty"),
        (" \n\n", "empty"),
        ("<!-- what happened, and why -->\n", "empty"),
        ("<!-- never closed, so all of it is a comment", "empty"),
        ("## Cause\n\n## Remediation\n", "empty"),
        ("…\n", "empty"),
        (f"{GOOD} TODO: say more", "placeholder 'TODO'"),
        (f"{GOOD} tbd", "placeholder 'tbd'"),
        ("Cause: <cause of the deviation>", "placeholder"),
        ("Lorem ipsum dolor sit amet consectetur adipiscing", "placeholder"),
        ("Fixed.", "too short"),
        ("fixed fixed fixed fixed fixed fixed fixed", "too short"),
    ],
)
def test_what_explains_nothing_says_why(body: str, reason: str) -> None:
    assert reason in substance(annotation(body), ())


@pytest.mark.threat("T46")
def test_a_copy_is_told_from_its_original() -> None:
    first = annotation(GOOD, "annotations/a.md")
    copy = annotation(f"  {GOOD.upper()}\n\n", "annotations/b.md")
    assert substance(first, (first, copy)) == ""
    assert substance(copy, (first, copy)) == "the text is a copy of annotations/a.md"
