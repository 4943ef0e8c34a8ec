"""Figures of a detector as HTML tables."""

from keras_resnet.report.tables import figure, measured, table

_FIGURES = {
    "AP": "AP, IoU 0.50:0.95",
    "AP50": "AP50, IoU 0.50",
    "AP75": "AP75, IoU 0.75",
    "APs": "AP of small objects, below 32 x 32 pixels",
    "APm": "AP of medium objects",
    "APl": "AP of large objects, above 96 x 96 pixels",
    "mAP07": "VOC 2007 mAP, 11 points, IoU 0.50",
    "mAP_area": "VOC mAP, area under the curve, IoU 0.50",
}
_RECALLS = {"s": "small objects", "m": "medium objects", "l": "large objects"}
_CLASS_COLUMNS = {
    "name": "class",
    "AP": "AP",
    "AP50": "AP50",
    "AP07": "VOC07",
    "AP_area": "VOC area",
    "num_objects": "objects",
    "num_detections": "detections",
}
_KINDS = {
    "classification": "right place, wrong class",
    "localization": "right class, box too far off",
    "both": "wrong class and box too far off",
    "duplicate": "object found a second time",
    "background": "nothing is there",
    "missed": "object not found at all",
}


def figures_table(metrics):
    """COCO's and VOC's figures, and how often objects are found."""
    rows = [(meaning, figure(metrics[name])) for name, meaning in _FIGURES.items()]
    for name in metrics:
        if name.startswith("AR"):
            rest = name.removeprefix("AR")
            kind = _RECALLS.get(rest, f"{rest} detection{'' if rest == '1' else 's'} an image")
            rows.append((f"Average recall, {kind}", figure(metrics[name])))
    return table(("figure", "value"), rows)


def class_table(metrics):
    """Average precision of every class, sortable."""
    rows = []
    for entry in metrics["per_class"]:
        cells = []
        for name in _CLASS_COLUMNS:
            value = entry[name]
            cells.append(measured(value) if name.startswith("AP") else value)
        rows.append(cells)
    return table(tuple(_CLASS_COLUMNS.values()), rows, sortable=True)


def error_table(breakdown):
    """Kinds of errors with the AP50 that each costs, as bars."""
    largest = max((row["cost"] for row in breakdown["kinds"].values()), default=0.0)
    rows = []
    for kind, entry in breakdown["kinds"].items():
        share = 100 * entry["cost"] / largest if largest > 0 else 0.0
        rows.append(
            f"<tr><td>{kind}<small>{_KINDS[kind]}</small></td>"
            f'<td data-title="count">{entry["count"]:,}</td>'
            f'<td data-title="AP50 it costs">{entry["cost"]:.3f}</td>'
            f'<td class="bar"><span style="width:{share:.1f}%"></span></td></tr>'
        )
    return (
        '<div class="scroll"><table class="errors"><thead><tr><th scope="col">error</th>'
        '<th scope="col">count</th><th scope="col">AP50 it costs</th><td></td></tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )
