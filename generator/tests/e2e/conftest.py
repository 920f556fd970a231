# SPDX-License-Identifier: Apache-2.0
"""Make the played demo a fixture of every test in this folder."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from played import demo

__all__ = ["demo"]
