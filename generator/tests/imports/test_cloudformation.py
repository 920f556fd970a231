# SPDX-License-Identifier: Apache-2.0
"""A template's values, as a deployment with its defaults would have them."""

from __future__ import annotations

import pytest

from controlbook.errors import ControlbookError
from controlbook.imports.cloudformation import NoValue, Template, Unknown, Value, read

HEAD = """\
Parameters:
  Age: {Type: String, Default: "90"}
  Empty: {Type: String, Default: ""}
  Asked: {Type: String}
  List: {Type: CommaDelimitedList, Default: "a,b"}
Mappings:
  Days: {short: {value: "7"}, long: {value: "30"}}
Conditions:
  HasAge: !Not [!Equals ["", !Ref Age]]
  HasEmpty:
    Fn::Not:
    - Fn::Equals: ["", {Ref: Empty}]
  Both: !And [!Condition HasAge, {Condition: HasEmpty}]
  Either: !Or [!Condition HasEmpty, !Condition HasAge]
  NeedsAsked: !Equals [!Ref Asked, "x"]
  Circle: !Not [!Condition Circle]
  FalseAnyway: !And [!Condition NeedsAsked, !Condition HasEmpty]
Resources:
  Thing:
    Type: Test
    Properties:
      Value: """


def value(text: str, **given: str) -> Value:
    data = f"{HEAD}{text}\n".encode()
    template = Template.of(read(data, "t.yaml"), given, "t.yaml")
    return template.value(template.resources["Thing"]["Properties"]["Value"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("!Ref Age", "90"),
        ("{Ref: Age}", "90"),
        ('!If [HasAge, !Ref Age, !Ref "AWS::NoValue"]', "90"),
        ("{Fn::If: [Both, yes, no]}", "no"),
        ("!If [Either, yes, no]", "yes"),
        ("!If [FalseAnyway, yes, no]", "no"),
        ('!Sub "max-${Age}-days"', "max-90-days"),
        ('!Sub "${!Age} stays"', "${Age} stays"),
        ('!Sub ["${n} of ${Age}", {n: "3"}]', "3 of 90"),
        ('!Join ["-", [a, !Ref Age]]', "a-90"),
        ('!Select ["1", !Split [",", !Ref List]]', "b"),
        ("!FindInMap [Days, long, value]", "30"),
        ("017", "017"),
        ("3.10", "3.10"),
        ("yes", "yes"),
        ("2024-03-31", "2024-03-31"),
    ],
)
def test_a_value_is_worked_out_and_stays_text(text: str, expected: str) -> None:
    assert value(text) == expected


def test_no_value_leaves_the_member_out() -> None:
    assert isinstance(value('!If [HasEmpty, x, !Ref "AWS::NoValue"]'), NoValue)
    assert value("{a: !Ref AWS::NoValue, b: x}") == {"b": "x"}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("!Ref Asked", "parameter Asked has no default"),
        ('!Ref "AWS::Region"', "AWS::Region is known only once it is deployed"),
        ('!Sub "arn:${AWS::Partition}:x"', "AWS::Partition"),
        ("!GetAtt Thing.Arn", "Fn::GetAtt is known only once it is deployed"),
        ('!ImportValue "x"', "Fn::ImportValue"),
        ("!If [NeedsAsked, a, b]", "Asked"),
        ("!If [Circle, a, b]", "refers to itself"),
        ("!If [Nowhere, a, b]", "no condition Nowhere"),
        ("!If [a]", "three parts"),
        ('!Select ["9", [a]]', "without such an item"),
        ("!FindInMap [Days, never, value]", "without such a row"),
        ('!Join ["-", !Ref Age]', "something else than texts"),
    ],
)
def test_what_only_a_deployment_tells_is_unknown_with_the_reason(
    text: str, why: str
) -> None:
    found = value(text)
    assert isinstance(found, Unknown)
    assert why in found.why


def test_a_parameter_that_is_given_wins_over_its_default() -> None:
    assert value("!Ref Age", Age="30") == "30"
    assert value("!If [NeedsAsked, a, b]", Asked="x") == "a"
    with pytest.raises(ControlbookError, match=r"no parameter 'Agee'.*it has: Age"):
        value("x", Agee="30")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(b"", "t.yaml:1: the file is empty", id="empty"),
        pytest.param(b"a: [", "broken YAML", id="broken"),
        pytest.param(b"a: 1\nb: 2\na: 3\n", "t.yaml:3: the key 'a' stands", id="twice"),
        pytest.param(b"a: &x 1\nb: *x\n", "t.yaml:1: anchors", id="anchor"),
        pytest.param(b"a: 1\n---\nb: 2\n", "t.yaml:2: a template is one", id="two"),
        pytest.param(b"\xff\xfe", "t.yaml: the file is not UTF-8", id="bytes"),
        pytest.param(b"{? [a]: b}", "a key that is not text", id="key"),
        pytest.param(b"[" * 40, "more than 32 levels", id="deep"),
        pytest.param(b"a: " + b"x" * (1 << 20), "bytes are more", id="large"),
        pytest.param(b"just text", "there is no `Resources`", id="text"),
        pytest.param(b"Resources: {}", "there is no `Resources`", id="none"),
    ],
)
def test_what_is_no_template_is_refused_with_its_line(
    data: bytes, message: str
) -> None:
    with pytest.raises(ControlbookError) as caught:
        Template.of(read(data, "t.yaml"), {}, "t.yaml")
    assert message in str(caught.value)


def test_a_template_in_json_is_read_alike() -> None:
    data = b'{"Resources": {"A": {"Type": "T", "Properties": {"V": {"Ref": "X"}}}}}'
    template = Template.of(read(data, "t.json"), {}, "t.json")
    found = template.value(template.resources["A"]["Properties"]["V"])
    assert isinstance(found, Unknown)
