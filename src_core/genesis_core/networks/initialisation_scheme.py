"""Names of the initial weights that are compared as training from scratch; importing this loads no torch."""

from __future__ import annotations

from typing import Literal

# Source: Zhou et al. 2021, sec. 3.3 and table 3 (uniform, Xavier, MSRA); "torch" is what torch does by itself.
Scheme = Literal["torch", "msra", "xavier", "uniform"]
