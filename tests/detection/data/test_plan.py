"""The plan of an epoch: what it promises, checked row by row."""

import numpy as np
import pydantic
import pytest

from detection.data import BatchPlan, DataError, DataPipelineConfig, DetectionDataset, Record
from detection.data.buckets import choose_buckets, smallest_cover


def _dataset(sizes, boxes=0):
    box = np.tile([[1, 1, 5, 5]], (boxes, 1))
    classes = np.zeros(boxes)
    records = [Record(f"{i}.jpg", i, *size, box, classes) for i, size in enumerate(sizes)]
    return DetectionDataset("plan", [], records)


def _many(count=57, seed=0):
    rng = np.random.default_rng(seed)
    shapes = [(375, 500), (333, 500), (500, 375), (500, 333), (480, 480), (250, 500)]
    return _dataset([shapes[i] for i in rng.integers(len(shapes), size=count)])


def _config(**options):
    defaults = {"batch_size": 4, "min_sides": (96, 128), "max_side": 200}
    return DataPipelineConfig(**{**defaults, "scale_jitter": (0.8, 1.25), **options})


@pytest.mark.parametrize("drop_remainder", [False, True])
def test_each_image_occurs_once_in_an_epoch(drop_remainder):
    plan = BatchPlan(_many(), _config(drop_remainder=drop_remainder), training=True)
    for epoch in range(3):
        index = plan.epoch(epoch).index
        assert len(index) == plan.steps_per_epoch * 4 == (56 if drop_remainder else 60)
        seen, counts = np.unique(index, return_counts=True)
        if drop_remainder:
            assert len(seen) == 56 and counts.max() == 1
        else:
            np.testing.assert_array_equal(seen, np.arange(57))
            assert counts.sum() == 60


def test_batches_have_one_of_few_shapes_that_holds_their_images():
    plan = BatchPlan(_many(200), _config(max_buckets=3), training=True)
    assert len(plan.shapes) <= 4 and (plan.shapes % 32 == 0).all()
    known = {tuple(shape) for shape in plan.shapes.tolist()}
    for epoch in range(3):
        rows = plan.epoch(epoch)
        assert (rows.size <= rows.bucket).all()
        for batch in rows.bucket.reshape(-1, 4, 2):
            assert (batch == batch[0]).all()
            assert tuple(batch[0].tolist()) in known


def test_portraits_and_landscapes_are_kept_apart():
    sizes = [(300, 500), (500, 300)] * 40
    plan = BatchPlan(_dataset(sizes), _config(scale_jitter=None, min_sides=(96,)), training=True)
    rows = plan.epoch(0)
    portrait = (rows.size[:, 0] > rows.size[:, 1]).reshape(-1, 4)
    assert (portrait.all(axis=1) | ~portrait.any(axis=1)).all()
    assert portrait.any() and not portrait.all()


def test_one_size_gives_one_static_shape():
    plan = BatchPlan(_dataset([(480, 640)] * 9), _config(min_sides=(96,), scale_jitter=None), True)
    assert plan.shapes.tolist() == [[96, 128]]
    assert (plan.epoch(0).size == (96, 128)).all()


def test_parameters_belong_to_seed_epoch_and_sample():
    """A sample is treated alike whatever else is in the data set, and whatever the order."""
    config = _config(vertical_flip=0.5, brightness=0.3)
    whole, part = _many(57), _many(57).subset(range(40))

    def parameters(dataset, config, epoch):
        rows = BatchPlan(dataset, config, training=True).epoch(epoch)
        return {
            int(i): (*size, *flips, *colour)
            for i, size, flips, colour in zip(*(c.tolist() for c in (rows.index, rows.size)),
                                              rows.flips.tolist(), rows.colour.tolist())
        }  # fmt: skip

    first = parameters(whole, config, 2)
    assert first == parameters(whole, config, 2)
    smaller = parameters(part, config, 2)
    assert smaller == {i: first[i] for i in range(40)}
    unshuffled = parameters(whole, config.model_copy(update={"shuffle": False}), 2)
    assert unshuffled == first
    assert parameters(whole, config, 3) != first
    assert parameters(whole, config.model_copy(update={"seed": 1}), 2) != first
    # Switching colours off leaves sizes and flips.
    plain = parameters(whole, config.model_copy(update={"brightness": 0.0}), 2)
    assert {i: row[:4] for i, row in plain.items()} == {i: row[:4] for i, row in first.items()}


def test_distributions():
    config = _config(horizontal_flip=0.25, contrast=0.4, min_sides=(96, 128), scale_jitter=None)
    plan = BatchPlan(_dataset([(100, 100)] * 4000), config, training=True)
    rows = plan.epoch(0)
    # Standard errors are 0.007 and 0.008.
    np.testing.assert_allclose(rows.flips.mean(axis=0), [0.25, 0], atol=0.03)
    np.testing.assert_allclose((rows.size[:, 0] == 96).mean(), 0.5, atol=0.03)
    assert set(np.unique(rows.size)) == {96, 128}
    colour = rows.colour
    assert (colour[:, [0, 2]] == 1).all()
    assert 0.6 <= colour[:, 1].min() < 0.62 and 1.38 < colour[:, 1].max() <= 1.4
    np.testing.assert_allclose(colour[:, 1].mean(), 1, atol=0.02)


