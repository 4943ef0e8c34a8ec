import json
import os
import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest
from keras import ops

import detection
from detection.evaluation import evaluate_coco, to_coco_results
from keras_resnet.training.optimizer import SGD
from tests.detection.small_model import CATEGORIES, rectangles, small_model

LOSSES = {"rpn_objectness_loss", "rpn_box_loss", "classification_loss", "box_loss"}


def average_precision(model, x, y):
    """COCO AP50 of the model's detections on a batch, by pycocotools."""
    outputs = model.predict_on_batch(x)
    ids = [category["id"] for category in CATEGORIES]
    annotations, results = [], []
    for i in range(len(x["images"])):
        for box, k in zip(y["boxes"][i], y["classes"][i]):
            if k >= 0:
                corner, size = box[:2].tolist(), (box[2:] - box[:2]).tolist()
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "image_id": i,
                        "category_id": ids[k],
                        "bbox": corner + size,
                    }
                )
        rows = [np.asarray(outputs[name][i]) for name in ("boxes", "scores", "classes")]
        results += to_coco_results(i, *rows, ids)
    truth = {
        "images": [{"id": i} for i in range(len(x["images"]))],
        "categories": CATEGORIES,
        "annotations": annotations,
    }
    return evaluate_coco(truth, results)["AP50"]


def test_training_on_8_images_finds_their_objects():
    keras.utils.set_random_seed(0)
    model = small_model()
    model.compile(keras.optimizers.Adam(2e-3, global_clipnorm=10.0))
    x, y = rectangles(8)
    first = model.train_on_batch(x, y, return_dict=True)
    assert set(first) == LOSSES | {"loss"}
    assert first["loss"] == pytest.approx(sum(first[name] for name in LOSSES), rel=1e-4)
    for _ in range(150):
        last = model.train_on_batch(x, y, return_dict=True)
    assert last["loss"] < 0.5 * first["loss"]
    assert average_precision(model, x, y) >= 0.95


@pytest.mark.parametrize(
    "policy, jit",
    [("mixed_bfloat16", False), ("mixed_float16", False), ("float32", True)],
)
def test_trains_by_fit_in_every_precision_and_jitted(policy, jit):
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy(policy)
    try:
        model = small_model()
    finally:
        keras.config.set_dtype_policy("float32")
    model.compile(SGD(0.02, momentum=0.9, global_clipnorm=10.0), jit_compile=jit)
    x, y = rectangles(4)
    history = model.fit(x, y, batch_size=4, epochs=12, shuffle=False, verbose=0).history
    assert set(history) == LOSSES | {"loss"}
    assert np.isfinite(list(history.values())).all()
    assert np.mean(history["loss"][-3:]) < 0.9 * history["loss"][0]
    outputs = model.predict(x, verbose=0)
    assert outputs["boxes"].dtype == outputs["scores"].dtype == np.float32
    assert outputs["classes"].dtype == np.int32


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_coordinates_and_logits_stay_float32_under_mixed_precision(policy, monkeypatch):
    from detection import poolers

    keras.config.set_dtype_policy(policy)
    try:
        model = small_model()
    finally:
        keras.config.set_dtype_policy("float32")
    seen, align = [], poolers.multilevel_roi_align
    monkeypatch.setattr(
        poolers,
        "multilevel_roi_align",
        lambda features, boxes, *args, **kw: (
            seen.append((features, boxes)) or align(features, boxes, *args, **kw)
        ),
    )
    x, y = rectangles(2)
    first = model(x, training=True)
    losses = model.compute_losses(x, y, first)
    (features, boxes), half = seen[0], policy.removeprefix("mixed_")
    assert boxes.dtype == "float32" and features[0].dtype == half
    assert all(v.dtype == "float32" for v in (*first["objectness"], *first["deltas"]))
    assert all(v.dtype == "float32" for v in losses.values())
    # Finer than 16 bits can tell apart: scores are not rounded on the way.
    assert len(np.unique(ops.convert_to_numpy(first["objectness"][0]))) > 3000


