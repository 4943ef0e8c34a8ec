"""Evaluation at one crop, ten crops and several sizes against loops in NumPy."""

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from PIL import Image

import keras_resnet
from keras_resnet.classification.evaluation import ClassificationFigures, evaluate_logits
from keras_resnet.classification.label_order import check_label_order, is_imagenet
from keras_resnet.classification.model import build_classifier, save_classifier
from keras_resnet.classification.multi_crop import (
    evaluate_views,
    log_mean_probabilities,
    make_views,
)
from keras_resnet.data.dataset import ImageDataset

CLASSES = 7
SIZES = [(40, 61), (52, 40), (40, 61), (47, 47), (40, 61), (66, 45)]


def small_classifier(image_size=None):
    keras.utils.set_random_seed(4)
    model = build_classifier(
        "CifarResNet20",
        {"stage_blocks": (1, 2), "width": 8, "zero_init_residual": False},
        [f"c{i}" for i in range(CLASSES)],
        image_size=image_size,
        evaluation={"resize": 36, "crop": 32, "interpolation": "bilinear"},
    )
    model.get_layer("normalize").set_values((120, 110, 100), (60, 50, 40))
    # At random initialisation all images look alike to the classifier.
    head = model.get_layer("network").get_layer("predictions")
    head.kernel.assign(8 * head.kernel)
    return model


MODEL = small_classifier()


def pictures(sizes=SIZES):
    rng = np.random.default_rng(0)
    found = []
    for height, width in sizes:
        small = Image.fromarray(rng.integers(0, 256, (5, 6, 3), "uint8"))
        found.append(np.asarray(small.resize((width, height), Image.Resampling.BICUBIC)))
    return found


def dataset_of(images, labels=None):
    labels = np.arange(len(images)) % CLASSES if labels is None else labels
    names = [f"c{i}" for i in range(CLASSES)]
    where = "picture {}".format
    return ImageDataset("pictures", names, labels, read=images.__getitem__, where=where)


def softmax(logits):
    e = np.exp(np.asarray(logits, "float64") - np.max(logits))
    return e / e.sum()


def logits_of(image):
    return MODEL.predict_on_batch(np.asarray(image)[None].astype("float32"))[0]


def naive_figures(probabilities, labels):
    loss, first, fifth = 0.0, 0, 0
    for p, label in zip(probabilities, labels):
        loss -= np.log(p[label])
        order = sorted(range(len(p)), key=lambda c: (-p[c], c))
        first += order[0] == label
        fifth += label in order[:5]
    n = len(labels)
    return {"loss": loss / n, "accuracy": first / n, "top5": fifth / n, "images": n}


def shorter_side(image, side):
    height, width = image.shape[:2]
    size = (side * width // height, side) if height <= width else (side, side * height // width)
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))


def naive_ten(image, side, size):
    image = shorter_side(image, side)
    height, width = image.shape[:2]
    middle = round((height - size) / 2), round((width - size) / 2)
    corners = [(0, 0), (0, width - size), (height - size, 0), (height - size, width - size)]
    crops = [image[y : y + size, x : x + size] for y, x in [*corners, middle]]
    # "and their horizontal reflections"
    return crops + [crop[:, ::-1] for crop in crops]


def test_one_crop_is_the_middle():
    images = pictures()
    views = make_views("one-crop", resize=40, crop=32)
    figures = evaluate_views(MODEL, dataset_of(images), views, batch_size=4)
    expected = [softmax(logits_of(naive_ten(image, 40, 32)[4])) for image in images]
    assert figures == pytest.approx(naive_figures(expected, np.arange(6)), rel=1e-5)


