# SPDX-License-Identifier: Apache-2.0
"""A responder for AWS's JSON and query protocols, driven by botocore's own models.

Rules enforced here:
- operations, members, types and errors come from the service model, never from memory;
- a request *and our reply* are checked against it: botocore's validator (types,
  required and unknown members, minimum) plus what that skips: enumerations, maximum
  lengths and values, list sizes; patterns on requests only;
- a reply of ours that breaks the model is a loud 500, not a quiet lie;
- an operation that is not emulated answers UnknownOperationException.

Checked against botocore's models and AWS's documented samples; never run against AWS.
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias

import botocore.session
from botocore.validate import ParamValidator

from controlbook.timeline import from_datetime, iso

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from botocore.model import OperationModel, ServiceModel, Shape

    from controlbook.timeline import Instant

UNMODELLED = (
    "ThrottlingException",
    "UnknownOperationException",
    "ValidationException",
    "ValidationError",
    "AccessDeniedException",
    "AccessDenied",
    "SerializationException",
    "InternalFailure",
    "SubscriptionRequiredException",
    "InvalidParameterValueException",
)
"""Errors that every AWS service may answer although no model names them."""


class ServiceError(Exception):
    """An error that AWS would answer, with its code and HTTP status."""

    def __init__(self, *, code: str, message: str, status: int = 400) -> None:
        """Name the error."""
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who calls, where to, and when: the context of every operation."""

    account: str
    region: str
    now: Instant
    access_key: str


Params = dict[str, Any]  # as botocore's model shapes them
Wire: TypeAlias = Any  # a member's value, in JSON or in Python
AnyShape: TypeAlias = Any  # a shape of whatever type its type_name says
if TYPE_CHECKING:
    Handler = Callable[[Caller, Params], Params]


@cache
def service_model(service: str) -> ServiceModel:
    """Load a service's model from botocore's data, once per process."""
    return botocore.session.Session().get_service_model(service)


@cache
def operation_model(service: str, operation: str) -> OperationModel:
    """Give one operation of a service's model."""
    return service_model(service).operation_model(operation)


class Service:
    """One AWS service: its model, and the operations that we emulate."""

    def __init__(self, name: str, handlers: Mapping[str, Handler]) -> None:
        """Take the emulated operations by their names."""
        self.name = name
        self.handlers = dict(handlers)

    def call(
        self, caller: Caller, operation: str, read: Callable[[Shape], Params]
    ) -> tuple[OperationModel, Params]:
        """Check a request, answer it, check the answer; raises ServiceError."""
        handler = self.handlers.get(operation)
        if handler is None:
            message = f"the sandbox does not emulate {self.name}:{operation}"
            raise ServiceError(code="UnknownOperationException", message=message)
        model = operation_model(self.name, operation)
        params = read(model.input_shape) if model.input_shape else {}
        if model.input_shape:
            refuse_invalid(model, params)
        try:
            reply = handler(caller, params)
        except ServiceError as error:
            demand_modelled(model, error)
            raise
        if model.output_shape:
            problems = list(violations(model.output_shape, reply, patterns=False))
            if problems:
                message = f"our reply breaks the model: {'; '.join(problems)}"
                raise ServiceError(code="InternalFailure", message=message, status=500)
        return model, reply

    def json(self, caller: Caller, operation: str, body: bytes) -> bytes:
        """Answer a JSON 1.1 call with the reply's bytes."""
        model, reply = self.call(caller, operation, lambda shape: _parse(shape, body))
        shape = model.output_shape
        document = to_wire(shape, reply) if shape else {}
        return json.dumps(document, separators=(",", ":")).encode()


def demand_modelled(model: OperationModel, error: ServiceError) -> None:
    """Turn an error that the operation's model does not name into a loud 500."""
    names = {shape.name for shape in model.error_shapes}
    # A model may give its exception another code: NoSuchEntity.
    names |= {s.metadata.get("error", {}).get("code") for s in model.error_shapes}
    if error.code not in names and error.code not in UNMODELLED:
        message = f"{model.name} has no error {error.code} in its model"
        raise ServiceError(
            code="InternalFailure", message=message, status=500
        ) from error


