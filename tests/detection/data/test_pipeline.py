"""tf.data pipeline and PyDataset loader: equal to each other, resumable, right by pixels."""

import json

import numpy as np
import pytest
import tensorflow as tf

from detection.data import DataPipelineConfig, load_coco, numpy_batches
from detection.data.loader import PyDatasetLoader
from detection.data.pipeline import tf_pipeline
from tests.detection.data.helpers import some_boxes, write_coco, write_json

_SIZES = [(60, 90), (64, 64), (90, 60), (50, 100), (70, 90), (60, 90), (61, 90)]
_CONFIG = DataPipelineConfig(
    batch_size=2,
    min_sides=(48, 64),
    max_side=110,
    max_buckets=2,
    vertical_flip=0.5,
    scale_jitter=(0.8, 1.3),
    brightness=0.3,
    contrast=0.3,
    saturation=0.3,
)
_LARGE_SCALE = DataPipelineConfig(
    batch_size=2,
    min_sides=(64,),
    max_side=110,
    vertical_flip=0.5,
    large_scale_jitter={"size": 64, "scale": (0.1, 2.0), "min_box": 3},
    saturation=0.3,
)
_PIPELINES = pytest.mark.parametrize("make", [tf_pipeline, PyDatasetLoader])


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("coco")
    boxes = {i: some_boxes(i, size, seed=i) for i, size in enumerate(_SIZES)}
    _, path = write_coco(folder, _SIZES, boxes.get)
    content = json.loads(path.read_text())
    content["annotations"][-1]["iscrowd"] = 1
    return load_coco(*write_json(folder, content))


def _take(batches, count):
    iterator = numpy_batches(batches)
    taken = [next(iterator) for _ in range(count)]
    iterator.close()
    return taken


def _assert_equal(first, second, grey_levels=0.0):
    for (x, y), (other_x, other_y) in zip(first, second, strict=True):
        for name in y:
            assert y[name].dtype == other_y[name].dtype
            np.testing.assert_allclose(y[name], other_y[name], atol=1e-3)
        np.testing.assert_array_equal(x["image_sizes"], other_x["image_sizes"])
        assert x["images"].dtype == other_x["images"].dtype
        difference = x["images"].astype("float64") - other_x["images"]
        assert np.abs(difference).max() <= grey_levels


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("cache", [False, True])
def test_both_pipelines_agree_in_training(dataset, dtype, cache):
    config = _CONFIG.model_copy(update={"image_dtype": dtype, "cache": cache})
    first, second = (make(dataset, config, True) for make in (tf_pipeline, PyDatasetLoader))
    assert first.steps_per_epoch == second.steps_per_epoch == 4
    levels = 1 if dtype == "uint8" else 1e-2
    _assert_equal(_take(first, 9), _take(second, 9), levels)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_both_pipelines_cut_the_same_windows(dataset, dtype):
    config = _LARGE_SCALE.model_copy(update={"image_dtype": dtype})
    first, second = (make(dataset, config, True) for make in (tf_pipeline, PyDatasetLoader))
    first, second = _take(first, 12), _take(second, 12)
    _assert_equal(first, second, 1 if dtype == "uint8" else 1e-2)
    # Every batch has the canvas' shape, also where its images are small.
    assert {x["images"].shape for x, _ in first} == {(2, 64, 64, 3)}
    sizes = np.concatenate([x["image_sizes"] for x, _ in first])
    assert sizes.min() < 20 and (sizes == 64).any()


