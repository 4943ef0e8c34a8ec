"""Greedy non-maximum suppression with fixed output shape."""

from keras import ops

from detection import _tensorflow
from detection.boxes import iou_of_sides, sides

# Up to this many outputs, choosing one box after the other is faster than comparing all pairs.
_ITERATIVE_OUTPUTS = 128
_BLOCK = 256
_NEVER = -float("inf")


def nms(boxes, scores, iou_threshold, max_output, score_threshold=None, classes=None, valid=None):
    """Keep the best boxes and drop those that overlap with a better kept one.

    Rows with a score that is NaN or -inf, or with a coordinate that is not finite, are never kept.

    Args:
        boxes: float tensor `[B, N, 4]`, pixels; N may be dynamic.
        scores: float tensor `[B, N]`.
        iou_threshold: float in `[0, 1]`; a box is dropped if its overlap is larger.
        max_output: int, number of output slots an image.
        score_threshold: float or None; only larger scores are kept.
        classes: int tensor `[B, N]` or None; if given, boxes suppress only boxes of their class.
        valid: bool tensor `[B, N]` or None; False rows are neither kept nor suppress.

    Returns:
        `(indices, valid)`: int32 `[B, max_output]`, indices into N by falling score, equal scores
        by rising index, 0 in unused slots; bool `[B, max_output]`, whether the slot is used.

    Raises:
        ValueError: if `max_output` is not positive or `iou_threshold` outside `[0, 1]`.

    Example:
        >>> boxes = np.array([[[0.0, 0, 4, 4], [0, 0, 4, 3.9], [8, 8, 9, 9]]])
        >>> nms(boxes, np.array([[0.5, 0.9, 0.1]]), 0.5, max_output=3)
        # ([[1, 2, 0]], [[True, True, False]])
    """
    if max_output < 1 or not 0 <= iou_threshold <= 1:
        raise ValueError(
            "`max_output` must be positive and `iou_threshold` in [0, 1]. "
            f"Received: max_output={max_output}, iou_threshold={iou_threshold}"
        )
    boxes = ops.stop_gradient(ops.cast(boxes, "float32"))
    scores = ops.stop_gradient(ops.cast(scores, "float32"))
    if classes is not None:
        classes = ops.cast(classes, "int32")
    usable = ops.all(ops.isfinite(boxes), axis=-1) & (scores > _NEVER)
    if valid is not None:
        usable = usable & ops.cast(valid, "bool")
    if score_threshold is not None:
        usable = usable & (scores > score_threshold)
    scores = ops.where(usable, scores, _NEVER)
    boxes = ops.where(usable[..., None], boxes, 0.0)

    # A row of padding lets N be zero.
    boxes = ops.pad(boxes, ((0, 0), (0, 1), (0, 0)))
    scores = ops.pad(scores, ((0, 0), (0, 1)), constant_values=_NEVER)
    if classes is not None:
        classes = ops.pad(classes, ((0, 0), (0, 1)))

    if _tensorflow.kernels_available():
        return _tensorflow.nms(boxes, scores, iou_threshold, max_output, classes)
    if classes is None:
        classes = ops.zeros_like(scores, dtype="int32")
    search = _iterative if max_output <= _ITERATIVE_OUTPUTS else _blocked
    return search(boxes, scores, classes, iou_threshold, max_output)


def _iterative(boxes, scores, classes, iou_threshold, max_output):
    """Take the best remaining box, strike out what it suppresses, repeat."""
    column = ops.arange(ops.shape(scores)[1], dtype="int32")[None, :]
    slot = ops.arange(max_output, dtype="int32")[None, :]
    box_sides = sides(boxes)

    def step(i, state):
        scores, indices, valid = state
        best = ops.cast(ops.argmax(scores, axis=1), "int32")[:, None]
        found = ops.take_along_axis(scores, best, axis=1) > _NEVER
        box = [ops.take_along_axis(side, best, axis=1) for side in box_sides]
        same_class = classes == ops.take_along_axis(classes, best, axis=1)
        overlaps = iou_of_sides(box, box_sides) > iou_threshold
        scores = ops.where((overlaps & same_class) | (column == best), _NEVER, scores)
        here = (slot == i) & found
        return scores, ops.where(here, best, indices), valid | here

    indices = ops.zeros_like(scores[:, :1], dtype="int32") + ops.zeros_like(slot)
    _, indices, valid = ops.fori_loop(0, max_output, step, (scores, indices, indices > 0))
    return indices, valid


