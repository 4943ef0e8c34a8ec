"""How a two-stage detector is trained by `fit`: the losses of a batch, and what Keras needs."""

import keras
from keras import ops

from keras_resnet.replicas import replica_count, uniform_rows
from keras_resnet.training.devices import choose_jit

LOSSES = ("rpn_objectness_loss", "rpn_box_loss", "classification_loss", "box_loss")


class TwoStageTraining:
    """Mixed into a `keras.Model` with the parts `rpn` and `roi_heads`.

    The model gives `first_stage`, the levels that regions are pooled from (`_pooled`),
    `seed_generator` and `loss_metrics`, a dict of Keras metrics by the names in `LOSSES`.
    """

    def compile(self, optimizer="sgd", jit_compile="auto", **kwargs):
        """As `keras.Model.compile`; "auto" jits where the backend and device gain from it.

        Freeze layers before: the optimizer is built here.
        """
        super().compile(optimizer=optimizer, jit_compile=choose_jit(jit_compile), **kwargs)
        # Variables made during the first step would have TensorFlow trace it twice.
        self.optimizer.build(self.trainable_variables)

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        """Nothing: it is built. Keras would average the replicas' batches, bool ones too."""

    def compile_from_config(self, config):
        """Compiles a reloaded model; jit is chosen anew for the machine it is on."""
        config = keras.saving.deserialize_keras_object(config)
        config.pop("jit_compile", None)
        self.compile(**config)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        if sample_weight is not None:
            raise ValueError("FasterRCNN takes no `sample_weight`. Received: a sample weight")
        # Detections carry no features: a validation loss runs the first stage again.
        first = y_pred if training else self.first_stage(x)
        losses = self.compute_losses(x, y, first, training)
        for name, value in losses.items():
            self.loss_metrics[name].update_state(value)
        total = sum(losses.values())
        if self.losses:
            total = total + sum(ops.cast(value, "float32") for value in self.losses)
        # Keras scales the losses it computes itself by the replicas, not this one.
        return total / replica_count()

    def compute_losses(self, x, y, first, training=True):
        """The four losses, given the first stage's output.

        Args:
            x, y: a batch.
            first: what `model(x, training=True)` returned.
            training: which proposal counts hold.

        Returns:
            dict of float32 scalars by the names in `LOSSES`.
        """
        y = {
            "boxes": ops.cast(y["boxes"], "float32"),
            "classes": ops.cast(y["classes"], "int32"),
            "is_crowd": ops.cast(y["is_crowd"], "bool")
            if "is_crowd" in y
            else ops.zeros_like(y["classes"], dtype="bool"),
        }
        maps = first["objectness"], first["deltas"], first["anchors"]
        batch = ops.shape(y["classes"])[0]
        anchors = sum(ops.shape(level)[0] for level in first["anchors"])
        losses = self.rpn.compute_losses(*maps, y, self._noise(batch, anchors))
        boxes, _, valid = self.rpn.propose(*maps, x["image_sizes"], training=training)
        candidates = ops.shape(boxes)[1] + ops.shape(y["boxes"])[1]
        second = self.roi_heads.compute_losses(
            self._pooled(first),
            boxes,
            valid,
            y,
            self._noise(batch, candidates),
            x["image_sizes"],
            training=training,
        )
        return {**losses, **second}

    def _noise(self, batch, count):
        return uniform_rows(batch, count, self.seed_generator)

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        return {metric.name: metric.result() for metric in self.metrics}
