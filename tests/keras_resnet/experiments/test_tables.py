"""The tables, computed again by NumPy from the same runs."""

import csv
import io

import numpy as np
import pytest

from keras_resnet.classification.config import load_classifier_config
from keras_resnet.experiments.grid import Run, make_grid
from keras_resnet.experiments.published import OTHERS, PAPER
from keras_resnet.experiments.summary import summarize
from keras_resnet.experiments.tables import (
    degradation,
    main_csv,
    main_table,
    remedies_table,
    runs_csv,
)
from tests.keras_resnet.experiments.helpers import record

ERRORS = np.array([0.0671, 0.0643, 0.0658, 0.0679, 0.0654])


def row_of(table, name):
    lines = [line for line in table.splitlines() if line.startswith(f"| {name} ")]
    assert len(lines) == 1, name
    return [cell.strip() for cell in lines[0].strip("|").split("|")]


def five():
    runs = [Run("residual", 110, "zero_pad", seed) for seed in range(5)]
    return [record(run, error, error / 10) for run, error in zip(runs, ERRORS)]


def test_mean_and_deviation_over_the_seeds():
    table = main_table(summarize(five()))
    percent = 100 * ERRORS
    row = row_of(table, "ResNet-110 A")
    assert row[3:7] == [
        "5",
        f"{np.mean(percent):.2f} ± {np.std(percent, ddof=1):.2f}",
        f"{np.min(percent):.2f}",
        f"{np.mean(percent) / 10:.2f} ± {np.std(percent, ddof=1) / 10:.2f}",
    ]
    assert row[7] == "6.43 (6.61 ± 0.16)"
    (values,) = csv.DictReader(io.StringIO(main_csv(summarize(five()))))
    assert float(values["test_error_mean"]) == pytest.approx(np.mean(percent), rel=1e-5)
    assert float(values["test_error_std"]) == pytest.approx(np.std(percent, ddof=1), rel=1e-5)
    assert float(values["train_error_best"]) == pytest.approx(percent.min() / 10, rel=1e-5)


def test_one_seed_has_no_deviation():
    row = row_of(main_table(summarize(five()[:1])), "ResNet-110 A")
    assert row[3:7] == ["1", "6.71", "6.71", "0.67"]


def test_published_figures():
    table = main_table(summarize(five()))
    assert row_of(table, "*Highway-19*")[1:] == ["2.3 M", *["-"] * 5, OTHERS[0][2], "-"]
    assert row_of(table, "*Highway-32*")[7] == "8.80"
    runs = make_grid(["plain", "residual"], [20, 110], ["A", "B"], [0])
    table = main_table(summarize([record(run) for run in runs]))
    assert row_of(table, "ResNet-20 A")[7] == "8.75"
    assert row_of(table, "plain-110")[7] == "> 60"
    # The paper's table has option A only.
    assert row_of(table, "ResNet-20 B")[7] == row_of(table, "plain-20")[7] == "-"


@pytest.mark.parametrize("depth", [d for kind, d in PAPER if kind == "residual"])
def test_published_figures_are_those_of_the_recipes(depth):
    recipe = load_classifier_config(f"cifar10_resnet{depth}")
    best = float(PAPER["residual", depth].split()[0])
    assert best == pytest.approx(100 * (1 - recipe.published.top1), abs=1e-9)


def test_runs_that_diverge_are_told():
    runs = [Run("plain", 56, None, seed) for seed in range(3)]
    some = [record(runs[0], 0.2), record(runs[1], diverged_at=1234), record(runs[2], 0.3)]
    row = row_of(main_table(summarize(some)), "plain-56")
    deviation = np.std([20, 30], ddof=1)
    assert row[4] == f"25.00 ± {deviation:.2f}; 1 of 3 diverged at step 1,234"
    row = row_of(main_table(summarize([record(runs[1], diverged_at=7)])), "plain-56")
    assert row[4:7] == ["diverged at step 7", "-", "-"]
    rows = list(csv.DictReader(io.StringIO(runs_csv(some))))
    assert [r["status"] for r in rows] == ["finished", "diverged", "finished"]
    assert (rows[1]["diverged_at"], rows[1]["test_error"]) == ("1234", "")


def test_notes_say_what_is_scaled_down_and_the_warmup():
    full = main_table(summarize(five()))
    assert "Scaled down" not in full
    assert "Warm-up: 400 steps, for ResNet-110 A" in full
    short = main_table(summarize([record(Run("plain", 20, None, 0), steps=3000)]))
    assert "Scaled down: 3,000 steps of 128 images on 50,000 training" in short
    assert "Warm-up" not in short


def test_degradation_is_the_deepest_net_against_the_shallowest():
    runs = make_grid(["plain", "residual"], [20, 56, 32], ["A"], [0, 1])
    errors = {"plain": {20: 0.10, 32: 0.12, 56: 0.19}, "residual": {20: 0.09, 32: 0.07, 56: 0.05}}
    records = [record(r, 0.3, errors[r.kind][r.depth] + 0.01 * r.seed) for r in runs]
    assert degradation(summarize(records)) == [
        "plain: training error 10.50 % with 20 layers, 19.50 % with 56 (+9.00)",
        "ResNet A: training error 9.50 % with 20 layers, 5.50 % with 56 (-4.00)",
    ]
    assert degradation(summarize(records[:1])) == []


def test_remedies_stand_between_the_plain_and_the_residual_net():
    runs = make_grid(["plain", "residual"], [20, 56], ["A", "B"], [0], ["clip", "xavier"], 56)
    table = remedies_table(summarize([record(run, 0.2, 0.1 + run.depth / 1e4) for run in runs]))
    rows = [line.split("|")[1:-1] for line in table.splitlines() if line.startswith("| ")][2:]
    same = ["64,000", "1", "10.56", "20.00"]
    assert [[cell.strip() for cell in row] for row in rows] == [
        ["plain-56", "none", *same],
        ["plain-56", "Xavier initialisation", *same],
        ["plain-56", "gradients clipped to the norm 1", *same],
        ["ResNet-56 A", "none", *same],
    ]
    assert remedies_table(summarize(five())) is None
