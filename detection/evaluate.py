"""Evaluates a detector on a split of a configured data set."""

from detection.data import make_batches, numpy_batches
from detection.datasets import open_dataset, plain_data_errors
from detection.evaluation import evaluate, to_coco_results, write_metrics, write_results
from detection.expectations import expectation
from detection.multi_view import augmentation_of
from detection.predict import predict_dataset, predict_images
from detection.report import write_report
from detection.served import ServedDetector
from keras_resnet.data.problems import problems_json
from keras_resnet.training.run import check_output_folder
from keras_resnet.training.verified_folder import write_file


@plain_data_errors()
def evaluate_model(model, config, split="val", output=None, say=print, augment=None):
    """Runs a detector over a split and computes COCO and VOC figures.

    Images are resized as the model says (`model.preprocessing`), whatever the
    configuration's own sizes.

    Args:
        model: a `FasterRCNN`, or a `detection.served.ServedDetector`.
        config: a `detection.config.Config`; its `data` is used.
        split: `"train"` or `"val"`.
        output: `pathlib.Path` of a folder for `metrics.json`, `predictions.json` and
            `report.html`, or None.
        say: callable that prints a line.
        augment: a `TestTimeAugmentation`, None for that of the model's configuration, False
            for none. Not for a served detector.

    Returns:
        dict of figures, see `detection.evaluation.evaluate`.

    Raises:
        ValueError: the data has other classes than the model, `augment` is given for a served
            detector, or `output` cannot be made.

    Example:

    ```python
    config = detection.load_config("runs/quickstart/config.yaml")
    metrics = evaluate_model(detection.load("runs/quickstart"), config)
    ```
    """
    if output is not None:
        check_output_folder(output)
    dataset = open_dataset(config.data, split)
    if list(dataset.class_names) != model.class_names:
        raise ValueError(
            "The data must have the model's classes in the same order. "
            f"Received: data={list(dataset.class_names)}, model={model.class_names}"
        )
    say(dataset.summary(rest="" if output is None else str(output / "problems.json")))
    served = isinstance(model, ServedDetector)
    if served and augment:
        raise ValueError(f"A served detector looks at an image once. Received: augment={augment}")
    augment = None if served else augmentation_of(model, augment)
    if served:
        results = _served_results(model, dataset)
    elif augment is None:
        pipeline = _resized_as(model, config.data.pipeline)
        batches = make_batches(dataset, pipeline, training=False)
        results = predict_dataset(model, numpy_batches(batches), dataset)
    else:  # every scale is resized from the image itself
        say(f"every image in {len(augment.views(model.preprocessing))} views: {augment}")
        results = predict_images(model, dataset, augment, config.data.pipeline.batch_size)
    metrics = evaluate(dataset.to_coco(), results, curves=True)
    expected = expectation(config, dataset, split)
    if expected is not None:
        metrics["expected"] = expected
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
        write_metrics(output / "metrics.json", metrics)
        write_results(output / "predictions.json", results)
        write_file(output / "problems.json", problems_json({split: dataset}))
        write_report(output, dataset, results, metrics)
    return metrics


def _served_results(model, dataset):
    """COCO results, with the data set's own ids."""
    category_ids = [category.id for category in dataset.categories]
    results = []
    for row, record in enumerate(dataset.records):
        found = model.detect(dataset.read_image(row))
        results += to_coco_results(
            record.image_id, found.boxes, found.scores, found.classes, category_ids
        )
    return results


def _resized_as(model, pipeline):
    if not model.preprocessing:
        return pipeline
    side = model.preprocessing["min_side"]
    return pipeline.model_copy(
        update={
            "min_sides": (side,),
            "eval_min_side": side,
            "max_side": model.preprocessing["max_side"],
            "size_divisor": model.preprocessing["size_divisor"],
            "rounding": model.preprocessing.get("rounding", "nearest"),
        }
    )
