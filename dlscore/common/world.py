"""PushT's world in numbers, which both packages share: positions in px, y down, angles in rad.

The native canvas draws one px of the world as one pixel, so `WORLD_SIZE` is the side of both.
"""

from __future__ import annotations

import numpy as np

WORLD_SIZE = 512  # px
GOAL_POSE = np.array([256.0, 256.0, np.pi / 4])  # x, y [px], angle [rad] of the block's goal
AGENT_RADIUS = 15.0  # px

# The T block at angle 0 [px], relative to the position of its body (gym-pusht's scale 30, length 4).
BLOCK_OUTLINE = np.array(
    [(-60, 0), (60, 0), (60, 30), (15, 30), (15, 120), (-15, 120), (-15, 30), (-60, 30)], dtype=float
)
