"""Says when float16 cannot hold the gradients, at whatever loss scale."""

import math

import keras

from keras_resnet.training.divergence import TrainingDiverged

LOW, LEAST = 1.0, 2.0**-20


class LossScaleWatch(keras.callbacks.Callback):
    """Watches the loss scale under `mixed_float16`.

    A step whose gradients overflow is skipped and halves the scale; that is as it should be, now
    and then. Where the scale is 1 and steps are still skipped, it is not the scale: the network
    itself overflows, and training stands still while its losses look fine.

    Args:
        say: callable that prints a line.

    Raises:
        TrainingDiverged: 20 more steps were skipped after the scale had come down to 1.

    Example:
    ```python
    model.fit(data, callbacks=[LossScaleWatch()])
    ```
    """

    def __init__(self, say=print):
        super().__init__()
        self.say = say
        self._largest = 0.0
        self._said = False

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        optimizer = self.model.optimizer
        if not isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
            return
        scale = float(keras.ops.convert_to_numpy(optimizer.dynamic_scale))
        self._largest = max(self._largest, scale, optimizer.initial_scale)
        if scale > LOW:
            self._said = False
            return
        skipped = round(math.log2(self._largest / scale)) if scale else "very many"
        where = f"epoch {self._epoch + 1}, step {batch + 1}"
        text = (
            f"The loss scale of float16 has collapsed to {scale:g} at {where}: the gradients of at "
            f"least {skipped} steps overflowed, and these steps changed no weight."
        )
        advice = (
            "Train with train.precision=mixed_bfloat16 or float32, or with a lower learning rate "
            "or gradient clipping."
        )
        if scale < LEAST:
            raise TrainingDiverged(
                f"{text} Checkpoints are untouched. {advice}", self._epoch, batch, {}
            )
        if not self._said:
            self._said = True
            self.say(f"{text} {advice}")
