"""Fill variables from named arrays, all or nothing."""

import numpy as np

_SHOWN = 30  # lines per kind of problem


def assign(variables, arrays, source, problems=()):
    """Assign every array to the variable of its name.

    Args:
        variables: dict from name to `keras.Variable`.
        arrays: dict from name to NumPy array in Keras' layout.
        source: str, what the arrays come from, for the error.
        problems: list of str, what else is known to be wrong.

    Raises:
        ValueError: listing `problems` and every name that is missing, unexpected or of another
            shape. Nothing is assigned then.
    """
    kinds = (
        problems,
        [f"missing: {name}" for name in variables if name not in arrays],
        [f"unexpected: {name}" for name in arrays if name not in variables],
        [
            f"shape of {name}: expected {tuple(variable.shape)}, found {np.shape(arrays[name])}"
            for name, variable in variables.items()
            if name in arrays and tuple(variable.shape) != np.shape(arrays[name])
        ],
    )
    lines = []
    for kind in kinds:
        lines += kind[:_SHOWN]
        if len(kind) > _SHOWN:
            lines.append(f"… and {len(kind) - _SHOWN} more of these")
    if lines:
        raise ValueError(
            f"The weights of {source} do not fit the model; nothing was loaded. Build the model "
            "with the arguments it was trained with (for another number of classes, load into a "
            "model with include_top=False).\n  " + "\n  ".join(lines)
        )
    for name, variable in variables.items():
        variable.assign(arrays[name])
