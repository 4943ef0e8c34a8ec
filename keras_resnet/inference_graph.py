"""TensorFlow functions for inference, with weights that the graph may hold as constants."""

import math

# What one graph may have, a limit of protocol buffers, less room for its operations.
MAX_BYTES = 2**31 - 2**25

SPATIAL = "spatial"  # A value of `constant`.

_SMALLEST_VARIABLE = 1024  # numbers
_LARGEST_SPATIAL = 2**20
_FOLDED = ("Cast", "Identity", "Reshape")


def freeze(function, signature, constant=True):
    """Copies a TensorFlow function for inference.

    In the copy, 16-bit weights are stored in 16 bits, and where every n-th pixel is taken before a
    1x1 convolution, the convolution strides instead.

    Constant weights are brought into the layout of the processor once; weights in variables at
    every call, or the processor computes in a slower layout. The first costs what copying them
    costs, much of the time of one small image; the second is felt in 3x3 convolutions of large
    maps. But TensorFlow copies a graph about fifteen times while it prepares it, with the
    constants in it.

    Args:
        function: callable from tensors, by name, to a dict of tensors, made of TensorFlow
            operations.
        signature: dict from the names to `tf.TensorSpec`.
        constant: bool, make the weights constants of the graph; else they are variables.
            `"spatial"` does so with the kernels, larger than 1x1, of at most a million numbers.

    Returns:
        `(call, variables)`. `call` is a `tf.function` from a dict of tensors, by name, to the same
        dict as `function`. Several functions may call it; they share its weights in a SavedModel.
        `variables` is the list of those, which must be saved with it.

    Raises:
        ValueError: `constant` is something else, or the weights exceed the 2 GB of a TensorFlow
            graph.

    Example:

    ```python
    signature = {"images": tf.TensorSpec([None, 224, 224, 3], tf.float32)}
    call, _ = freeze(lambda images: {"outputs": model(images)}, signature)
    outputs = call({"images": images})["outputs"]
    ```
    """
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    if constant not in (True, False, SPATIAL):
        raise ValueError(
            f"`constant` must be True, False or {SPATIAL!r}. Received: constant={constant!r}"
        )
    specs = {
        name: tf.TensorSpec(spec.shape, spec.dtype, name=name) for name, spec in signature.items()
    }
    traced = tf.function(function, autograph=False).get_concrete_function(**specs)
    size = sum(math.prod(v.shape) * v.dtype.size for v in traced.graph.variables)
    if size > MAX_BYTES:
        raise ValueError(
            "The weights do not fit into a TensorFlow graph, which may have 2 GB. "
            f"Received: a model with weights of {size / 2**30:.1f} GiB"
        )
    frozen = convert_variables_to_constants_v2(traced, lower_control_flow=False)
    graph = simplify(frozen.graph.as_graph_def(), [t.op.name for t in frozen.outputs])
    variables = {} if constant is True else _variables(graph, constant == SPATIAL)
    names = sorted(traced.structured_outputs)  # the order in which TensorFlow flattens a dict
    inputs = [tensor.op.name for tensor in frozen.inputs]
    outputs = [tensor.name for tensor in frozen.outputs]

    @tf.function(input_signature=[specs], autograph=False)
    def call(tensors):
        bound = {name: tensors[name] for name in inputs}
        bound |= {f"{name}:0": value.read_value() for name, value in variables.items()}
        found = tf.graph_util.import_graph_def(graph, bound, outputs, name="")
        return {
            name: tf.ensure_shape(tensor, own.shape)
            for name, tensor, own in zip(names, found, frozen.outputs)
        }

    return call, list(variables.values())


def _variables(graph, keep_spatial):
    """Makes weights inputs of a graph; returns variables with their values, by node."""
    import tensorflow as tf

    variables = {}
    kernels = {node.input[1] for node in graph.node if node.op == "Conv2D"} if keep_spatial else ()
    for node in graph.node:
        value = tf.make_ndarray(node.attr["value"].tensor) if node.op == "Const" else None
        # TensorFlow has to know small constants, such as shapes, while it prepares the graph.
        if value is None or value.size < _SMALLEST_VARIABLE or value.dtype.kind in "biuSO":
            continue
        if node.name in kernels and value.shape[:2] != (1, 1) and value.size <= _LARGEST_SPATIAL:
            continue
        variables[node.name] = tf.Variable(value, trainable=False)
        dtype = node.attr["dtype"].type
        node.attr.clear()
        node.op = "Placeholder"
        node.attr["dtype"].type = dtype
        node.attr["shape"].shape.CopyFrom(tf.TensorShape(value.shape).as_proto())
    return variables