def test_ten_crops_are_averaged_as_probabilities():
    images = pictures()
    # Even room around the crop: the middle of the mirrored image is the mirrored middle.
    images = [image[: len(image) // 2 * 2, : image.shape[1] // 2 * 2] for image in images]
    views = make_views("ten-crop", resize=None, crop=32)
    figures = evaluate_views(MODEL, dataset_of(images), views, batch_size=4)
    expected = []
    for image in images:
        crops = naive_ten(image, min(image.shape[:2]), 32)
        expected.append(np.mean([softmax(logits_of(crop)) for crop in crops], axis=0))
    assert figures == pytest.approx(naive_figures(expected, np.arange(6)), rel=1e-5)
    single = evaluate_views(MODEL, dataset_of(images), make_views("one-crop", None, 32))
    assert abs(single["loss"] - figures["loss"]) > 1e-3


def test_several_scales_are_the_classifier_at_every_position():
    images, scales = pictures(), (32, 41, 64)
    network = MODEL.get_layer("network")
    maps = keras_resnet.feature_extractor(network, ("C3",))
    kernel, bias = network.get_layer("predictions").get_weights()
    mean, std = np.array((120, 110, 100)), np.array((60, 50, 40))
    expected, positions = [], set()
    for image in images:
        found = []
        for side in scales:
            for mirrored in (False, True):
                view = shorter_side(image, side)
                view = view[:, ::-1] if mirrored else view
                x = ((view - mean) / std).astype("float32")[None]
                features = np.asarray(maps.predict_on_batch(x)["C3"])[0]
                height, width = features.shape[:2]
                scores = np.zeros((height, width, CLASSES))
                for y in range(height):
                    for x in range(width):
                        scores[y, x] = features[y, x] @ kernel + bias
                positions.add((height, width))
                found.append(softmax(scores.mean(axis=(0, 1))))
        expected.append(np.mean(found, axis=0))
    assert len(positions) > 10
    views = make_views("multi-scale", scales=scales)
    figures = evaluate_views(MODEL, dataset_of(images), views, batch_size=1)
    assert figures == pytest.approx(naive_figures(expected, np.arange(6)), rel=1e-4)


@pytest.mark.parametrize("protocol", ["one-crop", "ten-crop", "multi-scale"])
def test_batch_size_does_not_matter(protocol):
    dataset = dataset_of(pictures(SIZES[:3]))
    views = make_views(protocol, resize=36, crop=32, scales=(32, 48))
    one, many = (evaluate_views(MODEL, dataset, views, batch_size=b) for b in (1, 50))
    assert one == pytest.approx(many, rel=1e-5)


def test_probabilities_sum_to_one_and_survive_large_logits():
    def forward(images):
        logits = np.zeros((len(images), 3))
        logits[:, 1] = images[:, 0, 0, 0] * 10.0
        return logits

    white = np.full((4, 2, 2, 3), 255, "uint8")
    black = np.zeros((1, 2, 2, 3), "uint8")
    large = np.zeros((1, 3, 2, 3), "uint8")
    found = np.exp(log_mean_probabilities(forward, [[white], [white[:1], black, large]]))
    np.testing.assert_allclose(found.sum(axis=1), 1)
    np.testing.assert_allclose(found[0], [0, 1, 0], atol=1e-12)
    np.testing.assert_allclose(found[1], [2 / 9, 5 / 9, 2 / 9])


def test_limit_is_spread_and_progress_is_told():
    seen, told = [], []
    images = np.zeros((10, 32, 32, 3), "uint8")
    data = dataset_of(images)
    views = make_views("one-crop", None, 32)

    def reading(image):
        seen.append(1)
        return views(image)

    figures = evaluate_views(MODEL, data, reading, 2, 4, lambda done, total: told.append(done))
    assert (figures["images"], len(seen), told) == (4, 4, [2, 4])
    labels = np.array([0, 5, 5, 1, 5, 5, 2, 5, 5, 3])
    probabilities = [softmax(logits_of(images[0]))] * 4
    found = evaluate_views(MODEL, dataset_of(images, labels), views, limit=4)
    assert found["loss"] == pytest.approx(naive_figures(probabilities, [0, 1, 2, 3])["loss"])


def test_refusals():
    data = dataset_of(pictures())
    with pytest.raises(ValueError, match=r"Received: protocol='five-crop'"):
        make_views("five-crop")
    with pytest.raises(ValueError, match=r"Received: scales=\(\)"):
        make_views("multi-scale", scales=())
    with pytest.raises(ValueError, match="limit=0"):
        evaluate_views(MODEL, data, make_views("ten-crop"), limit=0)
    with pytest.raises(ValueError, match=r"picture 0: .*smaller"):
        evaluate_views(MODEL, data, make_views("one-crop", None, 64))
    fixed = small_classifier(image_size=(32, 32))
    with pytest.raises(ValueError, match=r"32 x 32 pixels only.*Received: 61 x 40"):
        evaluate_views(fixed, data, make_views("multi-scale", scales=(40,)))


def test_figures_against_keras_metrics():
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(50, 9)).astype("float32")
    labels = rng.integers(0, 9, 50)
    figures = ClassificationFigures()
    figures.add(logits[:30], labels[:30])
    # Rows labelled -1 fill a batch and count for nothing.
    figures.add(
        np.concatenate([logits[30:], np.full((3, 9), np.nan)]), np.append(labels[30:], [-1] * 3)
    )
    first = keras.metrics.SparseCategoricalAccuracy()
    fifth = keras.metrics.SparseTopKCategoricalAccuracy(5)
    for metric in (first, fifth):
        metric.update_state(labels, logits)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(labels, logits)
    expected = {"accuracy": first.result(), "top5": fifth.result(), "loss": loss, "images": 50}
    expected = {key: float(value) for key, value in expected.items()}
    assert figures.result() == pytest.approx(expected, rel=1e-5)


def test_equal_and_broken_logits():
    figures = ClassificationFigures()
    figures.add(np.zeros((6, 6)), np.arange(6))
    assert figures.result() == {
        "loss": pytest.approx(np.log(6)),
        "accuracy": pytest.approx(1 / 6),  # as argmax, the first of equals
        "top5": pytest.approx(5 / 6),
        "images": 6,
    }
    broken = ClassificationFigures()
    broken.add(np.full((2, 6), np.nan), np.array([0, 3]))
    assert (broken.result()["accuracy"], broken.result()["top5"]) == (0, 0)
    with pytest.raises(ValueError, match="no labelled images"):
        ClassificationFigures().result()


def test_evaluation_by_batches_is_that_by_views():
    images = np.stack(pictures([(32, 32)] * 5))
    labels = np.array([2, 6, 0, 1, 1])
    filled = np.concatenate([images[3:], np.zeros((1, 32, 32, 3), "uint8")])
    batches = [(images[:3], labels[:3]), (filled, np.append(labels[3:], -1))]

    class Batches:
        num_batches = 2

        def __len__(self):
            return 2

        def __getitem__(self, item):
            return batches[item]

    views = make_views("one-crop", None, 32)
    expected = evaluate_views(MODEL, dataset_of(images, labels), views)
    assert evaluate_logits(MODEL, Batches()) == pytest.approx(expected, rel=1e-5)


ON_JAX = """
import json, sys
sys.modules["tensorflow"] = None
import keras, numpy as np
from keras_resnet.data.dataset import ImageDataset
from keras_resnet.classification.source import open_classifier
from keras_resnet.classification.multi_crop import evaluate_views, make_views
assert keras.backend.backend() == "jax"
folder = sys.argv[1]
with np.load(folder + "/images.npz") as arrays:
    images = [arrays[f"i{n}"] for n in range(len(arrays))]
source = open_classifier(folder + "/model")
data = ImageDataset("p", source.class_names, np.arange(len(images)), read=images.__getitem__)
assert (source.resize, source.crop) == (36, 32)
found = {
    p: evaluate_views(source.model, data, make_views(p, 36, 32, scales=(40,)))
    for p in ("ten-crop", "multi-scale")
}
print(json.dumps(found))
"""


def test_jax_without_tensorflow_finds_the_same(tmp_path):
    images = pictures([SIZES[0]] * 2)
    np.savez(tmp_path / "images.npz", **{f"i{n}": image for n, image in enumerate(images)})
    save_classifier(MODEL, tmp_path / "model")
    done = subprocess.run(
        [sys.executable, "-c", ON_JAX, str(tmp_path)],
        env={**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    for protocol, found in json.loads(done.stdout).items():
        views = make_views(protocol, 36, 32, scales=(40,))
        expected = evaluate_views(MODEL, dataset_of(images), views)
        assert found == pytest.approx(expected, rel=1e-4), protocol


def test_label_order():
    assert check_label_order(("cat", "dog"), 2, ("cat", "dog")) is None
    with pytest.raises(ValueError, match="3 classes and the classifier 2"):
        check_label_order(("a", "b", "c"), 2, ("a", "b"))
    with pytest.raises(ValueError, match="same classes in another order"):
        check_label_order(("dog", "cat"), 2, ("cat", "dog"))
    with pytest.raises(ValueError, match="other classes"):
        check_label_order(("dog", "cow"), 2, ("cat", "dog"))
    assert "data set have no names" in check_label_order(("0", "1"), 2, ("cat", "dog"))
    assert "not name their classes" in check_label_order(("cat", "dog"), 2)


def test_order_of_imagenet():
    labels = pytest.importorskip("tensorflow_datasets").__path__[0]
    # The resized version of TFDS has the same classes in an order of its own.
    path = os.path.join(labels, "image_classification", "imagenet_resized_labels.txt")
    with open(path, encoding="utf-8") as file:
        shuffled = file.read().split()
    assert len(shuffled) == 1000 and shuffled != sorted(shuffled)
    assert is_imagenet(sorted(shuffled))
    assert check_label_order(sorted(shuffled), 1000) is None
    with pytest.raises(ValueError, match="in another order than sorted"):
        check_label_order(shuffled, 1000)
    with pytest.raises(ValueError, match="not ImageNet's 1000"):
        check_label_order([*sorted(shuffled)[:-1], "n99999999"], 1000)
    with pytest.raises(ValueError, match="10 classes and the classifier 1000"):
        check_label_order(sorted(shuffled)[:10], 1000)
    assert "sorted" in check_label_order([f"word {i}" for i in range(1000)], 1000)
