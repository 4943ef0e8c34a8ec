"""The columns of a run's results.csv as numbers."""

import csv
import math


def read_columns(path):
    """Reads a table of one row an epoch.

    Args:
        path: path of a CSV file with a header row, as `CSVResults` writes it.

    Returns:
        Dict from column to list of floats, NaN for what is no number. `epoch` is among them,
        counted from 0 where the file does not number its rows. Without rows it is all there is.

    Raises:
        OSError: no such file.

    Example:
    >>> with open("results.csv", "w") as file:
    ...     _ = file.write("epoch,val/loss\\n1,\\n2,0.5\\n")
    >>> read_columns("results.csv")
    {'epoch': [1.0, 2.0], 'val/loss': [nan, 0.5]}
    """
    with open(path, newline="", encoding="utf-8") as file:
        rows = [{k.strip(): v for k, v in row.items() if k} for row in csv.DictReader(file)]
    names = rows[0] if rows else ()
    columns = {name: [_number(row.get(name)) for row in rows] for name in names}
    if not all(math.isfinite(epoch) for epoch in columns.get("epoch", [math.nan])):
        columns["epoch"] = list(range(len(rows)))
    return columns


def with_prefix(columns, prefix):
    """The columns whose names begin with a text, under names without it.

    Args:
        columns: dict as of `read_columns`.
        prefix: str, such as `"train/"`.

    Returns:
        Dict from name, with spaces for underscores, to list of floats.

    Example:
    >>> with_prefix({"train/box_loss": [1.0], "lr": [0.1]}, "train/")
    {'box loss': [1.0]}
    """
    return {
        name.removeprefix(prefix).replace("_", " "): values
        for name, values in columns.items()
        if name.startswith(prefix)
    }


def _number(text):
    try:
        return float(text)
    except (TypeError, ValueError):
        return math.nan
