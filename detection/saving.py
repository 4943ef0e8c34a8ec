"""Saves and loads detectors as a folder of JSON, weights and hashes."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import keras
import pydantic

from detection.build import build_model
from detection.config import ModelConfig
from detection.faster_rcnn import FasterRCNN
from detection.model_size import refuse_larger
from keras_resnet.inference_copy import with_dtype
from keras_resnet.training.artifact import assign, load_artifact, save_artifact
from keras_resnet.training.config import StrictModel, override_config
from keras_resnet.training.config_words import validated
from keras_resnet.training.devices import POLICIES
from keras_resnet.training.model_kind import DETECTOR as FORMAT
from keras_resnet.training.model_kind import find_artifact
from keras_resnet.training.variable_keys import variable_keys
from keras_resnet.untrusted import keras_file
from keras_resnet.untrusted.dry_run import dry_run
from keras_resnet.untrusted.errors import UntrustedFileError

VERSION = 1
MAX_SIDE = 16384  # pixels


class Category(StrictModel):
    """A class: its number in the data set, and its name."""

    id: int
    name: str


class Preprocessing(StrictModel):
    """How images are resized, see `FasterRCNN`."""

    min_side: int = pydantic.Field(gt=0, le=MAX_SIDE)
    max_side: int = pydantic.Field(gt=0, le=MAX_SIDE)
    size_divisor: int = pydantic.Field(gt=0, le=1024)
    rounding: Literal["nearest", "floor"] = "nearest"


class _Description(StrictModel):
    """What `model.json` holds."""

    format: Literal[FORMAT]
    version: Literal[VERSION]
    architecture: ModelConfig
    categories: tuple[Category, ...]
    preprocessing: Preprocessing | None
    precision: Literal[POLICIES]


def save_model(model: FasterRCNN, folder: str | os.PathLike[str]) -> Path:
    """Saves a detector made by `build_model`.

    Args:
        model: a `FasterRCNN` with its `architecture`, as `build_model` sets it.
        folder: where to write; replaced as a whole if it holds an earlier artefact.

    Returns:
        `pathlib.Path` of the folder.

    Raises:
        ValueError: the model was not made by `build_model`.

    Example:

    ```python
    detection.save_model(model, "models/cells")
    model = detection.load("models/cells")
    ```
    """
    if model.architecture is None:
        raise ValueError(
            "Only a model made by `detection.build_model` can be saved as an artefact; save this "
            f"one with `model.save('name.keras')`. Received: {model.name}, without architecture"
        )
    description = {
        "format": FORMAT,
        "version": VERSION,
        "architecture": model.architecture,
        "categories": list(model.categories),
        "preprocessing": dict(model.preprocessing) or None,
        "precision": model.dtype_policy.name,
    }
    return save_artifact(folder, description, variable_keys(model))


def load(
    source: str | os.PathLike[str],
    trust: bool = False,
    precision: str | None = "float32",
    overrides: Sequence[str] = (),
    finite: bool = True,
) -> FasterRCNN:
    """Loads a detector.

    An artefact runs no code, whoever made it: its description is validated, and what its weights
    declare is compared with the model described, before anything is built or read. A `.keras`
    file is checked too, and then loaded by Keras in its safe mode.

    Args:
        source: a run folder (its best weights are taken), an artefact written by
            `save_model`, or a `.keras` file.
        trust: a `.keras` file may name any registered class; pass True if you know
            where it comes from.
        precision: dtype policy of the loaded model. The weights are float32 however
            the model was trained; `None` takes the policy of the training.
        overrides: strings `"section.key=value"` that change the `model` section of its
            configuration, such as `"roi_heads.refinements=1"`; only what leaves all weights in
            their places. Not for a `.keras` file.
        finite: bool, refuse weights that are NaN or infinite. Not for a `.keras` file.

    Returns:
        A built `FasterRCNN`, not compiled.

    Raises:
        ValueError: nothing to load there, or it does not fit; the message says what.
        UntrustedFileError: a ValueError too: the files are not what such files are.

    Example:

    ```python
    model = detection.load("runs/quickstart")
    careful = detection.load("runs/quickstart", overrides=["test_time.flip=true"])
    ```
    """
    path = Path(source)
    if path.suffix == ".keras":
        if overrides:
            raise ValueError(
                "A .keras file holds layers, not a configuration that could be changed. "
                f"Received: overrides={list(overrides)}"
            )
        if not trust:
            raise ValueError(
                "A .keras file can name any registered class. Pass trust=True if you know where "
                f"it comes from. Received: {str(path)!r}"
            )
        return _load_keras(path, precision)
    folder = find_artifact(path, FORMAT)
    made = {}

    def expected(description, shapes):
        """Validates the description, and builds the model first without memory for its weights."""
        made["about"] = about = _validated(description, folder)
        # The weights come from the artefact; nothing else may be opened for them.
        architecture = override_config(about.architecture, overrides, f"of {folder}")
        made["architecture"] = architecture = architecture.without_weights()
        refuse_larger(architecture, shapes, folder)
        return dry_run(lambda: variable_keys(_build(architecture, about, precision)))

    _, arrays = load_artifact(folder, expected, finite)
    model = _build(made["architecture"], made["about"], precision)
    assign(variable_keys(model), arrays)
    return model


def _validated(description, folder):
    if description.get("format") != FORMAT or description.get("version") != VERSION:
        raise ValueError(
            f"{folder} does not hold a detector of this version. Received: "
            f"format={description.get('format')!r}, version={description.get('version')!r}"
        )
    return validated(_Description, description, f"{folder} describes no valid detector")


def _build(architecture, about, precision):
    plain = about.model_dump(exclude_unset=True)
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision or about.precision)
    try:
        return build_model(architecture, plain["categories"], plain["preprocessing"])
    finally:
        keras.config.set_dtype_policy(policy)


def _load_keras(path, precision):
    keras_file.check_model(path)
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except (TypeError, KeyError, AttributeError, RecursionError, OSError) as error:
        raise UntrustedFileError(f"{path} cannot be loaded by Keras: {error}") from None
    if not isinstance(model, FasterRCNN):
        raise ValueError(f"{path} holds no detector. Received: a {type(model).__name__}")
    return model if precision in (None, model.dtype_policy.name) else with_dtype(model, precision)
