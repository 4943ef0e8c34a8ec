"""Tables and JSON of a benchmark, and a description of the machine."""

import datetime
import importlib.metadata
import importlib.util
import os
import platform
import runpy
import subprocess

PACKAGES = ("keras", "tensorflow", "jax", "torch", "torchvision", "pycocotools", "numpy")
MEMORY = 1.2  # Our peak may be so many times the peer's.
_AT_LEAST = ("speedup",)


def machine():
    """Dict of processor, cores, accelerators and versions."""
    return {
        "date": datetime.date.today().isoformat(),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "device": _device(),
        "python": platform.python_version(),
        **{name: _version(name) for name in PACKAGES if _version(name)},
    }


def row(case, found):
    """One result as a dict of plain values.

    Args:
        case: a `Case`.
        found: what `measure` returned.

    Returns:
        Dict of `case`, `suite`, `target`, `compare`, the sides without their single times, `value`
        (what is compared with the target), `met` where there is a target, and `memory_met` where
        there is something to compare our peak with.
    """
    result = {"case": case.name, "suite": case.suite, "target": case.target}
    result["compare"] = case.compare
    if case.axis is not None:
        result["axis"], result["at"] = case.axis
    for name, side in found.items():
        result[name] = {k: v for k, v in side.items() if k != "times"}
    result["value"] = value = _value(case.compare, found)
    if value is not None and case.target is not None:
        at_least = case.compare in _AT_LEAST
        result["met"] = value >= case.target if at_least else value <= case.target
    peaks = [found.get(side, {}).get("peak_memory") for side in ("ours", "peer")]
    if None not in peaks:
        result["memory_met"] = peaks[0] <= MEMORY * peaks[1]
        if case.max_memory is not None:
            result["memory_met"] &= peaks[0] <= case.max_memory
    return result


def _value(compare, found):
    ours, peer = (found.get(side, {}).get("median") for side in ("ours", "peer"))
    if ours is None:
        return None
    if compare == "seconds":
        return ours
    if peer is None:
        return None
    return {"speedup": peer / ours, "cost": ours / peer, "share": 1 - peer / ours}[compare]


def table(rows):
    """Markdown table of results."""
    lines = [
        "| case | ours | peer | value | target | met | memory ours / peer | within 1.2 |",
        "|---|---|---|---|---|---|---|---|",
    ]
    words = {True: "yes", False: "no", None: "-"}
    for r in rows:
        sign = "≥" if r["compare"] in _AT_LEAST else "≤"
        target = "-" if r["target"] is None else f"{sign} {r['target']:g}"
        value = "-" if r["value"] is None else f"{r['value']:.3g}"
        memory = " / ".join(_memory(r.get(side)) for side in ("ours", "peer"))
        cells = [r["case"], _time(r.get("ours")), _time(r.get("peer")), value, target]
        cells += [words[r.get("met")], memory, words[r.get("memory_met")]]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def notes(rows):
    """Lines on what the figures mean, on rates, and on the sides that could not run."""
    lines = []
    kinds = {r["compare"] for r in rows if r["value"] is not None}
    for kind, meaning in _MEANINGS.items():
        if kind in kinds:
            lines.append(f"value {meaning}")
    lines += _rates(rows)
    for r in rows:
        for side in ("ours", "peer"):
            reason = (r.get(side) or {}).get("unavailable")
            if reason:
                lines.append(f"{r['case']}: {side} not available: {reason}")
    return lines


_MEANINGS = {
    "speedup": "(at least the target): the peer's time over ours",
    "cost": "(at most the target, beside one network of the peer): our time over the peer's",
    "share": "(post-processing): the part of our time that the networks alone do not take",
    "seconds": "(imports): our seconds",
}


def _rates(rows):
    """Arithmetic and traffic a second, beside the greatest that this run found."""
    best = {}
    for r in rows:
        ours = r.get("ours", {})
        if "matrices" in r["case"] and "median" in ours:
            best["flops"] = ours["flops"] / ours["median"]
        if "bytes" in ours and "median" in ours:
            best["bytes"] = ours["bytes"] / ours["median"]
    lines = []
    if "bytes" in best:
        lines.append(f"memory: {best['bytes'] / 1e9:.4g} GB/s read and written")
    for r in rows:
        ours, peer = r.get("ours", {}), r.get("peer", {})
        if "flops" not in ours or "median" not in ours:
            continue
        parts = [("ours", ours["median"])]
        if "median" in peer:
            parts.append(("peer", peer["median"]))
        texts = []
        for name, seconds in parts:
            rate = ours["flops"] / seconds
            share = (
                f" ({100 * rate / best['flops']:.3g} % of a product's)" if "flops" in best else ""
            )
            texts.append(f"{name} {rate / 1e12:.3g} TFLOP/s{share}")
        lines.append(f"{r['case']}: {', '.join(texts)}")
    return lines


def _time(side):
    if side is None or "median" not in side:
        return "-"
    seconds = side["median"]
    text = f"{seconds:.2f} s" if seconds >= 1 else f"{1000 * seconds:.3g} ms"
    if "images" in side:
        text += f" ({side['images'] / seconds:.3g} images/s)"
    return text


def _memory(side):
    if side is None or "peak_memory" not in side:
        return "-"
    return f"{side['peak_memory'] / 2**30:.2f} GiB"


def _device():
    """Accelerators, without importing a framework."""
    try:
        query = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
        found = subprocess.run(query, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return "CPU"
    names = [line.strip() for line in found.stdout.splitlines() if line.strip()]
    if found.returncode or not names:
        return "CPU"
    return ", ".join(f"{names.count(name)} x {name}" for name in dict.fromkeys(names))


def _processor():
    # The package would bring a framework into this process, beside what is measured.
    (package,) = importlib.util.find_spec("keras_resnet").submodule_search_locations
    return runpy.run_path(f"{package}/report/machine.py")["processor"]()


def _version(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
