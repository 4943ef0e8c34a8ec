"""How much memory training takes."""

import pathlib
import sys

import keras


def memory_in_use():
    """Memory that the backend holds on the first accelerator, or else that of the process.

    Returns:
        Bytes as int: what tensors on the accelerator take, or the resident memory of this process
        where it computes on CPUs; None where that cannot be asked for.
    """
    found = _on_accelerator()
    return _of_process() if found is None else found


def _on_accelerator():
    backend = keras.backend.backend()
    try:
        if backend == "tensorflow":
            import tensorflow as tf

            if tf.config.list_logical_devices("GPU"):
                return tf.config.experimental.get_memory_info("GPU:0")["current"]
        elif backend == "jax":
            import jax

            # None on CPUs.
            return (jax.local_devices()[0].memory_stats() or {}).get("bytes_in_use")
    except (ValueError, RuntimeError, NotImplementedError):
        return None  # this kind of device does not tell
    return None


def _of_process():
    path = pathlib.Path("/proc/self/status")
    if path.is_file():
        for line in path.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmRSS:"):
                return 1024 * int(line.split()[1])
    try:
        import resource
    except ImportError:
        return None
    # The largest so far; in bytes on macOS, in KiB elsewhere.
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
