# SPDX-License-Identifier: Apache-2.0
"""CloudFormation templates, as far as their values can be known without deploying.

Rules enforced here:
- YAML or JSON, of at most 1 MiB; every scalar is text; duplicate keys, anchors and
  aliases are refused, with their line;
- short (`!Ref`) and long (`Fn::If`) functions are the same; parameters take the values
  given, else their defaults; conditions decide; `AWS::NoValue` leaves a member out;
- what depends on where or when a stack is deployed is unknown, with the reason. It is
  never guessed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from controlbook.errors import ControlbookError
from controlbook.yamltext import MAX_BYTES, MAX_DEPTH

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass(frozen=True, slots=True)
class Call:
    """A function of CloudFormation, by its long name, with its argument."""

    name: str
    argument: Node


@dataclass(frozen=True, slots=True)
class Unknown:
    """A value that only a deployment can tell, and why."""

    why: str


class NoValue:
    """What `AWS::NoValue` stands for: the member is left out."""


Node: TypeAlias = "str | list[Any] | dict[str, Any] | Call"
Value: TypeAlias = "str | list[Any] | dict[str, Any] | Unknown | NoValue"

_LONG = re.compile(r"Fn::[A-Za-z]+|Ref|Condition")
_HOLE = re.compile(r"\$\{(!?)([^}]+)\}")
NOTHING = NoValue()


def read(data: bytes, place: str) -> Node:
    """Read a template's text; ControlbookError with file:line for what is not one."""
    if len(data) > MAX_BYTES:
        message = f"{len(data)} bytes are more than the {MAX_BYTES} that a template has"
        raise ControlbookError(message, place=place)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        message = "the file is not UTF-8"
        raise ControlbookError(message, place=place) from error
    try:
        return _Builder(text, place).document()
    except YAMLError as error:
        line, what = 1, str(error).split("\n", maxsplit=1)[0]
        if isinstance(error, MarkedYAMLError):
            mark = error.problem_mark or error.context_mark
            line = mark.line + 1 if mark else 1
            what = ", ".join(part for part in (error.context, error.problem) if part)
        message = f"broken YAML: {what}"
        raise ControlbookError(message, place=f"{place}:{line}") from error


class _Builder:
    """Builds nodes from the event stream; short functions become calls."""

    def __init__(self, text: str, place: str) -> None:
        # Not the C parser: it takes no `AWS::NoValue` inside brackets.
        self._events = iter(YAML(typ="safe", pure=True).parse(text))
        self._place = place

    # The event classes have no annotations of their own, hence Any.
    def _next(self) -> Any:  # noqa: ANN401
        return next(self._events)

    def _refuse(self, event: Any, message: str) -> ControlbookError:  # noqa: ANN401
        return ControlbookError(
            message, place=f"{self._place}:{event.start_mark.line + 1}"
        )

    def document(self) -> Node:
        found: list[Node] = []
        for event in self._events:
            if isinstance(event, DocumentStartEvent) and found:
                raise self._refuse(event, "a template is one document")
            if isinstance(event, (ScalarEvent, SequenceStartEvent, MappingStartEvent)):
                found.append(self._node(event, 1))
        if not found:
            message = "the file is empty"
            raise ControlbookError(message, place=f"{self._place}:1")
        return found[0]

    def _node(self, event: Any, depth: int) -> Node:  # noqa: ANN401
        if isinstance(event, AliasEvent) or event.anchor is not None:
            raise self._refuse(event, "anchors and aliases are not read")
        if depth > MAX_DEPTH:
            raise self._refuse(event, f"more than {MAX_DEPTH} levels")
        node: Node
        if isinstance(event, ScalarEvent):
            node = str(event.value)
        elif isinstance(event, SequenceStartEvent):
            node = [self._node(e, depth + 1) for e in self._until(SequenceEndEvent)]
        else:
            node = self._mapping(depth)
        return self._called(event, node)

    def _until(self, end: type) -> Iterator[Any]:
        while not isinstance(event := self._next(), end):
            yield event

    def _mapping(self, depth: int) -> Node:
        members: dict[str, Node] = {}
        for event in self._until(MappingEndEvent):
            name = self._node(event, depth + 1)
            if not isinstance(name, str):
                raise self._refuse(event, "a key that is not text")
            if name in members:
                raise self._refuse(event, f"the key {name!r} stands twice")
            members[name] = self._node(self._next(), depth + 1)
        if len(members) == 1:
            name, argument = next(iter(members.items()))
            # `Condition` is a reference only where it names one; a resource's own
            # `Condition` stands among other members.
            if _LONG.fullmatch(name) and (name != "Condition" or type(argument) is str):
                return Call(name, argument)
        return members

    def _called(self, event: Any, node: Node) -> Node:  # noqa: ANN401
        tag = event.tag
        if not tag or not tag.startswith("!") or tag == "!":
            return node
        name = tag[1:]
        if name == "GetAtt" and isinstance(node, str):
            node = list(node.split(".", 1))
        return Call(name if name in {"Ref", "Condition"} else f"Fn::{name}", node)


