"""The benchmark: its arithmetic by hand-made figures, and the quick form of every case."""

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest

SCRIPTS = Path(__file__).parents[1] / "scripts"
sys.path.insert(0, str(SCRIPTS))

from _benchmark import growth, harness, report  # noqa: E402
from _benchmark.cases import CASES  # noqa: E402
from _benchmark.detection_data import ground_truth  # noqa: E402
from _benchmark.harness import Case, Seconds, Side, Unavailable, measure, prepare  # noqa: E402

GIB = 2**30


@pytest.fixture(autouse=True)
def policy():
    yield
    keras.config.set_dtype_policy("float32")


def found(ours, peer=None, memory=(GIB, GIB), **facts):
    sides = {"ours": {"median": ours, "peak_memory": memory[0], **facts}}
    if peer is not None:
        sides["peer"] = {"median": peer, "peak_memory": memory[1], "times": [peer]}
    return sides


def case(compare, target, **options):
    return Case("a case", "cpu", Side("a:b"), Side("a:c"), target, compare, **options)


@pytest.mark.parametrize(
    "compare, target, ours, peer, value, met",
    [
        ("speedup", 1.5, 2.0, 3.0, 1.5, True),
        ("speedup", 1.5, 2.0, 2.9, 1.45, False),
        ("cost", 2.0, 6.0, 3.0, 2.0, True),
        ("cost", 1.15, 3.6, 3.0, 1.2, False),
        ("share", 0.12, 2.0, 1.8, 0.1, True),
        ("share", 0.12, 2.0, 1.5, 0.25, False),
        ("seconds", 0.1, 0.09, None, 0.09, True),
        ("seconds", 0.1, 0.11, None, 0.11, False),
    ],
)
def test_values_and_targets(compare, target, ours, peer, value, met):
    row = report.row(case(compare, target), found(ours, peer))
    assert row["value"] == pytest.approx(value)
    assert row["met"] is met
    assert "times" not in row.get("peer", {})


def test_memory_is_compared_with_the_peer_and_with_a_bound():
    def met(ours, peer, bound=None):
        sides = found(1.0, 1.0, memory=(ours * GIB, peer * GIB))
        return report.row(case("speedup", 1.0, max_memory=bound), sides)["memory_met"]

    assert met(1.2, 1.0) is True
    assert met(1.21, 1.0) is False
    assert met(1.9, 1.8, bound=2 * GIB) is True
    assert met(2.1, 2.0, bound=2 * GIB) is False
    assert "memory_met" not in report.row(case("seconds", 1.0), found(1.0))


def test_a_side_that_cannot_run_is_said():
    sides = {**found(2.0), "peer": {"unavailable": "not installed"}}
    row = report.row(case("speedup", 1.0), sides)
    assert (row["value"], "met" in row, "memory_met" in row) == (None, False, False)
    assert report.notes([row]) == ["a case: peer not available: not installed"]
    assert "| a case | 2.00 s | - | - | ≥ 1 | - | 1.00 GiB / - | - |" in report.table([row])


def test_table_and_rates():
    product = Case("product of bfloat16 matrices", "gpu", Side("a:b"))
    train = Case("ResNet-50", "gpu", Side("a:b"), Side("a:c"), 1.0)
    rows = [
        report.row(product, found(0.5, flops=4e12)),
        report.row(train, found(0.25, 0.5, images=8, flops=1e12)),
    ]
    assert "| ResNet-50 | 250 ms (32 images/s) | 500 ms | 2 | ≥ 1 | yes |" in report.table(rows)
    notes = "\n".join(report.notes(rows))
    # 8 TFLOP/s for a product, of which 4 and 2 are 50 and 25 %.
    assert "ResNet-50: ours 4 TFLOP/s (50 % of a product's), peer 2 TFLOP/s (25 %" in notes
    copied = report.row(Case("copy", "gpu", Side("a:b")), found(0.5, bytes=2e9))
    assert "memory: 4 GB/s read and written" in report.notes([copied])


def test_growth_table_and_plot(tmp_path):
    rows = [
        report.row(
            Case(f"batch {batch}", "growth", Side("a:b"), axis=("batch", batch)), found(seconds)
        )
        for batch, seconds in ((1, 0.5), (2, 0.75))
    ]
    lines = growth.table(rows).splitlines()
    assert lines[2:] == [
        "| batch | 1 | 500 ms | 1.00 | 1.00 GiB |",
        "| batch | 2 | 750 ms | 1.50 | 1.00 GiB |",
    ]
    growth.plot(rows, tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ValueError, match="nothing to draw"):
        growth.plot([], tmp_path / "b.png")


def test_ground_truth_lies_in_the_image():
    boxes, classes = ground_truth(96, 128, boxes=50, classes=7)
    assert boxes.shape == (50, 4) and set(classes) <= set(range(7))
    assert (boxes[:, 2:] > boxes[:, :2]).all() and (boxes >= 0).all()
    assert (boxes[:, [0, 2]] <= 128).all() and (boxes[:, [1, 3]] <= 96).all()


