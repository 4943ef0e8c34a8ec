"""Saved models: a folder of JSON, safetensors and hashes that runs no code when loaded."""

import keras
import numpy as np
import safetensors.numpy

from keras_resnet.training import strict_json
from keras_resnet.training.verified_folder import CorruptedError, VerifiedFolder, write_folder
from keras_resnet.untrusted import safetensors_file
from keras_resnet.untrusted.errors import UntrustedFileError

DESCRIPTION = "model.json"
WEIGHTS = "weights.safetensors"
_MAX_DESCRIPTION_BYTES = 4 * 2**20
# Files up to this length are hashed to tell a damaged one from a foreign one.
_MAX_BYTES_TO_EXPLAIN = 2**28


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


def load_artifact(folder, expected=None, finite=False):
    """Reads an artefact and checks it against its manifest, and before that against a model.

    What the header of the weights declares is compared first, so that a file that is not for the
    model takes neither time nor memory.

    Args:
        folder: path given to `save_artifact`.
        expected: function of (description, list of the shapes of all arrays in the file) that
            returns the variables of the model described: a dict from key to anything with a
            `shape` and a `dtype`. None for no comparison.
        finite: bool, refuse weights that are NaN or infinite.

    Returns:
        Tuple of the description (dict) and the arrays (dict from key to NumPy array). The caller
        builds the model from the description and fills it with `assign`.

    Raises:
        FileNotFoundError: no such folder.
        CorruptedError: a file is missing, cut short or changed.
        UntrustedFileError: the files are whole, and are not those of such a model.

    Example:
    ```python
    description, arrays = load_artifact("runs/a/weights/best")
    model = build(description)
    assign(variable_keys(model), arrays)
    ```
    """
    files = VerifiedFolder(folder)
    where = f"{folder}/{WEIGHTS}"
    description = _description(files, folder)
    with files.open(WEIGHTS) as (stream, size):
        try:
            stored, _ = safetensors_file.read_header(stream, size, where)
            problems = [] if expected is None else _misfits(description, stored, expected)
            if problems:
                raise UntrustedFileError(_listed(problems))
        except UntrustedFileError:
            if size <= _MAX_BYTES_TO_EXPLAIN:
                files.verify(WEIGHTS)
            raise
    arrays = unpack(files.read(WEIGHTS), where)
    if finite and (wrong := not_finite(arrays)):
        raise UntrustedFileError(
            f"{where} holds weights that are NaN or infinite: {', '.join(wrong[:5])}"
            f"{' and more' if wrong[5:] else ''}. Train again from an earlier checkpoint."
        )
    return description, arrays


def read_description(folder):
    """Reads what an artefact says of its model, and nothing else.

    Args:
        folder: path given to `save_artifact`.

    Returns:
        dict.

    Raises:
        FileNotFoundError: no such folder.
        CorruptedError: the description is missing, changed or no JSON object.
    """
    return _description(VerifiedFolder(folder), folder)


def _description(files, folder):
    text = files.read(DESCRIPTION, _MAX_DESCRIPTION_BYTES)
    description = strict_json.loads(text, f"{folder}/{DESCRIPTION}")
    if not isinstance(description, dict):
        raise CorruptedError(f"{folder}/{DESCRIPTION} does not hold a JSON object.")
    return description


def not_finite(arrays):
    """Names of the arrays that hold NaN or infinity.

    Args:
        arrays: dict from name to NumPy array.

    Returns:
        List of str.
    """
    return [
        name
        for name, array in arrays.items()
        if array.dtype.kind not in "iub" and not np.isfinite(array).all()
    ]


def _misfits(description, stored, expected):
    variables = expected(description, [tensor.shape for tensor in stored.values()])
    # The values of integers are compared by `assign`, when they are there.
    return differences(variables, stored, _may_fit)


def _listed(problems):
    shown = problems[:20] + ([f"... and {len(problems) - 20} more"] if problems[20:] else [])
    return "The saved weights do not fit this model:\n" + "\n".join(f"  {p}" for p in shown)


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
        raise ValueError(_listed(problems))
    for key, variable in variables.items():
        variable.assign(arrays[key].astype(_dtype(variable)))


def differences(variables, arrays, fits=None):
    """What keeps `assign` from filling `variables` with `arrays`.

    Args:
        variables: dict from key to `keras.Variable`.
        arrays: dict from key to NumPy array.
        fits: function of (array, dtype) that tells whether the values can be kept; None for that
            of `assign`.

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
        elif not (fits or _fits)(array, _dtype(variable)):
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
        return safetensors_file.unpack(data, where)
    except UntrustedFileError as error:
        raise CorruptedError(str(error)) from None


def _dtype(variable):
    return np.dtype(keras.backend.standardize_dtype(variable.dtype))


def _may_fit(stored, dtype):
    return stored.dtype == dtype or (stored.dtype.kind in "iu" and dtype.kind in "iu")


def _fits(array, dtype):
    if array.dtype == dtype:
        return True
    if array.dtype.kind not in "iu" or dtype.kind not in "iu":
        return False
    limits = np.iinfo(dtype)
    return array.size == 0 or (int(array.min()) >= limits.min and int(array.max()) <= limits.max)
