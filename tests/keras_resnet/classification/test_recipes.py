"""The shipped recipes against the numbers that papers and torchvision publish, typed in here."""

import os
import subprocess
import sys

import numpy as np
import pytest

import keras_resnet
from keras_resnet.classification.config import load_classifier_config
from keras_resnet.training.config import available_configs
from keras_resnet.training.recipe import build_recipe_optimizer, build_schedule

DEPTHS = (20, 32, 44, 56, 110, 1202)
KINDS = {"resnet": "zero_pad", "plain": "none", "highway": "highway"}
CIFAR = [(kind, depth) for kind in KINDS for depth in DEPTHS]
IMAGENET = 1_281_167 // 256  # batches of 256 in an epoch

# He et al. 2015, table 6 (test error in percent; ResNet-110: best of five).
TABLE_6 = {20: 8.75, 32: 7.51, 44: 7.17, 56: 6.97, 110: 6.43, 1202: 7.93}


def test_no_recipe_is_forgotten():
    names = {f"cifar10_{kind}{depth}" for kind, depth in CIFAR}
    names |= {f"imagenet_resnet50_{n}" for n in ("paper", "goyal")}
    names |= {f"imagenet_resnet50_torchvision_{n}" for n in ("v1", "v2")}
    assert set(available_configs("keras_resnet")) == names | {"finetune"}


def rates(config, steps, steps_per_epoch):
    schedule = build_schedule(config.train, config.data.pipeline.batch_size, steps_per_epoch)
    return [float(schedule(step)) for step in steps]


@pytest.mark.parametrize("kind, depth", CIFAR)
def test_cifar(kind, depth):
    config = load_classifier_config(f"cifar10_{kind}{depth}")
    recipe, pipeline = config.train, config.data.pipeline
    # "0.1, divided by 10 at 32k and 48k iterations, terminated at 64k"; for 110 layers "0.01 until
    # the training error is below 80% (about 400 iterations)".
    first = 0.01 if depth >= 110 else 0.1
    expected = {0: first, 399: first, 400: 0.1, 31999: 0.1, 32000: 0.01, 47999: 0.01}
    expected |= {48000: 0.001, 63999: 0.001}
    found = rates(config, expected, steps_per_epoch=390)
    assert found == pytest.approx(list(expected.values()), rel=1e-5)
    assert recipe.total_steps(390) == 64000
    assert (recipe.momentum, recipe.nesterov, recipe.weight_decay) == (0.9, False, 1e-4)
    assert (recipe.optimizer, recipe.decay, recipe.label_smoothing) == ("sgd", "all", 0)
    assert (pipeline.batch_size, pipeline.image_size) == (128, 32)
    assert (pipeline.crop, pipeline.padding, pipeline.horizontal_flip) == ("pad_crop", 4, 0.5)
    assert (config.data.mean, pipeline.eval_size) == ("per_pixel", (None, 32))
    assert config.model.initializer == "he_fan_in"
    assert config.model.options["shortcut"] == KINDS[kind]
    assert config.run.name == f"cifar10_{kind}{depth}"
    published = None if config.published.top1 is None else 100 * (1 - config.published.top1)
    if kind == "resnet":
        assert published == pytest.approx(TABLE_6[depth])
    else:
        assert published is None


@pytest.mark.parametrize("kind, depth", CIFAR)
def test_cifar_recipes_differ_in_network_and_warmup_only(kind, depth):
    own, first = (
        load_classifier_config(name).model_dump()
        for name in (f"cifar10_{kind}{depth}", "cifar10_resnet20")
    )
    for config in (own, first):
        del config["run"], config["published"], config["model"]["name"]
        del config["model"]["options"]["shortcut"]
        for key in ("warmup", "warmup_length", "warmup_factor"):
            del config["train"][key]
    assert own == first


