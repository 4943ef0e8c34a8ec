"""The figures: what their lines hold, and that the files are pictures."""

import numpy as np
import pytest
from PIL import Image

from keras_resnet.experiments.figures import draw_curves, draw_gradients, draw_responses
from keras_resnet.experiments.grid import Run, make_grid
from keras_resnet.experiments.report import write_report
from keras_resnet.experiments.summary import summarize
from tests.keras_resnet.experiments.helpers import record, write_records


def panels(figure):
    return {axis.get_title(): axis for axis in figure.axes}


def test_curves_are_means_over_the_seeds():
    runs = make_grid(["plain", "residual"], [20, 56], ["A", "C"], [0, 1])
    records = [record(run, 0.08 + 0.01 * run.seed, 0.02) for run in runs]
    axes = panels(draw_curves(summarize(records), None))
    assert list(axes) == ["plain", "ResNet A", "ResNet C"]
    dashed, bold = axes["plain"].lines[:2]
    mine = [r["curve"] for r in records if r["run"]["kind"] == "plain" and r["run"]["depth"] == 20]
    assert len(mine) == 2
    assert np.allclose(bold.get_xdata(), np.array(mine[0]["steps"]) / 10_000)
    assert np.allclose(bold.get_ydata(), 100 * np.mean([c["test_error"] for c in mine], axis=0))
    assert np.allclose(dashed.get_ydata(), 100 * np.mean([c["train_error"] for c in mine], axis=0))
    assert (dashed.get_linestyle(), bold.get_linestyle()) == ("--", "-")
    assert dashed.get_linewidth() < bold.get_linewidth()
    # The paper's axis.
    assert axes["plain"].get_ylim() == (0, 20)
    assert axes["plain"].get_xlim() == (0, 6.4)


def test_a_net_far_above_the_others_does_not_set_the_axis():
    runs = make_grid(["plain"], [20, 32, 44, 110], [], [0])
    records = [record(run, 0.65 if run.depth == 110 else 0.1) for run in runs]
    for one in records[:3]:
        one["curve"]["train_error"] = one["curve"]["test_error"]
    (axis,) = panels(draw_curves(summarize(records), None)).values()
    assert axis.get_ylim() == (0, 20)
    assert [t.get_text() for t in axis.get_legend().get_texts()][-1] == "plain-110 (65 %, above)"
    high = [record(run, 0.38, 0.3) for run in runs]
    (axis,) = panels(draw_curves(summarize(high), None)).values()
    assert axis.get_ylim() == (0, 60)


def test_responses_in_order_and_sorted():
    records = [record(run) for run in make_grid(["plain"], [20], [], [0, 1])]
    in_order, by_size = draw_responses(summarize(records), None).axes
    mean = np.mean([r["responses"]["stds"] for r in records], axis=0)
    assert np.allclose(in_order.lines[0].get_ydata(), mean)
    assert np.allclose(by_size.lines[0].get_ydata(), sorted(mean, reverse=True))
    many = [record(run) for run in make_grid(["plain", "highway"], [20, 32, 44, 56], [], [0])]
    assert len(draw_responses(summarize(many), None).axes) == 4


def test_gradients_before_and_after_training():
    run = Run("plain", 20, None, 0)
    found, lost = record(run), record(Run("plain", 32, None, 0), diverged_at=5)
    # A projection is no layer of the paper's count.
    names = ["stage3_block1/shortcut/conv", *found["gradients_end"]["names"]]
    found["gradients_end"] = {"names": names, "kernels": [0.3] + [0.002] * 20}
    axes = panels(draw_gradients(summarize([found, lost]), None))
    start, end = axes["plain, at initialisation"], axes["plain, after training"]
    assert np.allclose(start.lines[0].get_ydata(), found["gradients_start"]["kernels"])
    assert len(start.lines) == 2
    assert [list(line.get_ydata()) for line in end.lines] == [[0.002] * 20]
    assert start.get_ylim() == end.get_ylim() == pytest.approx((1e-3, 10.0))


def test_report_writes_pictures_and_tables(tmp_path):
    runs = make_grid(["plain", "residual", "highway"], [20, 110], ["A"], [0, 1], ["clip"])
    diverged = {("plain", 110, 1): 20_000}
    records = [
        record(run, diverged_at=diverged.get((run.kind, run.depth, run.seed))) for run in runs
    ]
    write_records(tmp_path, records)
    write_report(tmp_path)
    for name in ("curves.png", "responses.png", "gradients.png"):
        with Image.open(tmp_path / name) as image:
            assert min(image.size) > 300
            assert np.asarray(image.convert("L")).std() > 5
    for name in ("table.md", "table.csv", "runs.csv", "remedies.md"):
        assert (tmp_path / name).read_text().count("\n") > 5
    assert len((tmp_path / "runs.csv").read_text().splitlines()) == 1 + len(runs)


def test_report_of_runs_that_all_diverged(tmp_path):
    one = record(Run("plain", 8, None, 0), diverged_at=3)
    one["curve"] = {"steps": [], "train_error": [], "test_error": []}
    write_records(tmp_path, [one])
    write_report(tmp_path)
    assert "diverged at step 3" in (tmp_path / "table.md").read_text()
    assert (tmp_path / "curves.png").is_file()
    assert not (tmp_path / "responses.png").exists()
