# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from controlbook.yamlwriter import flow_list, flow_mapping, literal, quoted

words = st.text(
    st.characters(
        codec="utf-8", exclude_categories=("Cc", "Cf", "Co", "Cs", "Zl", "Zp")
    )
    | st.sampled_from("\n\t:#'\"\\|>-{}[]&*!%@`~ "),
    max_size=80,
).filter(lambda text: not set(text) & set("\ufffe\uffff"))


@given(words)
def test_quoted_text_reads_back(text: str) -> None:
    read = YAML(typ="safe", pure=True).load(f"key: {quoted(text)}\n")["key"]
    assert quoted(read) == quoted(text)


@pytest.mark.parametrize(
    "text", ["  indented\nfirst", "a\n\n\n b\n\n", "- no list", "# no comment", "\n\n"]
)
def test_a_literal_block_reads_back(text: str) -> None:
    written = f"key: {literal(text)}\nnext: x\n"
    read = YAML(typ="safe", pure=True).load(written)
    assert f"key: {literal(read['key'])}\nnext: x\n" == written
    assert read["next"] == "x"


def test_lists_and_mappings_stand_on_one_line() -> None:
    assert flow_list([]) == "[]"
    assert flow_list(["3.10", 'a "b"']) == '["3.10", "a \\"b\\""]'
    assert flow_mapping({"name": "no", "sha256": "0x1"}) == (
        '{name: "no", sha256: "0x1"}'
    )
