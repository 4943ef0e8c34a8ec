"""Detectors from trained weights: what is loaded, what is new, and what then trains."""

import warnings

import keras
import numpy as np
import pytest
import safetensors.numpy
from keras import ops

import detection
from detection import FasterRCNN
from detection.config import ModelConfig
from keras_resnet.training.variable_keys import variable_keys
from tests.detection.small_model import CATEGORIES, rectangles, small_model
from tests.detection.test_architectures import build
from tests.detection.weights.torch_state import small_shapes, small_state
from tests.rule_weights import rule_state

# A single step: tracing it takes TensorFlow longer than running it.
EAGER = keras.backend.backend() == "tensorflow"
OUTPUT_LAYERS = ("/classifier/", "/regressor/")
NORM = ("gamma", "beta", "moving_mean", "moving_variance")


def values(model):
    return {key: ops.convert_to_numpy(v).copy() for key, v in variable_keys(model).items()}


def changed_by_a_step(model):
    """Keys of the variables that one step of training changes."""
    model.compile(keras.optimizers.SGD(0.01, momentum=0.9), jit_compile=False, run_eagerly=EAGER)
    x, y = rectangles(4, seed=3)
    y["classes"] = np.minimum(y["classes"], model.roi_heads.num_classes - 1)
    before = values(model)
    assert np.all(np.isfinite(model.train_on_batch(x, y)))
    after = values(model)
    return {key for key in before if not np.array_equal(before[key], after[key])}


def in_stem_or_stage_2(key):
    return key.startswith("resnet18_features/stem") or "/stage2_" in key


@pytest.fixture(scope="module")
def state():
    """Without step counters, as the published one with frozen norms."""
    return {k: v for k, v in small_state().items() if not k.endswith("num_batches_tracked")}


def test_frozen_norms_and_the_first_stages_do_not_train(state):
    model = FasterRCNN.from_pretrained(state, class_names=["cat", "dog"])
    body = [key for key in values(model) if key.startswith("resnet18_features/")]
    expected = {
        key
        for key in values(model)
        if not in_stem_or_stage_2(key) and not (key in body and key.endswith(NORM))
    }
    assert changed_by_a_step(model) == expected
    assert len(body) == 20 * 5  # 20 convolutions, and a norm of four weights after each


def test_trained_norms_train_but_for_those_of_the_first_stages():
    model = FasterRCNN.from_pretrained(small_state(v2=True), class_names=["cat"])
    keys = set(values(model))
    assert changed_by_a_step(model) == {key for key in keys if not in_stem_or_stage_2(key)}
    assert sum(key.endswith("moving_mean") for key in keys) == 20 + 8 + 4  # body, pyramid, head


@pytest.mark.parametrize("freeze", [None, "C3"])
def test_another_last_frozen_stage(state, freeze):
    model = FasterRCNN.from_pretrained(
        state, class_names=["cat", "dog"], freeze=freeze, backbone={"norm": "batch"}
    )
    still = ("stem", "stage2_", "stage3_") if freeze == "C3" else ()
    expected = {key for key in values(model) if not any(f"/{part}" in key for part in still)}
    assert changed_by_a_step(model) == expected
    # Nothing that training says can be lost on the way through a file.
    assert model.architecture["backbone"]["freeze"] == freeze


def test_only_the_output_layers_are_new(state):
    source = detection.load_torchvision(state)
    keras.utils.set_random_seed(1)
    model = FasterRCNN.from_pretrained(source, class_names=["a", "b", "c", "d", "e"])
    assert model.categories[4] == {"id": 5, "name": "e"}
    before, after = values(source), values(model)
    assert set(before) == set(after)
    for key in before:
        if "seed" in key:
            continue
        if any(name in key for name in OUTPUT_LAYERS):
            assert after[key].shape[-1] in (6, 20), key
        else:
            np.testing.assert_array_equal(before[key], after[key], err_msg=key)
    assert np.std(model.roi_heads.predictor.classifier.kernel) == pytest.approx(0.01, rel=0.2)
    assert np.std(model.roi_heads.predictor.regressor.kernel) == pytest.approx(0.001, rel=0.2)
    assert not np.any(model.roi_heads.predictor.classifier.bias)


def test_a_saved_detector_with_the_classes_it_has(tmp_path):
    source = small_model(backbone={"freeze": "stem"})
    detection.save_model(source, tmp_path / "m")
    model = FasterRCNN.from_pretrained(tmp_path / "m", roi_heads={"score_threshold": 0.0})
    assert list(model.categories) == CATEGORIES
    assert model.preprocessing == source.preprocessing
    assert source.roi_heads.selection.score_threshold == 0.05
    source.roi_heads.selection.score_threshold = 0.0
    x, _ = rectangles(2)
    ours, theirs = model(x), source(x)
    for name in ours:
        np.testing.assert_allclose(ours[name], theirs[name], atol=1e-6)
    assert ops.convert_to_numpy(ours["num_detections"]).min() > 0


