"""What a page tells of the machine that it was made on."""

import importlib.metadata
import os
import platform
from pathlib import Path

_PACKAGES = ("keras-resnet-detection", "keras", "tensorflow", "jax", "numpy")


def describe_machine():
    """Dict of processor, cores, accelerators, backend, precision and versions."""
    import keras  # `processor` is also for those who want no framework in their process

    found = {
        "processor": processor(),
        "cores": os.cpu_count(),
        "devices": ", ".join(keras.distribution.list_devices()),
        "backend": keras.config.backend(),
        "precision": keras.config.dtype_policy().name,
        "Python": platform.python_version(),
    }
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def processor():
    """What the processor calls itself: str."""
    path = Path("/proc/cpuinfo")
    if path.is_file():
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
