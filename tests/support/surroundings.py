"""Importing this first gives numpy and torch one thread each, here and in the processes that tests start.

A small network on few rows gains nothing from more, and loses much where the machine is busy.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
