"""The configuration of a detector and its training, validated."""

import os
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import (
    Discriminator,
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Tag,
    field_validator,
    model_validator,
)

from detection.data import DataPipelineConfig
from detection.model_config import BackboneConfig, ModelConfig
from keras_resnet.training import config as training_config
from keras_resnet.training.config import StrictModel
from keras_resnet.training.recipe import RecipeConfig

__all__ = ["BackboneConfig", "Config", "DataConfig", "ModelConfig", "TrainConfig", "load_config"]


_Share = Annotated[float, Field(ge=0, le=1)]


class SplitConfig(StrictModel):
    """One split of a data set; which keys are needed depends on `data.format`."""

    root: str | None = Field(None, description="voc, yolo, tfds: in place of data.root")
    name: str | None = Field(None, description="tfds: in place of data.name")
    images: str | None = Field(
        None, description="coco: folder of images; csv: likewise, by default that of the CSV file"
    )
    annotations: str | None = Field(None, description="coco: JSON file; csv: CSV file")
    split: str | None = Field(
        None, description="voc: ImageSets name; tfds: split; yolo: key of data.yaml (train, val)"
    )


def _one_or_several(value):
    return "several" if isinstance(value, (list, tuple)) else "one"


# One split, or a list of them that are put together.
_Splits = Annotated[
    Annotated[SplitConfig, Tag("one")] | Annotated[tuple[SplitConfig, ...], Tag("several")],
    Discriminator(_one_or_several),
]


class ShapesConfig(StrictModel):
    """The generated sample set."""

    num_train: PositiveInt = 400
    num_val: PositiveInt = 100
    image_size: PositiveInt = 128
    seed: int = 0


_SPLITTING = {"val_share", "split_seed"}
_DATA_KEYS = {
    "shapes": {"root", "shapes"},
    "coco": {"follow_links", *_SPLITTING},
    "voc": {"root", "classes", "keep_difficult", "follow_links", *_SPLITTING},
    "yolo": {"root", "follow_links", *_SPLITTING},
    "csv": {"classes", "classes_file", "follow_links", *_SPLITTING},
    "tfds": {"root", "name", "download", "keep_difficult", *_SPLITTING},
}
_SPLIT_KEYS = {
    "shapes": set(),
    "coco": {"images", "annotations"},
    "voc": {"root", "split"},
    "yolo": {"root", "split"},
    "csv": {"images", "annotations"},
    "tfds": {"root", "name", "split"},
}


_OPTIONAL = ("root", "name", "classes", "classes_file", "val_share")


class DataConfig(StrictModel):
    """Where the images and boxes are and how they are fed."""

    format: Literal["shapes", "coco", "voc", "yolo", "csv", "tfds"]
    root: str | None = Field(
        None, description="shapes, voc: folder; yolo: data.yaml or its folder; tfds: data_dir"
    )
    name: str | None = Field(None, description="tfds: builder, e.g. voc/2007")
    download: bool = Field(False, description="tfds: whether data may be downloaded")
    classes: tuple[str, ...] | None = Field(None, description="voc, csv: class names in order")
    classes_file: str | None = Field(
        None, description="csv: text file with a class, or class,number, in each line"
    )
    keep_difficult: bool = Field(
        True, description="voc, tfds: train with objects marked difficult (never counted in tests)"
    )
    train: _Splits = SplitConfig()
    val: _Splits = SplitConfig()
    val_share: float | None = Field(
        None, gt=0, lt=1, description="in place of val: share of train set apart for validation"
    )
    split_seed: int = Field(0, ge=0, description="which images val_share sets apart")
    shapes: ShapesConfig = ShapesConfig()
    follow_links: bool = Field(
        False,
        description="coco, voc, yolo, csv: whether links in folders may lead out of them; yolo: "
        "whether data.yaml may name images outside of its folder",
    )
    max_bad_images: int = Field(0, ge=0, description="how many unusable images may be left out")
    verify: Literal["decode", "headers", "off"] = Field(
        "headers", description="how images are checked before training"
    )
    pipeline: DataPipelineConfig = DataPipelineConfig()

    @field_validator("train", "val", mode="before")
    @classmethod
    def _nothing_for_null(cls, value):
        return {} if value is None else value

    @model_validator(mode="after")
    def _nothing_ignored(self):
        given = {name for name in _OPTIONAL if getattr(self, name) is not None}
        given |= {n for n in ("download", "follow_links", "split_seed") if getattr(self, n)}
        given |= set() if self.keep_difficult else {"keep_difficult"}
        given |= {"shapes"} if self.shapes != ShapesConfig() else set()
        self._refuse_unused(given, _DATA_KEYS)
        if self.classes is not None and self.classes_file is not None:
            raise ValueError("give either `classes` or `classes_file`")
        if self.val_share is not None and self.val != SplitConfig():
            raise ValueError("give either `val` or `val_share`; val=null leaves out the former")
        if self.val_share is None and self.split_seed:
            raise ValueError("`split_seed` goes with `val_share`")
        if not self.parts("train") or not self.parts("val"):
            raise ValueError("`train` and `val` need at least one part")
        for part in (*self.parts("train"), *self.parts("val")):
            self._refuse_unused(set(part.model_dump(exclude_none=True)), _SPLIT_KEYS)
        return self

    def _refuse_unused(self, given, keys):
        unused = given - keys[self.format]
        if unused:
            taken = ", ".join(sorted(_DATA_KEYS[self.format] | _SPLIT_KEYS[self.format]))
            raise ValueError(
                f"{', '.join(sorted(unused))}: not used by data of the format "
                f"{self.format!r}, which takes {taken}{self._instead_of_root(unused)}"
            )

    def _instead_of_root(self, unused):
        if "root" not in unused or self.format not in ("coco", "csv"):
            return ""
        images = {"coco": "data.train.images=FOLDER ", "csv": ""}[self.format]
        file = {"coco": "FILE.json", "csv": "FILE.csv"}[self.format]
        return (
            f". Write data.root=null {images}data.train.annotations={file} and the same with "
            "data.val, or data.val=null data.val_share=0.2; or say another data.format"
        )

    def parts(self, split):
        """The parts that a split is put together from: tuple of `SplitConfig`."""
        parts = getattr(self, split)
        return parts if isinstance(parts, tuple) else (parts,)


