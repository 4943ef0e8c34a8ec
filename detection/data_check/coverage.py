"""How well the configured anchors fit the boxes of a data set."""

import numpy as np

from detection.anchors import AnchorGenerator
from detection.backbones import total_stride
from detection.data import BatchPlan
from detection.data.examples import View, make_targets
from detection.data_check.statistics import SHAPE_NAMES, SHAPES, SIDES, SIZE_NAMES

HALF = 0.5  # Below this IoU a detector has to guess where the object ends.
_BINS = 10
_BLOCK = 4096  # Boxes compared with all shapes of anchors at a time.


def anchor_strides(model):
    """Pixels between neighbouring anchors, for each level.

    Args:
        model: A `detection.model_config.ModelConfig`.

    Returns:
        Tuple of integers; those of the network that `build_model` makes.

    Example:

    ```python
    anchor_strides(load_config("coco_r50_fpn_1x").model)    # (4, 8, 16, 32, 64)
    ```
    """
    # The stem makes what the first stage, C2, works on; each other stage halves it.
    first = total_stride(model.backbone)
    strides = [first * 2 ** (int(level[1:]) - 2) for level in model.backbone.levels]
    if model.architecture == "fpn":
        return (*strides, 2 * strides[-1])
    if model.architecture == "dc5":
        return (strides[0] // 2,)  # The last stage dilates instead.
    return tuple(strides)


def make_anchors(model, sizes=None, aspect_ratios=None):
    """The `AnchorGenerator` of a configuration.

    Args:
        model: A `ModelConfig`.
        sizes, aspect_ratios: Optional other values than its own.

    Raises:
        ValueError: If there is not one entry of sizes for each level.
    """
    strides, rpn = anchor_strides(model), model.rpn
    sizes = rpn.anchor_sizes if sizes is None else sizes
    if len(sizes) != len(strides):
        raise ValueError(
            "`model.rpn.anchor_sizes` needs one entry for each level of the anchors, which have "
            f"{', '.join(map(str, strides))} pixels between them. Received: {sizes}"
        )
    return AnchorGenerator(
        sizes=sizes,
        aspect_ratios=rpn.aspect_ratios if aspect_ratios is None else aspect_ratios,
        strides=strides,
        offset=rpn.anchor_offset,
        rounded=rpn.anchor_rounded,
        fit_strides=rpn.anchor_fit_strides,
    )


def boxes_in_batches(dataset, pipeline, training):
    """The boxes as the first epoch shows them: resized, mirrored, cut to windows.

    Args:
        dataset: A `DetectionDataset`.
        pipeline: A `DataPipelineConfig`.
        training: Boolean.

    Returns:
        A tuple of float64 `(N, 4)`, boxes in pixels of the batch without crowds, and int64
        `(N, 2)`, height and width of the padded image that each is on.
    """
    plan = BatchPlan(dataset, pipeline, training)
    epoch = plan.epoch(0)
    # Some images occur twice, where the last batch is filled up.
    index, rows = np.unique(epoch.index, return_index=True)
    boxes, shapes = [np.zeros((0, 4))], [np.zeros((0, 2), "int64")]
    for image, row in zip(index.tolist(), rows.tolist()):
        if image < 0 or len(dataset.records[image].boxes) == 0:
            continue
        columns = (epoch.resized[row], epoch.offset[row], epoch.size[row], epoch.flips[row])
        view = View(*(tuple(column.tolist()) for column in columns))
        record = dataset.records[image]
        targets = make_targets(record, image, view, plan.max_boxes, plan.min_box)
        real = (targets["classes"] >= 0) & ~targets["is_crowd"]
        boxes.append(targets["boxes"][real].astype("float64"))
        shapes.append(np.tile(epoch.bucket[row], (int(real.sum()), 1)))
    return np.concatenate(boxes), np.concatenate(shapes)


def best_anchors(boxes, image_shapes, generator):
    """The anchor that overlaps each box most.

    Of equal anchors the one whose centre is nearest to the box's overlaps most, in x and in y
    alike; so one location a level and shape is looked at instead of thousands.

    Args:
        boxes: `(N, 4)`, `(x1, y1, x2, y2)` in pixels.
        image_shapes: `(N, 2)`, height and width of the padded image of each box.
        generator: An `AnchorGenerator`.

    Returns:
        A tuple of float64 `(N,)`, the IoU; int64 `(N,)`, the level; int64 `(N,)`, the number of
        the aspect ratio.
    """
    best = np.zeros(len(boxes))
    level, ratio = np.zeros(len(boxes), "int64"), np.zeros(len(boxes), "int64")
    for start in range(0, len(boxes), _BLOCK):
        block = slice(start, start + _BLOCK)
        for number, (cells, stride) in enumerate(zip(generator.cells, generator.strides)):
            overlaps = _overlaps(boxes[block], image_shapes[block], cells, stride, generator)
            choice = overlaps.argmax(axis=1)
            found = overlaps[np.arange(len(choice)), choice]
            better = found > best[block]
            best[block] = np.where(better, found, best[block])
            level[block] = np.where(better, number, level[block])
            shape = choice % len(generator.aspect_ratios)
            ratio[block] = np.where(better, shape, ratio[block])
    return best, level, ratio


def _overlaps(boxes, image_shapes, cells, stride, generator):
    """IoU `(N, A)` of boxes with the nearest anchor of each of the A shapes of a level."""
    # Every stage halves a map, rounding up.
    maps = -(-image_shapes // stride)
    steps = image_shapes // maps if generator.fit_strides else np.full_like(maps, stride)
    centres = (boxes[:, [1, 0]] + boxes[:, [3, 2]]) / 2
    nearest = np.rint(centres / steps - generator.offset)
    nearest = np.clip(nearest, 0, maps - 1)
    y, x = ((nearest + generator.offset) * steps).T
    anchors = np.stack([x, y, x, y], axis=-1)[:, None] + cells.astype("float64")
    boxes = boxes[:, None]
    shared = np.minimum(anchors[..., 2:], boxes[..., 2:])
    shared = np.maximum(shared - np.maximum(anchors[..., :2], boxes[..., :2]), 0).prod(axis=-1)
    areas = [np.prod(b[..., 2:] - b[..., :2], axis=-1) for b in (anchors, boxes)]
    union = areas[0] + areas[1] - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def anchor_coverage(boxes, image_shapes, model):
    """How well the anchors of a configuration cover boxes.

    Args:
        boxes: `(N, 4)`, `(x1, y1, x2, y2)` in pixels of the batch.
        image_shapes: `(N, 2)`, height and width of the padded image of each box.
        model: A `ModelConfig`.

    Returns:
        A dict for JSON: `"boxes"`; of their best IoU `"mean"`, `"below_half"` (share of boxes),
        `"below_positive"` (share below `rpn.positive_iou`, which keep their best anchors only)
        and `"histogram"`; the same by level, by the anchor's aspect ratio, and by size and shape
        of the box.

    Reference:
        Ren et al. 2015, section 3.1.2.
    """
    generator = make_anchors(model)
    iou, level, ratio = best_anchors(boxes, image_shapes, generator)
    width, height = (boxes[:, 2:] - boxes[:, :2]).T
    size = np.digitize(np.sqrt(width * height), SIDES)
    shape = np.digitize(height / np.maximum(width, 1e-9), SHAPES)
    bins = np.minimum((iou * _BINS).astype("int64"), _BINS - 1)
    counts = np.bincount(bins, minlength=_BINS).tolist()
    levels = [
        {"stride": stride, "sizes": list(sizes)}
        for stride, sizes in zip(generator.strides, generator.sizes)
    ]
    return {
        **_summary(iou),
        "below_positive": _share(iou < model.rpn.positive_iou),
        "histogram": [
            {"range": f"{i / _BINS:.1f}-{(i + 1) / _BINS:.1f}", "count": count}
            for i, count in enumerate(counts)
        ],
        "by_level": [{**row, **_summary(iou[level == i])} for i, row in enumerate(levels)],
        "by_ratio": [
            {"ratio": value, **_summary(iou[ratio == i])}
            for i, value in enumerate(generator.aspect_ratios)
        ],
        "by_size": _by(SIZE_NAMES, size, iou),
        "by_shape": _by(SHAPE_NAMES, shape, iou),
    }


def _by(names, group, iou):
    rows = ({"range": name, **_summary(iou[group == i])} for i, name in enumerate(names))
    return [row for row in rows if row["boxes"]]


def _summary(iou):
    mean = round(float(iou.mean()), 4) if len(iou) else None
    return {"boxes": len(iou), "mean": mean, "below_half": _share(iou < HALF)}


def _share(mask):
    return round(float(mask.mean()), 4) if len(mask) else None
