"""Classifiers to evaluate and to predict with: runs, saved ones, published and local weights."""

import dataclasses
from pathlib import Path

import keras

import keras_resnet
from keras_resnet.classification.model import load_classifier
from keras_resnet.data.missing_paths import tried
from keras_resnet.preprocessing import preprocess_input_for
from keras_resnet.training.config_yaml import parse
from keras_resnet.untrusted import safetensors_file
from keras_resnet.untrusted.dry_run import dry_run
from keras_resnet.weights import hub
from keras_resnet.weights.load import refuse_safetensors
from keras_resnet.weights.registry import REGISTRY

# Recipe of published weights: (length that the shorter side is resized to, interpolation) before
# a crop of 224, with which the published accuracy was measured.
_RESIZED = {"tv": (256, "bilinear"), "tv2": (232, "bilinear"), "keras": (256, "bilinear")}
_RESIZED_TIMM = (236, "bicubic")


@dataclasses.dataclass(frozen=True)
class ClassifierSource:
    """A classifier with what is known of it.

    Attributes:
        model: `keras.Model` from images `(B, H, W, 3)`, RGB, 0..255, to logits.
        name: str for messages.
        class_names: tuple of str, or None for published weights, whose outputs are ImageNet's
            classes in the order of their WordNet ids.
        resize: int or None, length of the shorter side before the crop of evaluation.
        crop: int, height and width of that crop.
        interpolation: str, how it resizes.
        published: float or None, published top-1 accuracy, 0..1.
        config: path of the configuration of the run that it comes from, or None.
        architecture: dict of `network`, the function of `keras_resnet` that makes the network, and
            `options`, its arguments; or None.
    """

    model: keras.Model
    name: str
    class_names: tuple | None
    resize: int | None = 256
    crop: int = 224
    interpolation: str = "bilinear"
    published: float | None = None
    config: Path | None = None
    architecture: dict | None = None


def open_classifier(weights, network=None, preprocessing=None):
    """Opens a trained classifier, wherever it comes from.

    Args:
        weights: run folder or folder of a saved classifier; or what `keras_resnet.load_weights`
            takes: a name of `list_weights()`, `"hf://owner/name"`, or the path of a
            `.safetensors`, `.weights.h5` or `.keras` file.
        network: str, the function of `keras_resnet` that makes the network, such as `"ResNet50"`.
            Needed unless `weights` are a folder or in the registry.
        preprocessing: str, `"torch"`, `"caffe"` or `"tf"`, for weights that do not say theirs.

    Returns:
        A `ClassifierSource`.

    Raises:
        ValueError: it is not said which network, or the weights do not fit it.
        OSError: the weights are not there; the message says which file to place where.

    Example:
    ```python
    source = open_classifier("hf://timm/resnet50.tv_in1k")
    figures = evaluate_views(source.model, dataset, make_views("one-crop", 256, 224))
    ```
    """
    weights = str(weights)
    if Path(weights).is_dir():
        if network is not None or preprocessing is not None:
            raise ValueError(
                "A saved classifier says its network and preprocessing itself; leave them out. "
                f"Received: network={network!r}, preprocessing={preprocessing!r}"
            )
        return _open_folder(Path(weights))
    row = REGISTRY.get(weights) or next(
        (row for row in REGISTRY.values() if row.repository and row.source == weights), None
    )
    if row is not None and network not in (None, row.architecture):
        raise ValueError(
            f"The weights {row.name} are those of {row.architecture}. Received: network={network!r}"
        )
    return _open_weights(weights, row, network or (row and row.architecture), preprocessing)


def _open_folder(folder):
    model = load_classifier(folder)
    about = model.description["evaluation"]
    size = model.description["image_size"] or (224, 224)
    run = next((f for f in (folder, *folder.parents[:2]) if (f / "config.yaml").is_file()), None)
    config = None if run is None else run / "config.yaml"
    published = None
    if config is not None:
        values = parse(config.read_text(encoding="utf-8"), str(config))
        published = (values.get("published") or {}).get("top1")
    return ClassifierSource(
        model,
        str(folder),
        model.class_names,
        about.get("resize"),
        about.get("crop") or size[0],
        about.get("interpolation") or "bilinear",
        published,
        config,
        {name: model.description[name] for name in ("network", "options")},
    )


def _open_weights(weights, row, network, preprocessing):
    if row is None and not weights.startswith("hf://") and not Path(weights).exists():
        raise FileNotFoundError(
            "There is no run folder, saved classifier or file of weights of this name, and none of "
            f"`keras_resnet.list_weights()`. Received: weights={weights!r}\n{tried(weights)}"
        )
    if network is None:
        raise ValueError(
            "Say which network the weights are for, such as ResNet50; only those of "
            f"`keras_resnet.list_weights()` are known by name. Received: weights={weights!r}"
        )
    names = [n for n in keras_resnet.__all__ if "Net" in n and n != "ResNet"]
    if network not in names:
        raise ValueError(f"`network` must be one of {', '.join(names)}. Received: {network!r}")
    options = {"input_shape": (None, None, 3), "classifier_activation": None}
    if row is not None and row.variant == "v1":
        options["stride_in"] = row.stride_in
    if row is not None:
        options["classes"] = 1000

    def build():
        return getattr(keras_resnet, network)(**options)

    path = _safetensors(weights) if row is None else None
    if path is not None:
        classifier = safetensors_file.placeholders(path).get("fc.weight")
        if classifier is not None and classifier.ndim:
            options["classes"] = max(classifier.shape[0], 1)
        # The file may name more classes than there is memory for.
        dry_run(lambda: refuse_safetensors(build(), path, weights))
    net = build()
    keras_resnet.load_weights(net, weights, preprocessing)
    images = keras.Input((None, None, 3), dtype="float32", name="images")
    model = keras.Model(images, net(preprocess_input_for(net)(images)), name=network.lower())
    known = {}
    if row is not None:
        recipe = row.name.split(".")[-1].removesuffix("_in1k")
        resize, interpolation = _RESIZED.get(recipe, _RESIZED_TIMM)
        known = {
            "resize": resize,
            "interpolation": interpolation,
            "published": round(row.top1 / 100, 6),
        }
    own = {name: value for name, value in options.items() if name in ("stride_in", "classes")}
    known["architecture"] = {"network": network, "options": own}
    return ClassifierSource(model, row.name if row else weights, None, **known)


def _safetensors(weights):
    """The path of a safetensors file on this machine; None for other weights."""
    if weights.startswith("hf://"):
        weights = hub.fetch(weights.removeprefix("hf://"))
    return weights if weights.endswith(".safetensors") and Path(weights).is_file() else None
