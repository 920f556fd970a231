# SPDX-License-Identifier: Apache-2.0
"""Manual evidence in the vault: which files are taken, and for how long they stay.

Rules enforced here (T79):
- a document is kept as its bytes; nothing here opens, unpacks or renders it;
- extension and first bytes must agree, and the name must be harmless.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from controlbook.digest import sha256
from controlbook.errors import ControlbookError

if TYPE_CHECKING:
    from controlbook.model import StoredObject
    from controlbook.timeline import Instant

    from . import Vault

MAX_BYTES = 64 * 1024 * 1024
KINDS = {
    "pdf": b"%PDF-",
    "png": b"\x89PNG\r\n\x1a\n",
    "jpg": b"\xff\xd8\xff",
    "docx": b"PK\x03\x04",
    "xlsx": b"PK\x03\x04",
    "csv": b"",
    "md": b"",
    "txt": b"",
}
"""Extension → the bytes that such a file begins with; text begins with anything."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._()-]{0,119}", re.ASCII)


def store(
    vault: Vault, name: str, content: bytes, *, retain_until: Instant
) -> StoredObject:
    """Put a document into the vault under its digest; the same bytes are stored once.

    Raises ControlbookError for a kind, a size or a name that is not taken.
    """
    flaw = document_flaw(name, content)
    if flaw:
        raise ControlbookError(
            flaw, place=name, advice=f"take one of {', '.join(sorted(KINDS))}"
        )
    suffix = name.rpartition(".")[2].lower()
    key = f"packs/manual/{sha256(content)}.{suffix}"
    return vault.put(key, content, role="manual", retain_until=retain_until)


def document_flaw(name: str, content: bytes) -> str:
    """Say why a document is not taken; empty where it is."""
    suffix = name.rpartition(".")[2].lower()
    if not _NAME.fullmatch(name) or suffix not in KINDS:
        return "the name is not one that is taken"
    if not content:
        return "the file is empty"
    if len(content) > MAX_BYTES:
        return f"the file has more than {MAX_BYTES} bytes"
    magic = KINDS[suffix]
    if not content.startswith(magic):
        return f"the content does not begin like a .{suffix} file"
    if not magic and (b"\0" in content or not _is_text(content)):
        return f"the content is not the UTF-8 text of a .{suffix} file"
    return ""


def _is_text(content: bytes) -> bool:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
