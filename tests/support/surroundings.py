"""Importing this first makes the tests independent of where they run, here and in the processes that they start.

numpy and torch have one thread each: a small network on few rows gains nothing from more, and loses much where the machine
is busy. The caches of Hugging Face and matplotlib lie in a folder of the run's own: a home may be read-only or missing, and
what is in it is not for tests to fill or to rely on.
"""

import atexit
import os
import shutil
import tempfile

os.environ.setdefault("OMP_NUM_THREADS", "1")

if "DLSCORE_TESTS_HOME" not in os.environ:  # the workers of xdist share their controller's
    folder = tempfile.mkdtemp(prefix="dlscore-tests-")
    os.environ["DLSCORE_TESTS_HOME"] = folder
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
for name, below in (("HF_HOME", "huggingface"), ("MPLCONFIGDIR", "matplotlib"), ("XDG_CACHE_HOME", "cache")):
    os.environ[name] = os.path.join(os.environ["DLSCORE_TESTS_HOME"], below)
home = os.environ.get("HOME", "")
if not (os.path.isdir(home) and os.access(home, os.W_OK)):  # Ray writes into it
    os.environ["HOME"] = os.environ["DLSCORE_TESTS_HOME"]
for name in ("HF_HUB_CACHE", "HF_DATASETS_CACHE", "HF_LEROBOT_HOME", "HF_TOKEN"):
    os.environ.pop(name, None)
