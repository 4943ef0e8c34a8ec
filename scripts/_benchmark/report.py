"""Tables and JSON of a benchmark, and a description of the machine."""

import datetime
import importlib.metadata
import os
import platform
from pathlib import Path

PACKAGES = ("keras", "tensorflow", "jax", "torch", "torchvision", "numpy")


def machine():
    """Dict of processor, cores, accelerators and versions."""
    return {
        "date": datetime.date.today().isoformat(),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "python": platform.python_version(),
        **{name: _version(name) for name in PACKAGES if _version(name)},
    }


def row(case, found):
    """One result as a dict of plain values.

    Args:
        case: a `Case`.
        found: what `measure` returned.
    """
    ours, peer = found["ours"], found.get("peer")
    result = {"case": case.name, "suite": case.suite, "target": case.target}
    for name, side in (("ours", ours), ("peer", peer)):
        if side is not None:
            result[name] = {k: v for k, v in side.items() if k != "times"}
    value = None
    if "unavailable" not in ours:
        if case.compare in ("speedup", "cost"):
            if peer is not None and "unavailable" not in peer:
                ratio = peer["median"] / ours["median"]
                value = ratio if case.compare == "speedup" else 1 / ratio
        else:
            value = ours[case.compare]
    result["value"] = value
    if value is not None and case.target is not None:
        met = value >= case.target if case.compare == "speedup" else value <= case.target
        result["met"] = bool(met)
    result["compare"] = case.compare
    return result


def table(rows):
    """Markdown table of results."""
    lines = [
        "| case | ours | peer | value | target | met | memory ours / peer |",
        "|---|---|---|---|---|---|---|",
    ]
    for r in rows:
        sign = "≥" if r["compare"] == "speedup" else "≤"
        target = "-" if r["target"] is None else f"{sign} {r['target']:g}"
        met = {True: "yes", False: "no", None: "-"}[r.get("met")]
        value = "-" if r["value"] is None else f"{r['value']:.3g}"
        memory = " / ".join(_memory(r.get(side)) for side in ("ours", "peer"))
        cells = [r["case"], _time(r.get("ours")), _time(r.get("peer")), value, target, met, memory]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def notes(rows):
    """Lines on the sides that could not run."""
    lines = []
    for r in rows:
        for side in ("ours", "peer"):
            reason = (r.get(side) or {}).get("unavailable")
            if reason:
                lines.append(f"{r['case']}: {side} not available: {reason}")
    return lines


def _time(side):
    if side is None or "median" not in side:
        return "-"
    seconds = side["median"]
    text = f"{seconds:.2f} s" if seconds >= 10 else f"{1000 * seconds:.3g} ms"
    if "images" in side:
        text += f" ({side['images'] / seconds:.3g} images/s)"
    return text


def _memory(side):
    if side is None or "peak_memory" not in side:
        return "-"
    return f"{side['peak_memory'] / 2**30:.2f} GiB"


def _processor():
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _version(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
