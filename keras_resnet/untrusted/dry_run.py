"""Building a model without memory for its weights, to look at it first."""

import threading

import keras


def dry_run(function):
    """Calls a function in which the variables of new layers take no memory.

    They have a name, a shape and a dtype, but no value: enough to compare a model that a file
    describes with the tensors that the file holds, before either is given memory.

    Args:
        function: callable without arguments. It is called with the dtype policy of the caller.

    Returns:
        What `function` returns. Variables in it can never be used.

    Raises:
        Exception: what `function` raises.

    Example:

    >>> import keras
    >>> def build():
    ...     layer = keras.layers.Dense(10**6)
    ...     layer.build((None, 10**6))
    ...     return tuple(layer.kernel.shape)
    >>> dry_run(build)
    (1000000, 1000000)
    """
    policy = keras.config.dtype_policy()
    result = {}

    def call():
        try:
            keras.config.set_dtype_policy(policy)
            with keras.StatelessScope(initialize_variables=False):
                result["value"] = function()
        except BaseException as error:
            result["error"] = error

    # Keras counts names and notes variables that wait for a value by thread: they end with this.
    thread = threading.Thread(target=call, name="dry_run")
    thread.start()
    thread.join()
    if "error" in result:
        raise result["error"]
    return result["value"]
