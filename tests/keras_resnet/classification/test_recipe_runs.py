"""Every kind of recipe trains, with small networks and images, from files to saved weights."""

import re

import keras
import numpy as np
import pytest

import keras_resnet
from keras_resnet.classification.config import load_classifier_config
from keras_resnet.classification.model import load_classifier
from keras_resnet.classification.train import train_classifier
from keras_resnet.training.results import read_results
from tests.keras_resnet.classification.test_recipes import write_npz
from tests.keras_resnet.data.helpers import write_folder


class Watch(keras.callbacks.Callback):
    """What became of the weights and how many steps there were."""

    steps = 0

    def on_train_begin(self, logs=None):
        self.before = [np.array(v) for v in self.model.trainable_variables]
        self.rate = float(self.model.optimizer.learning_rate)

    def on_train_batch_end(self, batch, logs=None):
        self.steps += 1

    def on_train_end(self, logs=None):
        after = [np.array(v) for v in self.model.trainable_variables]
        self.moved = [not np.array_equal(a, b) for a, b in zip(self.before, after)]
        assert all(np.isfinite(v).all() for v in after)


def train(name, overrides):
    config = load_classifier_config(name, overrides)
    watch = Watch()
    folder, metrics = train_classifier(config, say=lambda line: None, callbacks=[watch])
    assert watch.steps == 2
    assert all(np.isfinite(value) for value in metrics.values())
    assert len(read_results(folder / "results.csv")) == 1
    return config, folder, watch


@pytest.mark.parametrize(
    "name",
    [f"cifar10_{kind}" for kind in ("resnet20", "resnet110", "plain56", "highway32")],
)
def test_cifar(name, tmp_path):
    write_npz(tmp_path / "images.npz")
    config, folder, watch = train(
        name,
        [
            *("data.format=npz", f"data.root={tmp_path / 'images.npz'}"),
            *("data.pipeline.batch_size=8", "train.reference_batch=8", "train.steps=2"),
            *("model.options.stage_blocks=[1,1,1]", "model.options.width=4"),
            *(f"run.project={tmp_path}", "train.evaluation_batch=8"),
        ],
    )
    # In batch norm's input, a bias would not move; there is none.
    assert all(watch.moved)
    assert watch.rate == pytest.approx(0.01 if name.endswith("110") else 0.1)
    model = load_classifier(folder)
    assert model.class_names == tuple("0123456789")[:10]
    with np.load(tmp_path / "images.npz") as arrays:
        images = arrays["x_train"]
    np.testing.assert_allclose(
        model.get_layer("normalize").mean, images.astype("float64").mean(axis=0), rtol=1e-5
    )
    assert config.published is not None


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("images")
    write_folder(root / "train", {"cat": 8, "dog": 8}, size=(40, 50))
    write_folder(root / "validation", {"cat": 3, "dog": 2}, size=(50, 40))
    return root


IMAGENET = {
    "paper": (["train.steps=2"], 0.1 * 8 / 256),
    "goyal": (["train.epochs=1", "train.accumulate=2"], 0.1 * 16 / 256 / 32),
    "torchvision_v1": (["train.epochs=1"], 0.1 * 8 / 256),
    "torchvision_v2": (
        ["train.epochs=1", "train.ema.every=1", "data.pipeline.eval_crop=32"],
        0.5 * 8 / 1024 / 100,
    ),
}


@pytest.mark.parametrize("name", IMAGENET)
def test_imagenet(name, folders, tmp_path):
    overrides, rate = IMAGENET[name]
    if name == "paper":
        overrides = [*overrides, "data.pipeline.shorter_side=[36,60]"]
    _, folder, watch = train(
        f"imagenet_resnet50_{name}",
        [
            *("data.format=folder", "data.name=null", f"data.root={folders}"),
            *("data.pipeline.batch_size=8", "data.pipeline.image_size=32"),
            *("data.pipeline.eval_resize=36", f"run.project={tmp_path}"),
            *("model.options.stage_blocks=[1,1,1,1]", "model.options.width=8"),
            "train.evaluation_batch=5",
            *overrides,
        ],
    )
    assert watch.rate == pytest.approx(rate, rel=1e-5)
    # Behind a last norm of zeros, scales and offsets of the two norms of each of the four blocks
    # get no gradient at first, and no decay.
    assert watch.moved.count(False) == (16 if name == "goyal" else 0)
    model = load_classifier(folder)
    assert model.class_names == ("cat", "dog")
    assert model.description["evaluation"]["resize"] == 36
    mean, std = (np.array(model.get_layer("normalize").weights[i]) for i in (0, 1))
    np.testing.assert_allclose(mean / 255, (0.485, 0.456, 0.406), atol=1e-4)
    np.testing.assert_allclose(std / 255, (0.229, 0.224, 0.225), atol=1e-4)


def test_finetune(folders, tmp_path):
    options = {"stage_blocks": (1, 1, 1, 1), "width": 8}
    pretrained = keras_resnet.ResNet50(classes=5, **options)
    for variable in pretrained.get_layer("stem").weights:
        variable.assign(np.random.default_rng(1).uniform(0.5, 1, variable.shape))
    keras_resnet.save_safetensors(pretrained, str(tmp_path / "own.safetensors"))
    started = {}

    class First(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            network = self.model.get_layer("network")
            started["stem"] = [np.array(w) for w in network.get_layer("stem").weights]

    overrides = [
        *(f"data.root={folders}", "data.val=validation", "train.epochs=1"),
        *("data.pipeline.batch_size=8", "data.pipeline.image_size=32"),
        *("data.pipeline.eval_resize=36", f"run.project={tmp_path}"),
        *("model.options.stage_blocks=[1,1,1,1]", "model.options.width=8"),
        *(f"model.weights={tmp_path / 'own.safetensors'}", "train.evaluation_batch=5"),
        "model.freeze=stem",
    ]
    config = load_classifier_config("finetune", overrides)
    folder, metrics = train_classifier(config, say=lambda line: None, callbacks=[First()])
    expected = [np.array(w) for w in pretrained.get_layer("stem").weights]
    after = load_classifier(folder).get_layer("network").get_layer("stem").weights
    for a, b, c in zip(expected, started["stem"], after, strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(a, np.array(c))  # frozen, its statistics too
    assert np.isfinite(metrics["loss"])
    with pytest.raises(ValueError, match=r"want data\.mean"):
        wrong = load_classifier_config("finetune", [*overrides, "data.mean=[0,0,0]"])
        train_classifier(wrong, say=lambda line: None)


def test_a_complete_run_writes_its_page_again(tmp_path):
    """With the averages of the weights, which were what its figures are of."""
    write_npz(tmp_path / "images.npz")
    overrides = [
        *("data.format=npz", f"data.root={tmp_path / 'images.npz'}", "train.ema={decay: 0.999}"),
        *("data.pipeline.batch_size=8", "train.reference_batch=8", "train.steps=2"),
        *("model.options.stage_blocks=[1,1,1]", "model.options.width=4", "train.learning_rate=1"),
        *(f"run.project={tmp_path}", "train.evaluation_batch=3", "train.warmup_length=0"),
    ]
    pages = []
    for more in ((), ("run.resume=true",)):
        config = load_classifier_config("cifar10_resnet20", [*overrides, *more])
        folder, metrics = train_classifier(config, say=lambda line: None)
        text = (folder / "report.html").read_text()
        pages.append(text.partition("<h2>Classes")[2].partition("<h2>Configuration")[0])
        (folder / "report.html").unlink()
    assert pages[0] == pages[1] and pages[0].count("<figure>") == 8
    diagonal = re.findall(r'class="diagonal[^>]*><span class="count">(\d+)', pages[0])
    assert sum(map(int, diagonal)) == round(8 * metrics["accuracy"])
