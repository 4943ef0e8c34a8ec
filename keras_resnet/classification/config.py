"""The configuration of a classifier and its training, validated."""

from typing import Annotated, Any, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

import keras_resnet
from keras_resnet._arguments import true_false_or_none
from keras_resnet.data.config import ClassificationPipelineConfig
from keras_resnet.training import config as training_config
from keras_resnet.training.config import StrictModel
from keras_resnet.training.recipe import RecipeConfig

_Share = Annotated[float, Field(ge=0, le=1)]

# What may be given by `model.options`; the rest of a network's arguments follows from the data.
_OPTIONS = [
    "stage_blocks",
    "block",
    "width",
    "stem",
    "shortcut",
    "stride_at",
    "stride_in",
    "norm",
    "zero_init_residual",
    "squeeze_excitation",
    "stochastic_depth",
    "output_stride",
]


class NetworkConfig(StrictModel):
    """A network by name, and how it starts."""

    name: str = Field(description="function of keras_resnet, e.g. ResNet50, CifarResNet20")
    options: dict[str, Any] = Field({}, description="arguments of the function, e.g. shortcut")
    initializer: Literal["he_fan_out", "he_fan_in", "xavier"] | PositiveFloat | None = Field(
        None, description="of all kernels; None: what the network has by itself"
    )
    weights: str | None = Field(None, description="pretrained; the classifier itself is new")
    freeze: str | None = Field(None, description="last stage that does not train: stem, C2, ...")

    @model_validator(mode="after")
    def _known(self):
        networks = [n for n in keras_resnet.__all__ if callable(getattr(keras_resnet, n))]
        names = [n for n in networks if "Net" in n or "Highway" in n or n.startswith("Cifar")]
        if self.name not in names:
            raise ValueError(f"`name` must be one of {', '.join(names)}")
        unknown = sorted(set(self.options) - set(_OPTIONS))
        if unknown:
            raise ValueError(
                f"`options` has no {', '.join(unknown)}; it takes {', '.join(_OPTIONS)}"
            )
        zero = "zero_init_residual"
        true_false_or_none(f"options.{zero}", self.options.get(zero))
        if self.weights is not None and self.initializer is not None:
            raise ValueError("`initializer` has no effect with `weights`; leave it out")
        return self


class ImagesConfig(StrictModel):
    """Where the images and labels are and how they are fed."""

    format: Literal["npz", "cifar10", "cifar100", "folder", "tfds"]
    root: str | None = Field(None, description="file or folder; tfds: data_dir")
    name: str | None = Field(None, description="tfds: builder, e.g. imagenet2012")
    download: bool = Field(False, description="tfds: whether data may be downloaded")
    train: str = Field("train", description="name of the training split, or its folder")
    val: str = Field("test", description="name of the split that is evaluated")
    max_bad_images: int = Field(0, ge=0, description="folder, tfds: how many may be left out")
    verify: Literal["decode", "headers", "off"] = Field(
        "headers", description="folder, tfds: how images are checked before training"
    )
    follow_links: bool = Field(False, description="folder: whether links may lead out of it")
    loader: Literal["auto", "device", "pipeline"] = Field(
        "auto", description="device: images stay on the device (small data sets of one size)"
    )
    mean: Literal["per_pixel", "channel"] | tuple[float, float, float] = Field(
        "channel",
        description="subtracted, 0..255; per_pixel and channel: of the training images",
        examples=[(123.675, 116.28, 103.53)],
    )
    std: Literal["channel"] | tuple[PositiveFloat, PositiveFloat, PositiveFloat] = Field(
        (1.0, 1.0, 1.0), description="divided by, 0..255"
    )
    pipeline: ClassificationPipelineConfig = ClassificationPipelineConfig()

    @model_validator(mode="after")
    def _nothing_ignored(self):
        if self.format == "tfds" and self.name is None:
            raise ValueError("`format: tfds` needs `name`, such as imagenet2012")
        if self.format != "tfds" and self.root is None:
            raise ValueError(f"`format: {self.format}` needs `root`, the file or folder")
        if self.format != "tfds" and (self.name is not None or self.download):
            raise ValueError("`name` and `download` are for `format: tfds`; leave them out")
        in_files = self.format in ("folder", "tfds")
        if not in_files and (self.max_bad_images or self.verify != "headers"):
            name = "max_bad_images" if self.max_bad_images else "verify"
            raise ValueError(
                f"`{name}` is for `format: folder` and `format: tfds`, whose images are in "
                "files that may be damaged; leave it out"
            )
        if self.format != "folder" and self.follow_links:
            raise ValueError("`follow_links` is for `format: folder`; leave it out")
        return self


class ClassifierTrainConfig(RecipeConfig):
    """Optimisation, schedule and what happens around it."""

    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    evaluate_every: PositiveInt = Field(1, description="epochs between evaluations")
    evaluation_batch: PositiveInt = 250
    state_every: PositiveInt | None = Field(
        None, description="steps between saved states, to resume from, besides each epoch's end"
    )
    tensorboard: bool = False
    profile: NonNegativeInt = Field(0, description="steps to profile, for TensorBoard")


class ClassifierRunConfig(StrictModel):
    """Where results go."""

    project: str = "runs"
    name: str = "classifier"
    resume: bool | Literal["auto"] = Field(
        False, description="continue the run of this name; auto: if it has begun, else begin it"
    )


class PublishedConfig(StrictModel):
    """What the source of a recipe reports."""

    source: str
    top1: _Share | None = Field(None, description="accuracy on the test or validation set")
    note: str | None = None


class ClassifierConfig(StrictModel):
    """A whole training run."""

    model: NetworkConfig
    data: ImagesConfig
    train: ClassifierTrainConfig
    run: ClassifierRunConfig = ClassifierRunConfig()
    published: PublishedConfig | None = None


def load_classifier_config(source, overrides=()):
    """Loads the configuration of a classifier's training.

    Args:
        source: path of a YAML file, or the name of one in the package, e.g. `"cifar10_resnet20"`.
        overrides: sequence of `"key.of.section=value"`.

    Returns:
        A `ClassifierConfig`.

    Raises:
        ValueError: naming every key that is unknown or of a wrong type.

    Example:
    ```python
    config = load_classifier_config("cifar10_resnet20", ["data.root=cifar-10-python.tar.gz"])
    ```
    """
    return training_config.load_config(ClassifierConfig, source, overrides, package="keras_resnet")