def test_outputs_keep_their_contract():
    model = small_model(roi_heads={"score_threshold": 0.0, "max_detections": 20})
    x, _ = rectangles(3)
    x["image_sizes"] = np.array([[96, 96], [80, 64], [64, 96]], "int32")
    outputs = {k: np.asarray(v) for k, v in model.predict_on_batch(x).items()}
    assert outputs["boxes"].shape == (3, 20, 4) and outputs["scores"].shape == (3, 20)
    for i, (height, width) in enumerate(x["image_sizes"]):
        count = outputs["num_detections"][i]
        assert count > 0
        assert (outputs["classes"][i, :count] >= 0).all()
        assert (outputs["classes"][i, count:] == -1).all()
        assert (outputs["scores"][i, count:] == 0).all()
        assert (np.diff(outputs["scores"][i, :count]) <= 0).all()
        assert (outputs["boxes"][i] >= 0).all()
        assert (outputs["boxes"][i, :, [0, 2]] <= width).all()
        assert (outputs["boxes"][i, :, [1, 3]] <= height).all()


def test_what_lies_in_the_padding_changes_nothing():
    model = small_model(roi_heads={"score_threshold": 0.0})
    x, _ = rectangles(2)
    x["image_sizes"] = np.array([[64, 80], [96, 50]], "int32")
    other = {**x, "images": x["images"].copy()}
    other["images"][0, 64:], other["images"][0, :, 80:] = 255, 255
    other["images"][1, :, 50:] = 7
    for name, value in model.predict_on_batch(x).items():
        np.testing.assert_array_equal(value, model.predict_on_batch(other)[name])


def test_losses_ignore_padding_rows_and_their_order():
    model = exhaustive_model()
    x, y = rectangles(4)
    reference = losses_of(model, x, y)
    padded = {
        "boxes": np.concatenate([y["boxes"], np.full((4, 3, 4), 50.0, "float32")], axis=1),
        "classes": np.concatenate([y["classes"], np.full((4, 3), -1, "int32")], axis=1),
    }
    order = np.random.default_rng(0).permutation(7)
    permuted = {name: value[:, order] for name, value in padded.items()}
    for other in (padded, permuted):
        found = losses_of(model, x, other)
        for name in LOSSES:
            assert found[name] == pytest.approx(reference[name], rel=1e-5, abs=1e-7)


def test_images_without_boxes_give_zero_box_losses_and_finite_gradients():
    model = small_model()
    model.compile(SGD(0.01))
    x, y = rectangles(2)
    y = {"boxes": np.zeros((2, 4, 4), "float32"), "classes": np.full((2, 4), -1, "int32")}
    logs = model.train_on_batch(x, y, return_dict=True)
    assert logs["rpn_box_loss"] == logs["box_loss"] == 0
    assert np.isfinite(logs["loss"]) and logs["rpn_objectness_loss"] > 0
    assert all(np.isfinite(ops.convert_to_numpy(w)).all() for w in model.trainable_variables)


def test_crowds_are_neither_positive_nor_negative():
    model = exhaustive_model(normalize_by="fixed")
    x, _ = rectangles(2)
    whole = {
        "boxes": np.tile(np.array([0, 0, 96, 96], "float32"), (2, 1, 1)),
        "classes": np.zeros((2, 1), "int32"),
        "is_crowd": np.ones((2, 1), bool),
    }
    logs = losses_of(model, x, whole)
    # Every proposal lies inside the crowd, so none is sampled; anchors that reach out of the
    # image by more than half still are.
    assert logs["box_loss"] == logs["classification_loss"] == logs["rpn_box_loss"] == 0
    alone = losses_of(model, x, {**whole, "classes": np.full((2, 1), -1, "int32")})
    assert logs["rpn_objectness_loss"] < alone["rpn_objectness_loss"]


