# SPDX-License-Identifier: Apache-2.0
"""AWS's REST-JSON protocol, driven by botocore's model: operations by method and path.

Rules enforced here:
- an operation is found on the *raw* path, so that an encoded slash stays in its
  segment;
- members come from path, query string or body, as the model says;
- a request and our reply are checked as everywhere in the sandbox (protocol.py).

Checked against botocore's models; never run against AWS.
"""

from __future__ import annotations

import json
import re
from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote

from .protocol import ServiceError, from_wire, service_model, to_wire

if TYPE_CHECKING:
    from .protocol import AnyShape, Caller, Params, Service
    from .s3 import Reply, Request

JSON = {"Content-Type": "application/json"}


@cache
def _routes(service: str) -> tuple[tuple[str, re.Pattern[str], str], ...]:
    model = service_model(service)
    found = []
    for name in model.operation_names:
        http = model.operation_model(name).http
        path = http["requestUri"].partition("?")[0]
        parts = re.split(r"\{(\w+)\+?\}", path)
        pattern = "".join(
            f"(?P<{part}>[^/]+)" if index % 2 else re.escape(part)
            for index, part in enumerate(parts)
        )
        found.append((http["method"], re.compile(pattern), name))
    # The most literal route first: /a/b before /a/{x}.
    return tuple(sorted(found, key=lambda row: -len(row[1].pattern)))


def operation_of(service: str, request: Request) -> tuple[str, dict[str, str]]:
    """Find the operation of a request, and what its path says."""
    for method, pattern, name in _routes(service):
        match = pattern.fullmatch(request.path)
        if match and method == request.method:
            return name, {key: unquote(text) for key, text in match.groupdict().items()}
    return "", {}


def answer(service: Service, caller: Caller, request: Request) -> bytes:
    """Answer a call with the reply's bytes."""
    operation, in_path = operation_of(service.name, request)
    model, reply = service.call(
        caller, operation, lambda shape: _read(shape, request, in_path)
    )
    shape = model.output_shape
    document = to_wire(shape, reply) if shape else {}
    return json.dumps(document, separators=(",", ":")).encode()


def _read(shape: AnyShape, request: Request, in_path: dict[str, str]) -> Params:
    query = dict(parse_qsl(request.query, keep_blank_values=True))
    try:
        body = json.loads(request.body or b"{}")
    except ValueError as error:
        raise ServiceError(code="ValidationException", message=str(error)) from error
    params: Params = {}
    for name, member in shape.members.items():
        where = member.serialization.get("location", "body")
        key = member.serialization.get("name", name)
        given = {"uri": in_path, "querystring": query}.get(where, body)
        if key not in given:
            continue
        value = given[key]
        if where == "querystring" and member.type_name == "integer":
            value = int(value) if value.lstrip("-").isdigit() else value
        params[name] = from_wire(member, value)
    return params


def refused(error: ServiceError) -> Reply:
    """Write an error as REST-JSON does: its name in a header."""
    headers = {**JSON, "x-amzn-errortype": error.code}
    return error.status, headers, json.dumps({"message": error.message}).encode()