def test_a_saved_detector_with_new_classes_freezes_what_it_froze(tmp_path):
    source = small_model(backbone={"freeze": "stem"})
    detection.save_model(source, tmp_path / "m")
    categories = [{"id": 17, "name": "cat"}, {"id": 18, "name": "dog"}]
    model = FasterRCNN.from_pretrained(tmp_path / "m", categories, preprocessing={"min_side": 96})
    assert list(model.categories) == categories
    assert model.preprocessing == {"min_side": 96, "max_side": 128, "size_divisor": 32}
    expected = {key for key in values(model) if not key.startswith("resnet_features/stem")}
    assert changed_by_a_step(model) == expected
    # What was trained is saved and read again.
    detection.save_model(model, tmp_path / "again")
    again = values(FasterRCNN.from_pretrained(tmp_path / "again"))
    for key, value in values(model).items():
        np.testing.assert_array_equal(again[key], value)


@pytest.mark.parametrize("name", ["c4_paper", "dc5_cascade", "fpn_convolutions"])
def test_every_architecture_takes_new_classes(name, tmp_path):
    source = build(name)
    detection.save_model(source, tmp_path / "m")
    model = FasterRCNN.from_pretrained(tmp_path / "m", ["cat", "dog"])
    before, after = values(source), values(model)
    assert set(before) == set(after)
    new = {key for key in after if any(layer in key for layer in OUTPUT_LAYERS)}
    assert len(new) == (3 if "cascade" in name else 1) * 4
    for key in set(after) - new:
        if "seed" not in key:
            np.testing.assert_array_equal(before[key], after[key], err_msg=key)
    for key in new:  # biases of class-agnostic boxes are zero in both
        assert key.endswith("bias") or not np.array_equal(before[key], after[key]), key


def test_c4_of_the_paper_freezes_what_its_recipe_says(tmp_path):
    detection.save_model(build("c4_paper"), tmp_path / "m")  # with `freeze: C2`
    model = FasterRCNN.from_pretrained(tmp_path / "m", ["cat", "dog"])
    still = ("resnet_features/stem/", "resnet_features/stage2_")
    assert changed_by_a_step(model) == {k for k in values(model) if not k.startswith(still)}


def test_a_safetensors_file(state, tmp_path):
    path = str(tmp_path / "w.safetensors")
    safetensors.numpy.save_file(state, path)
    from_file, from_memory = (FasterRCNN.from_pretrained(s) for s in (path, state))
    one, other = values(from_file), values(from_memory)
    assert all(np.array_equal(one[key], other[key]) for key in one)
    assert from_file.class_names == ["1", "2", "3"]
    for layer in from_file.backbone._flatten_layers():
        if hasattr(layer, "moving_variance"):
            assert layer.epsilon == 0.0


def test_precision_of_the_model(state):
    before = keras.config.dtype_policy().name
    model = FasterRCNN.from_pretrained(state, ["cat"], precision="mixed_bfloat16")
    assert model.compute_dtype == "bfloat16"
    assert model.variable_dtype == "float32"
    assert keras.config.dtype_policy().name == before


@pytest.mark.parametrize(
    ("class_names", "message"),
    [
        ([], "at least one name"),
        ("cat", "must be a list"),
        (["cat"] * 2, "twice"),
        ([{"name": "cat"}], r"its name or as .*Received: class_names with \{'name': 'cat'\}"),
        ([{"id": "first", "name": "cat"}], "its name or as"),
        ([3], "Received: class_names with 3"),
    ],
)
def test_refused_class_names(state, class_names, message):
    with pytest.raises(ValueError, match=message):
        FasterRCNN.from_pretrained(state, class_names=class_names)


def test_changes_that_do_not_fit_the_weights_are_refused(state):
    with pytest.raises(ValueError, match=r"rpn/objectness/kernel.*shape"):
        FasterRCNN.from_pretrained(state, rpn={"aspect_ratios": (1.0,)})
    with pytest.raises(
        ValueError, match=r"rpn.anchor_size: unknown key; did you mean rpn.anchor_sizes"
    ):
        FasterRCNN.from_pretrained(state, rpn={"anchor_size": 3})
    with pytest.raises(ValueError, match="`class_names` must name the 3 classes"):
        detection.load_torchvision(state, class_names=["cat"])