def test_large_scale_jitter():
    options = {"scale_jitter": None, "min_sides": (100,)}
    jitter = {"size": 100, "scale": (0.1, 2.0)}
    config = _config(**options, large_scale_jitter=jitter, horizontal_flip=0.5)
    dataset = _dataset([(300, 600)] * 4000)
    plan = BatchPlan(dataset, config, training=True)
    rows = plan.epoch(1)
    assert plan.shapes.tolist() == [[128, 128]]
    longer = rows.resized[:, 1]
    # Uniform over 10 .. 200 pixels; the standard error of the mean is 0.9.
    assert longer.min() < 11 and longer.max() > 199 and abs(longer.mean() - 105) < 4
    np.testing.assert_allclose(rows.resized[:, 0], longer / 2, atol=0.51)
    np.testing.assert_array_equal(rows.size, np.minimum(rows.resized, 100))
    room = rows.resized - rows.size
    assert (rows.offset >= 0).all() and (rows.offset <= room).all()
    wide = room[:, 1] >= 50
    share = rows.offset[wide, 1] / room[wide, 1]
    assert abs(share.mean() - 0.5) < 0.04 and share.max() == 1 and share.min() == 0
    # The other draws are those without windows; evaluation sees whole images.
    plain = BatchPlan(dataset, _config(**options, horizontal_flip=0.5), training=True).epoch(1)
    flips = dict(zip(plain.index.tolist(), plain.flips.tolist()))
    assert [flips[i] for i in rows.index.tolist()] == rows.flips.tolist()
    evaluated = BatchPlan(dataset, config, training=False).epoch(0)
    assert (evaluated.size == (100, 200)).all() and (evaluated.offset == 0).all()


def test_epochs_have_different_orders():
    plan = BatchPlan(_many(), _config(), training=True)
    assert (plan.epoch(0).index != plan.epoch(1).index).any()


def test_evaluation_is_sequential_and_filled_with_minus_one():
    sizes = [(300, 500)] * 5 + [(500, 300)] * 4
    plan = BatchPlan(_dataset(sizes), _config(max_side=512), training=False)
    rows = plan.epoch(0)
    # Whole batches of each shape (landscapes have the smaller height, so they are first), then
    # what is left of both.
    assert rows.index.tolist() == [0, 1, 2, 3, 5, 6, 7, 8, 4, -1, -1, -1]
    assert not rows.flips.any() and (rows.colour == 1).all()
    assert rows.size[0].tolist() == [128, 213]  # the largest of min_sides
    assert rows.bucket[8].tolist() == [128, 224]
    assert (rows.size[9:] == rows.bucket[9:]).all()
    mixed = BatchPlan(_dataset([(300, 500), (500, 300)]), _config(), training=False)
    assert mixed.epoch(0).bucket[0].tolist() == [224, 224]
    small = BatchPlan(_dataset(sizes), _config(eval_min_side=64), training=False)
    assert small.epoch(0).size[0].tolist() == [64, 107]


def test_buckets_waste_little():
    rng = np.random.default_rng(0)
    sizes = np.concatenate([
        np.stack([rng.integers(120, 129, 90), rng.integers(160, 257, 90)], -1),
        np.stack([rng.integers(160, 257, 30), rng.integers(120, 129, 30)], -1),
    ])  # fmt: skip
    shapes = choose_buckets(sizes, 32, 4)
    assert len(shapes) == 4
    cover = smallest_cover(sizes, shapes)
    assert (cover >= 0).all()
    # A naive search over all sets of four covering shapes for the same sizes.
    candidates = [(128, w) for w in range(160, 257, 32)] + [(h, 128) for h in range(160, 257, 32)]
    best = None
    for mask in range(1 << len(candidates)):
        if mask.bit_count() != 4:
            continue
        chosen = [shape for bit, shape in enumerate(candidates) if mask >> bit & 1]
        areas = [
            min((h * w for h, w in chosen if h >= y and w >= x), default=10**9) for y, x in sizes
        ]
        best = sum(areas) if best is None else min(best, sum(areas))
    ours = shapes[cover].astype("int64").prod(axis=1).sum()
    assert ours <= 1.02 * best


def test_max_boxes():
    assert BatchPlan(_dataset([(10, 10)], boxes=9), _config(), True).max_boxes == 16
    assert BatchPlan(_dataset([(10, 10)]), _config(), True).max_boxes == 8
    with pytest.raises(ValueError, match="Received: max_boxes=3"):
        BatchPlan(_dataset([(10, 10)], boxes=4), _config(max_boxes=3), True)


def test_data_sets_that_fill_no_batch():
    rows = BatchPlan(_dataset([(100, 100)] * 3), _config(), training=True).epoch(0)
    assert len(rows.index) == 4 and set(rows.index.tolist()) == {0, 1, 2}
    with pytest.raises(ValueError, match="drop_remainder=False"):
        BatchPlan(_dataset([(100, 100)] * 3), _config(drop_remainder=True), training=True)
    with pytest.raises(DataError, match="no images"):
        BatchPlan(_dataset([]), _config(), training=True)


@pytest.mark.parametrize(
    "options",
    [
        {"batch_sise": 4},
        {"batch_size": 0},
        {"horizontal_flip": 1.5},
        {"min_sides": (300,), "max_side": 200},
        {"min_sides": ()},
        {"scale_jitter": (1.2, 0.8)},
        {"image_dtype": "float16"},
        {"brightness": -0.1},
        {"large_scale_jitter": {"scale": (2.0, 0.1)}},
        {"large_scale_jitter": {}, "scale_jitter": (0.5, 1.0)},
        {"large_scale_jitter": {}, "min_sides": (600, 800)},
    ],
)
def test_bad_settings_are_refused_by_name(options):
    with pytest.raises(pydantic.ValidationError) as caught:
        DataPipelineConfig(**options)
    name = next(iter(options))
    assert name in str(caught.value) or "max_side" in str(caught.value)
