# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weed import Store

# `small.py` and its like are values that several test files share.
sys.path.insert(0, str(Path(__file__).parent))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="write the golden files anew; review the difference like code",
    )


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Start one S3 with Object Lock for the whole test run."""
    import weed  # noqa: PLC0415 - boto3 takes long to load

    with weed.running(tmp_path_factory.mktemp("weed")) as started:
        yield started