@pytest.mark.parametrize(
    ("preprocessing", "message"),
    [
        ({"min_sid": 600}, r"min_sid: unknown key; did you mean min_side\?"),
        ({"min_side": 0}, "min_side: must be above 0. Received: 0"),
        ({"rounding": "up"}, "rounding: must be 'nearest' or 'floor'. Received: 'up'"),
    ],
)
def test_sizes_that_say_nothing_are_refused(state, preprocessing, message):
    with pytest.raises(ValueError, match=message):
        FasterRCNN.from_pretrained(state, preprocessing=preprocessing)


def test_a_model_without_sizes_takes_all_of_them():
    source = small_model()
    source.preprocessing = {}
    with pytest.raises(ValueError, match=r"max_side: missing.*Received: \{'min_side': 96\}"):
        FasterRCNN.from_pretrained(source, preprocessing={"min_side": 96})
    sizes = {"min_side": 96, "max_side": 96, "size_divisor": 32}
    assert FasterRCNN.from_pretrained(source, preprocessing=sizes).preprocessing == sizes
    assert FasterRCNN.from_pretrained(source, seed=1).preprocessing == {}


def test_a_name_that_is_not_known_is_answered_by_those_that_are():
    with pytest.raises(FileNotFoundError, match=r"fasterrcnn_resnet50_fpn_v2_coco.*resnet50_fpn'"):
        FasterRCNN.from_pretrained("fasterrcnn_resnet50_fpn")


def test_models_without_architecture_are_refused(state):
    model = FasterRCNN.from_pretrained(state)
    model.architecture = None
    with pytest.raises(ValueError, match=r"made by `detection\.build_model`"):
        FasterRCNN.from_pretrained(model, ["cat"])


def test_classes_of_coco():
    shapes = small_shapes(num_rows=91)
    state = rule_state(shapes, small_norms=("bn2.weight",))
    model = detection.load_torchvision(state)
    assert len(model.class_names) == 80
    assert model.categories[11] == {"id": 13, "name": "stop sign"}
    assert model.categories[-1] == {"id": 90, "name": "toothbrush"}
    # Row 13 of torchvision's is class 11 here; its background comes first there and last here.
    scores = state["roi_heads.box_predictor.cls_score.weight"]
    kernel = ops.convert_to_numpy(model.roi_heads.predictor.classifier.kernel)
    np.testing.assert_array_equal(kernel[:, 11], scores[13])
    np.testing.assert_array_equal(kernel[:, -1], scores[0])
    boxes = state["roi_heads.box_predictor.bbox_pred.bias"]
    bias = ops.convert_to_numpy(model.roi_heads.predictor.regressor.bias)
    np.testing.assert_array_equal(bias[44:48], boxes[52:56])


def test_a_built_detector_is_filled_but_for_other_classes(tmp_path):
    keras.utils.set_random_seed(3)
    source = small_model()
    detection.save_model(source, tmp_path / "m")
    keras.utils.set_random_seed(4)
    same, other = small_model(), small_model()
    other.categories = tuple({"id": i, "name": name} for i, name in enumerate("abc"))
    new = values(other)
    detection.load_pretrained(same, tmp_path / "m")
    detection.load_pretrained(other, tmp_path / "m")
    for key, expected in values(source).items():
        if "seed" in key:
            continue
        np.testing.assert_array_equal(values(same)[key], expected)
        is_output = any(name in key for name in OUTPUT_LAYERS)
        np.testing.assert_array_equal(values(other)[key], new[key] if is_output else expected)


def test_anchors_of_other_sizes_are_said(tmp_path):
    """No tensor shows them."""
    detection.save_model(small_model(), tmp_path / "m")
    other = small_model(rpn={"anchor_sizes": [[8], [16], [32], [64]]})
    words = r"other sizes.*set model\.rpn\.anchor_sizes to \[\[16.*Received: anchor_sizes=\[\[8"
    with pytest.warns(UserWarning, match=words):
        detection.load_pretrained(other, tmp_path / "m")
    same = small_model()
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        detection.load_pretrained(same, tmp_path / "m")
    for key, expected in values(same).items():
        if "seed" not in key:
            np.testing.assert_array_equal(values(other)[key], expected)


def test_a_detector_that_computes_something_else_is_not_filled(state):
    source = detection.load_torchvision(state)
    changed = {**source.architecture, "pixel_mean": (0.0, 0.0, 0.0)}
    target = detection.build_model(ModelConfig.model_validate(changed), source.categories)
    before = values(target)
    with pytest.raises(ValueError, match=r"pixel_mean: .* in the source, \[0\.0, 0\.0, 0\.0\]"):
        detection.load_pretrained(target, source)
    assert all(np.array_equal(before[key], value) for key, value in values(target).items())
