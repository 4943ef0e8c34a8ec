"""results.csv: one row an epoch, under names that dashboards parse."""

import csv
import io
import pathlib
import time

import keras

from keras_resnet.training.csv_cells import csv_cell
from keras_resnet.training.learning_rate import LearningRateReader
from keras_resnet.training.processes import is_main
from keras_resnet.training.verified_folder import write_file
from keras_resnet.training.write_errors import writing


class CSVResults(keras.callbacks.Callback):
    """Writes the figures of each epoch to a CSV file.

    Columns are `epoch` (from 1), `time` (seconds of training so far), `lr`, then one for each
    log: `train/<name>` for training logs, `val/<name>` for `val_<name>`; names with a slash stay
    (`metrics/mAP50`). Figures under `time/` differ from run to run, as `time` does. A row is on
    disk when the epoch's callbacks are done, and the file is replaced as a whole, so it is never
    half a row. When a run continues from an earlier epoch, the rows from there on are replaced.
    A log that is missing in an epoch leaves its cell empty. Of several processes that train
    together, only the first writes.

    Place it after callbacks that add figures to the logs.

    Args:
        path: path of the CSV file.
        columns: dict from log name to column name, for other names than the above.

    Example:
    ```python
    CSVResults("runs/a/results.csv", {"val_map": "metrics/mAP50-95"})
    ```
    """

    def __init__(self, path, columns=None):
        super().__init__()
        self.path = pathlib.Path(path)
        self.columns = dict(columns or {})

    def on_train_begin(self, logs=None):
        self._start = time.monotonic()
        self._rates = LearningRateReader(self.model)
        self._time_before = None

    def on_epoch_begin(self, epoch, logs=None):
        self._rates.read_state(self.params.get("first_batch", 0))
        self._steps = 0

    def on_train_batch_end(self, batch, logs=None):
        self._steps = batch + 1

    def on_epoch_end(self, epoch, logs=None):
        if not is_main():
            return
        rows = [row for row in read_results(self.path) if int(row["epoch"]) < epoch + 1]
        if self._time_before is None:
            self._time_before = float(rows[-1]["time"]) if rows else 0.0
        row = {
            "epoch": epoch + 1,
            "time": f"{self._time_before + time.monotonic() - self._start:.1f}",
            "lr": f"{self._rates.at(max(self._steps - 1, 0)):.6g}",
        }
        for name, value in (logs or {}).items():
            row[self._column(name)] = f"{float(value):.6g}"
        rows.append(row)
        fields = list(dict.fromkeys(field for row in rows for field in row))
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, fields, restval="")
        writer.writeheader()
        writer.writerows(rows)
        with writing(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_file(self.path, text.getvalue().encode())

    def _column(self, name):
        if name in self.columns:
            return self.columns[name]
        if "/" in name:
            return csv_cell(name)
        return f"val/{name[4:]}" if name.startswith("val_") else f"train/{name}"


def read_results(path):
    """Reads what `CSVResults` wrote.

    Args:
        path: path of the CSV file.

    Returns:
        List of dicts from column to str, one an epoch; empty if there is no file.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))
