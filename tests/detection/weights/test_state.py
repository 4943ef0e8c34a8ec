"""Reading torchvision's state dicts: names of every age, and what is refused."""

import sys

import numpy as np
import pytest
import safetensors.numpy
from keras import ops

import detection
import keras_resnet
from detection.weights import list_detectors, load_backbone, read_state
from tests.detection.weights.torch_state import NAMES, small_state


@pytest.fixture(scope="module")
def state():
    return small_state()


def arrays(model):
    return [ops.convert_to_numpy(weight) for weight in model.weights]


def test_every_name_of_torchvision_has_its_place():
    """All names are accounted for, else loading fails; this counts them."""
    for name, count in (("fasterrcnn_resnet50_fpn", 348), ("fasterrcnn_resnet50_fpn_v2", 404)):
        assert len(NAMES[name]) == count


def test_names_of_older_torchvisions(state):
    older = {
        "rpn.head.conv.weight": "rpn.head.conv.0.0.weight",
        "rpn.head.conv.bias": "rpn.head.conv.0.0.bias",
    }
    for part in ("inner", "layer"):
        for level in range(4):
            for kind in ("weight", "bias"):
                name = f"backbone.fpn.{part}_blocks.{level}."
                older[f"{name}{kind}"] = f"{name}0.{kind}"
    present = set(older.values())
    renamed = {k: v for k, v in state.items() if k not in present}
    renamed |= {old: state[new] for old, new in older.items()}
    one, other = detection.load_torchvision(state), detection.load_torchvision(renamed)
    for a, b in zip(arrays(one), arrays(other), strict=True):
        np.testing.assert_array_equal(a, b)


def test_norms_by_the_presence_of_step_counters(state):
    assert (read_state(state).norm, read_state(state).norm_epsilon) == ("batch", 1e-5)
    frozen = {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}
    assert (read_state(frozen).norm, read_state(frozen).norm_epsilon) == ("frozen", 0.0)
    model = detection.load_torchvision(frozen, norm_epsilon=1e-3)
    assert model.architecture["backbone"]["norm_epsilon"] == 1e-3
    norm = model.backbone.get_layer("stem").units[0][1]
    assert type(norm) is keras_resnet.normalization.FrozenBatchNormalization
    assert norm.epsilon == 1e-3


def test_epsilon_zero_divides_by_the_deviation_alone(state):
    frozen = {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}
    frozen["backbone.body.bn1.running_var"] = np.full(64, 1e-6, "float32")
    norm = detection.load_torchvision(frozen).backbone.get_layer("stem").units[0][1]
    x = np.random.default_rng(0).standard_normal((1, 3, 3, 64)).astype("float32")
    mean, scale, offset = (
        frozen[f"backbone.body.bn1.{name}"] for name in ("running_mean", "weight", "bias")
    )
    # With an epsilon of 1e-5 this would be a third of it.
    expected = (x - mean) * scale / 1e-3 + offset
    np.testing.assert_allclose(ops.convert_to_numpy(norm(x)), expected, rtol=1e-4)


def test_all_that_is_wrong_is_told_at_once(state):
    broken = dict(state)
    del broken["backbone.fpn.inner_blocks.2.0.bias"]
    broken["mask_head.weight"] = np.zeros(3, "float32")
    broken["rpn.head.bbox_pred.bias"] = np.zeros(7, "float32")
    with pytest.raises(ValueError) as error:
        detection.load_torchvision(broken)
    message = str(error.value)
    assert "missing: backbone.fpn.inner_blocks.2.0.bias" in message
    assert "unexpected: mask_head.weight" in message
    assert "shape of rpn.head.bbox_pred.bias: expected (12,), found (7,)" in message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: {k: v for k, v in s.items() if "fpn" not in k}, "not those of a Faster R-CNN"),
        (lambda s: {}, "not those of a Faster R-CNN"),
        (
            lambda s: {**s, "rpn.head.cls_logits.weight": np.zeros((15, 16, 1, 1), "float32")},
            "15 anchors a location",
        ),
    ],
)
def test_other_detectors_are_refused(state, change, message):
    with pytest.raises(ValueError, match=message):
        detection.load_torchvision(change(state))


