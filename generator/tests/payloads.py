# SPDX-License-Identifier: Apache-2.0
"""Hostile Markdown, one list for every place that shows what people write."""

from __future__ import annotations

import tomllib
from pathlib import Path

_TREE = tomllib.loads((Path(__file__).parent / "data" / "payloads.toml").read_text())
SCRIPTS: list[str] = _TREE["scripts"]
LINKS: list[str] = _TREE["links"]
DISGUISES: list[str] = _TREE["disguises"]
TEMPLATES: list[str] = _TREE["templates"]
ALL = [*SCRIPTS, *LINKS, *DISGUISES, *TEMPLATES]