def test_sides_take_turns_in_processes(monkeypatch, tmp_path):
    (tmp_path / "own_sides.py").write_text(
        "import os\n"
        "from _benchmark.harness import Seconds, Unavailable\n"
        "def steady(seconds, quick):\n"
        "    big = bytearray(seconds_to_bytes(seconds))\n"
        "    return lambda: Seconds(seconds + 0 * len(big)), {'process': os.getpid()}\n"
        "def seconds_to_bytes(seconds):\n"
        "    return int(seconds * 2**26)\n"
        "def none(quick):\n"
        "    raise Unavailable('not here')\n"
        "def dies(quick):\n"
        "    count = iter(range(3))\n"
        "    return lambda: next(count) == 2 and os._exit(3), {}\n"
    )
    own = [str(tmp_path), *sys.modules["_benchmark"].__path__]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(SCRIPTS), str(tmp_path)]))
    (tmp_path / "sitecustomize.py").write_text(f"import _benchmark; _benchmark.__path__[:] = {own}")
    one, two = (Side("own_sides:steady", {"seconds": s}) for s in (1.0, 3.0))
    sides = measure(Case("a", "cpu", one, two), rounds=2, seconds=0)
    assert [sides[name]["median"] for name in ("ours", "peer")] == [1.0, 3.0]
    assert sides["ours"]["times"] == [1.0, 1.0]
    assert len({os.getpid(), *(side["process"] for side in sides.values())}) == 3
    more = sides["peer"]["peak_memory"] - sides["ours"]["peak_memory"]
    assert 0.5 * 2**27 < more < 2 * 2**27
    missing = measure(Case("a", "cpu", Side("own_sides:none"), Side("own_sides:dies")), 2, 0)
    assert missing["ours"] == {"unavailable": "not here"}
    assert missing["peer"] == {"unavailable": "its process died"}


def test_gpu_cases_are_only_for_machines_that_have_one(monkeypatch):
    monkeypatch.setattr(harness, "_has_accelerator", lambda: False)
    sides = [side for c in CASES if c.suite == "gpu" for side in (c.ours, c.peer) if side]
    assert len(sides) > 10
    for side in sides:
        with pytest.raises(Unavailable, match="no accelerator"):
            prepare(side)


QUICK = {}
for _case in CASES:
    for _side in (_case.ours, _case.peer):
        # Numbers do not matter to a quick form, ways of computing do.
        if _side is not None and not _side.environment and not _side.accelerator:
            ways = {k: v for k, v in _side.options.items() if k in ("library", "dtype", "package")}
            QUICK.setdefault((_side.function, *sorted(ways.items())), _side)
SLOW = ("detectors:", "classification:train", "classification:serve", "classification:device")


@pytest.mark.parametrize(
    "side",
    [
        pytest.param(
            side,
            id="-".join([key[0], *(value for _, value in key[1:])]),
            marks=[pytest.mark.slow] if key[0].startswith(SLOW) else [],
        )
        for key, side in QUICK.items()
    ],
)
def test_quick_forms_run(side):
    try:
        step, facts = prepare(side, quick=True)
    except Unavailable as error:
        assert "torchvision" in str(error)
        pytest.skip(str(error))
    start = time.perf_counter()
    result = step()
    elapsed = time.perf_counter() - start
    if isinstance(result, Seconds):
        assert 0 < result <= elapsed
    if "images" in facts:
        assert facts["images"] > 0
    if side.function in ("classification:serve", "classification:infer"):
        assert result.shape == (facts["images"], 1000)
        np.testing.assert_allclose(result.astype("float64").sum(axis=1), 1, atol=0.02)


def run_script(*arguments, **environment):
    return subprocess.run(
        [sys.executable, str(SCRIPTS / "benchmark.py"), *arguments],
        capture_output=True,
        text=True,
        timeout=280,
        env={**os.environ, **environment},
    )


def test_script(tmp_path):
    target = tmp_path / "a.json"
    done = run_script("--quick", "--only", "COCO annotations", "--json", str(target))
    assert (done.returncode, done.stderr) == (0, "")
    assert "| COCO annotations, 118,287 images" in done.stdout
    content = json.loads(target.read_text())
    (row,) = content["rows"]
    assert content["machine"]["device"] and content["quick"] is True
    assert row["value"] == pytest.approx(row["peer"]["median"] / row["ours"]["median"])
    assert row["met"] is (row["value"] >= 1) and isinstance(row["memory_met"], bool)
    wrong = run_script("--only", "nothing of the kind")
    assert wrong.returncode == 2 and "No case matches" in wrong.stderr
    assert run_script("--plot", "a.png").returncode == 2


def test_every_suite_is_listed():
    done = run_script("--list", "--suite", "all")
    names = [line.split(maxsplit=1) for line in done.stdout.splitlines()]
    assert [tuple(pair) for pair in names] == [(c.suite, c.name) for c in CASES]
    assert statistics.mode(c.suite for c in CASES) in ("cpu", "growth")
    assert len({(c.suite, c.name) for c in CASES}) == len(CASES)


@pytest.mark.slow
def test_gpu_suite_runs_without_tensorflow(tmp_path):
    for name in ("tensorflow", "torch", "torchvision"):
        (tmp_path / f"{name}.py").write_text("raise ImportError('no such package here')")
    done = run_script(
        *("--suite", "gpu", "--quick", "--json", str(tmp_path / "a.json")),
        KERAS_BACKEND="jax",
        PYTHONPATH=str(tmp_path),
    )
    assert done.returncode == 0, done.stderr
    rows = {r["case"]: r for r in json.loads((tmp_path / "a.json").read_text())["rows"]}
    assert len(rows) == 12
    for name, row in rows.items():
        assert row["ours"].get("median", 0) > 0, (name, row["ours"])
        if "peer" in row:
            assert "torchvision cannot be imported" in row["peer"]["unavailable"]
    train = next(row for name, row in rows.items() if name.startswith("ResNet-50 train"))
    assert train["ours"]["flops"] > 0