@dataclass(slots=True, kw_only=True)
class Template:
    """A template whose values are worked out with the parameters given."""

    parameters: Mapping[str, str | None]
    """Name → the value given, else the default; None where there is neither."""
    conditions: Mapping[str, Node]
    mappings: Mapping[str, Any]
    resources: Mapping[str, Mapping[str, Any]]
    _open: set[str] = field(default_factory=set)
    _known: dict[str, bool | Unknown] = field(default_factory=dict)

    @classmethod
    def of(cls, node: Node, given: Mapping[str, str], place: str) -> Template:
        """Take a template's sections; ControlbookError where it has no resources."""
        sections = node if isinstance(node, dict) else {}
        resources = sections.get("Resources")
        if not isinstance(resources, dict) or not resources:
            message = "there is no `Resources`: this is no CloudFormation template"
            raise ControlbookError(message, place=f"{place}:1")
        declared = _section(sections, "Parameters")
        for name in given:
            if name not in declared:
                message = f"the template has no parameter {name!r}"
                known = ", ".join(sorted(declared)) or "none"
                raise ControlbookError(
                    message, place="--parameter", advice=f"it has: {known}"
                )
        return cls(
            parameters={
                name: given.get(name, _default(row)) for name, row in declared.items()
            },
            conditions=_section(sections, "Conditions"),
            mappings=_section(sections, "Mappings"),
            resources={
                name: row for name, row in resources.items() if isinstance(row, dict)
            },
        )

    def holds(self, name: str) -> bool | Unknown:
        """Tell whether a condition holds."""
        if name in self._known:
            return self._known[name]
        if name not in self.conditions:
            return Unknown(f"there is no condition {name}")
        if name in self._open:
            return Unknown(f"condition {name} refers to itself")
        self._open.add(name)
        self._known[name] = self._truth(self.conditions[name])
        self._open.discard(name)
        return self._known[name]

    def _truth(self, node: Node) -> bool | Unknown:
        if not isinstance(node, Call):
            return Unknown("a condition that is no function")
        argument = node.argument
        if node.name == "Condition" and isinstance(argument, str):
            return self.holds(argument)
        rows = argument if isinstance(argument, list) else []
        if node.name == "Fn::Equals" and len(rows) == 2:  # noqa: PLR2004 - two sides
            left, right = (self.value(row) for row in rows)
            for side in (left, right):
                if isinstance(side, Unknown):
                    return side
            return left == right
        truths = [self._truth(row) for row in rows]
        unknown = next((t for t in truths if isinstance(t, Unknown)), None)
        if node.name == "Fn::Not" and len(truths) == 1:
            return unknown or not truths[0]
        if node.name == "Fn::And" and truths:
            return False if False in truths else unknown or True
        if node.name == "Fn::Or" and truths:
            return True if True in truths else unknown or False
        return Unknown(f"{node.name} in a condition")

    def value(self, node: Node) -> Value:
        """Work a value out."""
        if isinstance(node, str):
            return node
        if isinstance(node, list):
            values = [self.value(item) for item in node]
            unknown = next((v for v in values if isinstance(v, Unknown)), None)
            return unknown or [v for v in values if not isinstance(v, NoValue)]
        if isinstance(node, dict):
            members = {name: self.value(item) for name, item in node.items()}
            return {k: v for k, v in members.items() if not isinstance(v, NoValue)}
        function = {
            "Ref": self._ref,
            "Fn::If": self._if,
            "Fn::Sub": self._sub,
            "Fn::Join": self._join,
            "Fn::Split": self._split,
            "Fn::Select": self._select,
            "Fn::FindInMap": self._find,
        }.get(node.name)
        if function is None:
            return Unknown(f"{node.name} is known only once it is deployed")
        return function(node.argument)

    def _ref(self, argument: Node) -> Value:
        name = argument if isinstance(argument, str) else ""
        if name == "AWS::NoValue":
            return NOTHING
        if name in self.parameters:
            found = self.parameters[name]
            if found is None:
                return Unknown(f"parameter {name} has no default: give --parameter")
            return found
        return Unknown(f"{name or 'a reference'} is known only once it is deployed")

    def _if(self, argument: Node) -> Value:
        if not isinstance(argument, list) or len(argument) != 3:  # noqa: PLR2004 - if, then, else
            return Unknown("Fn::If without its three parts")
        condition, then, otherwise = argument
        truth = self.holds(condition) if isinstance(condition, str) else None
        if truth is None:
            return Unknown("Fn::If whose condition is no name")
        if isinstance(truth, Unknown):
            return truth
        return self.value(then if truth else otherwise)

    def _sub(self, argument: Node) -> Value:
        text, extra = argument, {}
        if isinstance(argument, list) and len(argument) == 2:  # noqa: PLR2004 - text and names
            text, extra = argument
        if not isinstance(text, str) or not isinstance(extra, dict):
            return Unknown("Fn::Sub without text")
        out, end = "", 0
        for hole in _HOLE.finditer(text):
            out += text[end : hole.start()]
            end = hole.end()
            name = hole[2].strip()
            if hole[1]:
                out += "${" + hole[2] + "}"
                continue
            found = self.value(extra[name]) if name in extra else self._ref(name)
            if not isinstance(found, str):
                return found if isinstance(found, Unknown) else Unknown(f"${{{name}}}")
            out += found
        return out + text[end:]

    def _join(self, argument: Node) -> Value:
        if isinstance(argument, list) and len(argument) == 2:  # noqa: PLR2004 - separator and list
            rows = self.value(argument[1])
            if isinstance(rows, Unknown):
                return rows
            if isinstance(argument[0], str) and isinstance(rows, list):
                texts = [row for row in rows if isinstance(row, str)]
                if len(texts) == len(rows):
                    return argument[0].join(texts)
        return Unknown("Fn::Join over something else than texts")

    def _split(self, argument: Node) -> Value:
        if isinstance(argument, list) and len(argument) == 2:  # noqa: PLR2004 - separator and text
            text = self.value(argument[1])
            if isinstance(text, Unknown):
                return text
            if isinstance(argument[0], str) and argument[0] and isinstance(text, str):
                return list(text.split(argument[0]))
        return Unknown("Fn::Split over something else than text")

    def _select(self, argument: Node) -> Value:
        if isinstance(argument, list) and len(argument) == 2:  # noqa: PLR2004 - index and list
            index, rows = self.value(argument[0]), self.value(argument[1])
            for part in (index, rows):
                if isinstance(part, Unknown):
                    return part
            if (
                isinstance(index, str)
                and index.isdecimal()
                and isinstance(rows, list)
                and int(index) < len(rows)
            ):
                found: Value = rows[int(index)]
                return found
        return Unknown("Fn::Select without such an item")

    def _find(self, argument: Node) -> Value:
        names = [self.value(a) for a in argument] if isinstance(argument, list) else []
        found: Any = self.mappings
        for name in names:
            if isinstance(name, Unknown):
                return name
            found = found.get(name) if isinstance(found, dict) else None
        return (
            found
            if names and isinstance(found, (str, list))
            else Unknown("Fn::FindInMap without such a row")
        )


def _section(sections: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = sections.get(name)
    return found if isinstance(found, dict) else {}


def _default(row: object) -> str | None:
    default = row.get("Default") if isinstance(row, dict) else None
    if isinstance(default, list):
        return ",".join(map(str, default))
    return default if isinstance(default, str) else None
