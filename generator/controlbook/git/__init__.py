# SPDX-License-Identifier: Apache-2.0
"""The one package that talks to Git, by its plumbing."""

from .history import Change, Landed, ran_backwards, signed_with_owners
from .paths import CODEOWNERS, CONTENT
from .process import Author, GitFailedError, PushRejectedError, git_version, identity
from .repository import Repository

__all__ = [
    "CODEOWNERS",
    "CONTENT",
    "Author",
    "Change",
    "GitFailedError",
    "Landed",
    "PushRejectedError",
    "Repository",
    "git_version",
    "identity",
    "ran_backwards",
    "signed_with_owners",
]