def _blocked(boxes, scores, classes, iou_threshold, max_output):
    """Settle blocks of sorted boxes one after the other.

    A block is first thinned by the boxes kept before it. Within it, "kept unless a kept better box
    overlaps" is repeated until nothing changes; that fixed point is unique and is the greedy
    choice, because the first undecided box settles in every round.
    """
    order = ops.cast(ops.argsort(-scores, axis=1), "int32")
    count = ops.shape(scores)[1]
    blocks = (count + _BLOCK - 1) // _BLOCK
    order = ops.pad(order, ((0, 0), (0, blocks * _BLOCK - count)), constant_values=0)
    position = ops.arange(blocks * _BLOCK, dtype="int32")[None, :]
    alive = (ops.take_along_axis(scores, order, axis=1) > _NEVER) & (position < count)
    boxes = [ops.take_along_axis(side, order, axis=1) for side in sides(boxes)]
    classes = ops.take_along_axis(classes, order, axis=1)

    def by_block(x):
        return ops.moveaxis(ops.reshape(x, (-1, blocks, _BLOCK)), 1, 0)

    block_boxes = [by_block(side) for side in boxes]
    block_classes, block_alive = by_block(classes), by_block(alive)
    index = ops.arange(_BLOCK, dtype="int32")
    better = ops.cast(index[:, None] < index, "float32")

    def conflicts(boxes, classes, block_boxes, block_classes):
        # Numbers instead of bools: a matrix product is the one fast reduction everywhere.
        rows, columns = [s[:, :, None] for s in boxes], [s[:, None, :] for s in block_boxes]
        overlaps = iou_of_sides(rows, columns) > iou_threshold
        same_class = classes[..., :, None] == block_classes[..., None, :]
        return ops.cast(overlaps & same_class, "float32")

    def is_hit(kept, conflict):
        return ops.matmul(ops.cast(kept, "float32")[:, None, :], conflict)[:, 0] > 0

    def settle(conflict, candidates):
        def not_done(kept, previous):
            return ops.any(kept != previous)

        def again(kept, previous):
            return candidates & ~is_hit(kept, conflict), kept

        return ops.while_loop(not_done, again, again(candidates, candidates))[0]

    def unfinished(i, kept):
        enough = ops.sum(ops.cast(kept, "int32"), axis=1) >= max_output
        return (i < blocks) & ~ops.all(enough)

    def next_block(i, kept):
        block = [ops.take(side, i, 0) for side in block_boxes], ops.take(block_classes, i, 0)
        candidates = ops.take(block_alive, i, 0) & ~is_hit(kept, conflicts(boxes, classes, *block))
        settled = settle(conflicts(*block, *block) * better, candidates)
        tiled = ops.tile(settled, (1, blocks))
        return i + 1, ops.where(position // _BLOCK == i, tiled, kept)

    _, kept = ops.while_loop(unfinished, next_block, (0, ops.zeros_like(alive)))
    # The first `max_output` kept positions, by a top-k that always has enough columns.
    rank = ops.where(kept, blocks * _BLOCK - position, 0)
    rank = ops.pad(rank, ((0, 0), (0, max_output)))
    value, place = ops.top_k(rank, max_output)
    valid = value > 0
    indices = ops.take_along_axis(order, ops.where(valid, ops.cast(place, "int32"), 0), axis=1)
    return ops.where(valid, indices, 0), valid
