"""The state of a run between two steps, so that it can continue as if never stopped."""

import keras

from keras_resnet.training import strict_json
from keras_resnet.training.artifact import assign, differences, pack, unpack
from keras_resnet.training.variable_keys import variable_keys
from keras_resnet.training.verified_folder import read_folder, write_folder

STATE = "state.json"
WEIGHTS = "weights.safetensors"
OPTIMIZER = "optimizer.safetensors"
MORE = "more.safetensors"


def save_training_state(folder, model, extra, arrays=None):
    """Saves all variables of a model and its optimizer, and what the caller wants to keep.

    The seed generators' states are among the model's variables; the order of the data and the
    augmentation follow from the position (put it into `extra`).

    Args:
        folder: path of the folder to write; an earlier state there stays valid until the new
            one is complete.
        model: compiled and built `keras.Model`.
        extra: dict that JSON can hold, such as `{"epoch": 3}`.
        arrays: dict from name to NumPy array or `keras.Variable`, more to keep; None for none.

    Returns:
        `pathlib.Path` of the folder.

    Raises:
        ValueError: the model is not compiled, or `extra` does not fit into JSON.

    Example:
    ```python
    save_training_state("runs/a/weights/state", model, {"epoch": 3})
    ```
    """
    optimizer = _optimizer(model)
    state = {
        "extra": extra,
        "optimizer": keras.saving.get_registered_name(type(optimizer)),
        "trainable": _trainable_keys(model),
    }
    return write_folder(
        folder,
        {
            STATE: strict_json.dumps(state, "`extra`"),
            WEIGHTS: pack(variable_keys(model)),
            OPTIMIZER: pack(_optimizer_variables(optimizer)),
            MORE: pack(arrays or {}),
        },
    )


def restore_training_state(folder, model, check=None):
    """Puts a model and its optimizer into a saved state.

    Args:
        folder: path given to `save_training_state`.
        model: built `keras.Model`, compiled with the same kind of optimizer and with the same
            layers trainable.
        check: callable that gets `extra` before anything is changed, to raise an error of its
            own; None for none.

    Returns:
        `(extra, arrays)`: the dicts that were saved; the values of `arrays` are NumPy arrays.

    Raises:
        FileNotFoundError: no such folder.
        CorruptedError: a file is missing, cut short or changed.
        ValueError: the state is of another model, optimizer or choice of trainable layers;
            nothing is changed then.

    Example:
    ```python
    extra, _ = restore_training_state("runs/a/weights/state", model)
    model.fit(data, initial_epoch=extra["epoch"], epochs=10)
    ```
    """
    files = read_folder(folder, (STATE, WEIGHTS, OPTIMIZER, MORE))
    state = strict_json.loads(files[STATE], f"{folder}/{STATE}")
    if check is not None:
        check(state["extra"])
    optimizer = _optimizer(model)
    kind = keras.saving.get_registered_name(type(optimizer))
    if state["optimizer"] != kind:
        raise ValueError(
            f"The state in {folder} was saved with the optimizer {state['optimizer']}, the model "
            f"is compiled with {kind}. Compile it as before to continue the run."
        )
    if state["trainable"] != _trainable_keys(model):
        changed = sorted(set(state["trainable"]) ^ set(_trainable_keys(model)))
        raise ValueError(
            f"The state in {folder} was saved with other trainable weights (now different: "
            f"{', '.join(changed[:5]) or 'their order'}). Freeze the same layers to continue."
        )
    variables = variable_keys(model)
    slots = _optimizer_variables(optimizer)
    arrays = unpack(files[WEIGHTS], f"{folder}/{WEIGHTS}")
    more = unpack(files[MORE], f"{folder}/{MORE}")
    slot_arrays = unpack(files[OPTIMIZER], f"{folder}/{OPTIMIZER}")
    # Both are checked before either is filled, so a misfit leaves the model as it was.
    if not differences(variables, arrays):
        assign(slots, slot_arrays)
    assign(variables, arrays)
    return state["extra"], more


def read_extra(folder):
    """Reads what the caller of `save_training_state` kept, and nothing else.

    Args:
        folder: path given to `save_training_state`.

    Returns:
        The dict `extra`.

    Raises:
        FileNotFoundError: no such folder.
        CorruptedError: the file is missing, cut short or changed.
    """
    return strict_json.loads(read_folder(folder, (STATE,))[STATE], f"{folder}/{STATE}")["extra"]


def _optimizer(model):
    optimizer = getattr(model, "optimizer", None)
    if optimizer is None:
        raise ValueError(f"The model must be compiled first. Received: model={model}")
    if not optimizer.built:
        optimizer.build(model.trainable_variables)
    return optimizer


def _optimizer_variables(optimizer):
    # By position: their names contain the counters of the layers' names. What each belongs to is
    # fixed by the optimizer's class and the list of trainable weights, both checked.
    return {f"{i:05d}": v for i, v in enumerate(optimizer.variables)}


def _trainable_keys(model):
    names = {id(v): key for key, v in variable_keys(model).items()}
    return [names[id(v)] for v in model.trainable_variables]
