"""Fill variables from named arrays, all or nothing."""

import numpy as np

_SHOWN = 30  # lines per kind of problem


def misfits(shapes, arrays, problems=()):
    """What is wrong with arrays that are to fill places of given shapes.

    Args:
        shapes: dict from name to shape.
        arrays: dict from name to NumPy array.
        problems: list of str, what else is known to be wrong; comes first.

    Returns:
        List of str: names that are missing, unexpected or of another shape; of many of a kind
        only the first.
    """
    kinds = (
        problems,
        [f"missing: {name}" for name in shapes if name not in arrays],
        [f"unexpected: {name}" for name in arrays if name not in shapes],
        [
            f"shape of {name}: expected {tuple(shape)}, found {np.shape(arrays[name])}"
            for name, shape in shapes.items()
            if name in arrays and tuple(shape) != np.shape(arrays[name])
        ],
    )
    lines = []
    for kind in kinds:
        lines += kind[:_SHOWN]
        if len(kind) > _SHOWN:
            lines.append(f"… and {len(kind) - _SHOWN} more of these")
    return lines


def refuse_misfits(variables, arrays, source, problems=()):
    """Raise what `assign` would, without assigning.

    Args:
        variables: dict from name to `keras.Variable`.
        arrays: dict from name to NumPy array in Keras' layout, of which the shapes count.
        source: str, what the arrays come from, for the error.
        problems: list of str, what else is known to be wrong.

    Raises:
        ValueError: as `assign`.
    """
    lines = misfits({name: v.shape for name, v in variables.items()}, arrays, problems)
    if lines:
        raise ValueError(
            f"The weights of {source} do not fit the model; nothing was loaded. Build the model "
            "with the arguments it was trained with (for another number of classes, load into a "
            "model with include_top=False).\n  " + "\n  ".join(lines)
        )


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
    refuse_misfits(variables, arrays, source, problems)
    for name, variable in variables.items():
        variable.assign(arrays[name])
