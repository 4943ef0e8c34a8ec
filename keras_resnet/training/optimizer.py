"""SGD and AdamW whose weight decay touches the weights it should, and only those."""

import keras
from keras import ops

DECAY_CHOICES = ("kernels", "no_norms", "all")


def is_kernel(variable):
    """Whether a variable is the kernel of a convolution or dense layer.

    The rule looks at the variable's own name, which the layer that owns it sets in its code
    (`add_weight(name="kernel")`), never at the layer's name or at automatic counters: `kernel`
    itself, or a compound such as `depthwise_kernel`. Scales and offsets of norms (`gamma`,
    `beta`), `bias`, and embeddings are not kernels. A layer of one's own takes part by naming
    its weight `kernel`.

    Args:
        variable: a `keras.Variable` of a model.

    Returns:
        bool.
    """
    return variable.name == "kernel" or variable.name.endswith("_kernel")


def is_of_norm(variable):
    """Whether a variable is the scale or offset of a norm, by its own name as in `is_kernel`.

    Args:
        variable: a `keras.Variable` of a model.

    Returns:
        bool.
    """
    return variable.name in ("gamma", "beta")


class _DecaySelection:
    """Which variables decay, decided once when the optimizer is built.

    The choice is the string `decay`, part of the optimizer's config, so it survives saving and
    reloading; Keras' own `exclude_from_weight_decay` does not and is therefore refused.
    """

    def _set_decay(self, decay):
        if decay not in DECAY_CHOICES:
            raise ValueError(f"`decay` must be one of {DECAY_CHOICES}. Received: decay={decay!r}")
        self.decay = decay

    def build(self, variables):
        if self.built:
            return
        super().build(variables)
        chosen = {"kernels": is_kernel, "no_norms": lambda v: not is_of_norm(v)}
        self._decays = tuple(self.decay == "all" or chosen[self.decay](v) for v in variables)

    def exclude_from_weight_decay(self, var_list=None, var_names=None):
        raise ValueError(
            "Exclusions by name or list are not saved with the optimizer. Choose the variables "
            f"that decay by the argument `decay`, one of {DECAY_CHOICES}. "
            f"Received: var_list={var_list}, var_names={var_names}"
        )

    def _use_weight_decay(self, variable):
        # By index: inside a TensorFlow strategy `variable` is a backend variable, whose name is
        # not the Keras one.
        return self._decays[self._get_variable_index(variable)]

    def finalize_variable_values(self, var_list):
        super().finalize_variable_values(var_list)
        if self.use_ema and keras.backend.backend() == "jax":
            # Keras leaves weight and average in one buffer, which the next `fit` would give to
            # XLA twice.
            for variable in var_list:
                variable.assign(ops.copy(variable))

    def get_config(self):
        return {**super().get_config(), "decay": self.decay}


@keras.saving.register_keras_serializable(package="keras_resnet")
class SGD(_DecaySelection, keras.optimizers.SGD):
    """Stochastic gradient descent as published recipes mean it.

    One step on a weight `w` with gradient `g` (already averaged and clipped):

    ```
    g = g + weight_decay * w          # only for the variables that `decay` selects
    buffer = momentum * buffer + g
    w = w - learning_rate * buffer                      # nesterov=False
    w = w - learning_rate * (g + momentum * buffer)     # nesterov=True
    ```

    Two differences from `keras.optimizers.SGD`: the decay enters the gradient, and so the
    momentum (Keras shrinks the weight directly, which with momentum 0.9 is about ten times
    weaker for the same number), and the buffer holds no learning rate, so a drop of the rate
    acts at once. Both are what `torch.optim.SGD` does, and what the learning rates and decays
    in papers refer to.

    Args:
        learning_rate: float, or a `keras.optimizers.schedules.LearningRateSchedule`.
        momentum: float in [0, 1].
        nesterov: whether to look one momentum step ahead.
        weight_decay: float or None: the factor of the coupled (L2) decay.
        decay: which variables decay: `"kernels"`, only kernels of convolutions and dense layers
            (see `is_kernel`), `"no_norms"`, all but scales and offsets of norms, so biases too,
            or `"all"`, every trainable variable.
        **kwargs: what `keras.optimizers.SGD` accepts (`clipnorm`, `global_clipnorm`,
            `clipvalue`, `use_ema`, `gradient_accumulation_steps`, ...). Clipping comes before
            the decay.

    Raises:
        ValueError: unknown `decay`, or a value that Keras refuses.

    Reference:
        He et al. 2015, arXiv:1512.03385, section 3.4; Goyal et al. 2017, arXiv:1706.02677,
        section 3 (momentum and the learning rate).

    Example:
    ```python
    model.compile(optimizer=SGD(0.1, momentum=0.9, weight_decay=1e-4), loss="mse")
    ```
    """

    def __init__(
        self,
        learning_rate=0.01,
        momentum=0.9,
        nesterov=False,
        weight_decay=None,
        decay="kernels",
        name="sgd",
        **kwargs,
    ):
        super().__init__(
            learning_rate=learning_rate,
            momentum=float(momentum),
            nesterov=nesterov,
            weight_decay=weight_decay,
            name=name,
            **kwargs,
        )
        self._set_decay(decay)

    def _apply_weight_decay(self, variables):
        """Nothing to do ahead of the step: `update_step` puts the decay into the gradient."""

    def update_step(self, gradient, variable, learning_rate):
        learning_rate = ops.cast(learning_rate, variable.dtype)
        gradient = ops.cast(gradient, variable.dtype)
        if self.weight_decay and self._use_weight_decay(variable):
            decay = ops.cast(self.weight_decay, variable.dtype)
            gradient = ops.add(gradient, ops.multiply(decay, variable))
        step = gradient
        if self.momentum:
            buffer = self.momentums[self._get_variable_index(variable)]
            momentum = ops.cast(self.momentum, variable.dtype)
            step = ops.add(ops.multiply(momentum, buffer), gradient)
            self.assign(buffer, step)
            if self.nesterov:
                step = ops.add(gradient, ops.multiply(momentum, step))
        self.assign_sub(variable, ops.multiply(learning_rate, step))