def test_validation_loss_equals_the_sum_of_its_parts():
    model = exhaustive_model()
    model.compile(SGD(0.01))
    x, y = rectangles(4)
    logs = model.evaluate(x, y, batch_size=4, verbose=0, return_dict=True)
    assert set(logs) == LOSSES | {"loss"}
    assert logs["loss"] == pytest.approx(sum(logs[name] for name in LOSSES), rel=1e-4)


def test_keras_file_keeps_outputs_config_and_sampling_state(tmp_path):
    model = small_model(roi_heads={"score_threshold": 0.0})
    model.compile(SGD(0.01, momentum=0.9))
    x, y = rectangles(4)
    model.train_on_batch(x, y)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for name, value in model.predict_on_batch(x).items():
        np.testing.assert_allclose(value, loaded.predict_on_batch(x)[name], atol=1e-5)
    assert without_build_shapes(loaded.get_config()) == without_build_shapes(model.get_config())
    state = ops.convert_to_numpy(model.seed_generator.state)
    np.testing.assert_array_equal(state, ops.convert_to_numpy(loaded.seed_generator.state))
    # The same next step: same sampling, same optimizer state.
    ours, theirs = (m.train_on_batch(x, y, return_dict=True) for m in (model, loaded))
    assert ours["loss"] == pytest.approx(theirs["loss"], rel=1e-5)


def test_sample_weight_and_wrong_categories_are_refused():
    model = small_model()
    with pytest.raises(ValueError, match="sample_weight"):
        model.compute_loss({}, {}, {}, sample_weight=np.ones(1))
    config = model.get_config()
    config["categories"] = config["categories"][:2]
    with pytest.raises(ValueError, match="2 categories, num_classes=3"):
        detection.FasterRCNN.from_config(config)


def exhaustive_model(normalize_by="sampled"):
    """All anchors and all proposals count, so that no random choice is left."""
    return small_model(
        rpn={"samples": 4000, "positive_fraction": 1.0, "normalize_by": normalize_by},
        roi_heads={"samples": 128, "positive_fraction": 1.0},
    )


def without_build_shapes(config):
    """Keras writes the shapes as lists and reads them as tuples."""
    if isinstance(config, dict):
        return {k: without_build_shapes(v) for k, v in config.items() if k != "build_config"}
    if isinstance(config, (list, tuple)):
        return [without_build_shapes(v) for v in config]
    return config


def losses_of(model, x, y):
    first = model(x, training=True)
    found = model.compute_losses(x, y, first)
    return {name: float(value) for name, value in found.items()}


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="compares TensorFlow with JAX")
def test_losses_equal_those_of_jax(tmp_path):
    keras.utils.set_random_seed(3)
    model = exhaustive_model()
    x, y = rectangles(4)
    detection.save_model(model, tmp_path / "model")
    np.savez(tmp_path / "batch.npz", **x, **y)
    model.compile(SGD(0.01, momentum=0.9))
    # The second step also compares the gradients of the first.
    expected = [model.train_on_batch(x, y, return_dict=True) for _ in range(2)]
    script = textwrap.dedent(
        """
        import sys, json
        sys.modules["tensorflow"] = None
        import numpy as np, detection
        from keras_resnet.training.optimizer import SGD
        folder = sys.argv[1]
        batch = np.load(folder + "/batch.npz")
        x = {k: batch[k] for k in ("images", "image_sizes")}
        y = {k: batch[k] for k in ("boxes", "classes", "is_crowd")}
        model = detection.load(folder + "/model")
        model.compile(SGD(0.01, momentum=0.9))
        logs = [model.train_on_batch(x, y, return_dict=True) for _ in range(2)]
        print(json.dumps([{k: float(v) for k, v in log.items()} for log in logs]))
        """
    )
    result = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        env={**os.environ, "KERAS_BACKEND": "jax"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    found = json.loads(result.stdout.strip().splitlines()[-1])
    for step in range(2):
        for name in (*LOSSES, "loss"):
            assert found[step][name] == pytest.approx(expected[step][name], rel=1e-4)
