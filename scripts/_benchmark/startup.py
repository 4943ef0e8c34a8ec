"""How long imports take, each in a fresh interpreter."""

import subprocess
import sys
import time

from _benchmark.harness import Unavailable

_CODE = "import time, keras; t = time.perf_counter(); import {0}; print(time.perf_counter() - t)"


def import_time(package, quick=False):
    """Seconds that importing a package adds to `import keras`: the median of several processes."""
    times = []
    for _ in range(1 if quick else 5):
        found = subprocess.run(
            [sys.executable, "-c", _CODE.format(package)], capture_output=True, text=True
        )
        if found.returncode:
            raise Unavailable(found.stderr.strip().splitlines()[-1])
        times.append(float(found.stdout.split()[-1]))
    seconds = sorted(times)[len(times) // 2]
    return lambda: time.sleep(0), {"seconds": seconds}
