"""Fill variables from named arrays, all or nothing."""

import numpy as np

_SHOWN = 20


def assign(variables, arrays, source):
    """Assign every array to the variable of its name.

    Args:
        variables: dict from name to `keras.Variable`.
        arrays: dict from name to NumPy array in Keras' layout.
        source: str, what the arrays come from, for the error.

    Raises:
        ValueError: listing every name that is missing, unexpected or of another shape. Nothing
            is assigned then.
    """
    problems = [f"missing: {name}" for name in variables if name not in arrays]
    problems += [f"unexpected: {name}" for name in arrays if name not in variables]
    for name in variables.keys() & arrays.keys():
        expected, found = tuple(variables[name].shape), tuple(np.shape(arrays[name]))
        if expected != found:
            problems.append(f"shape of {name}: expected {expected}, found {found}")
    if problems:
        shown = problems[:_SHOWN]
        if len(problems) > _SHOWN:
            shown.append(f"… and {len(problems) - _SHOWN} more")
        raise ValueError(
            f"The weights of {source} do not fit the model; nothing was loaded. Build the model "
            "with the arguments it was trained with (for another number of classes, load into a "
            "model with include_top=False).\n  " + "\n  ".join(sorted(shown, key=_by_kind))
        )
    for name, variable in variables.items():
        variable.assign(arrays[name])


def _by_kind(problem):
    return problem.startswith("…"), problem
