"""Initialisations that are compared for deep networks."""

import numpy as np

INITIALIZERS = {
    "he_fan_out": ("fan_out", 2.0),
    "he_fan_in": ("fan_in", 2.0),
    "xavier": ("fan_avg", 1.0),
}


def initialize_kernels(model, kind, seed=0):
    """Draws the kernels of all convolutions and dense layers anew.

    Args:
        model: built `keras.Model`; norms and biases stay as they are.
        kind: `"he_fan_out"` (He et al. 2015, the default of the networks), `"he_fan_in"` (the
            same with the fan-in, as written in the paper), `"xavier"` (Glorot and Bengio 2010),
            all normal and not truncated; or a number, the standard deviation for all kernels.
        seed: int.

    Raises:
        ValueError: unknown `kind`.

    Reference:
        He et al. 2015, arXiv:1502.01852, section 2.2; Glorot and Bengio 2010, equation 12.

    Example:
    ```python
    initialize_kernels(keras_resnet.CifarPlain56(), "xavier", seed=1)
    ```
    """
    fixed = isinstance(kind, (int, float)) and not isinstance(kind, bool) and kind > 0
    if not fixed and kind not in INITIALIZERS:
        raise ValueError(
            f"`kind` must be one of {tuple(INITIALIZERS)} or a standard deviation > 0. "
            f"Received: kind={kind!r}"
        )
    # Kernels by place in the network, so that the draw depends on nothing else.
    kernels = [v for v in model.trainable_variables if v.name == "kernel"]
    for position, kernel in enumerate(kernels):
        shape = tuple(kernel.shape)
        receptive = int(np.prod(shape[:-2]))
        fans = {"fan_in": receptive * shape[-2], "fan_out": receptive * shape[-1]}
        fans["fan_avg"] = (fans["fan_in"] + fans["fan_out"]) / 2
        if fixed:
            deviation = float(kind)
        else:
            mode, gain = INITIALIZERS[kind]
            deviation = np.sqrt(gain / fans[mode])
        rng = np.random.default_rng([seed, position])
        kernel.assign((deviation * rng.standard_normal(shape)).astype("float32"))
