"""See and change what the layers inside a model return, however deep they are nested.

Keras has no hooks. What every layer does have is its public method `call`, looked up on the
object at every use, so an attribute of that name on the object takes its place for a while.
"""

import contextlib
import functools

import keras


def sublayers(model):
    """List every layer inside a model once, parents before their children.

    Args:
        model: a Keras model or layer.

    Returns:
        Dict from path ("stage2_block1/conv1") to layer. Input layers are left out; a second layer
        at the same path gets the suffix "#2".

    Example:

    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, name="dense")])
    >>> list(sublayers(model))
    ['dense']
    """
    found, seen = {}, set()

    def walk(parent, prefix):
        for layer in parent._flatten_layers(include_self=False, recursive=False):
            if id(layer) in seen or isinstance(layer, keras.layers.InputLayer):
                continue
            seen.add(id(layer))
            path, number = prefix + layer.name, 2
            while path in found:
                path, number = f"{prefix}{layer.name}#{number}", number + 1
            found[path] = layer
            walk(layer, f"{path}/")

    walk(model, "")
    return found


@contextlib.contextmanager
def intercepted(layers, function):
    """Pass everything the given layers return through a function, inside a `with` statement.

    The model itself stays as it is. Not for several threads at once.

    Args:
        layers: Keras layers.
        function: `function(layer, inputs, outputs)`, called after each call of one of `layers`
            with its first argument and its result; returns what takes the place of the result.

    Example:

    >>> layer = keras.layers.ReLU()
    >>> with intercepted([layer], lambda layer, inputs, outputs: outputs + 1):
    ...     float(layer(np.float32(-3)))
    1.0
    >>> float(layer(np.float32(-3)))
    0.0
    """

    def replacement(layer):
        original = layer.call

        @functools.wraps(original)
        def call(*args, **kwargs):
            inputs = args[0] if args else next(iter(kwargs.values()), None)
            return function(layer, inputs, original(*args, **kwargs))

        return call

    with contextlib.ExitStack() as stack:
        for layer in layers:
            stack.enter_context(swapped(layer, "call", replacement(layer)))
        yield


@contextlib.contextmanager
def swapped(layer, attribute, value):
    """Give an attribute of a layer another value inside a `with` statement.

    Past the layer's own `__setattr__`, which would track and lock what it is given.

    Args:
        layer: a Keras layer.
        attribute: str.
        value: any object.

    Example:

    >>> layer = keras.layers.Dense(1, activation="relu")
    >>> with swapped(layer, "activation", keras.activations.linear):
    ...     layer.activation.__name__
    'linear'
    >>> layer.activation.__name__
    'relu'
    """
    own = attribute in vars(layer)
    before = vars(layer).get(attribute)
    object.__setattr__(layer, attribute, value)
    try:
        yield
    finally:
        if own:
            object.__setattr__(layer, attribute, before)
        else:
            object.__delattr__(layer, attribute)
