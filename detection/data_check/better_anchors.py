"""Looks for anchors that fit the boxes better than the configured ones."""

import numpy as np

from detection.data_check.coverage import HALF, best_anchors, make_anchors

_FACTORS = tuple(2 ** (step / 2) for step in range(-5, 6))
_MORE_RATIOS = ((0.5, 1.0, 2.0), (0.33, 0.5, 1.0, 2.0, 3.0), (0.2, 0.33, 0.5, 1.0, 2.0, 3.0, 5.0))
_ENOUGH = 0.05  # Share of boxes below half an overlap that needs no remedy.
_GAIN = 0.03  # By how much another choice must lower it to be worth a word.
_LARGEST = 20_000  # Boxes tried.


def better_anchors(boxes, image_shapes, model, keep_ratios=False):
    """Searches sizes, and where these do not suffice aspect ratios, that cover more boxes.

    Args:
        boxes, image_shapes: As for `anchor_coverage`.
        model: A `ModelConfig`.
        keep_ratios: Boolean, whether aspect ratios stay: weights of another detector fit no other
            number of them.

    Returns:
        `None` where the configured anchors do, or nothing tried does better. Else a dict: `"now"`
        and `"then"`, shares of boxes that no anchor overlaps by half; `"sizes"` and `"ratios"`,
        each `None` where it stays as it is; `"factor"`, by which sizes are multiplied.

    Example:

    ```python
    found = better_anchors(*boxes_in_batches(dataset, pipeline, True), config.model)
    ```
    """
    if len(boxes) > _LARGEST:
        chosen = np.random.default_rng(0).choice(len(boxes), _LARGEST, replace=False)
        boxes, image_shapes = boxes[chosen], image_shapes[chosen]
    if len(boxes) == 0:
        return None
    sizes, ratios = model.rpn.anchor_sizes, model.rpn.aspect_ratios

    def below_half(factor, ratios):
        generator = make_anchors(model, _scaled(sizes, factor), ratios)
        return float((best_anchors(boxes, image_shapes, generator)[0] < HALF).mean())

    now = below_half(1, ratios)
    if now <= _ENOUGH:
        return None
    # The factor nearest to 1 of those that do as well as the best.
    factors = sorted(_FACTORS, key=lambda factor: abs(np.log(factor)))
    shares = {factor: below_half(factor, ratios) for factor in factors}
    least = min(shares.values())
    factor = next(f for f in factors if shares[f] <= least + 0.01)
    if now - shares[factor] < _GAIN:
        factor = 1
    then, chosen = shares[factor], None
    for more in () if keep_ratios else _MORE_RATIOS:
        if then <= _ENOUGH or not set(more) > set(ratios):
            continue
        share = below_half(factor, more)
        if then - share >= _GAIN:
            then, chosen = share, more
    if factor == 1 and chosen is None:
        return None
    return {
        "now": round(now, 4),
        "then": round(then, 4),
        "factor": factor,
        "sizes": None if factor == 1 else [list(level) for level in _scaled(sizes, factor)],
        "ratios": None if chosen is None else list(chosen),
    }


def _scaled(sizes, factor):
    return tuple(tuple(max(1, round(size * factor)) for size in level) for level in sizes)