@pytest.mark.parametrize("make", [tf_pipeline, PyDatasetLoader])
def test_windows_show_what_their_boxes_say(dataset, make):
    """Against an image resized by TensorFlow and cut here, and boxes clipped one by one."""
    config = _LARGE_SCALE.model_copy(update={"saturation": 0.0, "image_dtype": "float32"})
    batches = make(dataset, config, True)
    rows, seen, cut, dropped = batches.plan.epoch(0), 0, 0, 0
    for step, (x, y) in enumerate(_take(batches, 4)):
        for i in range(2):
            row = 2 * step + i
            record = dataset.records[rows.index[row]]
            (height, width), (top, left) = rows.resized[row], rows.offset[row]
            h, w = x["image_sizes"][i]
            image = dataset.read(rows.index[row])["image"]
            image = tf.image.resize(image, (height, width)).numpy()
            window = image[top : top + h, left : left + w]
            cut += window.shape != image.shape
            flip_x, flip_y = rows.flips[row]
            shown = window[:: -1 if flip_y else 1, :: -1 if flip_x else 1]
            np.testing.assert_allclose(x["images"][i, :h, :w], shown, atol=1e-2)
            expected = []
            for box in record.boxes.astype("float64"):
                x1, x2 = (v * width / record.width - left for v in box[[0, 2]])
                y1, y2 = (v * height / record.height - top for v in box[[1, 3]])
                x1, x2 = (min(max(v, 0), w) for v in (x1, x2))
                y1, y2 = (min(max(v, 0), h) for v in (y1, y2))
                if min(x2 - x1, y2 - y1) < 3:
                    dropped += 1
                    continue
                x1, x2 = (w - x2, w - x1) if flip_x else (x1, x2)
                y1, y2 = (h - y2, h - y1) if flip_y else (y1, y2)
                expected.append((x1, y1, x2, y2))
            found = y["boxes"][i][y["classes"][i] >= 0]
            np.testing.assert_allclose(found, np.reshape(expected, (-1, 4)), atol=1e-3)
            seen += len(expected)
            np.testing.assert_allclose(
                y["scale"][i], [height / record.height, width / record.width], rtol=1e-5
            )
    assert seen > 5 and cut > 1 and dropped > 0


def test_both_pipelines_agree_in_evaluation(dataset):
    first, second = (make(dataset, _CONFIG, False) for make in (tf_pipeline, PyDatasetLoader))
    first, second = list(numpy_batches(first)), list(numpy_batches(second))
    _assert_equal(first, second, 1e-2)
    index = np.concatenate([y["index"] for _, y in first])
    assert sorted(index.tolist()) == [-1, *range(7)]
    assert first[0][0]["images"].dtype == np.float32


@_PIPELINES
def test_contract_of_a_batch(dataset, make):
    x, y = _take(make(dataset, _CONFIG, False), 4)[-1]
    filler = y["index"] < 0
    assert filler.any()
    assert y["boxes"].shape == (2, 8, 4) and y["boxes"].dtype == np.float32
    assert y["classes"].dtype == np.int32 and y["is_crowd"].dtype == bool
    assert y["index"].dtype == np.int32 and y["scale"].shape == (2, 2)
    assert x["image_sizes"].dtype == np.int32
    assert (y["classes"][filler] == -1).all() and (x["images"][filler] == 0).all()
    for row in np.flatnonzero(~filler):
        record = dataset.records[y["index"][row]]
        count = len(record.boxes)
        assert (y["classes"][row, count:] == -1).all() and (y["boxes"][row, count:] == 0).all()
        np.testing.assert_array_equal(y["classes"][row, :count], record.classes)
        np.testing.assert_array_equal(y["is_crowd"][row, :count], record.is_crowd)
        scale_y, scale_x = y["scale"][row]
        expected = record.boxes * [scale_x, scale_y, scale_x, scale_y]
        np.testing.assert_allclose(y["boxes"][row, :count], expected, atol=1e-3)
        height, width = x["image_sizes"][row]
        np.testing.assert_allclose([record.height * scale_y, record.width * scale_x],
                                   [height, width], rtol=1e-5)  # fmt: skip
        assert (x["images"][row, height:] == 0).all() and (x["images"][row, :, width:] == 0).all()
        image = dataset.read(y["index"][row])["image"]
        resized = tf.image.resize(image, (height, width)).numpy()
        np.testing.assert_allclose(x["images"][row, :height, :width], resized, atol=1e-3)


@_PIPELINES
def test_resume_gives_exactly_what_follows(dataset, make):
    stream = _take(make(dataset, _CONFIG, True), 11)
    # Four batches an epoch: batch 3 of epoch 1 is the eighth.
    resumed = _take(make(dataset, _CONFIG, True, start_epoch=1, start_batch=3), 4)
    _assert_equal(resumed, stream[7:])
    again = _take(make(dataset, _CONFIG, True), 11)
    _assert_equal(again, stream)


