"""What a training run would do, without doing it: sizes of data, batches and model."""

import contextlib
import math
import pathlib
import tempfile

from detection.backbones import build_backbone
from detection.build import build_model
from detection.data.plan import BatchPlan
from detection.datasets import open_dataset
from detection.pretrained import check_source
from detection.train import categories_of, preprocessing_of, refuse_tiny_images
from detection.weights import state
from keras_resnet.data.record_files import NotPrepared
from keras_resnet.training.run_state import resumes
from keras_resnet.weights.presence import check_weights


def describe_run(config):
    """Lines on the data, batches, steps and model that a configuration leads to.

    Nothing is trained, downloaded or written.

    Args:
        config: a `detection.config.Config`.

    Returns:
        List of str. Where the data are still to be downloaded, they say so and no more.

    Raises:
        ValueError: the data cannot be opened, as the run itself would tell, or the images are too
            small for the model.
        ValueError, OSError: the weights to start with are not there, likewise.

    Example:

    >>> config = detection.load_config("quickstart", ["data.shapes.num_train=80"])
    >>> [line for line in describe_run(config) if line.startswith("steps")]
    ['steps: 10 an epoch, 2,300 in all, 230 epochs']
    """
    refuse_tiny_images(config)
    pipeline, size = config.data.pipeline, config.data.pipeline.batch_size
    with _data_config(config.data) as data:
        try:
            datasets = {split: open_dataset(data, split) for split in ("train", "val")}
            categories = categories_of(datasets)
        except NotPrepared:
            if config.data.download:
                unknown = "the data are not downloaded yet, so sizes are not known"
                return [unknown, *_backbone_weights(config), *_whole_weights(config)]
            raise
        plans = {
            split: BatchPlan(dataset, pipeline, training=split == "train")
            for split, dataset in datasets.items()
        }
    rest = "the run's problems.json"
    lines = [line for data in datasets.values() for line in data.summary(rest=rest).splitlines()]
    per_epoch = plans["train"].steps_per_epoch
    steps = config.train.total_steps(per_epoch)
    epochs = -(-steps // per_epoch)
    lines.append(f"steps: {per_epoch:,} an epoch, {steps:,} in all, {epochs:,} epochs")
    for split, plan in plans.items():
        shapes = " or ".join(
            f"{height} x {width}" for height, width in sorted(plan.shapes.tolist())
        )
        lines.append(
            f"batches of {split}: images [{size}, height, width, 3] of {shapes}, "
            f"{pipeline.dtype(split == 'train')}; boxes [{size}, {plan.max_boxes}, 4]"
        )
    lines += _backbone_weights(config)  # in the order of the run, which ends at the first mistake
    model = build_model(config.model.without_weights(), categories, preprocessing_of(pipeline))
    trained = sum(math.prod(v.shape) for v in model.trainable_variables)
    lines.append(
        f"model: {len(categories)} classes, {model.count_params():,} parameters, {trained:,} of "
        "them trained"
    )
    return lines + _whole_weights(config)


def _backbone_weights(config):
    """Raises what the run would where it does not find them; a line on what it would download."""
    backbone = config.model.backbone
    if config.train.start_from is not None or backbone.depth is None or backbone.weights is None:
        return []
    if state.is_torchvision(backbone.weights):
        note = state.check_source(backbone.weights)
    else:
        network = build_backbone(config.model.without_weights().backbone)
        note = check_weights(network, backbone.weights)
    return [] if note is None else [note]


def _whole_weights(config):
    """The same of the weights of a whole detector, which a run that goes on does not need."""
    start = config.train.start_from
    if start is None or resumes(config.run, pathlib.Path(config.run.project, config.run.name)):
        return []
    note = check_source(start)
    return [] if note is None else [note]


@contextlib.contextmanager
def _data_config(data):
    """The data without downloads, and the generated sample set in a place of its own."""
    if data.format == "tfds":
        yield data.model_copy(update={"download": False})
    elif data.format == "shapes" and not (data.root and pathlib.Path(data.root).exists()):
        with tempfile.TemporaryDirectory() as folder:
            yield data.model_copy(update={"root": folder})
    else:
        yield data
