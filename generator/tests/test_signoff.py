# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from controlbook import yamltext
from controlbook.digest import ZERO, sha256
from controlbook.errors import ControlbookError
from controlbook.model import Person, SignOff
from controlbook.signoff import (
    ASSESSOR,
    OWNER,
    check_statement,
    hollow,
    pull_body,
    pull_branch,
    pull_title,
    record,
    record_bytes,
)
from controlbook.timeline import Instant, instant

LINDQVIST = Person(
    id="m-lindqvist", name="M. Lindqvist", login="m-lindqvist", github_ids=("4100202",)
)
STATEMENT = "I read the findings; the five minutes of 14 February are explained."
SUBJECT = tuple(
    (name, sha256(name.encode()))
    for name in ("controls", "mapping", "scope", "evidence", "findings")
)


def made(**changes: Any) -> SignOff:  # noqa: ANN401 - fields of all types
    fields: dict[str, Any] = {
        "role": ASSESSOR,
        "assessment": "PCI-2028-Q1",
        "about": "3.4",
        "person": LINDQVIST,
        "decision": "sign",
        "conclusion": "satisfied",
        "statement": STATEMENT,
        "acknowledged": ["gap-00aa00aa00aa00aa", "dev-5f2c9a1e77b04c13"],
        "claimed_at": instant("2028-04-03T08:15:00Z"),
        "previous": None,
        "base": "a" * 40,
        "generator": "controlbook 0.1.0",
        "subject": SUBJECT[:2],
    }
    return record(**fields | changes)


def test_a_signoff_has_one_spelling() -> None:
    assert record_bytes(made()).decode() == (
        'format: "controlbook/signoff/1"\n'
        'assessment: "PCI-2028-Q1"\n'
        'requirement: "3.4"\n'
        'role: "assessor"\n'
        'person: "m-lindqvist"\n'
        'github_id: "4100202"\n'
        'decision: "sign"\n'
        'conclusion: "satisfied"\n'
        "statement: |\n"
        "  I read the findings; the five minutes of 14 February are explained.\n"
        'acknowledged: ["dev-5f2c9a1e77b04c13", "gap-00aa00aa00aa00aa"]\n'
        'claimed_at: "2028-04-03T08:15:00Z"\n'
        f'prev: "{ZERO}"\n'
        f'base: "{"a" * 40}"\n'
        'generator: "controlbook 0.1.0"\n'
        "subject:\n"
        f'  - {{name: "controls", sha256: "{SUBJECT[0][1]}"}}\n'
        f'  - {{name: "mapping", sha256: "{SUBJECT[1][1]}"}}\n'
    )


def test_an_attestation_names_its_control_and_concludes_nothing() -> None:
    file = made(role=OWNER, about="pan-encrypted", decision="attest", conclusion="")
    lines = record_bytes(file).decode().splitlines()
    assert lines[0] == 'format: "controlbook/attestation/1"'
    assert lines[2] == 'control: "pan-encrypted"'
    assert not [line for line in lines if line.startswith("conclusion")]
    assert file.path == "signoffs/PCI-2028-Q1/controls/pan-encrypted.yml"
    assert made().path == "signoffs/PCI-2028-Q1/requirements/3.4.yml"


def test_a_new_version_names_the_one_before() -> None:
    first = record_bytes(made())
    second = made(previous=first, decision="withdraw")
    assert second.prev == sha256(first)
    assert second.sha256 == sha256(record_bytes(second))


words = st.text(
    st.characters(
        codec="utf-8", exclude_categories=("Cc", "Cf", "Co", "Cs", "Zl", "Zp")
    )
    | st.sampled_from("\n\t:#'\"\\|>-{}[]&*!%@`~ "),
    max_size=80,
).filter(lambda text: not set(text) & set("\ufffe\uffff"))


@given(statement=words, acknowledged=st.lists(words, max_size=3), base=words)
def test_emitting_what_was_read_gives_the_same_bytes(
    statement: str, acknowledged: list[str], base: str
) -> None:
    first = record_bytes(
        made(statement=statement, acknowledged=acknowledged, base=base)
    )
    tree = YAML(typ="safe", pure=True).load(io.BytesIO(first))
    again = made(
        statement=tree["statement"],
        acknowledged=tree["acknowledged"],
        base=tree["base"],
        claimed_at=instant(tree["claimed_at"]),
        subject=[(row["name"], row["sha256"]) for row in tree["subject"]],
        about=tree["requirement"],
    )
    assert record_bytes(again) == first
    assert all(
        isinstance(value, str | list) for key, value in tree.items() if key != "subject"
    )