@pytest.mark.parametrize("kind, depth", [c for c in CIFAR if c[1] != 1202])
def test_cifar_networks_have_their_depth(kind, depth):
    """6n + 2 layers with weights: 3x3 convolutions and the classifier, as in section 4.2."""
    config = load_classifier_config(f"cifar10_{kind}{depth}").model
    if depth > 32:
        # Built with one block a stage; the full number follows from the name.
        stages = keras_resnet.variants.CIFAR_NETWORKS[config.name]["stage_blocks"]
        assert 2 * sum(stages) + 2 == depth
        config = config.model_copy(update={"options": {**config.options, "stage_blocks": (1,) * 3}})
        depth = 8
    network = getattr(keras_resnet, config.name)(**config.options)
    kernels = [v for v in network.trainable_variables if v.name == "kernel"]
    layers = [v for v in kernels if "gate" not in v.path]
    assert len(layers) == depth
    assert (len(kernels) > depth) == (kind == "highway")
    assert sorted({v.shape[-1] for v in layers}) == [10, 16, 32, 64]


def test_1202_layers():
    for kind, shortcut in KINDS.items():
        config = load_classifier_config(f"cifar10_{kind}1202").model
        row = keras_resnet.variants.CIFAR_NETWORKS[config.name]
        assert tuple(row["stage_blocks"]) == (200, 200, 200)
        assert config.options["shortcut"] == shortcut


