"""Cross-entropy and accuracy for labels that are classes or, when images are mixed, shares."""

import keras
from keras import ops


def _shares(labels, classes):
    """Labels `(B,)` or `(B, 1)` of ints, or shares `(B, classes)`, as float32 shares."""
    if len(labels.shape) == 2 and labels.shape[-1] == classes:
        return ops.cast(labels, "float32")
    return ops.one_hot(ops.reshape(ops.cast(labels, "int32"), (-1,)), classes, dtype="float32")


@keras.saving.register_keras_serializable(package="keras_resnet")
class SoftLabelCrossentropy(keras.losses.Loss):
    """Mean cross-entropy of logits, in float32, with label smoothing.

    Args:
        classes: int.
        label_smoothing: float, share of each label that is spread over all classes.

    Call arguments:
        y_true: int `(B,)`, or shares `(B, classes)`.
        y_pred: logits `(B, classes)`.

    Reference:
        Szegedy et al. 2015, arXiv:1512.00567, section 7.

    Example:
    >>> import numpy as np
    >>> loss = SoftLabelCrossentropy(2)
    >>> round(float(loss(np.array([0]), np.array([[0.0, 0.0]], "float32"))), 4)
    0.6931
    """

    def __init__(self, classes, label_smoothing=0.0, name="cross_entropy", **kwargs):
        super().__init__(name=name, **kwargs)
        self.classes = classes
        self.label_smoothing = label_smoothing

    def __call__(self, y_true, y_pred, sample_weight=None):
        # Before the base class makes 16-bit floats of integer labels.
        return super().__call__(_shares(y_true, self.classes), y_pred, sample_weight)

    def call(self, y_true, y_pred):
        shares = ops.cast(y_true, "float32")
        shares = shares * (1.0 - self.label_smoothing) + self.label_smoothing / self.classes
        return -ops.sum(shares * ops.log_softmax(ops.cast(y_pred, "float32"), axis=-1), axis=-1)

    def get_config(self):
        return {
            **super().get_config(),
            "classes": self.classes,
            "label_smoothing": self.label_smoothing,
        }


@keras.saving.register_keras_serializable(package="keras_resnet")
class SoftLabelAccuracy(keras.metrics.Mean):
    """Share of images whose largest logit is the class with the largest share of the label.

    Example:
    >>> import numpy as np
    >>> metric = SoftLabelAccuracy()
    >>> metric.update_state(np.array([[0.7, 0.3]]), np.array([[2.0, 1.0]]))
    >>> float(metric.result())
    1.0
    """

    def __init__(self, name="accuracy", **kwargs):
        super().__init__(name=name, **kwargs)

    def update_state(self, y_true, y_pred, sample_weight=None):
        shares = _shares(ops.convert_to_tensor(y_true), y_pred.shape[-1])
        right = ops.equal(ops.argmax(shares, axis=-1), ops.argmax(y_pred, axis=-1))
        return super().update_state(ops.cast(right, "float32"), sample_weight)
