"""One computation through all of the detection maths, for comparing backends.

Run as a script with an output file it computes on JAX without TensorFlow and writes the results.
"""

import os
import sys

if __name__ == "__main__":
    os.environ["KERAS_BACKEND"] = "jax"
    sys.modules["tensorflow"] = None

import numpy as np


def inputs():
    """Boxes, scores and maps of a made-up picture of 64 x 96 pixels, two of them."""
    rng = np.random.default_rng(0)
    centre = rng.uniform(0, 1, (2, 300, 2)) * [96, 64]
    half = np.exp(rng.uniform(np.log(1), np.log(40), (2, 300, 2)))
    ground_truth = np.concatenate([centre - half, centre + half], -1)[:, ::50]
    return {
        "boxes": np.concatenate([centre - half, centre + half], -1).astype("float32"),
        "scores": np.round(rng.random((2, 300)), 2).astype("float32"),
        "classes": rng.integers(0, 5, (2, 300)).astype("int32"),
        "gt": (ground_truth + rng.uniform(-1, 1, ground_truth.shape)).astype("float32"),
        "gt_valid": np.array([[1, 1, 1, 1, 0, 0], [0, 0, 0, 0, 0, 0]], bool),
        "gt_crowd": np.array([[0, 0, 1, 0, 0, 0], [0, 0, 0, 0, 0, 0]], bool),
        "noise": rng.random((2, 300), "float32"),
        "maps": [rng.normal(size=(2, 64 // s, 96 // s, 3)).astype("float32") for s in (4, 8, 16)],
    }


def compute(data):
    """Results by name; every function of the maths takes part."""
    from detection.anchors import AnchorGenerator
    from detection.box_coder import BoxCoder
    from detection.box_losses import ciou_loss, giou_loss
    from detection.box_refinement import refine_boxes
    from detection.box_voting import box_voting
    from detection.boxes import clip_boxes, intersection_over_area, iou_matrix
    from detection.matching import match, match_boxes
    from detection.nms import nms
    from detection.roi_align import multilevel_roi_align
    from detection.roi_pool import multilevel_roi_pool
    from detection.sampling import sample
    from detection.scale_maxout import nearest_scales
    from detection.soft_nms import SoftNMS
    from detection.view_boxes import mirror_boxes, rescale_boxes

    boxes, gt = data["boxes"], data["gt"]
    coder = BoxCoder((10, 10, 5, 5))
    clipped = clip_boxes(boxes, np.array([[64, 96], [50, 70]], "int32"))
    iou = iou_matrix(boxes, gt)
    matched, labels = match(iou, data["gt_valid"], 0.6, 0.3)
    fused, fused_labels = match_boxes(boxes, gt, data["gt_valid"], data["gt_crowd"], 0.6, 0.3)
    results = {
        "anchors": AnchorGenerator(((32,), (64,)), (0.5, 1, 2), (8, 16))([(4, 6), (2, 3)])[1],
        "clipped": clipped,
        "iou": iou,
        "inside": intersection_over_area(boxes, gt),
        "deltas": coder.encode(boxes, boxes[:, ::-1]),
        "decoded": coder.decode(boxes / 50, boxes),
        "matched": matched,
        "labels": labels,
        "fused_matched": fused,
        "fused_labels": fused_labels,
        "pooled": multilevel_roi_align(data["maps"], clipped, [4, 8, 16], canonical_size=48),
        "adaptive": multilevel_roi_align(
            data["maps"], clipped, [4, 8, 16], 3, 0, canonical_size=48, max_samples=3
        ),
        "maxima": multilevel_roi_pool(data["maps"], clipped, [4, 8, 16], 3, canonical_size=48),
        "giou": giou_loss(boxes, boxes[:, ::-1]),
        "ciou": ciou_loss(boxes, boxes[:, ::-1]),
    }
    results["soft"], results["soft_valid"], results["soft_scores"] = SoftNMS("gaussian", 0.5)(
        boxes, data["scores"], 60, 0.5, 0.1, data["classes"], data["scores"] > 0.05
    )
    sizes = np.array([[64, 96], [50, 70]], "int32")
    by_class, scores = boxes[:, :, None] + np.arange(3.0)[:, None], data["scores"][..., None]
    scores = scores * np.array([1.0, 0.9, 0.8], "float32")
    results["voted"] = box_voting(gt, data["classes"][:, :6] % 4 - 1, by_class, scores, 0.4)
    results["scales"] = nearest_scales([boxes, 2 * boxes, 3 * boxes], 40)
    results["mirrored"] = mirror_boxes(rescale_boxes(boxes, sizes, 2 * sizes), 2 * sizes)
    results["refined"], _, results["refined_valid"] = refine_boxes(
        lambda regions: (regions[:, :, None] + 1.5, scores), boxes, scores[..., 0] > 0.2, sizes, 2
    )
    results["sampled"], results["sampled_valid"], _ = sample(labels, 64, 0.25, data["noise"])
    for name, max_output, classes in (
        ("few", 50, None),
        ("many", 200, None),
        ("few_by_class", 50, data["classes"]),
        ("many_by_class", 200, data["classes"]),
    ):
        results[name], results[name + "_valid"] = nms(
            boxes, data["scores"], 0.4, max_output, classes=classes
        )
    return results


def pooled_loss(maps, boxes):
    """A scalar whose gradient reaches the maps only through the pooled features."""
    from keras import ops

    from detection.roi_align import multilevel_roi_align
    from detection.roi_pool import multilevel_roi_pool

    # Boxes that depend on the maps, as proposals do.
    boxes = boxes + maps[0][:, :1, 0, :1]
    pooled = multilevel_roi_align(maps, boxes, [4, 8, 16], canonical_size=48)
    maxima = multilevel_roi_pool(maps, boxes, [4, 8, 16], 3, canonical_size=48)
    return ops.sum(pooled**2) + ops.sum(maxima**2)


def main(path):
    import jax

    data = inputs()
    results = jax.jit(compute)(data)
    gradients = jax.jit(jax.grad(pooled_loss))(data["maps"], data["boxes"])
    results |= {f"gradient_{i}": gradient for i, gradient in enumerate(gradients)}
    np.savez(path, **{name: np.asarray(value) for name, value in results.items()})


if __name__ == "__main__":
    main(sys.argv[1])
