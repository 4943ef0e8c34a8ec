"""What is measured on a trained net: training error, layer responses, gradient norms."""

import keras
import numpy as np

from keras_resnet.analysis import gradient_norms, layer_responses
from keras_resnet.classification.build import make_model
from keras_resnet.classification.evaluation import evaluate_logits
from keras_resnet.classification.feeds import normalization
from keras_resnet.classification.model import load_classifier

# Images that responses and gradients are taken from.
RESPONSE_IMAGES, GRADIENT_IMAGES = 512, 128


class InOrder:
    """The images of a data set as they are, in batches of one size for `evaluate_logits`.

    Args:
        dataset: an `ImageDataset` with all images in memory.
        batch_size: int.
    """

    def __init__(self, dataset, batch_size):
        self._dataset, self._batch = dataset, min(batch_size, len(dataset))
        self.num_batches = -(-len(dataset) // self._batch)

    def __len__(self):
        return self.num_batches

    def __getitem__(self, position):
        if not 0 <= position < self.num_batches:
            raise IndexError(position)
        rows = np.arange(position * self._batch, (position + 1) * self._batch)
        labels = np.where(
            rows < len(self._dataset), self._dataset.labels[rows % len(self._dataset)], -1
        )
        return self._dataset.images[rows % len(self._dataset)], labels.astype("int32")


def measure_start(config, train):
    """The gradients of a run's net before its first step.

    Args:
        config: a `ClassifierConfig`.
        train: the `ImageDataset` it is trained on.

    Returns:
        `(parameters, gradients)`: int, number of trainable parameters, and a dict that JSON can
        hold.
    """
    keras.utils.set_random_seed(config.train.seed)
    model = make_model(config, train, *normalization(config.data, train))
    parameters = sum(int(np.prod(v.shape)) for v in model.trainable_variables)
    return parameters, _gradients(model, train)


def measure_end(config, folder, train, test):
    """What is measured on a trained net, without augmentation.

    Args:
        config: a `ClassifierConfig`.
        folder: path of the run's folder.
        train, test: the `ImageDataset`s.

    Returns:
        Dict that JSON can hold: `final_train_error`, `final_train_loss`, `gradients_end`,
        `responses`.
    """
    model = load_classifier(folder / "weights" / "last")
    found = evaluate_logits(model, InOrder(train, config.train.evaluation_batch))
    network, images = _inside(model, test, RESPONSE_IMAGES)
    responses = layer_responses(network, images)
    return {
        "final_train_error": 1.0 - found["accuracy"],
        "final_train_loss": finite(found["loss"]),
        "gradients_end": _gradients(model, train),
        "responses": {"names": list(responses.names), "stds": _numbers(responses.stds)},
    }


def finite(value):
    """A number for JSON, which has no NaN: None instead."""
    return float(value) if np.isfinite(value) else None


def _gradients(model, dataset):
    network, images = _inside(model, dataset, GRADIENT_IMAGES)
    # By the statistics of the batch, as in a training step; as many images for every run.
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    norms = gradient_norms(network, images, dataset.labels[: len(images)], loss)
    return {
        "names": list(norms.names),
        "kernels": _numbers(norms.kernels),
        "outputs": _numbers(norms.outputs),
        "loss": finite(norms.loss),
    }


def _inside(model, dataset, count):
    """The network of a classifier and the first images as it gets them."""
    images = model.get_layer("normalize")(dataset.images[:count])
    return model.get_layer("network"), keras.ops.convert_to_numpy(images)


def _numbers(values):
    return [finite(value) for value in np.asarray(values, "float64")]
