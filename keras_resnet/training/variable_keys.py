"""Names of a model's variables that do not depend on the process they were made in."""

import collections
import re


def variable_keys(model):
    """Names every variable of a model by its place in the model.

    A key is the chain of layer names from the model down to the owner, then the variable's name,
    as in `stage2/block1/conv1/kernel`. Names that Keras makes up (`conv2d_7`) count on through a
    process, so they are replaced by the position among the layers of the same kind in the same
    parent: `conv2d`, `conv2d_1`, ... The model's own name is left out. `Variable.path` is no such
    key: it also depends on how the model was built, and two layers can share one.

    Args:
        model: built `keras.Model` or layer.

    Returns:
        Dict from key to `keras.Variable`: trainable and non-trainable weights and the states of
        seed generators, each once; metrics are left out, and so is everything inside a layer with
        the attribute `_keras_resnet_transient = True`, which holds data and nothing learned. The
        order is that of the structure.

    Raises:
        ValueError: the model has no variables yet, or two layers of one parent (or two variables
            of one layer) that hold different variables have the same name.

    Example:
    >>> import keras
    >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    >>> list(variable_keys(model))
    ['dense/kernel', 'dense/bias']
    """
    keys, seen = {}, set()
    _walk(model, "", keys, seen)
    if not keys:
        raise ValueError(
            "The model has no variables: build it or call it on an input first. "
            f"Received: model={model}"
        )
    return keys


def _walk(layer, prefix, keys, seen):
    children = layer._flatten_layers(include_self=False, recursive=False)
    below = {id(v) for child in children for v in child.variables}
    children = [c for c in children if not getattr(c, "_keras_resnet_transient", False)]
    own = [v for v in layer.variables if id(v) not in below and id(v) not in seen]
    counts = collections.Counter()
    for variable in own:
        if id(variable) in seen:
            continue
        name = re.sub(r"^variable_\d+$", "variable", variable.name)
        if name in ("variable", "seed_generator_state"):
            # Nobody named these; a layer makes them in a fixed order.
            name = _numbered(name, counts)
        _add(prefix + name, variable, keys)
        seen.add(id(variable))
    names = set()
    for child in children:
        if all(id(v) in seen for v in child.variables):
            continue
        name = child.name
        base = re.sub(r"_\d+$", "", name)
        if base.replace("_", "") == type(child).__name__.replace("_", "").lower():
            name = _numbered(base, counts)
        if name in names:
            raise ValueError(
                f"Two layers inside {prefix or 'the model'!s} have the name {name!r}, so their "
                "weights cannot be told apart. Give them different names."
            )
        names.add(name)
        _walk(child, f"{prefix}{name}/", keys, seen)


def _numbered(base, counts):
    number = counts[base]
    counts[base] += 1
    return f"{base}_{number}" if number else base


def _add(key, variable, keys):
    if key in keys:
        raise ValueError(
            f"Two variables have the name {key!r}, so they cannot be told apart. Give them "
            "different names."
        )
    keys[key] = variable
