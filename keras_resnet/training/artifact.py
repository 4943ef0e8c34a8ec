"""Saved models: a folder of JSON, safetensors and hashes that runs no code when loaded."""

import keras
import ml_dtypes
import numpy as np
import safetensors
import safetensors.numpy

from keras_resnet.training import strict_json
from keras_resnet.training.verified_folder import CorruptedError, read_folder, write_folder

DESCRIPTION = "model.json"
WEIGHTS = "weights.safetensors"
_DTYPES = {
    "BOOL": np.dtype("bool"),
    **{f"{kind}{8 * n}": np.dtype(f"{kind.lower()}{n}") for kind in "IU" for n in (1, 2, 4, 8)},
    **{f"F{8 * n}": np.dtype(f"f{n}") for n in (2, 4, 8)},
    "BF16": np.dtype(ml_dtypes.bfloat16),
}


def save_artifact(folder, description, variables):
    """Saves a model as `model.json`, `weights.safetensors` and `manifest.json`.

    An earlier artefact in the same place stays valid until the new one is complete.

    Args:
        folder: path of the folder to write.
        description: dict that JSON can hold: all that is needed to build the model again
            (architecture, categories, preprocessing).
        variables: dict from key to `keras.Variable`, from `variable_keys(model)`.

    Returns:
        `pathlib.Path` of the folder.

    Raises:
        ValueError: `description` is no JSON object, or `folder` holds something else.

    Example:
    ```python
    save_artifact("runs/a/weights/best", {"stage_blocks": [2, 2]}, variable_keys(model))
    ```
    """
    if not isinstance(description, dict):
        raise ValueError(f"`description` must be a dict. Received: description={type(description)}")
    text = strict_json.dumps(description, "`description`")
    return write_folder(folder, {DESCRIPTION: text, WEIGHTS: pack(variables)})


def load_artifact(folder):
    """Reads an artefact and checks it against its manifest.

    Args:
        folder: path given to `save_artifact`.

    Returns:
        Tuple of the description (dict) and the arrays (dict from key to NumPy array). The caller
        builds the model from the description and fills it with `assign`.

    Raises:
        FileNotFoundError: no such folder.
        CorruptedError: a file is missing, cut short or changed.

    Example:
    ```python
    description, arrays = load_artifact("runs/a/weights/best")
    model = build(description)
    assign(variable_keys(model), arrays)
    ```
    """
    files = read_folder(folder, (DESCRIPTION, WEIGHTS))
    description = strict_json.loads(files[DESCRIPTION], f"{folder}/{DESCRIPTION}")
    if not isinstance(description, dict):
        raise CorruptedError(f"{folder}/{DESCRIPTION} does not hold a JSON object.")
    return description, unpack(files[WEIGHTS], f"{folder}/{WEIGHTS}")


def assign(variables, arrays):
    """Fills variables from arrays of exactly the same keys, shapes and dtypes.

    Integers of another width are accepted if every value fits: TensorFlow keeps seeds and
    counters in 64 bits, JAX in 32.

    Args:
        variables: dict from key to `keras.Variable`.
        arrays: dict from key to NumPy array.

    Raises:
        ValueError: keys, shapes or dtypes differ; the message lists all differences and no
            variable is changed.
    """
    problems = differences(variables, arrays)
    if problems:
        shown = problems[:20] + ([f"... and {len(problems) - 20} more"] if problems[20:] else [])
        raise ValueError(
            "The saved weights do not fit this model:\n" + "\n".join(f"  {p}" for p in shown)
        )
    for key, variable in variables.items():
        variable.assign(arrays[key].astype(_dtype(variable)))


def differences(variables, arrays):
    """What keeps `assign` from filling `variables` with `arrays`.

    Args:
        variables: dict from key to `keras.Variable`.
        arrays: dict from key to NumPy array.

    Returns:
        List of str, one for each missing, extra or misfitting array.
    """
    problems = [f"missing: {key}" for key in variables if key not in arrays]
    problems += [f"not in the model: {key}" for key in arrays if key not in variables]
    for key, variable in variables.items():
        if key not in arrays:
            continue
        array = arrays[key]
        if tuple(array.shape) != tuple(variable.shape):
            problems.append(
                f"{key}: shape {tuple(array.shape)} saved, {tuple(variable.shape)} in the model"
            )
        elif not _fits(array, _dtype(variable)):
            problems.append(f"{key}: {array.dtype} saved, {variable.dtype} in the model")
    return problems


def pack(variables):
    """Variables as the bytes of a safetensors file.

    Args:
        variables: dict from key to `keras.Variable`.

    Returns:
        bytes.
    """
    return safetensors.numpy.save(
        {k: np.array(keras.ops.convert_to_numpy(v), order="C") for k, v in variables.items()}
    )


def unpack(data, where):
    """Arrays from the bytes of a safetensors file.

    Args:
        data: bytes.
        where: how errors name the file.

    Returns:
        Dict from key to NumPy array.

    Raises:
        CorruptedError: not a safetensors file.
    """
    try:
        # safetensors.numpy.load knows no bfloat16.
        return {
            key: np.frombuffer(item["data"], _DTYPES[item["dtype"]]).reshape(item["shape"])
            for key, item in safetensors.deserialize(data)
        }
    except (safetensors.SafetensorError, KeyError, ValueError) as error:
        raise CorruptedError(f"{where} is not a safetensors file: {error}") from None


def _dtype(variable):
    return keras.ops.convert_to_numpy(variable).dtype


def _fits(array, dtype):
    if array.dtype == dtype:
        return True
    if array.dtype.kind not in "iu" or dtype.kind not in "iu":
        return False
    limits = np.iinfo(dtype)
    return array.size == 0 or (int(array.min()) >= limits.min and int(array.max()) <= limits.max)
