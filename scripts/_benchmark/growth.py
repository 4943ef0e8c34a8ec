"""Time and memory of a detector against image size, batch, boxes, classes and devices."""

from _benchmark.harness import Case, Side

_AXES = {
    "image side": ("height", (256, 384, 512, 768)),
    "batch": ("batch", (1, 2, 4, 8)),
    "boxes an image": ("boxes", (8, 64, 256, 1024)),
    "classes": ("classes", (1, 80, 1200)),
}


def points():
    """One case for each point: a training step of Faster R-CNN R50-FPN, all else being small."""
    for axis, (option, values) in _AXES.items():
        for value in values:
            options = {"dtype": "float32", "batch": 1, "height": 256, "width": 256, option: value}
            if option == "height":
                options["width"] = value
            yield Case(
                f"training step, {axis} {value}",
                "growth",
                Side("detectors:train", options),
                axis=(axis, value),
            )
    for count in (1, 2):
        flags = f"--xla_force_host_platform_device_count={count}"
        yield Case(
            f"training step by JAX, batch 2, {count} CPU devices",
            "growth",
            Side(
                "detectors:train",
                {"dtype": "float32", "batch": 2, "height": 128, "width": 128, "devices": count},
                {"KERAS_BACKEND": "jax", "XLA_FLAGS": flags},
            ),
            axis=("devices", count),
        )


def table(rows):
    """Markdown table: what a unit more costs, from each point to the next."""
    lines = ["| grows | at | time | times more | memory |", "|---|---|---|---|---|"]
    before = {}
    for r in rows:
        ours = r.get("ours", {})
        if "axis" not in r or "median" not in ours:
            continue
        first = before.setdefault(r["axis"], ours["median"])
        cells = [
            r["axis"],
            str(r["at"]),
            f"{1000 * ours['median']:.4g} ms",
            f"{ours['median'] / first:.2f}",
            f"{ours['peak_memory'] / 2**30:.2f} GiB",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def plot(rows, path):
    """Draws time and memory over every axis.

    Args:
        rows: rows of the report that have an `axis`.
        path: of a PNG.
    """
    from matplotlib.figure import Figure

    axes = list(dict.fromkeys(r["axis"] for r in rows if "median" in r.get("ours", {})))
    if not axes:
        raise ValueError("There is nothing to draw: no point of growth could be measured.")
    figure = Figure(figsize=(3.2 * len(axes), 5.5), layout="constrained")
    grid = figure.subplots(2, len(axes), squeeze=False)
    for column, axis in enumerate(axes):
        members = [r for r in rows if r["axis"] == axis and "median" in r.get("ours", {})]
        at = [r["at"] for r in members]
        seconds = [r["ours"]["median"] for r in members]
        memory = [r["ours"]["peak_memory"] / 2**30 for r in members]
        for place, values, label in ((0, seconds, "s a step"), (1, memory, "GiB")):
            here = grid[place, column]
            here.plot(at, values, marker="o")
            here.set_ylim(0, 1.1 * max(values))
            here.set_xlabel(axis)
            here.set_ylabel(label)
    figure.savefig(path, dpi=120)
