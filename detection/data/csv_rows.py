"""Rows of CSV files of boxes, and lists of classes."""

import csv
import os
from typing import NamedTuple

from detection.data.dataset import Category
from detection.data.problems import DataError
from keras_resnet.data.missing_paths import tried
from keras_resnet.data.printable import printable

COLUMNS = ("path", "x1", "y1", "x2", "y2", "class")
# Words of headers, in lower case.
_WORDS = {
    "path": "path file filename file_name filepath file_path image image_path image_name img",
    "x1": "x1 xmin x_min left",
    "y1": "y1 ymin y_min top",
    "x2": "x2 xmax x_max right",
    "y2": "y2 ymax y_max bottom",
    "class": "class class_name classname label name category category_name",
}
_COLUMN_OF = {word: column for column, words in _WORDS.items() for word in words.split()}
_MAX_BYTES = 2**32


class Row(NamedTuple):
    """One row.

    Args:
        line: Integer, the line in the file.
        path: String, the image.
        corners: Tuple of four strings `(x1, y1, x2, y2)`.
        class_name: String.
    """

    line: int
    path: str
    corners: tuple
    class_name: str

    @property
    def is_empty(self):
        """Whether it names an image and no object."""
        return not any(self.corners) and not self.class_name

    def box(self):
        """Four floats, or `None` where the corners are no numbers."""
        try:
            return tuple(map(float, self.corners))
        except ValueError:
            return None


def read_rows(file):
    """Reads a file of boxes.

    Args:
        file: String, the path.

    Returns:
        A tuple `(rows, malformed)`: list of `Row`, and list of `(line, cells)` of those with
        another number of columns or without a path.

    Raises:
        FileNotFoundError: If there is no such file.
        DataError: If it is no CSV, or its columns are not those of boxes.
    """
    if not os.path.isfile(file):
        raise FileNotFoundError(
            "`annotations_file` must be an existing CSV file. "
            f"Received: annotations_file={file}\n{tried(file)}"
        )
    table = _read_table(file)
    if not table:
        raise DataError(f"{file} is empty; it needs rows of {','.join(COLUMNS)}.")
    line, first = table[0]
    places = _places(first, file, line)
    if places is None:
        places, count = dict(zip(COLUMNS, range(6))), 6
        _check_first(first, file, line)
    else:
        table, count = table[1:], len(first)
    rows, malformed = [], []
    for line, cells in table:
        path, *corners, class_name = (
            cells[places[column]].strip() if len(cells) == count else "" for column in COLUMNS
        )
        if path:
            rows.append(Row(line, path, tuple(corners), class_name))
        else:
            malformed.append((line, cells))
    return rows, malformed


def read_classes(file):
    """Reads a list of classes: a name in each line, or a name and its number.

    Args:
        file: String or path.

    Returns:
        A list of `Category`; those without numbers count from 1.

    Raises:
        FileNotFoundError: If there is no such file.
        DataError: If it is no such list, naming the line.
    """
    file = os.fspath(file)
    if not os.path.isfile(file):
        raise FileNotFoundError(
            f"The list of classes does not exist. Received: {file}\n{tried(file)}"
        )
    table = [(line, [cell.strip() for cell in cells]) for line, cells in _read_table(file)]
    numbered = bool(table) and len(table[0][1]) == 2
    categories, ids, names = [], set(), set()
    for line, cells in table:
        number = cells[1] if numbered and len(cells) == 2 else str(len(categories) + 1)
        valid = len(cells) == 1 + numbered and cells[0] and number.isdecimal() and len(number) < 10
        if not valid or int(number) in ids or cells[0] in names:
            raise DataError(
                f"{file}, line {line}: a list of classes has one name, or one `name,number` in "
                f"each line, and none twice. Received: {printable(','.join(cells))}"
            )
        categories.append(Category(int(number), cells[0]))
        ids.add(int(number))
        names.add(cells[0])
    if not categories:
        raise DataError(f"{file} is empty; it needs the name of a class in each line.")
    return sorted(categories, key=lambda category: category.id)


def _read_table(file):
    """Lists `(line, cells)` of all lines that are not empty."""
    if os.path.getsize(file) > _MAX_BYTES:
        raise DataError(f"{file} is larger than {_MAX_BYTES:,} bytes.")
    with open(file, encoding="utf-8-sig", newline="") as stream:
        try:
            first = next((line for line in stream if line.strip()), "")
            stream.seek(0)
            delimiter = max(",;\t", key=first.count)
            reader = csv.reader(stream, delimiter=delimiter, strict=True)
            return [(reader.line_num, cells) for cells in reader if any(map(str.strip, cells))]
        except UnicodeDecodeError as error:
            raise DataError(f"{file} is no UTF-8 text: {error}.") from error
        except csv.Error as error:
            raise DataError(f"{file}, line {reader.line_num}, is no CSV: {error}.") from error


def _places(cells, file, line):
    """Positions of the columns by a header, or `None` where the first line is none."""
    words = [cell.strip().lower() for cell in cells]
    known = [_COLUMN_OF.get(word) for word in words]
    if "path" not in known or not {"x1", "y1", "x2", "y2"} & set(known):
        return None
    wrong = [column for column in COLUMNS if known.count(column) != 1]
    if wrong:
        raise DataError(
            f"{file}, line {line}: the header needs one column for each of {', '.join(COLUMNS)}; "
            f"{', '.join(wrong)} is missing or there twice. Received: {printable(','.join(cells))}"
        )
    return {column: known.index(column) for column in COLUMNS}


def _check_first(cells, file, line):
    corners = [cell.strip() for cell in cells[1:5]]
    numbers = Row(line, "", tuple(corners), "").box() is not None
    if len(cells) != 6 or not (numbers or not any(corners)):
        raise DataError(
            f"{file}, line {line}: neither a header nor a row. Without a header, each row is "
            f"{','.join(COLUMNS)}. Received: {printable(','.join(cells))}"
        )
