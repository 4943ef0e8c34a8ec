"""What the training of a classifier would do, without doing it."""

import keras_resnet
from keras_resnet.classification.feeds import open_images
from keras_resnet.classification.model import build_classifier
from keras_resnet.data.record_files import NotPrepared
from keras_resnet.weights.presence import check_weights


def describe_run(config):
    """Lines on the data, batches, steps and network that a configuration leads to.

    Nothing is trained, downloaded or written.

    Args:
        config: a `keras_resnet.classification.config.ClassifierConfig`.

    Returns:
        List of str. Where the data are still to be downloaded, they say so and no more.

    Raises:
        ValueError: the data cannot be opened, as the run itself would tell.
        ValueError, OSError: the weights to start with are not there, likewise.

    Example:
    ```python
    describe_run(load_classifier_config("finetune", ["data.root=images"]))
    ```
    """
    data, pipeline = config.data, config.data.pipeline
    if data.download:
        data = data.model_copy(update={"download": False})
    try:
        datasets = {split: open_images(data, split) for split in ("train", "val")}
    except NotPrepared:
        if config.data.download:
            unknown = "the data are not downloaded yet, so sizes are not known"
            return [unknown, *_weights(config)]
        raise
    weights = _weights(config)
    count, size = len(datasets["train"]), pipeline.batch_size
    per_epoch = count // size if pipeline.drop_remainder else -(-count // size)
    rest = "the run's problems.json"
    lines = [line for data in datasets.values() for line in data.summary(rest=rest).splitlines()]
    if per_epoch == 0:
        return [
            *lines,
            *weights,
            f"no step: {count} images do not fill a batch of {size}; lower batch",
        ]
    steps = config.train.total_steps(per_epoch)
    epochs = -(-steps // per_epoch)
    resize, crop = pipeline.eval_size
    names = datasets["train"].class_names
    resized = f"resized to {resize}, the middle {crop} x {crop}" if resize else "as they are"
    model = build_classifier(config.model.name, config.model.options, names)
    network = model.get_layer("network")
    return [
        *lines,
        f"steps: {per_epoch:,} an epoch, {steps:,} in all, {epochs:,} epochs",
        f"batches of train: images [{size}, {pipeline.image_size}, {pipeline.image_size}, 3]",
        f"batches of val: images [{config.train.evaluation_batch}, {crop}, {crop}, 3], {resized}",
        f"model: {config.model.name}, {len(names)} classes, {network.count_params():,} parameters",
        *weights,
    ]


def _weights(config):
    """Raises what the run would where it does not find its weights; a line on a download."""
    if config.model.weights is None:
        return []
    network = getattr(keras_resnet, config.model.name)(include_top=False, **config.model.options)
    note = check_weights(network, config.model.weights)
    return [] if note is None else [note]