def test_pickles_are_refused_with_the_command_that_converts_them():
    for load in (read_state, detection.load_torchvision, detection.FasterRCNN.from_pretrained):
        with pytest.raises(ValueError, match=r"(?s)torch\.load\('a/b\.pth'.*a/b\.safetensors"):
            load("a/b.pth")


def test_files_that_are_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing\.safetensors"):
        read_state(str(tmp_path / "nothing.safetensors"))
    with pytest.raises(ValueError, match="by name"):
        read_state(str(tmp_path / "weights.h5"))
    with pytest.raises(FileNotFoundError, match=r"nothing'.*does not exist"):
        detection.FasterRCNN.from_pretrained(str(tmp_path / "nothing"))
    with pytest.raises(ValueError, match="No saved detector"):
        detection.FasterRCNN.from_pretrained(tmp_path)


def test_published_weights_are_taken_from_their_place(state, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    row = list_detectors()[0]
    with pytest.raises(OSError) as error:
        read_state(row.name)
    place = tmp_path / "keras_resnet" / "torchvision" / row.name / "model.safetensors"
    assert str(place) in str(error.value)
    assert row.url in str(error.value)
    place.parent.mkdir(parents=True)
    safetensors.numpy.save_file(state, place)
    found = read_state(row.name)
    # What is known of published weights comes before what the tensors show.
    assert (found.norm, found.norm_epsilon) == ("frozen", 0.0)
    assert set(found.arrays) == {k for k in state if "num_batches" not in k}


def test_a_repository_without_network(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setitem(sys.modules, "huggingface_hub", Offline)
    with pytest.raises(OSError, match=r"(?s)could not be downloaded.*place it at .*me.*detector"):
        detection.FasterRCNN.from_pretrained("hf://me/detector")


class Offline:
    @staticmethod
    def hf_hub_url(repository, name):
        return f"https://huggingface.co/{repository}/resolve/main/{name}"

    @staticmethod
    def hf_hub_download(*_):
        raise ConnectionError("no route to host")


def test_the_backbone_alone(state, tmp_path):
    path = str(tmp_path / "w.safetensors")
    safetensors.numpy.save_file(state, path)
    expected = detection.load_torchvision(state).backbone
    for source in (state, path):
        backbone = load_backbone(keras_resnet.ResNet18(include_top=False), source)
        features = keras_resnet.feature_extractor(backbone, ("C2", "C3", "C4", "C5"))
        for a, b in zip(arrays(features), arrays(expected), strict=True):
            np.testing.assert_array_equal(a, b)
        assert backbone.preprocessing == "torch"


def test_the_backbone_of_another_variant_is_refused(state):
    frozen = {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}
    network = keras_resnet.ResNet18(include_top=False)
    with pytest.raises(ValueError, match=r"epsilon=0\.0"):
        load_backbone(network, frozen)
    load_backbone(network, frozen, norm_epsilon=1e-5)
    with pytest.raises(ValueError, match=r"missing: layer1\.2\.conv1\.weight"):
        load_backbone(keras_resnet.ResNet34(include_top=False), state)


def test_weights_of_classifiers_for_a_backbone(tmp_path):
    path = str(tmp_path / "w.safetensors")
    arguments = {"stage_blocks": (1, 1), "width": 8, "classes": 3}
    trained = keras_resnet.ResNet(**arguments)
    keras_resnet.save_safetensors(trained, path)
    backbone = load_backbone(keras_resnet.ResNet(**arguments, include_top=False), path)
    for a, b in zip(arrays(backbone), arrays(trained)):
        np.testing.assert_array_equal(a, b)
