"""The tests of pages in a process of their own, and once more where they do not come back (make test).

Seen on Linux 6.18, once in some hundred starts on two busy cores: a browser, or what drives it, is held where it starts a
thread or a process, at full speed and for good, until a debugger looks. No test can do anything about it, and one that is held
holds a worker of a whole run. A failure is a failure and is not tried again.
"""

import subprocess
import sys

import psutil

LIMIT = 400  # s; they take 80, three times that on cores that others keep busy
TRIES = 3
ARGV = ["-q", "-o", "timeout=0", "-o", f"faulthandler_timeout={LIMIT - 100}", "tests/dlrender/page"]


def main() -> int:
    for _ in range(TRIES):
        code = run([sys.executable, "-m", "pytest", *ARGV, *sys.argv[1:]], LIMIT)
        if code is not None:
            return code
        print(
            f"the tests of pages did not end within {LIMIT} s; their processes were ended", file=sys.stderr, flush=True
        )
    return 1


def run(argv: list[str], limit: float) -> int | None:
    """A program's exit code, or None if it and all its children had to be ended."""
    with subprocess.Popen(argv) as process:
        try:
            return process.wait(limit)
        except subprocess.TimeoutExpired:
            for each in [*psutil.Process(process.pid).children(recursive=True), process]:
                each.kill()
            return None
        except BaseException:
            process.kill()
            raise


if __name__ == "__main__":
    sys.exit(main())
