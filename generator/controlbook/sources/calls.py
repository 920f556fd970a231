# SPDX-License-Identifier: Apache-2.0
"""Which API calls there are, as far as the installed botocore knows.

Rules enforced here:
- a call that is not known may be newer than botocore: that is worth saying, not an
  error; collecting says what AWS makes of it.
"""

from __future__ import annotations

from functools import cache

from botocore.exceptions import BotoCoreError
from botocore.loaders import create_loader

from controlbook.reading import did_you_mean

_loader = cache(create_loader)


def unknown(call: str) -> str:
    """Say what is strange about a call such as `iam:GetUser`; empty: it is known."""
    service, _, operation = call.partition(":")
    services = _loader().list_available_services("service-2")
    if service not in services:
        near = did_you_mean(service, services)
        return f"boto3 knows no service {service!r}{near and '; ' + near}"
    try:
        model = _loader().load_service_model(service, "service-2")
    except BotoCoreError:
        return ""
    names = model["operations"]
    if operation in names:
        return ""
    near = did_you_mean(operation, names)
    return f"boto3 knows no call {call}{near and '; ' + near}"
