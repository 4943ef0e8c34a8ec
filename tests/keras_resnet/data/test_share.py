"""What several processes read is together the batch that one reads."""

import numpy as np
import pytest

from keras_resnet.data.batches import make_batches
from keras_resnet.data.config import ClassificationPipelineConfig
from keras_resnet.data.dataset import ImageDataset
from keras_resnet.data.device import DeviceBatches
from keras_resnet.data.loader import PyDatasetLoader
from keras_resnet.data.share import rows_of_share

IMAGES = np.random.default_rng(0).integers(0, 256, (27, 8, 8, 3)).astype("uint8")
LABELS = (np.arange(27) % 3).tolist()
DATA = ImageDataset("noise", ["a", "b", "c"], LABELS, images=IMAGES)


def joined(parts):
    if isinstance(parts[0], dict):
        return {name: joined([part[name] for part in parts]) for name in parts[0]}
    return np.concatenate(parts)


def check(make, batches):
    whole = make((0, 1))
    parts = [make((index, 4)) for index in range(4)]
    for number in batches:
        x, y = whole[number]
        shares = [part[number] for part in parts]
        assert all(len(labels) == len(y) // 4 for _, labels in shares)
        np.testing.assert_equal(joined([x for x, _ in shares]), x)
        np.testing.assert_equal(joined([labels for _, labels in shares]), y)


@pytest.mark.parametrize("mixing", [{}, {"mixup": 0.2, "cutmix": 1.0}])
def test_shares_of_the_loader_in_training(mixing):
    config = ClassificationPipelineConfig(
        batch_size=8, image_size=8, crop="pad_crop", padding=2, seed=3, **mixing
    )
    # Over the end of an epoch, from a batch within it.
    check(lambda share: PyDatasetLoader(DATA, config, True, 1, 1, share=share), range(4))


def test_shares_of_the_loader_in_evaluation_with_filler():
    config = ClassificationPipelineConfig(batch_size=8, image_size=8, crop="pad_crop")
    check(lambda share: PyDatasetLoader(DATA, config, False, share=share), range(4))


@pytest.mark.parametrize("training", [True, False])
def test_shares_of_images_on_the_device(training):
    options = {"training": training, "padding": 2, "flip": 0.5, "seed": 1}
    check(lambda share: DeviceBatches(DATA, 8, share=share, **options), range(3))


def test_several_processes_are_read_for_by_the_loader():
    config = ClassificationPipelineConfig(batch_size=8, image_size=8, crop="pad_crop")
    assert isinstance(make_batches(DATA, config, True, share=(1, 2)), PyDatasetLoader)


def test_batches_that_cannot_be_shared_out():
    assert [rows_of_share(6, (i, 3)) for i in range(3)] == [slice(0, 2), slice(2, 4), slice(4, 6)]
    with pytest.raises(ValueError, match=r"number of processes, 4\. Received: batch_size=6"):
        rows_of_share(6, (0, 4))
    with pytest.raises(ValueError, match=r"Received: share=\(2, 2\)"):
        rows_of_share(6, (2, 2))
