"""What the tests share: stand-ins for policies, data sets and caches, and ways to run the commands."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared"  # real data beside a checkout; tests that need it skip where it is absent
HUMAN = SHARED / "pusht_human" / "pusht_cchi_v7_replay.zarr"