@keras.saving.register_keras_serializable(package="keras_resnet")
class AdamW(_DecaySelection, keras.optimizers.AdamW):
    """`keras.optimizers.AdamW` (decoupled decay) with the same choice of decaying variables.

    Args:
        learning_rate: float, or a `keras.optimizers.schedules.LearningRateSchedule`.
        weight_decay: float: per step the weight shrinks by `learning_rate * weight_decay`.
        decay: `"kernels"`, `"no_norms"` or `"all"`, as for `SGD`.
        **kwargs: what `keras.optimizers.AdamW` accepts.

    Raises:
        ValueError: unknown `decay`, or a value that Keras refuses.

    Reference:
        Loshchilov and Hutter 2017, arXiv:1711.05101.

    Example:
    ```python
    model.compile(optimizer=AdamW(1e-3, weight_decay=0.05), loss="mse")
    ```
    """

    def __init__(
        self, learning_rate=0.001, weight_decay=0.004, decay="kernels", name="adamw", **kwargs
    ):
        super().__init__(
            learning_rate=learning_rate, weight_decay=weight_decay, name=name, **kwargs
        )
        self._set_decay(decay)


def build_optimizer(kind, learning_rate, weight_decay=0.0, decay="kernels", **options):
    """Makes the optimizer that a config names.

    Args:
        kind: `"sgd"` or `"adamw"`.
        learning_rate: number or schedule. A schedule is asked by batch, also when gradients are
            accumulated over several batches.
        weight_decay: number; 0 means none. Coupled for sgd, decoupled for adamw.
        decay: `"kernels"`, `"no_norms"` or `"all"`, as for `SGD`.
        **options: further arguments of the class, such as `momentum`, `nesterov`,
            `global_clipnorm`, `gradient_accumulation_steps`, `use_ema`, `ema_momentum`.

    Returns:
        `SGD` or `AdamW`. Under `mixed_float16`, `model.compile` adds loss scaling itself.

    Raises:
        ValueError: unknown `kind` or `decay`, a negative number.

    Example:
    ```python
    optimizer = build_optimizer("sgd", 0.02, weight_decay=1e-4, momentum=0.9)
    ```
    """
    kinds = {"sgd": SGD, "adamw": AdamW}
    if kind not in kinds:
        raise ValueError(f"`kind` must be one of {tuple(kinds)}. Received: kind={kind!r}")
    if weight_decay < 0:
        raise ValueError(f"`weight_decay` must be >= 0. Received: weight_decay={weight_decay}")
    if isinstance(learning_rate, int):
        learning_rate = float(learning_rate)
    if isinstance(learning_rate, float) and learning_rate < 0:
        raise ValueError(f"`learning_rate` must be >= 0. Received: learning_rate={learning_rate}")
    return kinds[kind](
        learning_rate=learning_rate, weight_decay=float(weight_decay), decay=decay, **options
    )