def simplify(graph, outputs):
    """Rewrites a graph with constant weights so that it is smaller and faster.

    Args:
        graph: `GraphDef` of inference.
        outputs: names of the nodes that are its outputs.

    Returns:
        Another `GraphDef` that computes the same.
    """
    import tensorflow as tf

    result = tf.compat.v1.GraphDef()
    result.CopyFrom(graph)
    nodes = {node.name: node for node in result.node}
    _skip_identities(result, outputs)
    for node in result.node:  # TensorFlow lists nodes in an order in which they can be computed
        if node.op in _FOLDED:
            _fold(node, nodes)
        elif node.op == "Conv2D":
            _stride(node, nodes)
    for node in result.node:
        if "_gradient_op_type" in node.attr:  # names a function that is not saved
            del node.attr["_gradient_op_type"]
        # Constants are ready at any time; waiting for one would keep it in the graph.
        inputs = [i for i in node.input if not (i[0] == "^" and nodes[i[1:]].op == "Const")]
        node.input[:] = inputs
    needed = {node.name for node in graph.node if node.op == "Placeholder"}
    waiting = list(outputs)
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed.add(name)
            waiting += (part.removeprefix("^").split(":")[0] for part in nodes[name].input)
    kept = [node for node in result.node if node.name in needed]
    return tf.compat.v1.GraphDef(node=kept, library=result.library, versions=result.versions)


def _skip_identities(graph, outputs):
    """Takes out what custom gradients leave around their operations, which hinders fusing them."""
    passed = {
        f"{node.name}:{i}".removesuffix(":0"): source
        for node in graph.node
        if node.op == "IdentityN" and node.name not in outputs
        for i, source in enumerate(name for name in node.input if name[0] != "^")
    }
    for node in graph.node:
        for i, name in enumerate(node.input):
            while name in passed:
                name = passed[name]
            node.input[i] = name


def _constant(name, nodes):
    """The array of a constant; None if it is something else."""
    import tensorflow as tf

    node = nodes.get(name.removesuffix(":0"))
    if node is None or node.op != "Const":
        return None
    return tf.make_ndarray(node.attr["value"].tensor)


def _fold(node, nodes):
    """Computes a cast or a new shape of a constant."""
    import tensorflow as tf

    values = [_constant(name, nodes) for name in node.input]
    if any(value is None for value in values):
        return
    value = values[0]
    if node.op == "Cast":
        value = value.astype(tf.as_dtype(node.attr["DstT"].type).as_numpy_dtype)
    elif node.op == "Reshape":
        value = value.reshape(values[1])
    dtype = tf.as_dtype(value.dtype).as_datatype_enum
    del node.input[:]
    node.attr.clear()
    node.op = "Const"
    node.attr["dtype"].type = dtype
    # `tf.make_tensor_proto` writes three bytes for a number of 16 bits.
    node.attr["value"].tensor.dtype = dtype
    node.attr["value"].tensor.tensor_shape.CopyFrom(tf.TensorShape(value.shape).as_proto())
    node.attr["value"].tensor.tensor_content = value.tobytes()


def _stride(node, nodes):
    """Lets a 1x1 convolution of `x[:, ::s, ::s]`, or of pools of one cell, stride over x."""
    kernel, part = _constant(node.input[1], nodes), nodes.get(node.input[0])
    if kernel is None or kernel.shape[:2] != (1, 1) or part is None:
        return
    steps = None
    if part.op == "StridedSlice":
        steps = _steps(part, nodes)
    elif part.op == "AvgPool" and list(part.attr["ksize"].list.i) == [1, 1, 1, 1]:
        steps = list(part.attr["strides"].list.i)
    plain = list(node.attr["strides"].list.i) == [1, 1, 1, 1]
    if steps is None or not plain or node.attr["data_format"].s != b"NHWC":
        return
    node.attr["strides"].list.i[:] = steps
    node.input[0] = part.input[0]


def _steps(part, nodes):
    """`[1, s, s, 1]` if a slice takes every s-th row and column and all else, or None."""
    begin, end, steps = (_constant(name, nodes) for name in part.input[1:4])
    if begin is None or end is None or steps is None or not 3 <= len(steps) <= 4:
        return None
    whole = (1 << len(steps)) - 1
    from_start = all(b == 0 or part.attr["begin_mask"].i >> i & 1 for i, b in enumerate(begin))
    others = ("ellipsis_mask", "new_axis_mask", "shrink_axis_mask")
    if not from_start or part.attr["end_mask"].i != whole or any(part.attr[m].i for m in others):
        return None
    batch, rows, columns, channels = ([*map(int, steps), 1])[:4]
    if (batch, channels) != (1, 1) or rows != columns or rows < 1:
        return None
    return [batch, rows, columns, channels]
