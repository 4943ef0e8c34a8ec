import json
import warnings

import huggingface_hub.constants
import keras
import numpy as np
import pytest
import safetensors.numpy

import keras_resnet
from tests.keras_resnet.test_torchvision_golden import NAMES
from tests.rule_weights import rule_state

# A ResNet-18 with 1000 classes is small enough; its tensors are those of the golden file's names.
STATE = rule_state(NAMES["resnet18"], ("bn2.weight",))


def write(path, state):
    path.parent.mkdir(parents=True, exist_ok=True)
    safetensors.numpy.save_file({k: np.ascontiguousarray(v) for k, v in state.items()}, str(path))
    return str(path)


def test_every_problem_is_in_one_error_and_nothing_is_loaded(tmp_path):
    state = dict(STATE)
    del state["layer1.0.bn1.bias"]
    state["layer9.0.conv1.weight"] = np.zeros(3, "float32")
    state["conv1.weight"] = np.zeros((64, 4, 7, 7), "float32")
    path = write(tmp_path / "bad.safetensors", state)
    model = keras_resnet.ResNet18()
    before = [np.array(w) for w in model.weights]
    with pytest.raises(ValueError) as error:
        keras_resnet.load_weights(model, path)
    for line in (
        "missing: layer1.0.bn1.bias",
        "unexpected: layer9.0.conv1.weight",
        "shape of conv1.weight: expected (7, 7, 3, 64), found (7, 7, 4, 64)",
        path,
    ):
        assert line in str(error.value)
    for old, new in zip(before, model.weights, strict=True):
        np.testing.assert_array_equal(old, new)


def test_classifier_is_left_aside_without_top_only(tmp_path):
    path = write(tmp_path / "w.safetensors", STATE)
    model = keras_resnet.ResNet18(include_top=False, weights=path)
    np.testing.assert_array_equal(
        model.get_layer("stage5_block2").conv2.kernel,
        STATE["layer4.1.conv2.weight"].transpose(2, 3, 1, 0),
    )
    with pytest.raises(ValueError, match=r"shape of fc.weight: expected \(512, 10\)"):
        keras_resnet.ResNet18(classes=10, weights=path)


def small(**arguments):
    defaults = {"stage_blocks": (1, 2), "width": 8, "classes": 5, "zero_init_residual": False}
    return keras_resnet.ResNet(**{**defaults, **arguments})


SMALL = small()


@pytest.mark.parametrize("suffix", [".weights.h5", ".keras"])
@pytest.mark.parametrize("include_top", [True, False])
def test_keras_files(suffix, include_top, tmp_path):
    saved = small(stochastic_depth=0.5)
    path = str(tmp_path / f"m{suffix}")
    saved.save(path) if suffix == ".keras" else saved.save_weights(path)
    model = keras_resnet.load_weights(small(include_top=include_top), path)
    theirs = {w.path: np.array(w) for w in saved.weights}
    for w in model.weights:
        np.testing.assert_array_equal(w, theirs[w.path])


@pytest.mark.parametrize("suffix", [".weights.h5", ".keras"])
def test_keras_files_of_another_network_are_refused(suffix, tmp_path):
    saved = small()
    path = str(tmp_path / f"m{suffix}")
    saved.save(path) if suffix == ".keras" else saved.save_weights(path)
    with pytest.raises(ValueError, match="missing: layers/bottleneck_block_3/conv1/vars/0"):
        keras_resnet.load_weights(small(stage_blocks=(1, 3)), path)
    with pytest.raises(ValueError, match="unexpected: layers/bottleneck_block_2/conv1/vars/0"):
        keras_resnet.load_weights(small(stage_blocks=(1, 1)), path)
    with pytest.raises(ValueError, match=r"shape of layers/stem/conv/vars/0: expected"):
        keras_resnet.load_weights(small(width=16), path)
    if suffix == ".keras":
        with pytest.raises(ValueError, match=r"variant: .* stride_in='3x3', the model has"):
            keras_resnet.load_weights(small(stride_in="1x1"), path)


@pytest.mark.parametrize("suffix", [".safetensors", ".weights.h5", ".keras"])
def test_damaged_files_are_named(suffix, tmp_path):
    path = tmp_path / f"damaged{suffix}"
    path.write_bytes(b"not weights")
    with pytest.raises(ValueError, match=f"damaged{suffix} is not a readable"):
        keras_resnet.load_weights(small(), path)


@pytest.mark.parametrize("name", ["r.pth", "r.pt", "pytorch_model.bin"])
def test_pickles_are_refused_with_the_command_that_converts(name, tmp_path):
    path = tmp_path / name
    path.write_bytes(b"")
    with pytest.raises(ValueError, match=r"torch.load\(.*weights_only=True.*\.safetensors"):
        keras_resnet.load_weights(small(), path)


