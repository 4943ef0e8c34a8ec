"""Learning rate drops when the error no longer falls."""

import math

import keras


class Plateau(keras.callbacks.Callback):
    """Multiplies the learning rate when a figure has not improved for some epochs.

    Its count is part of a run's state, so a continued run drops where an uninterrupted one does.

    Args:
        monitor: name of the log that should fall, such as `"val_loss"`; epochs without it (no
            evaluation) do not count.
        factor: factor of the learning rate.
        patience: int, epochs without improvement before a drop.
        say: callable that prints a line.

    Raises:
        ValueError: a factor outside (0, 1) or a patience below 1.

    Reference:
        He et al. 2015, arXiv:1512.03385, section 3.4.

    Example:
    ```python
    fit(model, make_batches, callbacks=[Plateau("val_error", 0.1, patience=5)], ...)
    ```
    """

    def __init__(self, monitor, factor=0.1, patience=5, say=print):
        super().__init__()
        if not 0 < factor < 1 or patience < 1:
            raise ValueError(
                "`factor` must be between 0 and 1 and `patience` at least 1. "
                f"Received: factor={factor}, patience={patience}"
            )
        self.monitor, self.factor, self.patience = monitor, factor, patience
        self._say = say
        self._best, self._waited = math.inf, 0

    def get_run_state(self):
        best = self._best if math.isfinite(self._best) else None
        return {"best": best, "waited": self._waited}

    def set_run_state(self, state):
        self._best = math.inf if state["best"] is None else state["best"]
        self._waited = state["waited"]

    def on_epoch_end(self, epoch, logs=None):
        value = (logs or {}).get(self.monitor)
        if value is None:
            return
        if value < self._best:
            self._best, self._waited = float(value), 0
            return
        self._waited += 1
        if self._waited >= self.patience:
            self._waited = 0
            optimizer = self.model.optimizer
            optimizer = getattr(optimizer, "inner_optimizer", optimizer)
            optimizer.learning_rate = float(optimizer.learning_rate) * self.factor
            self._say(
                f"{self.monitor} has not fallen for {self.patience} epochs: learning rate "
                f"{float(optimizer.learning_rate):.3g}"
            )