def epochs(*numbers, batch=256):
    return [round(number * (1_281_167 // batch)) for number in numbers]


def test_goyal():
    """Section 2.2, 5.1: 8192 images, 3.2 after 5 epochs from 0.1, / 10 at 30, 60, 80 of 90."""
    config = load_classifier_config("imagenet_resnet50_goyal")
    recipe = config.train
    assert config.data.pipeline.batch_size * recipe.accumulate == 8192
    steps = epochs(0, 2.5, 5, 29.9, 30, 59.9, 60, 79.9, 80)
    expected = [0.1, 1.65, 3.2, 3.2, 0.32, 0.32, 0.032, 0.032, 0.0032]
    assert rates(config, steps, IMAGENET) == pytest.approx(expected, rel=1e-5)
    assert recipe.total_steps(IMAGENET) == 90 * IMAGENET
    assert (recipe.momentum, recipe.weight_decay, recipe.decay) == (0.9, 1e-4, "kernels")
    assert config.model.options["zero_init_residual"] is True
    assert config.published.top1 == pytest.approx(1 - 0.2374)  # error of table 2c for 8k images
    # What the optimizer itself uses: it counts batches, of which 32 make one update.
    optimizer = build_recipe_optimizer(recipe, 256, IMAGENET)
    assert optimizer.gradient_accumulation_steps == 32
    optimizer._iterations.assign(30 * IMAGENET - 1)
    assert float(optimizer.learning_rate) == pytest.approx(3.2)
    optimizer._iterations.assign(30 * IMAGENET)
    assert float(optimizer.learning_rate) == pytest.approx(0.32)


def test_torchvision_v1():
    config = load_classifier_config("imagenet_resnet50_torchvision_v1")
    recipe, pipeline = config.train, config.data.pipeline
    assert pipeline.batch_size * recipe.accumulate == 256
    found = rates(config, epochs(0, 29.9, 30, 59.9, 60, 89.9), IMAGENET)
    assert found == pytest.approx([0.1, 0.1, 0.01, 0.01, 0.001, 0.001], rel=1e-5)
    assert recipe.total_steps(IMAGENET) == 90 * IMAGENET
    assert (recipe.momentum, recipe.weight_decay, recipe.decay) == (0.9, 1e-4, "all")
    assert config.model.options["zero_init_residual"] is False
    assert (pipeline.crop, pipeline.image_size, pipeline.eval_size) == (
        *("random_resized", 224),
        (256, 224),
    )
    assert config.published.top1 == pytest.approx(
        keras_resnet.weights_info("resnet50.tv_in1k").top1 / 100, abs=1e-4
    )


def test_torchvision_v2():
    config = load_classifier_config("imagenet_resnet50_torchvision_v2")
    recipe, pipeline = config.train, config.data.pipeline
    assert pipeline.batch_size * recipe.accumulate == 1024
    per_epoch = 1_281_167 // 1024
    found = rates(config, epochs(0, 5, 302.5, 600, batch=1024), per_epoch)
    assert found == pytest.approx([0.005, 0.5, 0.25, 0], rel=1e-3, abs=1e-9)
    assert recipe.total_steps(per_epoch) == 600 * per_epoch
    assert (recipe.momentum, recipe.weight_decay, recipe.decay) == (0.9, 2e-5, "no_norms")
    assert (recipe.label_smoothing, pipeline.mixup, pipeline.cutmix) == (0.1, 0.2, 1.0)
    assert (pipeline.trivial_augment, pipeline.random_erasing, pipeline.repeats) == (True, 0.1, 4)
    assert (pipeline.image_size, pipeline.eval_size) == (176, (232, 224))
    # The reference turns its decay of 0.99998 into that for batch and epochs.
    assert recipe.ema.every == 32
    assert 1 - recipe.ema.decay == pytest.approx(2e-5 * 1024 * 32 / 600, rel=1e-3)
    assert config.published.top1 == pytest.approx(
        keras_resnet.weights_info("resnet50.tv2_in1k").top1 / 100
    )


def test_paper_on_imagenet():
    config = load_classifier_config("imagenet_resnet50_paper")
    recipe, pipeline = config.train, config.data.pipeline
    # "from 0.1 and is divided by 10 when the error plateaus ... up to 60 x 10^4 iterations"
    assert build_schedule(recipe, 256, IMAGENET) == 0.1
    assert (recipe.schedule, recipe.gamma, recipe.total_steps(IMAGENET)) == (
        "plateau",
        0.1,
        600_000,
    )
    assert (recipe.momentum, recipe.weight_decay, recipe.decay) == (0.9, 1e-4, "all")
    assert (pipeline.batch_size, pipeline.image_size, pipeline.crop) == (256, 224, "scale_jitter")
    assert (pipeline.shorter_side, pipeline.pca_lighting) == ((256, 480), 0.1)
    assert pipeline.horizontal_flip == 0.5
    assert config.model.options["stride_in"] == "1x1"
    assert 1 - config.published.top1 == pytest.approx(0.2285)  # table 3, 10 crops


def test_rate_follows_the_batch():
    """A quarter of the batch takes a quarter of the rate, or four batches make an update."""
    less = load_classifier_config("imagenet_resnet50_goyal", ["data.pipeline.batch_size=64"])
    assert rates(less, [30 * 5004 - 1], 5004) == pytest.approx([0.8])
    same = load_classifier_config(
        "imagenet_resnet50_goyal", ["data.pipeline.batch_size=64", "train.accumulate=128"]
    )
    assert rates(same, [30 * 5004 - 1], 5004) == pytest.approx([3.2])


ON_JAX = """
import sys
sys.modules["tensorflow"] = None
import keras
from keras_resnet.classification.train import train_classifier
from keras_resnet.classification.config import load_classifier_config
from keras_resnet.classification.model import load_classifier
assert keras.backend.backend() == "jax"
root, *names = sys.argv[1:]
for name in names:
    config = load_classifier_config(name, [
        "data.format=npz", f"data.root={root}/images.npz", "data.pipeline.batch_size=8",
        "model.options.stage_blocks=[1,1]", "model.options.width=4", "train.steps=2",
        f"run.project={root}/runs", "train.evaluation_batch=8"])
    folder, metrics = train_classifier(config, say=lambda line: None)
    load_classifier(folder)
    print(name, metrics["train_loss"], metrics["loss"])
"""


def write_npz(path):
    rng = np.random.default_rng(0)
    arrays = {}
    for split, count in (("train", 16), ("test", 8)):
        arrays[f"x_{split}"] = rng.integers(0, 256, (count, 32, 32, 3), "uint8")
        arrays[f"y_{split}"] = np.arange(count) % 10
    np.savez(path, **arrays)


def test_cifar_kinds_train_on_jax_without_tensorflow(tmp_path):
    write_npz(tmp_path / "images.npz")
    names = ["cifar10_resnet20", "cifar10_plain1202", "cifar10_highway56"]
    done = subprocess.run(
        [sys.executable, "-c", ON_JAX, str(tmp_path), *names],
        env={**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert [line[0] for line in lines] == names
    losses = np.array([line[1:] for line in lines], float)
    # Two small steps from random weights stay near chance, ln 10.
    assert np.all(np.abs(losses - np.log(10)) < 1.5)