def test_unknown_names_and_files():
    with pytest.raises(ValueError, match=r"Did you mean 'resnet50\.tv_in1k'"):
        keras_resnet.load_weights(small(), "resnet50.tv_in1")
    with pytest.raises(FileNotFoundError, match=r"no weights file nowhere\.safetensors"):
        keras_resnet.load_weights(small(), "nowhere.safetensors")
    with pytest.raises(ValueError, match="ends in one of"):
        keras_resnet.load_weights(small(), "folder/weights.npz")
    with pytest.raises(ValueError, match="'hf://owner/name'"):
        keras_resnet.load_weights(small(), "hf://../secret")
    with pytest.raises(ValueError, match=r"blocks per stage \(1, 2\)"):
        keras_resnet.load_weights(small(), "imagenet")
    for other in (keras_resnet.ResNet18V2, keras_resnet.ResNet101D, keras_resnet.PlainNet18):
        with pytest.raises(ValueError, match="weights='imagenet' exists for ResNet18, "):
            other(include_top=False, weights="imagenet")


@pytest.mark.parametrize("weights", ["imagenet", "resnet18.tv_in1k", "hf://timm/resnet18.tv_in1k"])
def test_a_file_placed_by_hand_serves_without_network(weights, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    write(tmp_path / "keras_resnet/timm/resnet18.tv_in1k/model.safetensors", STATE)
    model = keras_resnet.ResNet18(weights=weights)
    np.testing.assert_array_equal(model.get_layer("predictions").kernel, STATE["fc.weight"].T)


def test_without_network_the_error_says_which_file_goes_where(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    place = tmp_path / "home/keras_resnet/someone/resnet/model.safetensors"
    with pytest.raises(OSError, match=r"model\.safetensors of .*someone/resnet") as error:
        keras_resnet.ResNet18(weights="hf://someone/resnet")
    assert str(place) in str(error.value)


@pytest.mark.parametrize(
    "weights,stride_in",
    [
        ("resnet50.a1_in1k", "1x1"),
        ("hf://timm/resnet50.tv2_in1k", "1x1"),
        ("resnet50.keras_in1k", "3x3"),
    ],
)
def test_the_wrong_variant_is_refused(weights, stride_in):
    right = {"1x1": "3x3", "3x3": "1x1"}[stride_in]
    with pytest.raises(ValueError, match=f"made with stride_in='{right}'"):
        keras_resnet.ResNet50(stride_in=stride_in, weights=weights, include_top=False)


def test_a_row_of_torchvision_is_refused_by_what_its_tensors_do_not_show():
    for options, line in (
        ({"stride_at": "last"}, "made with stride_at='first'"),
        ({"norm": {"kind": "batch", "epsilon": 1e-3}}, "made with epsilon=1e-05"),
    ):
        with pytest.raises(ValueError, match=line):
            keras_resnet.ResNet18(weights="resnet18.tv_in1k", include_top=False, **options)


@pytest.mark.parametrize("options", [{"stride_in": "1x1"}, {"stride_at": "last"}])
def test_a_file_that_says_nothing_warns_where_the_model_is_not_torchvisions(options, tmp_path):
    # As PyTorch writes one: tensors alone.
    path = write(tmp_path / "w.safetensors", torch_tensors(tmp_path))
    ((name, value),) = options.items()
    with pytest.warns(UserWarning, match=f"does not say .* built with {name}='{value}'"):
        keras_resnet.load_weights(small(**options), path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        keras_resnet.load_weights(small(), path)
        keras_resnet.load_weights(small(norm="frozen", output_stride=4), path)


def torch_tensors(folder):
    path = str(folder / "noted.safetensors")
    keras_resnet.save_safetensors(SMALL, path)
    return safetensors.numpy.load_file(path)


@pytest.mark.parametrize("suffix", [".safetensors", ".keras"])
@pytest.mark.parametrize(
    "saved,model,line",
    [
        ({"kind": "group", "groups": 4}, {"kind": "group", "groups": 8}, "groups=4"),
        ({"kind": "batch", "epsilon": 1e-3}, "frozen", "epsilon=0.001"),
    ],
)
def test_norms_that_compute_something_else_are_refused(saved, model, line, suffix, tmp_path):
    path = str(tmp_path / f"w{suffix}")
    one = small(norm=saved)
    keras_resnet.save_safetensors(one, path) if suffix == ".safetensors" else one.save(path)
    with pytest.raises(ValueError, match=f"variant: the weights were made with {line}"):
        keras_resnet.load_weights(small(norm=model), path)
    keras_resnet.load_weights(small(norm=saved), path)


def test_registry_rows_are_those_published():
    # top-1 of torchvision's, timm's and Keras' own tables; licences of the repositories' cards
    rows = {row.name: row for row in keras_resnet.weights.list()}
    assert rows["resnet50.tv_in1k"].top1 == 76.130
    assert rows["resnet50.tv_in1k"].licence == "bsd-3-clause"
    assert rows["resnet152.tv2_in1k"].top1 == 82.284
    assert rows["resnet101.a1_in1k"].source == "hf://timm/resnet101.a1_in1k"
    assert rows["resnet101.a1_in1k"].licence == "apache-2.0"
    assert [rows[f"resnet{depth}.a1_in1k"].top1 for depth in (18, 34, 50, 101, 152)] == [
        71.49,
        76.42,
        80.38,
        81.50,
        81.97,
    ]
    assert rows["resnet50d.ra2_in1k"].top1 == 80.53
    assert rows["seresnet50.ra2_in1k"].top1 == 80.26
    assert rows["resnet50.keras_in1k"].top1 == 74.9
    assert rows["resnet50.keras_in1k"].source == "keras.applications"
    assert rows["resnet50.keras_in1k"].variant == "v1"
    assert rows["resnet50.keras_in1k"].preprocessing == "caffe"
    assert keras_resnet.weights_info("resnet50.tv_in1k") is rows["resnet50.tv_in1k"]
    assert keras_resnet.list_weights() == list(rows)
    assert keras_resnet.list_weights("ResNet34") == ["resnet34.tv_in1k", "resnet34.a1_in1k"]
    with pytest.raises(ValueError, match="Did you mean 'ResNet50'"):
        keras_resnet.weights.list("Resnet50")


@pytest.mark.parametrize(
    "factory,stride_in,name",
    [
        ("ResNet50", "3x3", "timm/resnet50.tv_in1k"),
        ("ResNet50", "1x1", "resnet50.keras_in1k"),
        ("ResNet50V2", "3x3", "resnet50v2.keras_in1k"),
        ("ResNet50D", "3x3", "timm/resnet50d.ra2_in1k"),
        ("SEResNet50", "3x3", "timm/seresnet50.ra2_in1k"),
    ],
)
def test_imagenet_is_the_first_row_of_the_variant(factory, stride_in, name, monkeypatch):
    asked = []

    def fetch(source):
        asked.append(source)
        raise OSError("offline")

    monkeypatch.setattr("keras_resnet.weights.hub.fetch", fetch)
    monkeypatch.setattr("keras_resnet.weights.keras_applications.fetch", fetch)
    with pytest.raises(OSError, match="offline"):
        getattr(keras_resnet, factory)(stride_in=stride_in, include_top=False, weights="imagenet")
    assert name in str(asked)


def test_keras_applications_without_network(tmp_path, monkeypatch):
    from keras.src.utils import file_utils

    def unreachable(*args, **kwargs):
        raise OSError("unreachable")

    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(file_utils.config, "keras_home", lambda: str(tmp_path))
    monkeypatch.setattr(file_utils, "urlretrieve", unreachable)
    place = tmp_path / "models" / "resnet50_weights_tf_dim_ordering_tf_kernels.h5"
    with pytest.raises(OSError, match=r"storage\.googleapis\.com") as error:
        keras_resnet.ResNet50(stride_in="1x1", include_top=False, weights="imagenet")
    assert str(place) in str(error.value)


@pytest.mark.parametrize(
    "normalization,style",
    [
        (None, "torch"),
        ({"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}, "torch"),
        ({"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}, "tf"),
    ],
)
def test_repositories_say_how_to_preprocess(normalization, style, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    file = tmp_path / "keras_resnet/someone/resnet/model.safetensors"
    keras_resnet.save_safetensors(SMALL, write_folder(file))
    strip_notes(file)
    if normalization:
        (file.parent / "config.json").write_text(json.dumps({"pretrained_cfg": normalization}))
    model = keras_resnet.load_weights(small(), "hf://someone/resnet")
    assert model.preprocessing == style


def test_repositories_with_another_normalization_warn(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    file = tmp_path / "keras_resnet/someone/resnet/model.safetensors"
    keras_resnet.save_safetensors(SMALL, write_folder(file))
    strip_notes(file)
    other = {"pretrained_cfg": {"mean": [0, 0, 0], "std": [1, 1, 1]}}
    (file.parent / "config.json").write_text(json.dumps(other))
    with pytest.warns(UserWarning, match="no style of preprocess_input"):
        model = keras_resnet.load_weights(small(), "hf://someone/resnet")
    assert model.preprocessing is None
    with pytest.raises(ValueError, match=r"variant: .* stride_in='3x3', the model has"):
        keras_resnet.load_weights(small(stride_in="1x1"), "hf://someone/resnet")


def write_folder(file):
    file.parent.mkdir(parents=True)
    return str(file)


def strip_notes(file):
    """Make the file one that somebody else wrote."""
    safetensors.numpy.save_file(safetensors.numpy.load_file(file), file)


def test_batch_and_frozen_networks_share_files(tmp_path):
    path = str(tmp_path / "m.weights.h5")
    saved = small(norm="batch")
    saved.save_weights(path)
    frozen = keras_resnet.load_weights(small(norm="frozen"), path)
    x = np.random.default_rng(0).standard_normal((2, 24, 24, 3)).astype("float32")
    np.testing.assert_allclose(frozen(x), saved(x), rtol=1e-5)
    assert not [w for w in frozen.trainable_weights if "norm" in w.path]
    assert keras.utils.get_registered_name(type(frozen)) == "keras_resnet>ResNet"
