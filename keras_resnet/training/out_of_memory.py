"""Running out of memory, in words."""

import re

# The same status stands for full disks and too many open files.
_MEMORY = re.compile(r"out of memory|\bOOM\b|allocat", re.IGNORECASE)
_OTHERS = re.compile(r"no space left|disk quota|too many open files", re.IGNORECASE)
_BYTES = re.compile(r"allocat\w*\s+(?:of\s+)?([\d.]+)\s*(bytes?|[KMG]i?B)?", re.IGNORECASE)


def out_of_memory(error):
    """What to do about an error, if it says that memory ran out.

    Args:
        error: an exception of TensorFlow, JAX, NumPy or Python itself.

    Returns:
        str, or None for an error of another kind.

    Example:
    >>> out_of_memory(MemoryError()).partition(".")[0]
    'Out of memory'
    >>> out_of_memory(ValueError("no")) is None
    True
    """
    text = str(getattr(error, "message", None) or error)
    if not isinstance(error, MemoryError):
        exhausted = "ResourceExhausted" in type(error).__name__ or "RESOURCE_EXHAUSTED" in text
        if not exhausted or not _MEMORY.search(text) or _OTHERS.search(text):
            return None
    return (
        f"Out of memory{_wanted(text)}. Use smaller batches (batch=4), smaller images (imgsz=640), "
        "train.precision=mixed_bfloat16, which needs about half, or share each batch among more "
        "devices (device=0,1). Other programs on the same device need memory, too."
    )


def _wanted(text):
    found = _BYTES.search(text)
    if found is None:
        return ""
    unit = found[2] or "bytes"
    if not unit.lower().startswith("byte"):
        return f": {found[1]} {unit} more were wanted"
    amount = float(found[1].rstrip("."))
    for name in ("bytes", "KiB", "MiB", "GiB"):
        if amount < 1024 or name == "GiB":
            break
        amount /= 1024
    return f": {amount:.3g} {name} more were wanted"
