"""Tables of a classifier: each class, and which are taken for which."""

from html import escape

import numpy as np

from keras_resnet.report.plots import shorten
from keras_resnet.report.tables import measured, table

_MOST_CLASSES = 2000  # rows of a table, about 250 bytes each
_MOST_PAIRS = 50
_MATRIX = 20  # classes whose names and counts can be read beside one another
_LONGEST_NAME = 60


def class_table(counts, names):
    """How each class is found, sortable.

    Args:
        counts: a `ClassCounts`.
        names: sequence of str, the classes.

    Returns:
        str of HTML.
    """
    accuracy, precision, f1 = counts.accuracy, counts.precision, counts.f1
    frequent = {}
    for true, predicted, count in counts.pairs.tolist():
        frequent.setdefault(true, (predicted, count))
    # Those that go worst; a class without images or predictions says nothing.
    order = np.argsort(np.nan_to_num(f1, nan=2.0), kind="stable")[:_MOST_CLASSES]
    rows = []
    for label in sorted(order.tolist()):
        confusion = ("-", None)
        if label in frequent:
            other, count = frequent[label]
            confusion = (f"{_name(names, other)} ({count:,})", count)
        rows.append(
            [
                _name(names, label),
                (f"{counts.images[label]:,}", int(counts.images[label])),
                measured(accuracy[label]),
                measured(precision[label]),
                measured(f1[label]),
                confusion,
            ]
        )
    columns = ("class", "images", "accuracy", "precision", "F1", "most often taken for")
    few = f"The {len(rows):,} classes of {len(names):,} with the lowest F1. " * (
        len(rows) < len(names)
    )
    with_images = counts.images > 0
    note = (
        f"{few}Accuracy is the share of the class' images that are found (recall), precision the "
        "share of its predictions that are right. Means of the classes with images: accuracy "
        f"{accuracy[with_images].mean():.3f}, F1 {f1[with_images].mean():.3f}."
    )
    return table(columns, rows, sortable=True) + f'<p class="note">{note}</p>'


def confusions(counts, names):
    """The confusion matrix; of many classes the pairs that are confused most.

    Args:
        counts: a `ClassCounts`.
        names: sequence of str, the classes.

    Returns:
        str of HTML, empty where there are many classes and no confusions.
    """
    if len(names) <= _MATRIX:
        return _matrix(counts, names)
    if not len(counts.pairs):
        return ""
    rows = [
        [
            _name(names, true),
            _name(names, predicted),
            (f"{count:,}", count),
            measured(count / counts.images[true]),
        ]
        for true, predicted, count in counts.pairs[:_MOST_PAIRS].tolist()
    ]
    columns = ("true class", "taken for", "images", "share of the class")
    total = int(counts.pairs[:, 2].sum())
    note = f"{len(rows):,} of {len(counts.pairs):,} pairs, {total:,} images in all."
    return table(columns, rows, sortable=True) + f'<p class="note">{note}</p>'


def _matrix(counts, names):
    matrix = counts.matrix()
    shares = matrix / np.maximum(counts.images, 1)[:, None]
    titles = "".join(
        f'<th scope="col"><span>{escape(_name(names, k))}</span></th>' for k in range(len(names))
    )
    rows = []
    for true in range(len(names)):
        cells = []
        for predicted in range(len(names)):
            count, share = int(matrix[true, predicted]), float(shares[true, predicted])
            kind = "diagonal" if true == predicted else "off"
            kind += " none" * (count == 0) + " deep" * (share > 0.55)
            cells.append(
                f'<td class="{kind}" style="--share:{share:.3f}"><span class="count">{count:,}'
                f'</span><span class="share">{share:.2f}</span></td>'
            )
        rows.append(f'<tr><th scope="row">{escape(_name(names, true))}</th>{"".join(cells)}</tr>')
    return (
        '<input type="checkbox" id="shares"><label for="shares"> shares of the true class instead '
        'of counts</label><div class="scroll" tabindex="0"><table class="matrix"><thead><tr>'
        f'<th scope="col">true \\ predicted</th>{titles}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _name(names, label):
    return shorten(str(names[label]), _LONGEST_NAME)
