"""Cells that a spreadsheet would run."""

import csv

import keras
import numpy as np
import pytest

from keras_resnet.experiments import tables
from keras_resnet.training.csv_cells import csv_cell
from keras_resnet.training.results import CSVResults

FORMULAS = [
    "=cmd()",
    '=HYPERLINK("http://127.0.0.1")',
    "+1+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(1)",
    "\t=1",
    "\r=1",
    "  =1",
    "＝1",  # noqa: RUF001
]


@pytest.mark.parametrize("text", FORMULAS)
def test_formulas_become_text(text):
    assert csv_cell(text) == f"'{text}"


@pytest.mark.parametrize("value", ["cat", "", "-0.5", "+1e-3", "-inf", "a=b", -0.5, None, True])
def test_the_rest_stays(value):
    assert csv_cell(value) is value


def test_results_of_a_run(tmp_path):
    """A figure under the name of a class that is a formula."""
    path = tmp_path / "results.csv"

    class Figures(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["=cmd()/AP"] = -0.5

    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    callbacks = [Figures(), CSVResults(path)]
    model.fit(np.ones((4, 2)), np.ones((4, 1)), epochs=2, verbose=0, callbacks=callbacks)
    with path.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 2 and [row["'=cmd()/AP"] for row in rows] == ["-0.5", "-0.5"]
    assert not [cell for row in rows for cell in row if cell.startswith("=")]


def test_tables_of_experiments():
    assert tables._csv([{"=a": "=cmd()", "b": -1.5}]).splitlines() == ["'=a,b", "'=cmd(),-1.5"]
