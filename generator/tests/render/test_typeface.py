"""The typefaces: pinned files, and nothing drawn in another."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlbook.render import typeface


def test_every_face_is_a_file_of_its_package() -> None:
    assert {face.path.suffix for face in typeface.FACES} == {".ttf"}
    assert all(face.path.is_file() for face in typeface.FACES)


def test_only_our_addresses_are_answered() -> None:
    assert typeface.face("controlbook-font:mono")
    for other in ("file:///etc/passwd", "controlbook-font:", "controlbook-font:../x"):
        assert typeface.face(other) is None


@pytest.mark.parametrize("text", ["Čeněk Novák", "≥ 14 days – “so”", "Σ ✓ → …"])
def test_text_that_the_faces_have_stays(text: str) -> None:
    assert typeface.substituted(text) == (text, ())


def test_text_that_they_lack_becomes_code_points_and_is_named() -> None:
    shown, lacking = typeface.substituted("a 漢 b 🙂")
    assert shown == "a [U+6F22] b [U+1F642]"
    assert lacking == ("漢", "🙂")


def test_letter_with_a_combining_mark_is_composed_first() -> None:
    assert typeface.substituted("Cˇ Č".replace("ˇ", "")) == ("C Č", ())
    assert typeface.substituted(unicodedata.normalize("NFD", "Č")) == ("Č", ())


@given(st.text())
def test_whatever_comes_out_can_be_drawn(text: str) -> None:
    shown, _ = typeface.substituted(text)
    assert {ord(char) for char in shown} <= typeface.drawable()
    assert typeface.substituted(shown)[1] == ()