def refuse_invalid(model: OperationModel, params: Params) -> None:
    """Raise the error AWS answers to a request that breaks the model."""
    problems = list(violations(model.input_shape, params, patterns=True))
    if not problems:
        return
    names = {shape.name for shape in model.error_shapes}
    about_limit = all(
        re.match(r"(limit|maxresults)\b", p, re.IGNORECASE) for p in problems
    )
    limit = about_limit and "InvalidLimitException" in names
    code = "InvalidLimitException" if limit else "ValidationException"
    count = f"{len(problems)} validation error{'s' if len(problems) > 1 else ''}"
    raise ServiceError(code=code, message=f"{count} detected: {'; '.join(problems)}")


def _parse(shape: Shape, body: bytes) -> Params:
    try:
        document = json.loads(body or b"{}")
    except ValueError as error:
        raise ServiceError(code="SerializationException", message=str(error)) from error
    if not isinstance(document, dict):
        raise ServiceError(
            code="SerializationException", message="the body is not an object"
        )
    value: Params = from_wire(shape, document)
    return value


def from_wire(shape: AnyShape, value: Wire) -> Wire:
    """Turn epoch numbers into datetimes, where the shape says timestamp."""
    kind = shape.type_name
    if kind == "structure" and isinstance(value, dict):
        known = shape.members
        return {
            name: from_wire(known[name], each) if name in known else each
            for name, each in value.items()
            if each is not None
        }
    if kind == "list" and isinstance(value, list):
        return [from_wire(shape.member, each) for each in value]
    if kind == "timestamp" and isinstance(value, int | float):
        return datetime.fromtimestamp(value, UTC)
    if kind == "timestamp" and isinstance(value, str):
        return datetime.fromisoformat(value)
    return value


def to_wire(shape: AnyShape, value: Wire) -> Wire:
    """Turn datetimes into epoch numbers, as JSON 1.1 writes them."""
    kind = shape.type_name
    if kind == "structure":
        members = shape.members
        return {name: to_wire(members[name], each) for name, each in value.items()}
    if kind == "list":
        return [to_wire(shape.member, each) for each in value]
    if kind == "blob":
        return base64.b64encode(value).decode()
    if kind == "timestamp":
        if shape.serialization.get("timestampFormat") == "iso8601":
            return iso(from_datetime(value))
        millis = from_datetime(value)
        return millis // 1000 if millis % 1000 == 0 else millis / 1000
    return value


def violations(shape: Shape | None, value: Params, *, patterns: bool) -> Iterable[str]:
    """Give every way in which a value breaks its shape."""
    if shape is None:
        return
    report = ParamValidator().validate(value, shape)
    if report.has_errors():
        yield report.generate_report()
        return
    yield from _limits(shape, value, "", patterns=patterns)


def _limits(
    shape: AnyShape, value: Wire, path: str, *, patterns: bool
) -> Iterable[str]:
    """Give what botocore's validator skips: maximum, enumeration, pattern."""
    kind = shape.type_name
    if kind == "structure":
        for name, each in value.items():
            inner = f"{path}.{name}" if path else name
            yield from _limits(shape.members[name], each, inner, patterns=patterns)
    elif kind == "list":
        yield from _size(shape, len(value), f"{path}: its length")
        for index, each in enumerate(value):
            yield from _limits(
                shape.member, each, f"{path}[{index}]", patterns=patterns
            )
    elif kind == "map":
        for key, each in value.items():
            yield from _limits(shape.value, each, f"{path}.{key}", patterns=patterns)
    elif kind == "string":
        yield from _text(shape, value, path, patterns=patterns)
    elif kind in {"integer", "long"}:
        yield from _size(shape, value, f"{path}: the value")


def _text(shape: Shape, value: str, path: str, *, patterns: bool) -> Iterable[str]:
    yield from _size(shape, len(value), f"{path}: its length")
    enum = shape.metadata.get("enum")
    if enum and value not in enum:
        yield f"{path}: {value!r} is not one of the model's {len(enum)} values"
    pattern = shape.metadata.get("pattern")
    if patterns and pattern and not _pattern(pattern).fullmatch(value):
        yield f"{path}: {value!r} does not satisfy the pattern {pattern}"


def _size(shape: Shape, size: int, what: str) -> Iterable[str]:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if low is not None and size < low:
        yield f"{what} {size} is below {low}"
    if high is not None and size > high:
        yield f"{what} {size} is above {high}"


@cache
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text, re.ASCII)


def error_document(error: ServiceError) -> bytes:
    """Write an error as JSON 1.1 does."""
    return json.dumps({"__type": error.code, "message": error.message}).encode()
