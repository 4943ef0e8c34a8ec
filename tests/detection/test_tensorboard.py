"""What TensorBoard shows of a detector's run, read from the event files."""

import io

import numpy as np
import pytest
from PIL import Image

from keras_resnet.training.results import read_results


@pytest.fixture(scope="module")
def events(tiny_run):
    """dict from (part of the logs, tag) to a list of (step, value)."""
    tf = pytest.importorskip("tensorflow")
    from tensorflow.python.summary.summary_iterator import summary_iterator

    found = {}
    folder = tiny_run.folder / "tensorboard"
    for path in sorted(folder.rglob("events.out.*")):
        for event in summary_iterator(str(path)):
            for value in event.summary.value:
                key = (path.parent.name, value.tag)
                found.setdefault(key, []).append((event.step, tf.make_ndarray(value.tensor)))
    return found


def test_losses_ap_and_learning_rate(events, tiny_run):
    rows = read_results(tiny_run.folder / "results.csv")
    for tag, column in (
        ("epoch_loss", "train/loss"),
        ("epoch_rpn_box_loss", "train/rpn_box_loss"),
        ("epoch_metrics/mAP50-95", "metrics/mAP50-95"),
    ):
        expected = [(i, float(row[column])) for i, row in enumerate(rows) if row[column]]
        shown = [(step, float(value)) for step, value in events["train", tag]]
        assert [step for step, _ in shown] == [step for step, _ in expected]
        np.testing.assert_allclose([v for _, v in shown], [v for _, v in expected], rtol=1e-4)
    rates = [float(value) for _, value in events["train", "epoch_learning_rate"]]
    assert len(rates) == 25 and rates[-1] < rates[1]


def test_detections_are_shown_after_each_evaluation(events):
    shown = events["validation", "detections"]
    assert [step for step, _ in shown] == [4, 9, 14, 19, 24]
    for _, value in shown:
        width, height, *pictures = value
        with Image.open(io.BytesIO(pictures[0])) as picture:
            assert picture.size == (int(width), int(height))
            assert min(picture.size) >= 96 and len(picture.getcolors(2**24)) > 100
