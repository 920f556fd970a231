# SPDX-License-Identifier: Apache-2.0
"""AWS's query protocol: a form in, XML out, both driven by botocore's model.

Rules enforced here:
- members, list and map wrappings follow the model's shapes and location names;
- a request and our reply are checked as everywhere in the sandbox (protocol.py).

Checked against botocore's models; never run against AWS.
"""

from __future__ import annotations

import base64
import re
from datetime import datetime
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from controlbook.timeline import from_datetime, iso

from .protocol import service_model

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .protocol import AnyShape, Caller, Params, Service, ServiceError, Wire

_LISTED = re.compile(r"(\w+)\.member\.(\d+)\Z")


def query(service: Service, caller: Caller, body: bytes) -> bytes:
    """Answer a call of the query protocol with the reply's XML."""
    form = dict(parse_qsl(body.decode(), keep_blank_values=True))
    operation = form.pop("Action", "")
    form.pop("Version", None)
    model, reply = service.call(caller, operation, lambda shape: read_form(shape, form))
    shape = model.output_shape
    inner = "".join(_members(shape, reply)) if shape else ""
    wrapper = shape.serialization.get("resultWrapper", "") if shape else ""
    result = f"<{wrapper}>{inner}</{wrapper}>" if wrapper else inner
    request = "<ResponseMetadata><RequestId>sandbox</RequestId></ResponseMetadata>"
    return (
        f'<{operation}Response xmlns="{namespace(service.name)}">{result}{request}'
        f"</{operation}Response>"
    ).encode()


def namespace(service: str) -> str:
    """Give the XML namespace of a service."""
    space: str = service_model(service).metadata.get("xmlNamespace", "")
    return space


def read_form(shape: AnyShape, form: Mapping[str, str]) -> Params:
    """Read a form's flat members and its lists of texts."""
    params: Params = {}
    for name, value in form.items():
        listed = _LISTED.match(name)
        if listed:
            params.setdefault(listed[1], []).append(value)
            continue
        member = shape.members.get(name)
        number = member is not None and member.type_name == "integer"
        params[name] = int(value) if number and value.isdigit() else value
    return params


def _members(shape: AnyShape, value: Params) -> list[str]:
    return [
        to_xml(shape.members[name], _tag(shape.members[name], name), each)
        for name, each in value.items()
    ]


def _tag(shape: AnyShape, name: str) -> str:
    tag: str = shape.serialization.get("name", name)
    return tag


def to_xml(shape: AnyShape, tag: str, value: Wire) -> str:
    """Write a value in the form that its shape says."""
    kind = shape.type_name
    if kind == "structure":
        inner = "".join(_members(shape, value))
    elif kind == "list":
        one = shape.member.serialization.get("name", "member")
        inner = "".join(to_xml(shape.member, one, each) for each in value)
    elif kind == "map":
        inner = "".join(
            f"<entry><key>{escape(str(key))}</key>"
            f"{to_xml(shape.value, 'value', each)}</entry>"
            for key, each in value.items()
        )
    elif isinstance(value, bool):
        inner = "true" if value else "false"
    elif isinstance(value, datetime):
        inner = iso(from_datetime(value))
    elif isinstance(value, bytes):
        inner = base64.b64encode(value).decode()
    else:
        inner = escape(str(value))
    return f"<{tag}>{inner}</{tag}>"


def error_xml(error: ServiceError, namespace: str) -> bytes:
    """Write an error as the query protocol does."""
    side = "Receiver" if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR else "Sender"
    return (
        f'<ErrorResponse xmlns="{namespace}"><Error><Type>{side}</Type>'
        f"<Code>{error.code}</Code><Message>{escape(error.message)}</Message></Error>"
        "<RequestId>sandbox</RequestId></ErrorResponse>"
    ).encode()
