"""The benchmark is a package beside `src`, found from the top of the checkout."""

from __future__ import annotations

import sys
from pathlib import Path

TOP = str(Path(__file__).parents[2])
if TOP not in sys.path:
    sys.path.append(TOP)