class TrainConfig(RecipeConfig):
    """Optimisation, schedule and what happens around it."""

    learning_rate: PositiveFloat = 0.02
    reference_batch: PositiveInt = Field(
        16, description="the learning rate is scaled by batch / reference_batch"
    )
    schedule: Literal["step", "cosine", "constant"] = "step"
    warmup_length: int = Field(
        1000, ge=0, description="in steps or epochs, see schedule_unit; epochs: 0 by default"
    )
    evaluate_every: PositiveInt = Field(1, description="epochs between evaluations")
    state_every: PositiveInt | None = Field(
        None, description="steps between states to resume from; null: at the ends of epochs only"
    )
    start_from: str | None = Field(
        None,
        description="detector whose weights training starts with, instead of those of "
        "model.backbone.weights: a run folder, a saved model, or what else "
        "FasterRCNN.from_pretrained takes",
    )
    seed: int = Field(0, ge=0, description="of initialisation, sampling, order and augmentation")
    deterministic: bool = Field(
        False, description="same bits from same numbers, in the whole process; a little slower"
    )
    tensorboard: bool = True
    profile: NonNegativeInt = Field(0, description="steps to profile, for TensorBoard")

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, values):
        if isinstance(values, dict) and values.get("schedule_unit") == "epochs":
            return {"warmup_length": 0, **values}
        return values


class RunConfig(StrictModel):
    """Where results go and what is made of them after training."""

    project: str = "runs"
    name: str = "train"
    resume: bool | Literal["auto"] = Field(
        False, description="continue the run of this name; auto: if it has begun, else begin it"
    )
    data_check: bool = Field(True, description="look through the data before training")
    pictures: int = Field(16, ge=0, description="validation images drawn at the end")
    export: bool = True


class ExpectedConfig(StrictModel):
    """What the source of a recipe reports, as shares of 1; shown beside what is measured."""

    AP: _Share | None = Field(None, description="COCO AP, IoU 0.50:0.95")
    AP50: _Share | None = Field(None, description="COCO AP at IoU 0.50")
    mAP07: _Share | None = Field(None, description="VOC07 mAP, 11 points")
    tolerance: PositiveFloat = Field(description="by how much a run may differ")
    source: str
    images: PositiveInt | None = Field(None, description="of the split it was measured on")
    classes: PositiveInt | None = Field(None, description="likewise; with other data: no figures")

    @model_validator(mode="after")
    def _some_figure(self):
        if self.AP is None and self.AP50 is None and self.mAP07 is None:
            raise ValueError("give at least one of `AP`, `AP50` and `mAP07`")
        return self


class Config(StrictModel):
    """A whole training run."""

    model: ModelConfig
    data: DataConfig
    train: TrainConfig
    run: RunConfig = RunConfig()
    expected: ExpectedConfig | None = None


def load_config(
    source: str | os.PathLike[str] = "quickstart", overrides: Sequence[str] = ()
) -> Config:
    """Loads a training configuration.

    Args:
        source: path of a YAML file, or the name of one in the package, e.g. `"quickstart"`.
        overrides: sequence of `"key.of.section=value"`.

    Returns:
        A `Config`.

    Raises:
        ValueError: naming every key that is unknown or of a wrong type.

    Example:

    >>> load_config("quickstart", ["train.steps=10"]).train.steps
    10
    """
    return training_config.load_config(Config, source, overrides, package="detection")
