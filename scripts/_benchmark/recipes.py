"""What the published recipes of detectors cost: an image found in, a step of training."""

import os

import numpy as np

from _benchmark.detection_data import ground_truth

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

RECIPES = (
    "quickstart",
    "bccd",
    "coco_r18_fpn_scratch",
    "coco_r50_fpn_1x",
    "coco_r50_fpn_v2",
    "coco_r50_c4_1x",
    "coco_r101_fpn_3x",
    "voc07_r101_c4_paper",
)
PHOTO = (480, 640)  # pixels, height first
_CATEGORIES = [{"id": i + 1, "name": f"class {i + 1}"} for i in range(80)]


def detect(recipe, quick=False):
    """Detection in one photograph, from its pixels to boxes in them, by an untrained network."""
    model, _ = _build(recipe, quick)
    model.compile()
    photo = _photo()
    return lambda: model.detect(photo), {"images": 1}


def train(recipe, quick=False):
    """A training step on one photograph, resized as the recipe's training does at its largest."""
    import keras

    from detection.data.transforms import prepare_image, transform_boxes
    from keras_resnet.training.devices import choose_jit

    model, pipeline = _build(recipe, quick)
    image, _ = prepare_image(_photo(), max(pipeline.min_sides), pipeline.max_side)
    size = image.shape[:2]
    padded = [-(-side // pipeline.size_divisor) * pipeline.size_divisor for side in size]
    images = np.zeros((1, *padded, 3), "uint8")
    images[0, : size[0], : size[1]] = np.rint(image)
    boxes, classes = ground_truth(*PHOTO)
    boxes = transform_boxes(boxes, PHOTO, size, (False, False))
    x = {"images": images, "image_sizes": np.array([size], "int32")}
    y = {"boxes": boxes[None], "classes": classes[None]}
    # So slow that the untrained network stays as it is.
    model.compile(keras.optimizers.SGD(1e-6, momentum=0.9), jit_compile=choose_jit("auto"))
    x, y = keras.tree.map_structure(keras.ops.convert_to_tensor, (x, y))
    model.train_on_batch(x, y)  # traced in here
    return lambda: model.train_on_batch(x, y), {"images": 1}


def _build(recipe, quick):
    import keras

    from detection.build import build_model
    from detection.config import load_config
    from detection.train import preprocessing_of

    keras.utils.set_random_seed(0)
    changes = ["model.backbone.weights=null", "train.start_from=null"]
    if quick:
        changes += ["data.pipeline.min_sides=[64]", "data.pipeline.max_side=96"]
    config = load_config(recipe, changes)
    keras.config.set_dtype_policy(config.train.precision)
    return build_model(
        config.model, _CATEGORIES, preprocessing_of(config.data.pipeline)
    ), config.data.pipeline


def _photo():
    """A picture of soft shapes."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (PHOTO[0] // 16, PHOTO[1] // 16, 3), "uint8")
    return np.repeat(np.repeat(coarse, 16, axis=0), 16, axis=1)
