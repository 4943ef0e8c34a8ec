"""The learning rate of a step while training runs."""

import keras


class LearningRateReader:
    """Tells the learning rate at any step of the current epoch.

    JAX keeps the variables away from the model while an epoch runs, so all that is read from
    variables is read at the epoch's start; `read_state` must be called there.

    Args:
        model: compiled `keras.Model`.
    """

    def __init__(self, model):
        # A loss-scaling optimizer has neither step count nor schedule of its own.
        self._optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
        self.read_state()

    def read_state(self, done=0):
        """Reads step count and rate; to be called when an epoch begins or ends.

        Args:
            done: int, steps of the epoch that were done before, if it is continued.
        """
        self._first_step = int(keras.ops.convert_to_numpy(self._optimizer._iterations)) - done
        self._rate = float(keras.ops.convert_to_numpy(self._optimizer.learning_rate))

    def at(self, steps):
        """The rate used in a step.

        Args:
            steps: int, the number of steps since the start of the epoch.

        Returns:
            float.
        """
        schedule = self._optimizer._learning_rate
        if isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule):
            return float(keras.ops.convert_to_numpy(schedule(self._first_step + steps)))
        return self._rate
