"""How long imports take, each in a fresh interpreter."""

import subprocess
import sys

from _benchmark.harness import Seconds, Unavailable

_CODE = "import time, keras; t = time.perf_counter(); import {0}; print(time.perf_counter() - t)"


def import_time(package, quick=False):
    """Seconds that importing a package adds to `import keras`."""

    def step():
        found = subprocess.run(
            [sys.executable, "-c", _CODE.format(package)], capture_output=True, text=True
        )
        if found.returncode:
            raise Unavailable(found.stderr.strip().splitlines()[-1])
        return Seconds(found.stdout.split()[-1])

    return step, {}
