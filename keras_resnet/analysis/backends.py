"""The three things Keras has no common name for: gradients, compilation, shapes without numbers."""

import keras
import numpy as np
from keras import ops


def call_stateless(model, values, inputs, training=False):
    """Call a model on given values of its variables, changing none of them.

    Args:
        model: a built Keras model.
        values: list of tensors in the place of `model.variables`, as of `variable_values`.
        inputs: tensor or structure of tensors.
        training: bool.

    Returns:
        The model's outputs.
    """
    mapping = list(zip(model.variables, values, strict=True))
    with keras.StatelessScope(state_mapping=mapping):
        return model(inputs, training=training)


def variable_values(model):
    """Return the values of all variables of a built model, as a list of tensors."""
    if not model.built:
        raise ValueError(
            f"Call the model or its `build` first. Received: {model.name!r}, not built"
        )
    if keras.config.backend() == "tensorflow":
        import tensorflow as tf

        # Their tensors: a tape would watch the variables themselves, and compute in vain.
        return [tf.convert_to_tensor(variable.value) for variable in model.variables]
    return [variable.value for variable in model.variables]


def compiled(function):
    """Compile a function of tensors to a graph of the current backend.

    Args:
        function: function without side effects, from structures of tensors to such a structure.

    Returns:
        A function with the same arguments and results.

    Example:

    >>> float(compiled(lambda x: x * x)(ops.convert_to_tensor(3.0)))
    9.0
    """
    if keras.config.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(function, autograph=False)
    if keras.config.backend() == "jax":
        import jax

        return jax.jit(function)
    return function


def value_and_gradients(function, values):
    """Differentiate a scalar.

    Args:
        function: function of `values` that returns (scalar, structure of other tensors).
        values: list of floating tensors.

    Returns:
        (scalar, the other tensors, list of the gradients by `values`; zeros where the scalar does
        not depend on one).

    Raises:
        ValueError: on a backend other than TensorFlow and JAX.

    Example:

    >>> value_and_gradients(lambda v: (v[0] * v[0], ()), [ops.convert_to_tensor(3.0)])[2][0]
    array(6., dtype=float32)
    """
    backend = keras.config.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(values)
            scalar, others = function(values)
        gradients = tape.gradient(scalar, values, unconnected_gradients="zero")
        gradients = [tf.convert_to_tensor(gradient) for gradient in gradients]
    elif backend == "jax":
        import jax

        both = jax.jit(jax.value_and_grad(function, has_aux=True))
        (scalar, others), gradients = both(values)
    else:
        raise ValueError(
            "Gradients are taken on TensorFlow and JAX; set KERAS_BACKEND to one of them. "
            f"Received: backend {backend!r}"
        )
    return to_numpy(scalar), to_numpy(others), to_numpy(gradients)


def trace(function, inputs):
    """Run a function on tensors that have shapes but no numbers.

    Args:
        function: function of `inputs`; what it returns is dropped, so it keeps what it sees.
        inputs: structure of objects with `shape` and `dtype`.
    """
    backend = keras.config.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        specs = keras.tree.map_structure(lambda x: tf.TensorSpec(x.shape, x.dtype), inputs)
        tf.function(function, autograph=False).get_concrete_function(specs)
    elif backend == "jax":
        import jax

        specs = keras.tree.map_structure(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), inputs)
        # JAX wants tensors back.
        jax.eval_shape(lambda x: (function(x), ())[1], specs)
    else:
        function(keras.tree.map_structure(lambda x: ops.zeros(x.shape, x.dtype), inputs))


def to_numpy(tensors):
    """Turn a structure of tensors into NumPy arrays; 16-bit floats become float32."""

    def convert(x):
        if not keras.ops.is_tensor(x):
            return x
        x = ops.cast(x, "float32") if _is_short(x.dtype) else x
        return ops.convert_to_numpy(x)

    return keras.tree.map_structure(convert, tensors)


def batches(arrays, size):
    """Yield the rows of a structure of arrays, `size` at a time."""
    count = len(keras.tree.flatten(arrays)[0])
    for start in range(0, count, size):
        part = slice(start, start + size)
        yield keras.tree.map_structure(lambda a, part=part: np.asarray(a[part]), arrays)


def _is_short(dtype):
    return keras.backend.standardize_dtype(dtype) in ("bfloat16", "float16")
