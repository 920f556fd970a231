# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import sys
from pathlib import Path

# `small.py` and its like are values that several test files share.
sys.path.insert(0, str(Path(__file__).parent))
