import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import safetensors.numpy

import keras_resnet
from keras_resnet.weights.convert import convert
from tests.keras_resnet.test_torchvision_golden import NAMES
from tests.rule_weights import rule_state

ROOT = Path(__file__).parents[2]
STATE = rule_state(NAMES["resnet18"], ("bn2.weight",))
SMALL = {"stage_blocks": (1, 2), "block": "bottleneck", "width": 8, "classes": 5}


def small(**arguments):
    model = keras_resnet.ResNet(**{**SMALL, "zero_init_residual": False, **arguments})
    model.preprocessing = "torch"
    return model


def assert_same(ours, theirs):
    for a, b in zip(ours.weights, theirs.weights, strict=True):
        assert a.path == b.path
        np.testing.assert_array_equal(a, b)


@pytest.fixture(scope="module")
def torch_file(tmp_path_factory):
    path = str(tmp_path_factory.mktemp("weights") / "resnet18.safetensors")
    safetensors.numpy.save_file(STATE, path)
    return path


@pytest.mark.parametrize("suffix", [".keras", ".weights.h5"])
def test_from_torchvision_and_back_keeps_every_bit(suffix, torch_file, tmp_path):
    file = tmp_path / f"r18{suffix}"
    model = convert(torch_file, file)
    assert model.get_config()["stage_blocks"] == (2, 2, 2, 2)
    assert model.preprocessing == "torch"
    back = tmp_path / "back.safetensors"
    convert(file, back, None if suffix == ".keras" else "ResNet18")
    state = safetensors.numpy.load_file(back)
    assert state.keys() == STATE.keys()
    for name, array in STATE.items():
        np.testing.assert_array_equal(state[name], array)


@pytest.mark.parametrize("options", [{}, {"stride_in": "1x1"}, {"include_top": False}])
@pytest.mark.parametrize("shortcut", ["projection", "projection_all", "zero_pad", "none"])
def test_the_file_tells_the_network(options, shortcut, tmp_path):
    saved = small(shortcut=shortcut, **options)
    keras_resnet.save_safetensors(saved, tmp_path / "w.safetensors")
    model = convert(tmp_path / "w.safetensors", tmp_path / "w.keras")
    again = keras.saving.load_model(tmp_path / "w.keras")
    x = np.random.default_rng(0).standard_normal((1, 32, 32, 3)).astype("float32")
    for each in (model, again):
        assert_same(each, saved)
        np.testing.assert_allclose(each(x), saved(x), rtol=1e-5, atol=1e-6)
        assert each.preprocessing == "torch"


@pytest.mark.parametrize(
    "make",
    [
        lambda: keras_resnet.CifarResNet20(zero_init_residual=False),
        lambda: small(stage_blocks=(1, 1, 2), output_stride=4),
        lambda: small(norm={"kind": "group", "groups": 4}),
        lambda: small(norm={"kind": "batch", "epsilon": 1e-3}),
        lambda: small(classifier_activation=None, stem={"kernel_size": 3, "stride": 2}),
    ],
)
def test_our_files_say_what_the_tensors_do_not(make, tmp_path):
    saved = make()
    keras_resnet.save_safetensors(saved, tmp_path / "w.safetensors")
    model = convert(tmp_path / "w.safetensors", tmp_path / "w.keras")
    x = np.random.default_rng(0).standard_normal((1, 32, 32, 3)).astype("float32")
    assert_same(model, saved)
    np.testing.assert_allclose(model(x), saved(x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "options", [{"stem": "deep", "shortcut": "avg_pool"}, {"squeeze_excitation": 4}]
)
def test_the_tensors_of_timm_tell_the_network(options, tmp_path):
    saved = small(**options)
    keras_resnet.save_safetensors(saved, tmp_path / "w.safetensors")
    tensors = safetensors.numpy.load_file(tmp_path / "w.safetensors")
    safetensors.numpy.save_file(tensors, tmp_path / "w.safetensors")  # without our notes
    model = convert(tmp_path / "w.safetensors", tmp_path / "w.weights.h5")
    assert_same(model, saved)
    x = np.random.default_rng(0).standard_normal((1, 33, 32, 3)).astype("float32")
    np.testing.assert_allclose(model(x), saved(x), rtol=1e-4, atol=1e-6)


def test_the_networks_for_cifar_are_architectures(tmp_path):
    saved = keras_resnet.CifarResNet20(zero_init_residual=False)
    saved.save_weights(tmp_path / "w.weights.h5")
    model = convert(tmp_path / "w.weights.h5", tmp_path / "w.safetensors", "CifarResNet20")
    assert_same(model, saved)


def test_what_cannot_be_converted_is_said(tmp_path):
    small().save(tmp_path / "w.keras")
    small().save_weights(tmp_path / "w.weights.h5")
    with pytest.raises(ValueError, match="does not say what network it is for"):
        convert(tmp_path / "w.weights.h5", tmp_path / "w.safetensors")
    with pytest.raises(ValueError, match="exists already"):
        convert(tmp_path / "w.keras", tmp_path / "w.weights.h5")
    with pytest.raises(ValueError, match="must end in one of"):
        convert(tmp_path / "w.keras", tmp_path / "w.pth")
    with pytest.raises(FileNotFoundError, match="no folder"):
        convert(tmp_path / "w.keras", tmp_path / "no" / "w.safetensors")
    with pytest.raises(FileNotFoundError, match="no weights file"):
        convert(tmp_path / "none.keras", tmp_path / "x.safetensors")
    with pytest.raises(ValueError, match=r"Did you mean 'resnet50\.tv_in1k'"):
        convert("resnet50.tv_in1", tmp_path / "x.safetensors")
    with pytest.raises(ValueError, match="Did you mean 'ResNet50'"):
        convert(tmp_path / "w.weights.h5", tmp_path / "x.safetensors", "Resnet50")
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save(tmp_path / "other.keras")
    with pytest.raises(ValueError, match="holds no ResNet of keras_resnet"):
        convert(tmp_path / "other.keras", tmp_path / "x.safetensors")
    safetensors.numpy.save_file({"a.weight": np.zeros(3)}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match=r"not those of a ResNet.*a\.weight"):
        convert(tmp_path / "other.safetensors", tmp_path / "x.keras")
    assert not list(tmp_path.glob("x.*"))


def test_networks_without_counterpart_in_pytorch_are_refused(tmp_path):
    model = small(block="preact_bottleneck")
    model.save(tmp_path / "v2.keras")
    with pytest.raises(ValueError, match=r"no counterpart of these weights .*preact_norm"):
        convert(tmp_path / "v2.keras", tmp_path / "v2.safetensors")
    assert not (tmp_path / "v2.safetensors").exists()


def script(*arguments):
    return subprocess.run(
        [sys.executable, "scripts/convert_weights.py", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )


def test_script(torch_file, tmp_path):
    target = tmp_path / "r18.keras"
    done = script(torch_file, target)
    assert (done.returncode, done.stderr) == (0, "")
    # torchvision's count of parameters, and of its norms' statistics
    assert f"{11_689_512 + 9_600:,} numbers, preprocessing torch" in done.stdout
    assert target.exists()
    done = script(tmp_path / "resnet50.pth", target, "--overwrite")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "torch.load(" in done.stderr