@_PIPELINES
def test_number_of_workers_changes_nothing(dataset, make):
    one, four = (_CONFIG.model_copy(update={"workers": n}) for n in (1, 4))
    _assert_equal(_take(make(dataset, one, True), 6), _take(make(dataset, four, True), 6))


@_PIPELINES
@pytest.mark.parametrize("min_side", [32, 60])
def test_cache_changes_nothing_and_is_used(dataset, make, min_side, monkeypatch):
    sizes = {"min_sides": (min_side,), "scale_jitter": None}
    cached, read = (_CONFIG.model_copy(update={**sizes, "cache": c}) for c in (True, False))
    expected = _take(make(dataset, read, True), 12)
    counted, reads = dataset.subset(range(7)), []
    monkeypatch.setattr(
        counted, "read_image", lambda index: reads.append(index) or dataset.read_image(index)
    )
    config = cached.model_copy(update={"workers": 1})
    _assert_equal(_take(make(counted, config, True), 12), expected, 1)
    assert len(reads) == 7


@_PIPELINES
@pytest.mark.parametrize("flips", [(0, 0), (1, 0), (0, 1), (1, 1)])
def test_a_coloured_rectangle_stays_inside_its_box(tmp_path, make, flips):
    from PIL import Image

    images, path = write_coco(tmp_path, [(60, 100)], lambda index: [(3, [20, 12, 50, 18])])
    pixels = np.zeros((60, 100, 3), "uint8")
    pixels[12:30, 20:70] = (250, 20, 30)
    Image.fromarray(pixels).save(images / "000001.jpg", quality=95, subsampling=0)
    dataset = load_coco(images, path)
    config = DataPipelineConfig(batch_size=1, min_sides=(90,), max_side=200,
                                horizontal_flip=flips[0], vertical_flip=flips[1])  # fmt: skip
    ((x, y),) = _take(make(dataset, config, True), 1)
    rows, columns = np.nonzero(x["images"][0, ..., 0] > 125)
    found = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    np.testing.assert_allclose(y["boxes"][0, 0], found, atol=1)
    # Enlarged by 1.5 to 90 x 150, the rectangle spans 30..105 and 18..45.
    left, top = (30, 150 - 105)[flips[0]], (18, 90 - 45)[flips[1]]
    np.testing.assert_allclose(y["boxes"][0, 0, :2], [left, top], atol=1e-3)


@_PIPELINES
@pytest.mark.parametrize("damage", ["truncated", "text", "other size"])
def test_a_bad_image_is_named(tmp_path, make, damage):
    images, path = write_coco(tmp_path, [(60, 90)] * 3)
    victim = images / "000002.jpg"
    if damage == "other size":
        victim.write_bytes((write_coco(tmp_path / "o", [(30, 40)])[0] / "000001.jpg").read_bytes())
    else:
        data = victim.read_bytes()
        victim.write_bytes(data[: len(data) // 2] if damage == "truncated" else b"no image")
    config = DataPipelineConfig(batch_size=1, min_sides=(60,), max_side=90)
    with pytest.raises((ValueError, tf.errors.OpError), match=r"000002\.jpg"):
        _take(make(load_coco(images, path), config, True), 3)


def test_static_shapes_where_there_is_one(tmp_path):
    images, path = write_coco(tmp_path, [(60, 90)] * 3)
    config = DataPipelineConfig(batch_size=2, min_sides=(60,), max_side=90)
    batches = tf_pipeline(load_coco(images, path), config, training=True)
    x, y = batches.element_spec
    assert x["images"].shape == (2, 64, 96, 3) and x["images"].dtype == tf.uint8
    assert x["image_sizes"].shape == (2, 2) and y["boxes"].shape == (2, 8, 4)
    assert batches.cardinality() == tf.data.INFINITE_CARDINALITY
    assert len(tf_pipeline(load_coco(images, path), config, training=False)) == 2


@_PIPELINES
def test_wrong_positions_are_refused(dataset, make):
    with pytest.raises(ValueError, match="start_batch=4"):
        make(dataset, _CONFIG, True, start_batch=4)
    with pytest.raises(ValueError, match="start_epoch=-1"):
        make(dataset, _CONFIG, True, start_epoch=-1)
