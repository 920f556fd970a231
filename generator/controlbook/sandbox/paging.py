# SPDX-License-Identifier: Apache-2.0
"""Pages and their tokens, with the ways in which AWS's paging hurts.

Rules enforced here:
- a token belongs to one operation with the same other parameters; any other token is
  InvalidNextTokenException, and so is one that the sandbox lets expire;
- a listing pages over everything and filters afterwards, as AWS does: a page may be
  short or empty and still carry a token.
"""

from __future__ import annotations

import base64
import hashlib
import json
from itertools import pairwise
from typing import TYPE_CHECKING, TypeVar

from .protocol import ServiceError
from .trouble import FIRST, LAST, MIDDLE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .protocol import Params
    from .trouble import Trouble

Row = TypeVar("Row")


class Pager:
    """Cuts listings into pages and remembers only which tokens have expired."""

    def __init__(self, trouble: Trouble) -> None:
        """Take the switches for what hurts."""
        self._trouble = trouble
        self._to_expire = trouble.expired_tokens

    def page(
        self,
        operation: str,
        params: Params,
        rows: Sequence[Row],
        size: int,
    ) -> tuple[list[Row], dict[str, str]]:
        """Give one page, and the next token as a member, or no member at the end."""
        pages = self._pages(operation, rows, size)
        binding = binding_of(operation, params)
        index = 0
        if token := params.get("NextToken"):
            index = self.position(binding, token)
        if index >= len(pages):
            raise _invalid_token()
        following = index if self._trouble.looped_token else index + 1
        if following >= len(pages):
            return pages[index], {}
        return pages[index], {"NextToken": token_for(binding, following)}

    def position(self, binding: str, token: str) -> int:
        """Read a token, or raise InvalidNextTokenException."""
        if self._to_expire > 0:
            self._to_expire -= 1
            raise _invalid_token(why="the token has expired")
        try:
            found, index = json.loads(base64.urlsafe_b64decode(token))
        except (ValueError, TypeError) as error:
            raise _invalid_token() from error
        if found != binding or not isinstance(index, int) or index < 0:
            raise _invalid_token()
        return index

    def _pages(self, operation: str, rows: Sequence[Row], size: int) -> list[list[Row]]:
        trouble = self._trouble
        if operation in trouble.blank_listings:
            rows = ()
        pages = [list(rows[i : i + size]) for i in range(0, len(rows), size)] or [[]]
        if trouble.repeated_row:
            for before, after in pairwise(pages):
                after.insert(0, before[-1])
        if MIDDLE in trouble.empty_pages:
            pages.insert((len(pages) + 1) // 2, [])
        if FIRST in trouble.empty_pages:
            pages.insert(0, [])
        if LAST in trouble.empty_pages:
            pages.append([])
        return pages


def binding_of(operation: str, params: Params) -> str:
    """Tell what a token of this call is bound to."""
    rest = {k: str(v) for k, v in params.items() if k.lower() != "nexttoken"}
    text = json.dumps([operation, rest], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def token_for(binding: str, index: int) -> str:
    """Write an opaque token."""
    return base64.urlsafe_b64encode(json.dumps([binding, index]).encode()).decode()


def _invalid_token(*, why: str = "the token is not valid") -> ServiceError:
    return ServiceError(code="InvalidNextTokenException", message=why)