@given(statement=words)
def test_our_own_reader_reads_what_we_write(statement: str) -> None:
    file = made(statement=statement)
    text = yamltext.parse(record_bytes(file))
    assert text.node is not None, text.flaws
    tree = yamltext.plain(text.node)
    assert isinstance(tree, dict)
    assert tree["statement"] == file.statement


@pytest.mark.parametrize("char", ["\u202e", "\u200b", "\x1b", "\ufeff", "\r", "\u2028"])
def test_characters_that_nobody_sees_are_refused(char: str) -> None:
    with pytest.raises(ControlbookError, match="nobody can see"):
        made(statement=f"{STATEMENT}{char}x")


@pytest.mark.threat("T46")
@pytest.mark.parametrize(
    "text",
    [
        "",
        "   \n ",
        "TODO: write this statement before the audit",
        "n/a",
        "N/A for this one, there is nothing to say",
        "lorem ipsum dolor sit amet consectetur",
        "asdf asdf asdf asdf asdf asdf",
        "Looks good.",
        "ok ok ok ok ok ok ok ok ok ok ok",
        "I reviewed <what> and found nothing wrong",
        "............................",
    ],
)
def test_placeholders_are_no_statement(text: str) -> None:
    assert hollow(text)
    with pytest.raises(ControlbookError, match=r"statement on 3\.4 does not count"):
        check_statement("3.4", text, {})


@pytest.mark.parametrize(
    "text",
    [
        STATEMENT,
        "This control is mine. I know of nothing else.",
        "Je n'ai rien trouvé d'autre que l'écart du 14 février.",
    ],
)
def test_own_words_are_a_statement(text: str) -> None:
    assert not hollow(text)
    check_statement("3.4", text, {})


def test_one_statement_stands_for_three_requirements_at_most() -> None:
    said = {"1.1": STATEMENT, "1.2": f"  {STATEMENT.upper()}\n", "3.4": STATEMENT}
    check_statement("1.3", STATEMENT, {"1.1": STATEMENT, "1.2": STATEMENT})
    check_statement("3.4", STATEMENT, said)
    with pytest.raises(ControlbookError, match=r"stands for 1\.1, 1\.2, 3\.4"):
        check_statement("1.3", STATEMENT, said)


def test_the_pull_request_shows_what_is_signed() -> None:
    records = [made(), made(about="8.2.3", acknowledged=[], statement="A | b *c* @d")]
    body = pull_body(records, {"3.4": "Stored PAN | unreadable"})
    assert "approval of m-lindqvist" in body
    row = "| 3.4 | Stored PAN \\| unreadable | sign, satisfied |"
    assert f"{row} `dev-5f2c9a1e77b04c13`, `gap-00aa00aa00aa00aa` |" in body
    assert "| 8.2.3 |  | sign, satisfied | none |" in body
    assert f"| controls | `{SUBJECT[0][1][:12]}…` |" in body
    assert "> A \\| b \\*c\\* \\@d" in body


def test_branch_and_title_name_what_is_signed() -> None:
    assert pull_branch([made()]) == "signoff/PCI-2028-Q1/3.4"
    assert pull_branch([made(about="CC6.1 (a)"), made()]) == (
        "signoff/PCI-2028-Q1/CC6.1-a-and-1-more"
    )
    attested = made(role=OWNER, about="pan-encrypted", conclusion="")
    assert pull_branch([attested]) == "attest/PCI-2028-Q1/pan-encrypted"
    assert pull_title([made()]) == "Sign off PCI-2028-Q1 3.4 (m-lindqvist)"


def test_the_claimed_time_is_kept_to_the_millisecond() -> None:
    file = made(claimed_at=Instant(instant("2028-04-03T08:15:00Z") + 7))
    assert b'claimed_at: "2028-04-03T08:15:00.007Z"\n' in record_bytes(file)
