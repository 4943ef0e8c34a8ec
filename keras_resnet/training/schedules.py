"""Learning rates over the steps of a run: warm-up, then steps down or a cosine."""

import math

import keras
from keras import ops


def scaled_learning_rate(base, batch, reference_batch):
    """The learning rate for a batch size other than the recipe's: proportional to it.

    Args:
        base: learning rate of the recipe.
        batch: number of images in one update here (all devices and accumulated steps together).
        reference_batch: number of images in one update in the recipe.

    Returns:
        float.

    Raises:
        ValueError: a batch size below 1.

    Reference:
        Goyal et al. 2017, arXiv:1706.02677, section 2.1.

    Example:
    >>> scaled_learning_rate(0.02, batch=4, reference_batch=16)
    0.005
    """
    if batch < 1 or reference_batch < 1:
        raise ValueError(
            "Batch sizes must be at least 1. "
            f"Received: batch={batch}, reference_batch={reference_batch}"
        )
    return base * batch / reference_batch


class _Warmup(keras.optimizers.schedules.LearningRateSchedule):
    """Warm-up from `warmup_factor` to 1, times the subclass's `_decay(step)`."""

    def __init__(self, base_lr, warmup_steps, warmup_factor, warmup):
        super().__init__()
        if base_lr < 0:
            raise ValueError(f"`base_lr` must be >= 0. Received: base_lr={base_lr}")
        if warmup_steps < 0:
            raise ValueError(f"`warmup_steps` must be >= 0. Received: warmup_steps={warmup_steps}")
        if not 0 <= warmup_factor <= 1:
            raise ValueError(
                f"`warmup_factor` must be in [0, 1]. Received: warmup_factor={warmup_factor}"
            )
        if warmup not in ("linear", "constant"):
            raise ValueError(
                f"`warmup` must be 'linear' or 'constant'. Received: warmup={warmup!r}"
            )
        self.base_lr = float(base_lr)
        self.warmup_steps = int(warmup_steps)
        self.warmup_factor = float(warmup_factor)
        self.warmup = warmup

    def __call__(self, step):
        step = ops.cast(step, "float32")
        progress = ops.minimum(step / max(self.warmup_steps, 1), 1.0)
        if self.warmup == "constant":
            progress = ops.floor(progress)
        if self.warmup_steps == 0:
            progress = ops.ones_like(step)
        warmup = self.warmup_factor + (1.0 - self.warmup_factor) * progress
        return self.base_lr * warmup * self._decay(step)

    def get_config(self):
        return {
            "base_lr": self.base_lr,
            "warmup_steps": self.warmup_steps,
            "warmup_factor": self.warmup_factor,
            "warmup": self.warmup,
        }


@keras.saving.register_keras_serializable(package="keras_resnet")
class WarmupStep(_Warmup):
    """Warm-up, then the rate is multiplied by `gamma` at each boundary.

    Args:
        base_lr: learning rate after warm-up.
        boundaries: increasing step numbers; from step `boundaries[i]` on, the rate is
            `base_lr * gamma ** (i + 1)`.
        gamma: factor at each boundary.
        warmup_steps: number of steps of warm-up; 0 for none.
        warmup_factor: share of `base_lr` at step 0.
        warmup: `"linear"`, or `"constant"`: the share stays until the warm-up is over, as for
            ResNet-110 in He et al. 2015, section 4.2.

    Returns:
        Called with a step (int or scalar tensor): the learning rate, a float32 scalar.

    Raises:
        ValueError: boundaries not increasing or below 1, negative numbers.

    Reference:
        Goyal et al. 2017, arXiv:1706.02677, sections 2.2 and 5.1.

    Example:
    >>> schedule = WarmupStep(0.02, (60000, 80000), warmup_steps=1000, warmup_factor=0.001)
    >>> round(float(schedule(70000)), 6)
    0.002
    """

    def __init__(
        self,
        base_lr,
        boundaries,
        gamma=0.1,
        warmup_steps=0,
        warmup_factor=0.001,
        warmup="linear",
    ):
        super().__init__(base_lr, warmup_steps, warmup_factor, warmup)
        boundaries = [int(b) for b in boundaries]
        if boundaries != sorted(set(boundaries)) or any(b < 1 for b in boundaries):
            raise ValueError(
                "`boundaries` must be increasing steps from 1 on. "
                f"Received: boundaries={boundaries}"
            )
        if gamma <= 0:
            raise ValueError(f"`gamma` must be > 0. Received: gamma={gamma}")
        self.boundaries = boundaries
        self.gamma = float(gamma)

    def _decay(self, step):
        decay = ops.ones_like(step)
        for boundary in self.boundaries:
            decay = ops.where(step >= boundary, decay * self.gamma, decay)
        return decay

    def get_config(self):
        return {**super().get_config(), "boundaries": self.boundaries, "gamma": self.gamma}


@keras.saving.register_keras_serializable(package="keras_resnet")
class WarmupCosine(_Warmup):
    """Warm-up, then half a cosine from `base_lr` down to `final_factor * base_lr`.

    The cosine starts where the warm-up ends, so the peak is `base_lr`; after `total_steps` the
    rate stays at its last value.

    Args:
        base_lr: learning rate at the end of warm-up.
        total_steps: step at which the rate is lowest, warm-up included.
        warmup_steps: number of steps of warm-up; 0 for none.
        warmup_factor: share of `base_lr` at step 0.
        warmup: `"linear"`, or `"constant"`: the share stays until the warm-up is over, as for
            ResNet-110 in He et al. 2015, section 4.2.
        final_factor: share of `base_lr` at `total_steps`.

    Returns:
        Called with a step (int or scalar tensor): the learning rate, a float32 scalar.

    Raises:
        ValueError: `total_steps` not above `warmup_steps`, a factor outside [0, 1].

    Reference:
        Loshchilov and Hutter 2016, arXiv:1608.03983, equation 5 (without restarts).

    Example:
    >>> round(float(WarmupCosine(1.0, total_steps=100)(50)), 6)
    0.5
    """

    def __init__(
        self,
        base_lr,
        total_steps,
        warmup_steps=0,
        warmup_factor=0.001,
        final_factor=0.0,
        warmup="linear",
    ):
        super().__init__(base_lr, warmup_steps, warmup_factor, warmup)
        if total_steps <= warmup_steps:
            raise ValueError(
                "`total_steps` must be larger than `warmup_steps`. "
                f"Received: total_steps={total_steps}, warmup_steps={warmup_steps}"
            )
        if not 0 <= final_factor <= 1:
            raise ValueError(
                f"`final_factor` must be in [0, 1]. Received: final_factor={final_factor}"
            )
        self.total_steps = int(total_steps)
        self.final_factor = float(final_factor)

    def _decay(self, step):
        length = self.total_steps - self.warmup_steps
        progress = ops.clip((step - self.warmup_steps) / length, 0.0, 1.0)
        cosine = 0.5 * (1.0 + ops.cos(math.pi * progress))
        return self.final_factor + (1.0 - self.final_factor) * cosine

    def get_config(self):
        return {
            **super().get_config(),
            "total_steps": self.total_steps,
            "final_factor": self.final_factor,
        }
